//! Command line of `gaprelay keyring`, `directive` and `repair`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use base::{Digest, Timestamp};

/// Subcommands of `keyring`.
#[derive(Debug, Subcommand)]
pub(crate) enum RelayKeyringCommand {
    /// Show the keys, the digest as words to read aloud, what officers denied, and what revoked keys brought in.
    Show {
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Subcommands of `directive`.
#[derive(Debug, Subcommand)]
pub(crate) enum DirectiveCommand {
    /// Deny a key: this relay accepts no signature by that key any more.
    DenyKey {
        /// Key id, 16 hexadecimal digits, as `gaprelay keyring show` prints it; leading zeros may be left out.
        key: String,
        /// Officer and reason.
        #[command(flatten)]
        by: OfficerArgs,
    },
    /// Deny a feed: this relay accepts no bundle of that feed any more.
    DenyFeed {
        /// Name of the feed, as the manifests have it.
        feed: String,
        /// Officer and reason.
        #[command(flatten)]
        by: OfficerArgs,
    },
    /// Deny a country: this relay accepts no signature by a key of that origin any more.
    DenyOrigin {
        /// Country code, two capital letters (ISO 3166-1 alpha-2), for example US.
        origin: String,
        /// Officer and reason.
        #[command(flatten)]
        by: OfficerArgs,
    },
    /// Withdraw, in one step, all releases that were signed or approved with a key.
    WithdrawKey {
        /// Key id, 16 hexadecimal digits, as `gaprelay keyring show` prints it; leading zeros may be left out.
        key: String,
        /// Officer and reason.
        #[command(flatten)]
        by: OfficerArgs,
    },
    /// Accept one bundle although it is expired or stale, or its version number is far ahead.
    Waive {
        /// SHA-256 of the manifest.json of that bundle, 64 hexadecimal digits, as sha256sum prints it.
        manifest: Digest,
        /// Time until which the bundle may be imported, in UTC, for example 2026-11-24T06:00:00Z.
        #[arg(long, value_name = "TIME")]
        until: Timestamp,
        /// Officer and reason.
        #[command(flatten)]
        by: OfficerArgs,
    },
    /// Confirm the clock when it is far ahead of the newest time on record.
    Clock {
        /// Present time from a clock that is known to be right, in UTC, for example 2026-11-24T06:00:00Z; at most a day
        /// from the clock of this relay.
        time: Timestamp,
        /// Officer and reason.
        #[command(flatten)]
        by: OfficerArgs,
    },
    /// Turn the clock back after it had run ahead. Until then the relay imports nothing, because the newest time on
    /// record lies in the future. Two officers must sign.
    ClockBack {
        /// Present time from a clock that is known to be right, in UTC, for example 2026-11-24T06:00:00Z. Set the clock
        /// of this relay first.
        time: Timestamp,
        /// Officer and reason.
        #[command(flatten)]
        by: OfficerArgs,
    },
    /// Hand in a signed directive.
    HandIn {
        /// Signature file that `minisign -S` made.
        signature: PathBuf,
        /// Directive that was signed. Default: the path of the signature without .minisig.
        #[arg(long, value_name = "FILE")]
        statement: Option<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Officer who orders something, and the reason.
#[derive(Debug, Args)]
pub(crate) struct OfficerArgs {
    /// Name of the officer, as the keyring has it.
    #[arg(long, value_name = "NAME")]
    pub officer: String,
    /// Reason, one line.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Time in which the directive may be handed in, for example 12h or 7d; at most 31d. Default: 48h.
    #[arg(long, value_name = "TIME", value_parser = super::args::span)]
    pub valid_for: Option<Duration>,
}

/// Arguments of `repair`.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Name of the officer, as the keyring has it; written into the statement.
    #[arg(long, value_name = "NAME", required_unless_present = "signature", requires = "reason")]
    pub officer: Option<String>,
    /// Reason for the repair, one line; written into the statement.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Time in which the statement may be used, for example 12h or 7d; at most 31d. Default: 48h.
    #[arg(long, value_name = "TIME", value_parser = super::args::span, conflicts_with = "signature")]
    pub valid_for: Option<Duration>,
    /// Signature file of an officer; the statement must lie beside it under the same name without .minisig. Give this
    /// option twice: two officers must sign.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["officer", "reason"])]
    pub signature: Vec<PathBuf>,
    /// Keyring in force, needed if the copy in the state folder is damaged. It is on the medium that brought it, and
    /// with the people who hold the root keys.
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
}
