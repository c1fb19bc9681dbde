//! The command line of `gaprelay-pack tuf`.

use std::path::PathBuf;

use base::Timestamp;
use clap::{Args, Subcommand};

/// The subcommands of `gaprelay-pack tuf`. Secret keys are Ed25519 in PEM, as `openssl genpkey -algorithm ed25519`
/// writes them; public ones in PEM (`openssl pkey -pubout`) or 64 hex digits.
#[derive(Debug, Subcommand)]
pub(super) enum PackTufCommand {
    /// Write the root: which keys may sign what in the repository.
    Root(RootArgs),
    /// Write the top-level targets: which keys sign the content of each feed.
    Targets(Targets),
    /// Add a signature to a root, to targets, or to the metadata of a feed.
    Sign {
        /// File to sign; it is replaced by the signed one.
        file: PathBuf,
        /// Secret Ed25519 key in PEM.
        #[arg(long, value_name = "PEM")]
        key: PathBuf,
    },
}

/// `gaprelay-pack tuf root`.
#[derive(Debug, Args)]
pub(super) struct RootArgs {
    /// Root that the new one follows; without the option of a key, the key stays as before. Default: a first root.
    #[arg(long, value_name = "FILE")]
    pub former: Option<PathBuf>,
    /// Public root key: a PEM file, or 64 hex digits. May be given several times.
    #[arg(long, value_name = "PUB")]
    pub root: Vec<String>,
    /// Number of root keys that must sign a root.
    #[arg(long, value_name = "N")]
    pub root_threshold: Option<u64>,
    /// Public key for the top-level targets: a PEM file, or 64 hex digits. May be given several times.
    #[arg(long, value_name = "PUB")]
    pub targets: Vec<String>,
    /// Number of those keys that must sign the targets.
    #[arg(long, value_name = "N")]
    pub targets_threshold: Option<u64>,
    /// Public key of the relay, as `gaprelay tuf key` prints it.
    #[arg(long, value_name = "PUB")]
    pub relay: Option<String>,
    /// Time when the root expires, in UTC, for example 2027-11-26T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub expires: Timestamp,
    /// Secret Ed25519 key in PEM to sign with. May be given several times; others sign later with `tuf sign`.
    #[arg(long, value_name = "PEM")]
    pub sign: Vec<PathBuf>,
    /// Folder to write N.root.json into.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `gaprelay-pack tuf targets`.
#[derive(Debug, Args)]
pub(super) struct Targets {
    /// Targets that the new ones follow; feeds that are not named here stay as before. Default: first targets.
    #[arg(long, value_name = "FILE")]
    pub former: Option<PathBuf>,
    /// Feed with the public keys that sign its content, and the number that must sign, as in site=site.pub or
    /// site=one.pub+two.pub:2. May be given several times.
    #[arg(long, value_name = "FEED=KEYS")]
    pub feed: Vec<String>,
    /// Public key of the relay, as `gaprelay tuf key` prints it; here it signs the notices of the relay only.
    #[arg(long, value_name = "PUB")]
    pub relay: Option<String>,
    /// Time when the targets expire, in UTC, for example 2027-11-26T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub expires: Timestamp,
    /// Secret Ed25519 key in PEM to sign with. May be given several times; others sign later with `tuf sign`.
    #[arg(long, value_name = "PEM")]
    pub sign: Vec<PathBuf>,
    /// Folder to write targets.json into.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
