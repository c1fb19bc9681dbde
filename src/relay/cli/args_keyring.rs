//! The command line of `gaprelay keyring` and `gaprelay directive`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use base::{Digest, Timestamp};

/// The subcommands of `keyring`.
#[derive(Debug, Subcommand)]
pub enum KeyringCommand {
    /// Show it, its digest as words to read aloud, what officers denied, and what came in by keys that count no longer.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// The subcommands of `directive`.
#[derive(Debug, Subcommand)]
pub enum DirectiveCommand {
    /// Nothing that a key signs counts here any more.
    DenyKey {
        /// Its id, as `gaprelay keyring show` has it.
        key: String,
        /// Who and why.
        #[command(flatten)]
        by: By,
    },
    /// No bundle of a feed is taken any more.
    DenyFeed {
        /// The feed.
        feed: String,
        /// Who and why.
        #[command(flatten)]
        by: By,
    },
    /// Nothing counts here that is signed by a key of a country.
    DenyOrigin {
        /// The country, ISO 3166-1 alpha-2.
        origin: String,
        /// Who and why.
        #[command(flatten)]
        by: By,
    },
    /// Withdraw all releases that a key signed, or that were approved with it, in one step.
    WithdrawKey {
        /// Its id, as `gaprelay keyring show` has it.
        key: String,
        /// Who and why.
        #[command(flatten)]
        by: By,
    },
    /// Take one bundle although it is expired or stale, or its version runs far ahead.
    Waive {
        /// SHA-256 of its manifest.json.
        manifest: Digest,
        /// Until when it may be imported.
        #[arg(long, value_name = "TIME")]
        until: Timestamp,
        /// Who and why.
        #[command(flatten)]
        by: By,
    },
    /// Confirm the time, where the clock is far ahead of all that the relay has seen.
    Clock {
        /// The time, from a clock that is known to be right; it must be within a day of this relay's.
        time: Timestamp,
        /// Who and why.
        #[command(flatten)]
        by: By,
    },
    /// Turn the clock back, where it had run ahead: the relay has seen moments that never were, and imports nothing until
    /// they come. It takes two officers.
    ClockBack {
        /// The time, from a clock that is known to be right; this relay's must be right by now too.
        time: Timestamp,
        /// Who and why.
        #[command(flatten)]
        by: By,
    },
    /// Hand a signed directive in.
    HandIn {
        /// The signature made with `minisign -S`.
        signature: PathBuf,
        /// The signed directive; the signature's path without .minisig if left out.
        #[arg(long, value_name = "FILE")]
        statement: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Who orders it, and why.
#[derive(Debug, Args)]
pub struct By {
    /// The officer's name in the keyring.
    #[arg(long, value_name = "NAME")]
    pub officer: String,
    /// Why, in one line.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `repair`.
#[derive(Debug, Args)]
pub struct Repair {
    /// The officer's name in the keyring, for the statement.
    #[arg(long, value_name = "NAME", required_unless_present = "signature", requires = "reason")]
    pub officer: Option<String>,
    /// Why, in one line, for the statement.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// An officer's signature, beside the statement of the same name without .minisig; two of them do the repair.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["officer", "reason"])]
    pub signature: Vec<PathBuf>,
    /// The keyring in force, where the state's copy is damaged: from the ceremony, or from a medium that brought it.
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
}
