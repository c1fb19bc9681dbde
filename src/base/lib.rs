//! Parts that every crate uses: digests, clock, durable writes, escaping of foreign text, locks, limits, reason codes,
//! and the two families of errors (refusals and faults). Knows no other crate.
//!
//! Runs in every process, and adds nothing to what one may do: a write fails where the process may not write. The only
//! `unsafe` code of the workspace is in [`raw`].

pub mod clock;
pub mod digest;
pub mod durable;
pub mod error;
pub mod ipc;
pub mod limits;
pub mod lock;
pub mod name;
pub(crate) mod operator;
pub mod proven;
pub mod quoted;
pub mod raw;
pub(crate) mod reason;
pub mod span;
pub mod word_list;

pub use clock::Timestamp;
pub use digest::Digest;
pub use error::{Error, Fault, Refusal};
pub use limits::Limits;
pub use operator::Operator;
pub use quoted::quoted;
pub use reason::Reason;
