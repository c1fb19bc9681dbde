//! The command line of `gaprelay tuf`.

use clap::Subcommand;

/// The subcommands of `gaprelay tuf`.
#[derive(Debug, Subcommand)]
pub enum TufCommand {
    /// Print the public key with which the relay signs timestamp, snapshot and notices; makes it where there is none.
    Key,
    /// What is published: versions, when each role runs out, and what stock clients would not take.
    Show,
}
