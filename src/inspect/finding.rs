//! Findings of the examiner about an artifact: facts, and no decision. The keeper trusts them no more than a
//! stranger's.

use serde::{Deserialize, Serialize};

use super::flaw::Flaw;
use super::kind::Kind;
use base::{Reason, Timestamp};

/// Finding about an artifact's bytes: facts, and no decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The kind, or why they show none that may pass.
    pub kind: Result<Kind, Reason>,
    /// The first line at fault, counted from 1.
    pub line: Option<u64>,
    /// Header of a ClamAV database.
    pub database: Option<DatabaseHeader>,
    /// MD5 of a rule file, in hex.
    pub md5: Option<String>,
    /// Kinds of the files in an archive.
    #[serde(default)]
    pub members: Vec<Kind>,
    /// Flaws of its content. They travel by themselves, a flaw a message.
    #[serde(skip)]
    pub flaws: Vec<Flaw>,
}

/// Header of a ClamAV database: what its vendor states about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DatabaseHeader {
    /// Version.
    pub version: u64,
    /// Number of signatures in it.
    pub signatures: u64,
    /// Functionality level that a ClamAV engine needs to use all of its signatures.
    pub level: u64,
    /// When it was built.
    pub built: Timestamp,
    /// True if it has its vendor's signature: RSA of 1024 bits over MD5, so only a hint of where it is from.
    pub is_vendor_signed: bool,
}

impl DatabaseHeader {
    /// From the header's fields.
    pub(super) fn parse(header: &[&str], is_vendor_signed: bool) -> Option<Self> {
        let number = |at: usize| header.get(at).and_then(|text: &&str| text.parse().ok());
        let built = Timestamp::from_secs(number(8)?);
        Some(Self { version: number(2)?, signatures: number(3)?, level: number(4)?, built, is_vendor_signed })
    }

    /// In words.
    pub fn words(&self) -> String {
        let Self { version, signatures, level, built, is_vendor_signed } = self;
        let signed = if *is_vendor_signed { "has" } else { "does not have" };
        format!(
            "database {version} of {built}, {signatures} signatures, for ClamAV of functionality level {level} or later; \
             {signed} its vendor's signature"
        )
    }
}
