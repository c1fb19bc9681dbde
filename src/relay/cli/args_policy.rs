//! Command line of `gaprelay policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List the policies of the config and of the program, or show the rules of one policy with the reason of each.
    Show {
        /// Name of the policy.
        name: Option<String>,
    },
    /// Explain for a feed who may bring which content, who must agree, and why.
    Explain {
        /// Name of the feed in the config.
        feed: String,
    },
    /// Show what a policy would do with files, folders or stored releases; imports nothing.
    Test(PolicyTest),
}

/// Arguments of `policy test`.
#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    /// Files, folders, or stored releases as FEED/VERSION, for example clamav-daily/27412.
    #[arg(required = true)]
    pub targets: Vec<PathBuf>,
    /// Name of a policy of the config or of the program. Default: the policy for the classification in the config.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub policy: Option<String>,
    /// File with a policy to try before it is added to the config.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Feed of the config whose kinds, and whose policy unless another is named, are used.
    #[arg(long, value_name = "FEED")]
    pub feed: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}
