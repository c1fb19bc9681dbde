//! The connected side's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::args_tuf::PackTufCommand;
use base::{Digest, Timestamp};
use terminal::AFTER;
use terminal::offline::Offline;

/// The connected side of gaprelay: makes bundles and keyrings.
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
    /// Make a bundle out of a folder of vendor files.
    Build(Build),
    /// Say what the relay would say to a bundle.
    Check(Check),
    /// Keyrings: make the first one; draft, check and put together the next.
    Keyring {
        /// Command for keyrings.
        #[command(subcommand)]
        command: PackKeyringCommand,
    },
    /// The offline half of the repository for TUF clients.
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
    /// The folder of vendor files.
    pub dir: PathBuf,
    /// The feed.
    #[arg(long)]
    pub feed: String,
    /// The version; higher than any before.
    #[arg(long)]
    pub version: u64,
    /// The publisher, as the keyring names it.
    #[arg(long)]
    pub publisher: String,
    /// The publisher's country, two capital letters, as the keyring has it.
    #[arg(long)]
    pub origin: String,
    /// A label for people; feed and version if left out.
    #[arg(long)]
    pub label: Option<String>,
    /// When it was made; now if left out.
    #[arg(long, value_name = "TIME")]
    pub issued: Option<String>,
    /// When it expires; 30 days after --issued if left out.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// The bundle's folder; FEED-VERSION here if left out.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Manifests of bundles that the relay holds: their artifacts are left out (a thin bundle).
    #[arg(long, value_name = "MANIFEST", num_args = 1..)]
    pub base: Vec<PathBuf>,
    /// List files of no known kind too; the relay will withhold them.
    #[arg(long)]
    pub keep_unrecognised: bool,
    /// The relay's config: the feed's policy there says what the relay would do.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A policy that ships with the program (unclassified, restricted, confidential, secret, top-secret), or the file
    /// of one. That of the config, if left out; without a config, secret.
    #[arg(long, value_name = "NAME|FILE")]
    pub policy: Option<String>,
    /// Leave out here, before it is signed, what the policy strips: then agents can check what they get against the
    /// publisher's signature.
    #[arg(long)]
    pub strip: bool,
    /// Say of each file what the relay would do and why, and what each reason means.
    #[arg(long)]
    pub explain: bool,
    /// Sign the artifacts for TUF clients too, with this Ed25519 key in PEM: adds tuf-FEED.json to the bundle.
    #[arg(long, value_name = "PEM")]
    pub tuf_sign: Option<PathBuf>,
    /// Sign with this minisign secret key; asks for its password if it has one.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
}

/// `check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The relay's keyring.
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// The relay's config; every kind is allowed if left out.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The keyring's subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum PackKeyringCommand {
    /// Write a first keyring.
    New {
        /// A root key: minisign base64, or a .pub file; may be given several times.
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
            help = "A key: name=…,role=vendor|custodian|evaluator|officer,\
            public=…[,publisher=…,origin=…][,feeds=a+b*][,may=approve+deny+waive+repair][,algorithm=ml-dsa-65][,not-before=…][,not-after=…]"
        )]
        key: Vec<String>,
        /// Number of signers, as fields.
        #[arg(
            long,
            value_name = "FIELDS",
            required = true,
            help = "How many must sign: role=…,signers=N[,feeds=a+b*]"
        )]
        require: Vec<String>,
        /// Path of the new file; it must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Draft the keyring that follows another: the same, but for what is said here.
    Draft(Box<Draft>),
    /// Show a keyring: who may sign what, and its digest as words to read aloud.
    Show {
        /// The keyring, or the folder it lies in.
        keyring: PathBuf,
    },
    /// Put signatures that root keys made elsewhere beside a keyring.
    Assemble {
        /// The folder with keyring.toml.
        dir: PathBuf,
        /// The keyring before it.
        #[arg(long, value_name = "FILE")]
        former: PathBuf,
        /// The signature files.
        #[arg(required = true)]
        signatures: Vec<PathBuf>,
    },
    /// Say what a relay would say to a keyring, or to several that follow each other, and what each changes.
    Check {
        /// Folders with keyring.toml and its signatures.
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
        /// The keyring that is in force there.
        #[arg(long, value_name = "FILE")]
        former: PathBuf,
    },
}

/// `keyring draft`.
#[derive(Debug, Args)]
pub(super) struct Draft {
    /// The keyring before it.
    pub former: PathBuf,
    /// The folder to write keyring.toml into; it must not exist.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A key to add, as fields, as for `keyring new --key`; may be given several times.
    #[arg(long, value_name = "FIELDS")]
    pub add: Vec<String>,
    /// A key to leave out, by name, without revoking it.
    #[arg(long, value_name = "NAME")]
    pub remove: Vec<String>,
    /// A key to revoke, by name or public key (a root key too), and why: NAME=WHY.
    #[arg(long, value_name = "KEY=WHY")]
    pub revoke: Vec<String>,
    /// A root key to add: minisign base64, or a .pub file.
    #[arg(long, value_name = "PUB")]
    pub add_root: Vec<String>,
    /// A root key to leave out.
    #[arg(long, value_name = "PUB")]
    pub remove_root: Vec<String>,
    /// Number of root keys that must sign a new keyring from then on.
    #[arg(long, value_name = "N")]
    pub root_threshold: Option<u64>,
    /// Number of signers, as fields, instead of all that the former keyring asks for.
    #[arg(long, value_name = "FIELDS")]
    pub require: Vec<String>,
    /// A feed whose versions ran away, and the highest that still counts: FEED=HIGHEST.
    #[arg(long, value_name = "FEED=HIGHEST")]
    pub epoch: Vec<String>,
    /// A denial of a relay's officer to lift, by the SHA-256 that `gaprelay keyring show` gives.
    #[arg(long, value_name = "SHA256")]
    pub lift: Vec<Digest>,
    /// The date of revocations; now if left out.
    #[arg(long, value_name = "TIME")]
    pub on: Option<Timestamp>,
}
