//! The one table: what each process of the relay may do. The system calls of each role are in `calls`.

mod calls;

use std::fmt;

use sandbox::rights::{GrantedPath, Rights, User};
use serde::{Deserialize, Serialize};
use serve::journal::LARGEST;

use calls::CALLS;

/// A confined process of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProcessRole {
    /// Reads a medium.
    Reader,
    /// Unpacks and inspects.
    Examiner,
    /// Changes the state.
    Keeper,
    /// Answers agents.
    Server,
    /// Answers look-ups.
    Sinkhole,
    /// Forwards the packets of look-ups between its UDP socket and the sinkhole. Named `post` in files and on the
    /// command line.
    #[serde(rename = "post")]
    #[value(name = "post")]
    UdpForwarder,
    /// Shows officers the state.
    Review,
    /// Cosigns the heads of logs, on an officer's machine.
    Witness,
    /// Writes the entries of the logs for a collector.
    Exporter,
}

impl ProcessRole {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Reader,
        Self::Examiner,
        Self::Keeper,
        Self::Server,
        Self::Sinkhole,
        Self::UdpForwarder,
        Self::Review,
        Self::Witness,
        Self::Exporter,
    ];

    /// Row of the role in the table of rights.
    pub(crate) fn rights(self) -> &'static Rights {
        match self {
            Self::Reader => const { &RIGHTS[0] },
            Self::Examiner => const { &RIGHTS[1] },
            Self::Keeper => const { &RIGHTS[2] },
            Self::Server => const { &RIGHTS[3] },
            Self::Sinkhole => const { &RIGHTS[4] },
            Self::UdpForwarder => const { &RIGHTS[5] },
            Self::Review => const { &RIGHTS[6] },
            Self::Witness => const { &RIGHTS[7] },
            Self::Exporter => const { &RIGHTS[8] },
        }
    }
}

impl fmt::Display for ProcessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rights().name)
    }
}

use GrantedPath::{Medium, State};

/// Most bytes that wait in the slot of the inbox until the keeper has taken them.
pub(crate) const SLOT: u64 = 4 << 20;

/// The table.
pub(crate) const RIGHTS: [Rights; 9] = [
    Rights {
        name: "reader",
        letter: 'R',
        may: "reads the medium and sends its bytes to the keeper",
        reads: &[Medium],
        writes: &[],
        appends: None,
        longest_file: Some(0),
        user: User::Own("gaprelay-reader"),
        memory: 256 << 20,
        calls: CALLS,
        work: &["read the medium"],
    },
    Rights {
        name: "examiner",
        letter: 'E',
        may: "unpacks and inspects what it is given, and opens nothing",
        reads: &[],
        writes: &[],
        appends: None,
        longest_file: Some(0),
        user: User::Own("gaprelay-examiner"),
        memory: 1 << 30,
        calls: CALLS,
        work: &[],
    },
    Rights {
        name: "keeper",
        letter: 'K',
        may: "verifies, logs, stores and publishes; parses nothing unsigned, and cannot see the medium",
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
        calls: CALLS,
        work: &[
            "read the log's key",
            "read what was handed in",
            "read the spool",
            "read the config",
            "read the published sets",
            "read the import log's tiles",
            "read the access log",
            "see how far an import is",
            "read what a witness remembers",
            "store an artifact",
            "publish a set",
            "say how far an import is",
            "change what is trusted",
            "append to the import log",
            "append to the server's journal by its name",
            "append to the sinkhole's journal by its name",
            "remove from the spool",
            "take the append mode from a descriptor (fcntl)",
            "write to a place in the journal (pwrite64)",
            "cut the journal (ftruncate)",
            "lock the journal for itself (flock)",
        ],
    },
    Rights {
        name: "server",
        letter: 'S',
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
        longest_file: Some(LARGEST),
        user: User::Own("gaprelay-server"),
        memory: 4 << 30,
        calls: CALLS,
        work: &[
            "accept and answer on the connection it was given",
            "read the published sets",
            "read the import log's tiles",
            "see how far an import is",
        ],
    },
    Rights {
        name: "sinkhole",
        letter: 'D',
        may: "answers look-ups from the config and appends to its journal; reads the published list of endpoints",
        reads: &[State("blobs"), State("channels"), State("releases")],
        writes: &[],
        appends: Some("log/access/journal-sinkhole"),
        longest_file: Some(LARGEST),
        user: User::Own("gaprelay-sinkhole"),
        memory: 512 << 20,
        calls: CALLS,
        work: &["accept and answer on the connection it was given", "read the published sets"],
    },
    Rights {
        name: "post",
        letter: 'P',
        may: "forwards look-ups from its UDP socket to the sinkhole, and sends the answers back to the agents' \
              addresses; the firewall must let it reply only",
        reads: &[],
        writes: &[],
        appends: None,
        longest_file: Some(0),
        user: User::Own("gaprelay-post"),
        memory: 64 << 20,
        calls: CALLS,
        work: &["send to an address on the socket it was given"],
    },
    Rights {
        name: "review",
        letter: 'V',
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
        calls: CALLS,
        work: &[
            "accept and answer on the connection it was given",
            "read the published sets",
            "read the import log's tiles",
            "read the access log",
            "see how far an import is",
        ],
    },
    Rights {
        name: "witness",
        letter: 'W',
        may: "on an officer's machine: answers requests for a cosignature, and records each one",
        reads: &[State("lock")],
        writes: &[State("logs")],
        appends: None,
        longest_file: Some(1 << 20),
        user: User::OwnerOfState,
        memory: 256 << 20,
        calls: CALLS,
        work: &[
            "accept and answer on the connection it was given",
            "read what a witness remembers",
            "remember what a witness signed",
            "lock the journal for itself (flock)",
        ],
    },
    Rights {
        name: "exporter",
        letter: 'X',
        may: "writes the entries of the logs to one file, or to the local syslog socket",
        reads: &[State("log/access"), State("log/import"), State("releases")],
        writes: &[],
        appends: None,
        longest_file: None,
        user: User::Own("gaprelay-export"),
        memory: 256 << 20,
        calls: CALLS,
        work: &["read the import log's tiles", "read the access log"],
    },
];

#[cfg(test)]
mod tests;
