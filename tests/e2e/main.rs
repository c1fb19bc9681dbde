//! Drives the built binaries as people and attackers would.
#![allow(clippy::disallowed_methods, reason = "tests make files, start processes and connect")]

mod approve;
mod clients;
mod cuts;
mod import;
mod layout;
mod log;
mod serve;
mod support;
mod tls;
mod vectors;
