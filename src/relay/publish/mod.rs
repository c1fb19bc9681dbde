//! From releases to what agents see: what officers' statements make of a release, what it changes, and the numbered
//! sets of a channel. It runs in the keeper.

pub(crate) mod affected;
pub(crate) mod beside;
pub(crate) mod changes;
pub(crate) mod claims;
mod companions;
pub(crate) mod set;
pub(crate) mod status;
pub(crate) mod tuf;

pub(crate) use changes::{Examples, ItemChanges, goes_back_now, item_changes};
pub(crate) use status::ReleaseStatus;
