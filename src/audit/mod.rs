//! The two transparency logs, in C2SP formats: signed-note checkpoints and tlog-tiles on disk over
//! an RFC 6962 tree. In scope: entries, appending, opening after a cut, checking from bytes alone.
//! Out of scope so far: proofs, receipts, witnesses; the format has room for them.

pub mod check;
pub mod entry;
pub mod journal;
pub mod log;
pub mod note;
pub mod search;
pub mod tiles;
pub mod tree;

pub use entry::{Entry, Event};
pub use log::Log;
