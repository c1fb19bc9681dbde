//! The command line of `gaprelay-pack tuf`.

use std::path::PathBuf;

use base::Timestamp;
use clap::{Args, Subcommand};

/// The subcommands of `gaprelay-pack tuf`. Secret keys are Ed25519 in PEM, as `openssl genpkey -algorithm ed25519` writes
/// them; public ones in PEM (`openssl pkey -pubout`) or 64 hex digits.
#[derive(Debug, Subcommand)]
pub(super) enum PackTufCommand {
    /// Write the root: who may sign what in the repository.
    Root(RootArgs),
    /// Write the top-level targets: which feed's content is signed by whom.
    Targets(Targets),
    /// Add a signature to a root, targets, or a feed's metadata.
    Sign {
        /// The file.
        file: PathBuf,
        /// The secret key.
        #[arg(long, value_name = "PEM")]
        key: PathBuf,
    },
}

/// `gaprelay-pack tuf root`.
#[derive(Debug, Args)]
pub(super) struct RootArgs {
    /// The root before this one; what is not said here is as it was there.
    #[arg(long, value_name = "FILE")]
    pub former: Option<PathBuf>,
    /// A root key.
    #[arg(long, value_name = "PUB")]
    pub root: Vec<String>,
    /// Number of root keys that must sign.
    #[arg(long, value_name = "N")]
    pub root_threshold: Option<u64>,
    /// A key for the top-level targets.
    #[arg(long, value_name = "PUB")]
    pub targets: Vec<String>,
    /// Number of targets keys that must sign.
    #[arg(long, value_name = "N")]
    pub targets_threshold: Option<u64>,
    /// The relay's key, as `gaprelay tuf key` prints it.
    #[arg(long, value_name = "PUB")]
    pub relay: Option<String>,
    /// When it expires.
    #[arg(long, value_name = "TIME")]
    pub expires: Timestamp,
    /// A secret key to sign with; others add theirs with `tuf sign`.
    #[arg(long, value_name = "PEM")]
    pub sign: Vec<PathBuf>,
    /// The folder for N.root.json.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `gaprelay-pack tuf targets`.
#[derive(Debug, Args)]
pub(super) struct Targets {
    /// The targets before these; their feeds stay, unless they are named here.
    #[arg(long, value_name = "FILE")]
    pub former: Option<PathBuf>,
    /// A feed, the keys that sign its content, and how many must: NAME=PUB, or NAME=PUB+PUB:N.
    #[arg(long, value_name = "FEED=KEYS")]
    pub feed: Vec<String>,
    /// The relay's key, as `gaprelay tuf key` prints it: it signs notices, and nothing else here.
    #[arg(long, value_name = "PUB")]
    pub relay: Option<String>,
    /// When they expire.
    #[arg(long, value_name = "TIME")]
    pub expires: Timestamp,
    /// A secret key to sign with; others add theirs with `tuf sign`.
    #[arg(long, value_name = "PEM")]
    pub sign: Vec<PathBuf>,
    /// The folder for targets.json.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
