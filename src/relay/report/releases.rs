//! Releases: the standing of each, and the channels that show it.

use serde::Serialize;

use crate::publish::status::StatementRecord;
use crate::publish::{ItemChanges, ReleaseStatus};
use crate::state::{Release, State, Trust};
use base::{Error, Fault, Reason};
use bundle::{Keyring, ReleaseId};
use config::Config;
use inspect::Verdict;

/// Row of `releases --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReleaseRow {
    /// Record of the release.
    pub release: Release,
    /// Standing; none if the config no longer has the feed.
    pub standing: Option<ReleaseStatus>,
    /// Channels that show it.
    pub channels: Vec<String>,
    /// True if an earlier version of gaprelay imported it, whose log has no digest of what it contains.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub migrated: bool,
}

/// Output of `show --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReleaseDetails {
    /// Record, standing and channels.
    #[serde(flatten)]
    pub row: ReleaseRow,
    /// Statements that count.
    pub statements: Vec<StatementRecord>,
    /// Verdict for each artifact, by path.
    pub verdicts: Vec<Verdict>,
    /// Changes item by item, with `--diff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemChanges>,
}

/// Channels of the config that show a release, by the import log.
pub(crate) fn channels_of(trust: &Trust, config: &Config, id: &ReleaseId) -> Vec<String> {
    let names = config.channels.iter().map(|channel| channel.name.get_ref());
    let shows = |name: &&String| trust.channels.get(*name).is_some_and(|shown| shown.has(id));
    names.filter(shows).cloned().collect()
}

/// Row of a release.
pub(crate) fn row(
    state: &State,
    trust: &Trust,
    rules: (&Config, &Keyring),
    id: &ReleaseId,
) -> Result<ReleaseRow, Fault> {
    let release = state.release(trust, id)?;
    let standing = rules.0.feed(&id.feed).map(|feed| trust.status(&release, feed, rules));
    let migrated = trust.history(id).is_some_and(|history| history.migrated);
    Ok(ReleaseRow { release, standing, channels: channels_of(trust, rules.0, id), migrated })
}

impl ReleaseRow {
    /// Warning that what is told of the release's rules may not be so.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        self.migrated.then_some(
            "an earlier version of gaprelay imported this release, and nothing proves the numbers of its rules, or what it changes: whoever could write to the state folder then could change them. Publisher, signers, operator, files and verdicts are proven",
        )
    }

    /// Words for the standing.
    pub(crate) fn outcome(&self) -> String {
        match (&self.standing, self.channels.as_slice()) {
            (Some(ReleaseStatus::Approved), []) => "superseded".into(),
            (Some(ReleaseStatus::Approved) | None, [_, ..]) => {
                format!("published in {}", self.channels.join(", "))
            }
            (Some(standing @ (ReleaseStatus::Withdrawn | ReleaseStatus::Refused)), [_, ..]) => {
                format!("{standing}, and still published in {}", self.channels.join(", "))
            }
            (Some(standing), _) => standing.to_string(),
            (None, []) => "feed not in config.toml".into(),
        }
    }
}

/// Rows of all releases.
pub(crate) fn rows(state: &State, config: &Config) -> Result<Vec<ReleaseRow>, Fault> {
    let trust = Trust::load(state)?;
    let keyring = state.keyring(&trust)?;
    trust.kept_releases().iter().map(|id| row(state, &trust, (config, &keyring), id)).collect()
}

/// Details of a release, with every verdict. Refused: the relay has no release of this name.
pub(crate) fn release_details(state: &State, config: &Config, id: &ReleaseId) -> Result<ReleaseDetails, Error> {
    let trust = Trust::load(state)?;
    if trust.history(id).is_none() {
        return Err(Error::refused(Reason::StatementUnknownRelease, format!("this relay has no release {id}")));
    }
    let row = row(state, &trust, (config, &state.keyring(&trust)?), id)?;
    let verdicts = state.verdicts(&row.release)?;
    Ok(ReleaseDetails { row, statements: state.statements(&trust, id)?, verdicts, items: None })
}
