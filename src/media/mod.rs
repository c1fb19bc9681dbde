//! The medium: find bundles on it, and read each byte of them once into the spool. In scope:
//! regular files below the given path, opened read-only without following any link. Out of scope:
//! believing anything. Nothing here writes outside the spool.

pub mod find;
pub mod open;
pub mod spool;

pub use find::{Found, Survey, find};
pub use spool::{Spooled, Step, copy_payload, read_envelope};
