//! What some entries hold that is more than a few fields.

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::sandbox::{Held, Role, Waiver};

/// An officer who had the trust state made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Repairer {
    /// The name in the keyring.
    pub officer: String,
    /// The key's id.
    pub key_id: String,
    /// The statement, as it was signed.
    pub text: String,
    /// The signature file.
    pub signature: String,
}

/// The result of a self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// The line's number in the server's journal, where it came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Whether each layer was tried alone, and everything without any.
    pub full: bool,
    /// The kernel.
    pub kernel: String,
    /// Each role tried.
    pub roles: Vec<SelfTested>,
    /// The layers that the config does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Waiver>,
    /// What got through where a layer is missing that the config does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<String>,
    /// What got through, or does not work: none of it is as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// One role in a self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfTested {
    /// The role.
    pub role: Role,
    /// The layers it holds: Landlock's version, the filter's digest, what is weaker.
    pub held: Held,
    /// How much was tried.
    pub attempts: u64,
    /// How much of it was stopped.
    pub stopped: u64,
    /// How much this kernel or user cannot do, confined or not; counted in the full form only.
    pub not_here: u64,
}

/// An attempt to send something out, or to use the relay for it. Never a byte of what was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The line's number in the server's journal; rises, with gaps where the server restarted.
    pub id: u64,
    /// When the first of them came.
    pub at: Timestamp,
    /// How many alike came since the last such entry.
    pub count: u64,
    /// What it was, for instance `virustotal` or `generic-upload`.
    pub label: String,
    /// Whether it tried to send something out; `false` for a misdirected update or a broken request.
    pub submission: bool,
    /// The agent's address.
    pub agent: String,
    /// Its port, in the first of them.
    pub port: u16,
    /// Name in the agent's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The address it came to.
    pub listener: String,
    /// Server name asked for in TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Method, escaped.
    pub method: String,
    /// Target with its query, escaped, credentials redacted.
    pub target: String,
    /// Host header, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// User-Agent header, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Content-Length or `chunked`, as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_length: Option<String>,
    /// Content-Type, as declared, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_type: Option<String>,
    /// The answer's status; 0 where the connection was closed without one.
    pub status: u16,
    /// Bytes that came on the connection, the request's head included.
    pub bytes_received: u64,
}
