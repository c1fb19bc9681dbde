//! Rights of one confined role: a row of the table that each binary has for its own roles. What a row does not name
//! does not exist for its process.

use super::calls::Call;

/// Something on the disk.
#[derive(Clone, Copy, Debug)]
pub enum GrantedPath {
    /// Medium as it was opened, and all below it.
    Medium,
    /// This part of the state folder, and all below it; all of it if empty.
    State(&'static str),
}

/// As whom a role runs, where we are started as root.
#[derive(Clone, Copy, Debug)]
pub enum User {
    /// As this user of its own; as `nobody` where there is none of that name.
    Own(&'static str),
    /// As whoever owns the state folder.
    OwnerOfState,
}

/// One row: a role's rights. What is not named here does not exist for it.
pub struct Rights {
    /// The role's name, in lower case.
    pub name: &'static str,
    /// Letter of the role in the table of system calls.
    pub letter: char,
    /// Rights in words.
    pub may: &'static str,
    /// Paths that it may read.
    pub reads: &'static [GrantedPath],
    /// Paths that it may change, make and remove.
    pub writes: &'static [GrantedPath],
    /// The one file it may append to, open before it is confined.
    pub appends: Option<&'static str>,
    /// Most bytes of a file it writes to; none where only the disk, or the config, bounds it.
    pub longest_file: Option<u64>,
    /// As whom it runs.
    pub user: User,
    /// Most bytes of memory of its own.
    pub memory: u64,
    /// The system calls that the binary's roles may make; this role's are those with its letter.
    pub calls: &'static [Call],
    /// Attempts of the self-test that are this role's work, by name: they must succeed, all others must not.
    pub work: &'static [&'static str],
}

impl Rights {
    /// True if it reads a part of the state folder.
    pub(crate) fn reads_state(&self) -> bool {
        self.reads.iter().any(|path| matches!(path, GrantedPath::State(_)))
    }

    /// The system calls that this role may make.
    pub fn own_calls(&self) -> impl Iterator<Item = &'static Call> {
        self.calls.iter().filter(|call| call.roles.contains(self.letter))
    }
}
