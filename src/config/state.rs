//! The part of the config that says who may read the state folder.

use serde::Deserialize;

/// The state folder, which other accounts cannot read.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// Group whose accounts may read the state folder, but no key: its name, or its number. `init` gives the folder to
    /// it. If left out: the group that the folder has when it is made.
    pub group: Option<String>,
}
