//! The connected side's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::args_tuf::PackTufCommand;
use base::{Digest, Timestamp};
use terminal::AFTER;
use terminal::offline::Offline;

/// Make and check bundles and keyrings for gaprelay, on the connected side.
#[derive(Debug, Parser)]
#[command(name = "gaprelay-pack", version, after_help = AFTER, disable_help_subcommand = true)]
#[command(mut_subcommands(super::examples::add))]
pub(super) struct Pack {
    /// Command.
    #[command(subcommand)]
    pub command: PackCommand,
}

/// The packer's subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum PackCommand {
    /// Make a bundle from a folder of vendor files.
    Build(Build),
    /// Check a bundle as the relay would, and show the verdict on each file.
    Check(Check),
    /// Make the first keyring; draft, put together and check the next one.
    Keyring {
        /// Command for keyrings.
        #[command(subcommand)]
        command: PackKeyringCommand,
    },
    /// Make and sign the offline part of the repository for TUF clients.
    Tuf {
        /// Command for TUF metadata.
        #[command(subcommand)]
        command: PackTufCommand,
    },
    /// Commands that need no network.
    #[command(flatten)]
    Offline(Offline),
}

/// `build`.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// Folder of the vendor files.
    pub dir: PathBuf,
    /// Name of the feed, as the config of the relay has it.
    #[arg(long)]
    pub feed: String,
    /// Version of the bundle; higher than any version of this feed before.
    #[arg(long)]
    pub version: u64,
    /// Publisher, as the keyring names it.
    #[arg(long)]
    pub publisher: String,
    /// Country of the publisher, as the keyring has it: two capital letters, for example CH.
    #[arg(long)]
    pub origin: String,
    /// Label for people. Default: feed and version.
    #[arg(long)]
    pub label: Option<String>,
    /// Time when the content was made, in UTC, for example 2026-11-20T06:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    pub issued: Option<String>,
    /// Time when the bundle expires, in UTC. Default: 30 days after --issued.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// Folder of the new bundle; it must not exist yet. Default: FEED-VERSION in the current folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Manifests of bundles that the relay holds already: their files are left out of this bundle (a thin bundle).
    #[arg(long, value_name = "MANIFEST", num_args = 1..)]
    pub base: Vec<PathBuf>,
    /// Take files of no known kind into the bundle too; the relay will withhold them.
    #[arg(long)]
    pub keep_unrecognised: bool,
    /// Config of the relay: the files are judged by the policy of the feed in it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Policy by which the files are judged: a name (unclassified, restricted, confidential, secret, top-secret), or
    /// the path of a policy's file. Default: the policy of the feed in --config; without --config, secret.
    #[arg(long, value_name = "NAME|FILE")]
    pub policy: Option<String>,
    /// Leave out what the policy strips before the bundle is signed. Agents can then check what they get against the
    /// publisher's signature.
    #[arg(long)]
    pub strip: bool,
    /// Show for each file what the relay would do and why, and what each reason means.
    #[arg(long)]
    pub explain: bool,
    /// Sign the files for TUF clients too, with this secret Ed25519 key in PEM: adds tuf-FEED.json to the bundle.
    #[arg(long, value_name = "PEM")]
    pub tuf_sign: Option<PathBuf>,
    /// Sign the bundle with this secret key of minisign. If the key has a password, the command asks for it.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
}

/// `check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Folder of the bundle.
    pub bundle: PathBuf,
    /// Keyring of the relay.
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// Config of the relay. Default: a feed that may carry every kind, under the policy secret.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The keyring's subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum PackKeyringCommand {
    /// Make the first keyring.
    New {
        /// Public root key: the .pub file of minisign, or its second line. May be given several times.
        #[arg(long, value_name = "PUB", required = true)]
        root: Vec<String>,
        /// Number of root keys that must sign a new keyring.
        #[arg(long, value_name = "N", default_value_t = 1)]
        root_threshold: u64,
        /// A key, as fields.
        #[arg(
            long,
            value_name = "FIELDS",
            required = true,
            help = "Key of a person or service. May be given several times. Fields: \
            name=…,role=vendor|custodian|evaluator|officer,\
            public=…[,publisher=…,origin=…][,feeds=a+b*][,may=approve+deny+waive+repair][,algorithm=ml-dsa-65][,not-before=…][,not-after=…]"
        )]
        key: Vec<String>,
        /// Number of signers, as fields.
        #[arg(
            long,
            value_name = "FIELDS",
            required = true,
            help = "Number of keys of a role that must sign a bundle. May be given several times. Fields: \
            role=…,signers=N[,feeds=a+b*]"
        )]
        require: Vec<String>,
        /// Path of the new keyring; it must not exist yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Draft the keyring that follows another one; the options say what changes.
    Draft(Box<Draft>),
    /// Show a keyring: which keys may sign what, and the digest as words to read aloud.
    Show {
        /// Keyring, or the folder that it lies in.
        keyring: PathBuf,
    },
    /// Add signatures that root keys made elsewhere to the folder of a keyring.
    Assemble {
        /// Folder with keyring.toml.
        dir: PathBuf,
        /// Keyring that the new one follows.
        #[arg(long, value_name = "FILE")]
        former: PathBuf,
        /// Signature files that minisign made.
        #[arg(required = true)]
        signatures: Vec<PathBuf>,
    },
    /// Check a keyring, or several that follow each other, as the relay would, and show what each changes.
    Check {
        /// Folders, each with a keyring.toml and its signatures.
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
        /// Keyring that is in force on the relay.
        #[arg(long, value_name = "FILE")]
        former: PathBuf,
    },
}

/// `keyring draft`.
#[derive(Debug, Args)]
pub(super) struct Draft {
    /// Keyring that the new one follows.
    pub former: PathBuf,
    /// Folder to write keyring.toml into; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Key to add, with the fields of `keyring new --key`. May be given several times.
    #[arg(long, value_name = "FIELDS")]
    pub add: Vec<String>,
    /// Name of a key to leave out without revoking it.
    #[arg(long, value_name = "NAME")]
    pub remove: Vec<String>,
    /// Key to revoke, and the reason. KEY is the name of a key, or a public key; a root key only by its public key.
    #[arg(long, value_name = "KEY=WHY")]
    pub revoke: Vec<String>,
    /// Public root key to add: the .pub file of minisign, or its second line.
    #[arg(long, value_name = "PUB")]
    pub add_root: Vec<String>,
    /// Public root key to leave out: the .pub file of minisign, or its second line.
    #[arg(long, value_name = "PUB")]
    pub remove_root: Vec<String>,
    /// Number of root keys that must sign the keyrings after this one. Default: as before.
    #[arg(long, value_name = "N")]
    pub root_threshold: Option<u64>,
    /// Number of keys of a role that must sign a bundle, with the fields of `keyring new --require`. Replaces all such
    /// rows of the former keyring.
    #[arg(long, value_name = "FIELDS")]
    pub require: Vec<String>,
    /// Feed whose versions were raised too far, and its highest version that still counts; higher versions become void.
    #[arg(long, value_name = "FEED=HIGHEST")]
    pub epoch: Vec<String>,
    /// Denial by officers of a relay to lift: its SHA-256, as `gaprelay keyring show` prints it on that relay.
    #[arg(long, value_name = "SHA256")]
    pub lift: Vec<Digest>,
    /// Time of the revocations, in UTC, for example 2026-11-20T06:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    pub on: Option<Timestamp>,
}
