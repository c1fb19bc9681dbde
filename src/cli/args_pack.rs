//! The connected side's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::args::{AFTER, Offline};

/// The connected side of gaprelay: makes bundles and keyrings.
#[derive(Debug, Parser)]
#[command(name = "gaprelay-pack", version, after_help = AFTER, disable_help_subcommand = true)]
pub struct Pack {
    /// What to do.
    #[command(subcommand)]
    pub command: PackCommand,
}

/// The packer's subcommands.
#[derive(Debug, Subcommand)]
pub enum PackCommand {
    /// Make a bundle out of a folder of vendor files.
    Build(Build),
    /// Say what the relay would say to a bundle.
    Check(Check),
    /// Make a keyring.
    Keyring {
        /// What to do.
        #[command(subcommand)]
        command: KeyringCommand,
    },
    /// What needs no network.
    #[command(flatten)]
    Offline(Offline),
}

/// `build`.
#[derive(Debug, Args)]
pub struct Build {
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
    /// Sign with this minisign secret key; asks for its password if it has one.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
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
pub enum KeyringCommand {
    /// Write a first keyring.
    New {
        /// A root key: minisign base64, or a .pub file; may be given several times.
        #[arg(long, value_name = "PUB", required = true)]
        root: Vec<String>,
        /// How many root keys must sign a new keyring.
        #[arg(long, value_name = "N", default_value_t = 1)]
        root_threshold: u64,
        /// A key, as fields.
        #[arg(
            long,
            value_name = "FIELDS",
            required = true,
            help = "A key: name=…,role=vendor|custodian|evaluator|officer,\
            public=…[,publisher=…,origin=…][,feeds=a+b*][,not-before=…][,not-after=…]"
        )]
        key: Vec<String>,
        /// How many must sign, as fields.
        #[arg(
            long,
            value_name = "FIELDS",
            required = true,
            help = "How many must sign: role=…,signers=N[,feeds=a+b*]"
        )]
        require: Vec<String>,
        /// Where to write it; it must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}
