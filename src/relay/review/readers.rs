//! Readers of the pages: accounts of this host, as the kernel names them at the other end of a Unix socket
//! (`SO_PEERCRED`, unix(7)), and certificates, as TLS has verified them.

use std::fmt;

use base::{Fault, quoted};
use config::review::{ReaderRole, ReviewConfig};

/// Identity at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ReaderIdentity {
    /// User id of an account of this host.
    Account(u32),
    /// Name in a verified certificate.
    Certificate(String),
}

impl fmt::Display for ReaderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(uid) => write!(f, "account {uid}"),
            Self::Certificate(name) => write!(f, "certificate {}", quoted(name)),
        }
    }
}

/// Person who may read the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageReader {
    /// Account or certificate.
    pub identity: ReaderIdentity,
    /// Name in the config.
    pub name: String,
    /// Role, which decides which pages they see and whether they hand in.
    pub role: ReaderRole,
}

/// All readers of the config.
pub(crate) struct PageReaders(Vec<PageReader>);

impl PageReaders {
    /// Looks up the accounts, which is possible only before this process is confined. Fault: an account does not
    /// exist, or one is named twice.
    pub(crate) fn look_up(review: &ReviewConfig) -> Result<Self, Fault> {
        let mut readers: Vec<PageReader> = Vec::new();
        for reader in &review.readers {
            if let Some(name) = &reader.user {
                let name = name.get_ref();
                let uid = name.parse().ok().or_else(|| uzers::get_user_by_name(name).map(|user| user.uid()));
                let missing = || {
                    let name = quoted(name);
                    Fault::Config(format!(
                        "review.reader: user = {name} names an account that this host does not have; create the \
                         account, or correct the name in config.toml"
                    ))
                };
                let identity = ReaderIdentity::Account(uid.ok_or_else(missing)?);
                if readers.iter().any(|former| former.identity == identity) {
                    return Err(Fault::Config(format!(
                        "review.reader: {identity} is named twice; remove one of the two entries from config.toml"
                    )));
                }
                readers.push(PageReader { identity, name: name.clone(), role: reader.role });
            }
            if let Some(name) = &reader.certificate {
                let name = name.get_ref();
                let identity = ReaderIdentity::Certificate(name.clone());
                readers.push(PageReader { identity, name: name.clone(), role: reader.role });
            }
        }
        Ok(Self(readers))
    }

    /// Reader with this identity.
    pub(crate) fn find(&self, identity: &ReaderIdentity) -> Option<&PageReader> {
        self.0.iter().find(|reader| reader.identity == *identity)
    }
}

impl PageReader {
    /// True if they may see who tried to send something, the log, the keys and the witnesses.
    pub(crate) fn sees_evidence(&self) -> bool {
        self.role != ReaderRole::Operator
    }

    /// True if they may hand in signed texts.
    pub(crate) fn hands_in(&self) -> bool {
        self.role == ReaderRole::Officer
    }

    /// Word for the role.
    pub(crate) fn role_word(&self) -> &'static str {
        match self.role {
            ReaderRole::Officer => "officer",
            ReaderRole::Auditor => "auditor",
            ReaderRole::Operator => "operator",
        }
    }
}
