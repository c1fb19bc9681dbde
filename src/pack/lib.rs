//! The connected side: makes bundles and keyrings, and says what the relay would say. It runs as whoever started it,
//! with the files and the terminal that they have; the relay does not link it, and so holds no code that signs bundles.

#![forbid(unsafe_code)]

pub mod build;
pub(crate) mod ceremony;
pub(crate) mod check;
pub mod cli;
mod lines;
pub(crate) mod ring;
pub mod tuf;

pub use build::{BuildPlan, Made, build};
pub use check::check;
