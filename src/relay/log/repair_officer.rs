//! Officers who had the trust state repaired, as a log entry names them.

use serde::{Deserialize, Serialize};

/// Officer who signed a repair of the trust state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RepairOfficer {
    /// Name of the officer in the keyring.
    pub officer: String,
    /// Id of the officer's key.
    pub key_id: String,
    /// Text of the statement, as it was signed.
    pub text: String,
    /// Content of the signature file.
    pub signature: String,
}
