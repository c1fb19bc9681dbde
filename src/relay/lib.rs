//! gaprelay: a one-way relay for the updates of detection content on air-gapped networks.
//!
//! Data passes one chain of types, each made by its station alone. A station takes the type before it and no
//! other of ours, so that no step can be skipped:
//!
//! ```text
//! medium → Surveyed → Envelope ─verify→ Verified ─read once→ Spooled ─unpack, inspect→ Examined ─store→ Release (held)
//!                                                           Release ─approve→ settle→ Set of a channel ─serve→ agent
//!
//! Envelope: manifest bytes and signatures, small and bounded. A payload is spooled only after its manifest is verified.
//! ```
//!
//! Modules use those below them: cli, then processes, then console, doctor, review, export, report, then settle and
//! import, then publish, then keeper, then log and state. `rights`, `sinkhole` and `witness` stand beside them.

#![forbid(unsafe_code)]

// Held by the keeper: the log, the state, and the only writer of both.
pub(crate) mod keeper;
pub mod log;
pub mod state;

// Done by the keeper: imports bundles, makes sets of them, and applies officers' statements.
pub(crate) mod import;
pub(crate) mod publish;
pub mod settle;

// Rights of each process of the relay, and checks of the host.
pub(crate) mod doctor;
pub(crate) mod rights;

// Processes: who starts which, and those beside the keeper: look-ups, the witness of other relays' logs.
pub(crate) mod processes;
pub mod sinkhole;
pub(crate) mod witness;

// Reports: to officers, to log collectors, to people at a console.
pub(crate) mod console;
pub mod export;
pub(crate) mod report;
pub(crate) mod review;

// Command line.
pub mod cli;

#[cfg(test)]
mod schemas;
