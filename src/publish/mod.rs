//! From releases to what agents see: officers' statements, what they make of a release, and the
//! numbered sets of a channel with the one pointer that is switched.

pub mod affected;
pub mod changes;
pub mod directive;
pub mod officer;
pub mod set;
pub mod standing;
pub mod statement;
pub mod tuf;

pub use changes::{Examples, Items, item_changes};
pub use directive::{Directive, Order};
pub use set::{Current, File, Set};
pub use standing::{Standing, standing};
pub use statement::{Decision, Statement};
