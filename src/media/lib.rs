//! Removable media: finds bundles on a medium, and reads each byte of them once into the spool. In scope: regular files
//! below the given path, opened read-only without following any link. Out of scope: believing any of it.
//!
//! Two processes share this crate. The reader ([`reader`], `find`, `open`) may read the medium and nothing
//! else, and write to a pipe. The keeper ([`medium`]) sends it requests, writes the spool, and cannot see the medium.

#![forbid(unsafe_code)]

pub(crate) mod find;
pub mod medium;
pub mod mount;
pub mod mounted;
pub(crate) mod open;
pub mod reader;

pub use find::Document;
pub use medium::{Medium, MediumBundle, Spooled, Step, Surveyed};
pub use mount::Mount;
pub use open::open_root;
