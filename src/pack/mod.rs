//! The connected side: makes bundles and keyrings, and says what the relay would say. The relay's
//! binary calls nothing in here: it holds no code that signs.

pub mod build;
pub mod ceremony;
pub mod check;
mod lines;
pub mod ring;
pub mod tuf;

pub use build::{Made, Plan, build};
pub use check::check;
