//! gaprelay: a one-way relay for the updates of detection content on air-gapped networks.
//!
//! The way of the data is one chain of types, each made by its station alone. A station takes the type before it and no
//! other of ours, so that no step can be skipped:
//!
//! ```text
//! medium → Surveyed → Envelope ─verify→ Verified ─read once→ Spooled ─unpack, inspect→ Examined ─store→ Release (held)
//!                                                           Release ─approve→ settle→ Set of a channel ─serve→ agent
//!
//! Envelope: manifest bytes and signatures, small and bounded. A payload is spooled only after its manifest is verified.
//! ```
//!
//! Modules use those below them: cli, then processes, then review, export, report, then settle and import, then keeper, then log and
//! state.

// What the keeper holds: the record, the state, and the only writer of both.
pub mod keeper;
pub mod log;
pub mod state;

// What the keeper does: takes bundles in, makes sets of them, and brings both in line with officers' statements.
pub mod import;
pub mod publish;
pub mod settle;

// What each process of the relay may do, and whether the host is as it should be.
pub mod doctor;
pub mod rights;

// Processes: who starts which, and those beside the keeper: look-ups, the witness of other relays' logs.
pub mod processes;
pub mod sinkhole;
pub mod witness;

// What there is to tell: to officers, to collectors, to people at a console.
pub mod console;
pub mod export;
pub mod report;
pub mod review;

// What people type.
pub mod cli;

#[cfg(test)]
mod schemas;
