//! The two transparency logs, in C2SP formats: signed-note checkpoints and tlog-tiles on disk over
//! an RFC 6962 tree. In scope: entries, appending, opening after a cut, checking from bytes alone, proofs and
//! receipts for outsiders, and their comparison with a log. Out of scope: who shows them.

pub mod check;
pub mod compare;
pub mod cosignature;
pub mod cosigned;
pub mod entry;
pub mod facts;
pub mod journal;
pub mod log;
pub mod nodes;
pub mod note;
pub mod policy;
pub mod proof;
pub mod pulls;
pub mod receipt;
pub mod search;
pub mod tiles;
pub mod tree;
pub mod under_way;

pub use entry::{Entry, Event};
pub use log::Log;
