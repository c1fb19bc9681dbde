//! Who may read the pages: accounts of this host, as the kernel names them at the other end of a Unix
//! socket (`SO_PEERCRED`, unix(7)), and certificates, as TLS has verified them.

use std::fmt;

use base::{Fault, quoted};
use config::review::{ReaderRole, Review};

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// An account, by its number.
    Account(u32),
    /// Somebody with a certificate, by the name in it.
    Certificate(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(uid) => write!(f, "account {uid}"),
            Self::Certificate(name) => write!(f, "certificate {}", quoted(name)),
        }
    }
}

/// Somebody who may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The account or the certificate.
    pub who: Who,
    /// As the config names it.
    pub name: String,
    /// What they may see and do.
    pub role: ReaderRole,
}

/// All of them.
pub struct Readers(Vec<Reader>);

impl Readers {
    /// Looks the accounts up, which can only be done before this process is confined. Fault: there is no
    /// such account, or one is named twice.
    pub fn find(review: &Review) -> Result<Self, Fault> {
        let mut readers: Vec<Reader> = Vec::new();
        for reader in &review.readers {
            if let Some(name) = &reader.user {
                let name = name.get_ref();
                let uid = name.parse().ok().or_else(|| uzers::get_user_by_name(name).map(|user| user.uid()));
                let missing = || Fault::Config(format!("review.reader: there is no account {} here", quoted(name)));
                let who = Who::Account(uid.ok_or_else(missing)?);
                if readers.iter().any(|former| former.who == who) {
                    return Err(Fault::Config(format!("review.reader: {who} is named twice")));
                }
                readers.push(Reader { who, name: name.clone(), role: reader.role });
            }
            if let Some(name) = &reader.certificate {
                let name = name.get_ref();
                readers.push(Reader { who: Who::Certificate(name.clone()), name: name.clone(), role: reader.role });
            }
        }
        Ok(Self(readers))
    }

    /// The reader who is at the other end.
    pub fn of(&self, who: &Who) -> Option<&Reader> {
        self.0.iter().find(|reader| reader.who == *who)
    }
}

impl Reader {
    /// Whether they may see who tried to send something, the log, and the keys.
    pub fn sees_evidence(&self) -> bool {
        self.role != ReaderRole::Operator
    }

    /// Whether they may hand in a statement.
    pub fn hands_in(&self) -> bool {
        self.role == ReaderRole::Officer
    }

    /// The role in a word.
    pub fn role_word(&self) -> &'static str {
        match self.role {
            ReaderRole::Officer => "officer",
            ReaderRole::Auditor => "auditor",
            ReaderRole::Operator => "operator",
        }
    }
}
