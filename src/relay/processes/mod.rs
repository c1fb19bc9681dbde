//! The relay's processes: which ones there are, who starts them, and what is passed to them. Each is our own binary
//! again, confined by its row of [`crate::rights`].
//!
//! ```text
//! up (supervisor) ─┬─ settle, serve, review, sinkhole, log export, selftest
//! import (supervisor) ─┬─ keeper
//!                      ├─ a reader for each medium
//!                      └─ examiners, one a bundle
//! sinkhole (supervisor) ─┬─ a UDP forwarder for each address
//!                        └─ resolver
//! selftest ── a process for each role and layer, which tries to get out
//! serve, review, settle --watch, log witness serve, in a terminal ── the same as a process without one
//! ```

pub(crate) mod attended;
pub(crate) mod examiners;
pub(crate) mod pipes;
pub(crate) mod signals;
pub(crate) mod sockets;
pub(crate) mod stderr;
pub(crate) mod up;
pub(crate) mod worker;
