//! Transparency logs of the relay (import log and access log): forms of entries, appending, searching, and the turning
//! of the journals of server and sinkhole into entries. Appending runs in the keeper; other processes read. Out of
//! scope: the tree, notes and proofs (crate `tlog`), and the pages and commands that show entries.

pub(crate) mod budget;
pub(crate) mod entry;
mod event_kind;
pub(crate) mod interrupted;
pub mod journal;
pub(crate) mod journal_line;
pub(crate) mod pulls;
pub mod reading;
pub(crate) mod repair_officer;
pub mod search;
pub(crate) mod taken;
pub mod writer;

pub(crate) use entry::published_set;
pub use entry::{Entry, Event, anchored_head};
pub use writer::Log;

#[cfg(test)]
mod proofs;
