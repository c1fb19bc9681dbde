//! Command line of `gaprelay tuf`.

use clap::Subcommand;

/// Subcommands of `gaprelay tuf`.
#[derive(Debug, Subcommand)]
pub(crate) enum TufCommand {
    /// Print the public key of the relay for timestamp, snapshot and notices; makes the key if there is none yet.
    Key,
    /// Show the published versions, when each role expires, and which roles stock clients would not accept.
    Show,
}
