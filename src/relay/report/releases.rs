//! Releases: where each stands, and which channels show it.

use serde::Serialize;

use crate::publish::status::StatementRecord;
use crate::publish::{ItemChanges, ReleaseStatus, release_status};
use crate::state::{Release, State, Trust};
use base::{Error, Fault, Reason};
use bundle::ReleaseId;
use config::Config;
use inspect::Verdict;

/// One row of `releases --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReleaseRow {
    /// The record.
    pub release: Release,
    /// Where it stands; none if the config has no such feed any more.
    pub standing: Option<ReleaseStatus>,
    /// Channels that show it.
    pub channels: Vec<String>,
}

/// `show --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shown {
    /// The record, its standing and channels.
    #[serde(flatten)]
    pub row: ReleaseRow,
    /// Statements that count.
    pub statements: Vec<StatementRecord>,
    /// One verdict for each artifact, by path.
    pub verdicts: Vec<Verdict>,
    /// What it changes, item by item, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemChanges>,
}

/// The channels that show a release.
pub fn channels_of(state: &State, id: &ReleaseId) -> Result<Vec<String>, Fault> {
    let mut channels = Vec::new();
    for channel in state.channels()? {
        if state.members(&channel)?.iter().any(|m| m.feed == id.feed && m.version == id.version) {
            channels.push(channel);
        }
    }
    Ok(channels)
}

/// One release's row.
pub fn row(state: &State, config: &Config, id: &ReleaseId) -> Result<ReleaseRow, Fault> {
    let release = state.release(id)?;
    let statements = state.statements(id)?;
    let standing = config.feed(&id.feed).map(|feed| release_status(&release, &statements, feed));
    Ok(ReleaseRow { release, standing, channels: channels_of(state, id)? })
}

impl ReleaseRow {
    /// Where it stands, in words.
    pub fn outcome(&self) -> String {
        match (&self.standing, self.channels.as_slice()) {
            (Some(ReleaseStatus::Approved), []) => "superseded".into(),
            (Some(ReleaseStatus::Approved) | None, [_, ..]) => {
                format!("published in {}", self.channels.join(", "))
            }
            (Some(standing), _) => standing.to_string(),
            (None, []) => "feed not in config".into(),
        }
    }
}

/// All releases.
pub fn rows(state: &State, config: &Config) -> Result<Vec<ReleaseRow>, Fault> {
    state.releases(&Trust::load(state)?)?.iter().map(|id| row(state, config, id)).collect()
}

/// One release with every verdict. Refused: there is none of this name.
pub fn shown(state: &State, config: &Config, id: &ReleaseId) -> Result<Shown, Error> {
    if Trust::load(state)?.accepted_manifest(&id.feed, id.version).is_none() || !state.release_path(id).is_dir() {
        return Err(Error::refused(Reason::StatementUnknownRelease, format!("there is no release {id} here")));
    }
    let row = row(state, config, id)?;
    let verdicts = state.verdicts(&row.release)?;
    Ok(Shown { row, statements: state.statements(id)?, verdicts, items: None })
}
