//! From releases to what agents see: what officers' statements make of a release, what it changes, and the numbered sets of
//! a channel. It runs in the keeper.

pub mod affected;
pub mod changes;
pub mod set;
pub mod standing;
pub mod tuf;

pub use changes::{Examples, Items, item_changes};
pub use standing::{Standing, standing};
