//! Officers who had the trust state repaired, as an entry names them.

use serde::{Deserialize, Serialize};

/// An officer who had the trust state made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RepairOfficer {
    /// The name in the keyring.
    pub officer: String,
    /// The key's id.
    pub key_id: String,
    /// The statement, as it was signed.
    pub text: String,
    /// The signature file.
    pub signature: String,
}
