//! gaprelay: a one-way relay for the updates of detection content on air-gapped networks.
//!
//! The way of the data, one chain of types; a station takes the type before it and no other:
//!
//! ```text
//! medium ─read once→ Spooled ─unpack→ ─inspect→ Verdicts ─store→ Release
//!    └ verify → Verified ┘                     (held) ─approve→ settle→ Set ─serve→ agent
//! ```

// The ground every station stands on.
pub mod base;

// The way of the data, in its order.
pub mod guard;
pub mod inspect;
pub mod media;
pub mod publish;
pub mod serve;
pub mod sinkhole;
pub mod store;
pub mod unpack;
pub mod verify;

// What each process of ours can do, whatever it wants to.
pub mod sandbox;

// The record.
pub mod audit;

// What ties them together: the import and the settling as one function each.
pub mod config;
pub mod deployment;
pub mod doctor;
pub mod import;
pub mod keeper;
pub mod repair;
pub mod rotation;
pub mod settle;
pub mod thin;

// What there is to tell.
pub mod export;
pub mod report;
pub mod review;

// The connected side.
pub mod pack;
/// Keeps an outside memory of relays' logs, on an officer's machine.
pub mod witness;

// What people type and read.
pub mod cli;
pub mod console;

#[cfg(test)]
mod schemas;
