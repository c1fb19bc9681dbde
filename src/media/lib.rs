//! The medium: find bundles on it, and read each byte of them once into the spool. Two processes:
//! the reader ([`reader`], [`find`], [`open`](mod@open)) sees the medium and nothing else; the keeper
//! ([`medium`]) asks it, and sees the spool and no medium. In scope: regular files below the given
//! path, opened read-only without following any link. Out of scope: believing anything.

pub mod find;
pub mod medium;
pub mod mount;
pub mod mounted;
pub mod open;
pub mod reader;

pub use find::Document;
pub use medium::{Bundle, Medium, Spooled, Step, Surveyed};
pub use mount::Mount;
