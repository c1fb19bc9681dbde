//! From releases to what agents see: officers' statements, what they make of a release, and the
//! numbered sets of a channel with the one pointer that is switched.

pub mod changes;
pub mod set;
pub mod standing;
pub mod statement;

pub use changes::{Examples, Items, item_changes};
pub use set::{Current, File, Set};
pub use standing::{Standing, standing};
pub use statement::{Decision, Statement};
