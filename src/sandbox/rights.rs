//! The one table: who may do what. The system calls of each role are in [`calls`](super::calls).

use super::Role;

/// Something on the disk.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// What was opened as the medium, and all below it.
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
    /// The role.
    pub role: Role,
    /// What it may do, in words.
    pub may: &'static str,
    /// What it may read.
    pub reads: &'static [Place],
    /// What it may change, make and remove.
    pub writes: &'static [Place],
    /// The one file it may append to, open before it is confined.
    pub appends: Option<&'static str>,
    /// Most bytes of a file it writes to; none where only the disk, or the config, bounds it.
    pub longest_file: Option<u64>,
    /// As whom it runs.
    pub user: User,
    /// Most bytes of memory of its own.
    pub memory: u64,
}

use Place::{Medium, State};

/// Most bytes that wait in the slot of the inbox until the keeper has taken them.
pub const SLOT: u64 = 4 << 20;

/// The table.
pub const RIGHTS: [Rights; 9] = [
    Rights {
        role: Role::Reader,
        may: "reads the medium and tells the keeper its bytes",
        reads: &[Medium],
        writes: &[],
        appends: None,
        longest_file: Some(0),
        user: User::Own("gaprelay-reader"),
        memory: 256 << 20,
    },
    Rights {
        role: Role::Examiner,
        may: "unpacks and inspects what it is given, and opens nothing",
        reads: &[],
        writes: &[],
        appends: None,
        longest_file: Some(0),
        user: User::Own("gaprelay-examiner"),
        memory: 1 << 30,
    },
    Rights {
        role: Role::Keeper,
        may: "verifies, logs, stores and publishes; never parses what is not signed, never sees the medium",
        reads: &[State("")],
        writes: &[
            State("blobs"),
            State("channels"),
            State("inbox"),
            State("keyring"),
            State("log"),
            State("progress"),
            State("releases"),
            State("spool"),
            State("trust"),
            State("tuf"),
        ],
        appends: None,
        longest_file: None,
        user: User::OwnerOfState,
        memory: 4 << 30,
    },
    Rights {
        role: Role::Server,
        may: "answers agents from the published sets and appends to its journal",
        reads: &[
            State("blobs"),
            State("channels"),
            State("log/import"),
            State("progress"),
            State("releases"),
            State("tls"),
            State("tuf"),
        ],
        writes: &[],
        appends: Some("log/access/journal"),
        longest_file: None,
        user: User::Own("gaprelay-server"),
        memory: 4 << 30,
    },
    Rights {
        role: Role::Sinkhole,
        may: "answers look-ups from the config and appends to the server's journal; reads the published list of endpoints",
        reads: &[State("blobs"), State("channels"), State("releases")],
        writes: &[],
        appends: Some("log/access/journal"),
        longest_file: None,
        user: User::Own("gaprelay-sinkhole"),
        memory: 512 << 20,
    },
    Rights {
        role: Role::Post,
        may: "carries look-ups from its UDP socket to the sinkhole and answers back, to an address: the firewall \
              must let it only reply",
        reads: &[],
        writes: &[],
        appends: None,
        longest_file: Some(0),
        user: User::Own("gaprelay-post"),
        memory: 64 << 20,
    },
    Rights {
        role: Role::Review,
        may: "shows officers the state, but no key, and appends what they hand in to the slot of the inbox",
        reads: &[
            State("blobs"),
            State("channels"),
            State("keyring"),
            State("log/access"),
            State("log/import"),
            State("progress"),
            State("releases"),
            State("trust"),
            State("tls"),
            State("tuf"),
        ],
        writes: &[],
        appends: Some("inbox/slot"),
        longest_file: Some(SLOT),
        user: User::Own("gaprelay-review"),
        memory: 1 << 30,
    },
    Rights {
        role: Role::Witness,
        may: "on an officer's machine: answers who asks for a cosignature, and remembers what it signed",
        reads: &[State("lock")],
        writes: &[State("logs")],
        appends: None,
        longest_file: Some(1 << 20),
        user: User::OwnerOfState,
        memory: 256 << 20,
    },
    Rights {
        role: Role::Exporter,
        may: "tells the logs' entries to what was opened for it: a file, or the local syslog socket",
        reads: &[State("log/access"), State("log/import"), State("releases")],
        writes: &[],
        appends: None,
        longest_file: None,
        user: User::Own("gaprelay-export"),
        memory: 256 << 20,
    },
];

impl Rights {
    /// The row of `role`.
    pub fn of(role: Role) -> &'static Self {
        match role {
            Role::Reader => const { &RIGHTS[0] },
            Role::Examiner => const { &RIGHTS[1] },
            Role::Keeper => const { &RIGHTS[2] },
            Role::Server => const { &RIGHTS[3] },
            Role::Sinkhole => const { &RIGHTS[4] },
            Role::Post => const { &RIGHTS[5] },
            Role::Review => const { &RIGHTS[6] },
            Role::Witness => const { &RIGHTS[7] },
            Role::Exporter => const { &RIGHTS[8] },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_own_row() {
        for role in Role::ALL {
            assert_eq!(Rights::of(role).role, role);
        }
    }
}
