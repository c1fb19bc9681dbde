//! Who may read the pages: accounts of this host, as the kernel names them at the other end of a Unix
//! socket (`SO_PEERCRED`, unix(7)).

use crate::base::{Fault, quoted};
use crate::config::review::{ReaderRole, Review};

/// Somebody who may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The account's number.
    pub uid: u32,
    /// The account, as the config names it.
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
        let find = |reader: &crate::config::review::Reader| {
            let name = reader.user.get_ref();
            let uid = name.parse().ok().or_else(|| uzers::get_user_by_name(name).map(|user| user.uid()));
            let missing = || Fault::Config(format!("review.reader: there is no account {} here", quoted(name)));
            Ok(Reader { uid: uid.ok_or_else(missing)?, name: name.clone(), role: reader.role })
        };
        let readers = review.readers.iter().map(find).collect::<Result<Vec<Reader>, Fault>>()?;
        let twice =
            |(place, reader): (usize, &Reader)| readers.iter().take(place).any(|former| former.uid == reader.uid);
        match readers.iter().enumerate().find(|reader| twice(*reader)) {
            Some((_, reader)) => Err(Fault::Config(format!("review.reader: account {} is named twice", reader.uid))),
            None => Ok(Self(readers)),
        }
    }

    /// The reader with this account.
    pub fn by_uid(&self, uid: u32) -> Option<&Reader> {
        self.0.iter().find(|reader| reader.uid == uid)
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
