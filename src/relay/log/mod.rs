//! The relay's two transparency logs: what an entry says, how entries are appended and found, and how the server's journal
//! becomes entries. It runs in the keeper; other processes read. Out of scope: the tree, notes and proofs (crate `tlog`),
//! and who shows them.

pub mod entry;
pub mod interrupted;
pub mod journal;
pub mod pulls;
pub mod repair_officer;
pub mod search;
pub mod writer;

pub use entry::{Entry, Event};
pub use writer::Log;

#[cfg(test)]
mod proofs;
