//! The command line of `gaprelay policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policies, the site's and those that ship with the program; or the rules of one, each with its why.
    Show {
        /// Its name.
        name: Option<String>,
    },
    /// Say in words who may bring what for a feed, who must agree, and why.
    Explain {
        /// The feed.
        feed: String,
    },
    /// Say what a policy would do with files, folders or releases that are kept here; imports nothing.
    Test(PolicyTest),
}

/// `policy test`.
#[derive(Debug, Args)]
pub struct PolicyTest {
    /// Files, folders, or releases as FEED/VERSION.
    #[arg(required = true)]
    pub targets: Vec<PathBuf>,
    /// A policy of the config, or one that ships; that of the config's classification if left out.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub policy: Option<String>,
    /// A policy in a file of its own, before it goes into the config.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The policy of this feed, and its kinds.
    #[arg(long)]
    pub feed: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
