//! Drives the built binaries as people and attackers would.
#![allow(clippy::disallowed_methods, reason = "tests make files, start processes and connect")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::type_complexity,
    reason = "a test that fails names its line"
)]

mod agents;
mod algorithms;
mod approve;
mod attacks;
mod borders;
mod cage;
mod clients;
mod clock;
mod console;
mod content;
mod cuts;
mod denial;
mod deployment;
mod diagnostics;
mod examiners;
mod export;
mod first_time;
mod hidden;
mod import;
mod inspect;
mod journal;
mod layout;
mod log;
mod manual;
mod media;
mod migration;
mod neighbours;
mod origin;
mod policy;
mod proofs;
mod quorum;
mod recipes;
mod review;
mod rotation;
mod serve;
mod sinkhole;
mod statements;
mod sticks;
mod strip;
mod support;
mod tampering;
mod thief;
mod tls;
mod tripwires;
mod tuf;
mod vectors;
mod waiver;
mod weaker;
mod withdrawal;
mod witness;
mod wrong_use;
mod year;
