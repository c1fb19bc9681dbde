//! Transparency logs in C2SP formats: signed-note checkpoints and tlog-tiles on disk over an RFC 6962 tree. Any process
//! may use it: it opens no connection, and it writes nothing but a log's
//! cosigned and pending heads, and hash tiles anew.
//!
//! In scope: keys and notes, the tree and its tiles, proofs and receipts for outsiders, cosignatures of witnesses and
//! their quorum, and checking a log from its bytes alone. Out of scope: what an entry says (an entry is bytes here),
//! and the order in which a log is written.

#![forbid(unsafe_code)]

// Keys, signed texts, and who must have signed them.
pub mod cosignature;
pub mod note;
pub mod policy;
pub mod signed;

// The tree, where it lies, and what is proven by it.
pub mod nodes;
pub mod pending;
pub mod proof;
pub mod stored;
pub mod tail;
pub mod tiles;
pub mod tree;

// What outsiders keep, and what it is compared with.
pub mod check;
pub mod compare;
pub mod cosigned;
#[cfg(test)]
mod cut_appends;
mod files;
pub mod rebuild;
pub mod receipt;
#[cfg(test)]
mod tampering;
