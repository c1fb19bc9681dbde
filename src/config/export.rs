//! The part of the config that says where the logs' entries go beside the logs.

use std::path::PathBuf;

use serde::Deserialize;

/// An export that `up` keeps running: for a collector (SIEM) that reads a file, or listens at the local syslog
/// socket. The relay opens no connection.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// `ocsf`, `cef` or `json`.
    pub format: ExportFormat,
    /// The file that lines are appended to. A path that is not absolute begins at the state folder.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The socket that lines are sent to, in RFC 5424 frames; `/dev/log` say. Instead of `file`.
    #[serde(default)]
    pub syslog: Option<PathBuf>,
    /// File that remembers how far lines have gone, so that none is lost at a restart.
    pub cursor: PathBuf,
}

impl Export {
    /// Faults of the table.
    pub fn problem(&self) -> Option<&'static str> {
        match (self.file.is_some(), self.syslog.is_some()) {
            (false, false) => Some("[export] needs a file or a syslog socket: set file or syslog"),
            (true, true) => Some("[export] has file and syslog: remove one of the two"),
            _ => None,
        }
    }
}

/// The words of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// Open Cybersecurity Schema Framework 1.5.0, one JSON object a line.
    Ocsf,
    /// ArcSight Common Event Format, version 0.
    Cef,
    /// The entries as they are, with their number and the head's size.
    Json,
}
