//! From releases to what agents see: what officers' statements make of a release, what it changes, and the numbered sets of
//! a channel. It runs in the keeper.

pub mod affected;
pub mod changes;
pub mod set;
pub mod status;
pub mod tuf;

pub use changes::{Examples, ItemChanges, item_changes};
pub use status::{ReleaseStatus, release_status};
