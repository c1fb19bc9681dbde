//! Status of the relay: channels, held releases, faults, logs and witnesses.

use std::collections::BTreeSet;

use serde::Serialize;

use super::releases;
use crate::publish::ReleaseStatus;
use crate::publish::status::closed_status;
use crate::state::{ConfigPin, State, Trust};
use base::{Fault, Timestamp};
use bundle::ReleaseId;
use config::Config;
use sandbox::Waiver;
use serve::freshness::freshness_word;
use serve::set::CurrentSet;
use tlog::stored::read_checkpoint;
use tlog::{check, cosigned};

/// Output of `status --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Status {
    /// Name of the relay.
    pub relay: String,
    /// Time by the clock of this machine.
    pub now: Timestamp,
    /// Newest time on record: the clock must not be behind it.
    pub floor: Timestamp,
    /// Version of the keyring in force.
    pub keyring: u64,
    /// Config in force, as the import log says; none where an earlier version made the state and nothing was changed
    /// since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigPin>,
    /// Channels.
    pub channels: Vec<ChannelStatus>,
    /// Releases that wait for officers, as FEED/VERSION.
    pub held: Vec<String>,
    /// Entries in the import log.
    pub import_entries: u64,
    /// Entries in the access log.
    pub access_entries: u64,
    /// Layers of the confinement that the config does without, each with its reason.
    pub without: Vec<Waiver>,
    /// The newest head that the quorum of witnesses cosigned; none where the config names no witness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessStatus>,
    /// Faults; empty if nothing is wrong.
    pub faults: Vec<String>,
    /// Next steps for the faults, each once.
    #[serde(skip)]
    pub next: BTreeSet<String>,
}

/// Witnesses, in `status --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WitnessStatus {
    /// Entries under the newest head that the quorum cosigned; 0 where there is none.
    pub size: u64,
    /// Time of the newest of those cosignatures.
    pub time: Option<Timestamp>,
    /// Names of the witnesses that cosigned it, as the policy has them.
    pub by: Vec<String>,
    /// True if the config asks for a new cosignature by now, or there was never one.
    pub due: bool,
}

impl std::fmt::Display for WitnessStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.time {
            Some(time) => write!(f, "{} cosigned the first {} entries on {time}", self.by.join(", "), self.size),
            None => f.write_str("no quorum of witnesses has cosigned the log yet"),
        }
    }
}

/// Newest head with a quorum of cosignatures; `None` if the config names no witness.
pub(crate) fn witnesses(state: &State, config: &Config, now: Timestamp) -> Result<Option<WitnessStatus>, Fault> {
    let Some(witness) = &config.witness else { return Ok(None) };
    let folder = state.import_log();
    let kept = cosigned::kept(&folder, &check::read_vkey(&folder)?, &witness.policy)?;
    let met = kept.into_iter().find(|cosigned| cosigned.is_met);
    let time = met.as_ref().and_then(|met| met.by.iter().map(|(_, time)| *time).max());
    Ok(Some(WitnessStatus {
        size: met.as_ref().map_or(0, |met| met.head.size),
        time,
        by: met.map(|met| met.by.into_iter().map(|(name, _)| name).collect()).unwrap_or_default(),
        due: time.is_none_or(|time| time.age(now) > witness.fresh.0),
    }))
}

/// Channel in `status --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ChannelStatus {
    /// Name of the channel.
    pub channel: String,
    /// Number of the set that is served; 0 before the first publication.
    pub generation: u64,
    /// Time at which it was published.
    pub published: Option<Timestamp>,
    /// Number of files.
    pub files: u64,
    /// Releases in the set.
    pub releases: Vec<MemberStatus>,
}

/// Release in a channel.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MemberStatus {
    /// Feed of the release.
    pub feed: String,
    /// Version of the release.
    pub version: u64,
    /// Freshness: fresh, ageing, stale or expired.
    pub freshness: &'static str,
    /// Time at which it was issued.
    pub issued: Timestamp,
    /// Time at which it expires.
    pub expires: Timestamp,
}

/// Reads the status. Damage becomes a fault in it, and everything else is still shown.
pub(crate) fn status(state: &State, config: &Config, now: Timestamp) -> Status {
    let mut status = Status {
        relay: config.relay.get_ref().clone(),
        now,
        floor: Timestamp::default(),
        keyring: 0,
        config: None,
        channels: Vec::new(),
        held: Vec::new(),
        import_entries: 0,
        access_entries: 0,
        without: config.waivers(),
        witness: None,
        faults: Vec::new(),
        next: BTreeSet::new(),
    };
    let mut faults: Vec<Fault> = Vec::new();
    let trust = match Trust::load(state) {
        Ok(trust) => {
            // A log that cannot be read is a fault further below.
            let floor = trust.latest_known_time(state).unwrap_or(trust.floor);
            status.floor = floor;
            (status.keyring, status.config) = (trust.keyring.version, trust.config);
            if now < floor {
                faults.push(Fault::ClockBehind { now, floor });
            }
            let keyring = state.keyring(&trust);
            for (id, keyring) in
                keyring.iter().flat_map(|ring| trust.kept_releases().into_iter().map(move |id| (id, ring)))
            {
                match releases::row(state, &trust, (config, keyring), &id) {
                    Ok(row) if matches!(row.standing, Some(ReleaseStatus::Held { .. })) => {
                        status.held.push(id.to_string());
                    }
                    Ok(_) => {}
                    Err(fault) => faults.push(fault),
                }
            }
            faults.extend(keyring.err());
            Some(trust)
        }
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let mut size =
        |folder: std::path::PathBuf| match check::read_vkey(&folder).and_then(|vkey| read_checkpoint(&folder, &vkey)) {
            Ok(head) => head.size,
            Err(fault) => {
                faults.push(fault);
                0
            }
        };
    status.import_entries = size(state.import_log());
    status.access_entries = size(state.access_log());
    match witnesses(state, config, now) {
        Ok(witness) => status.witness = witness,
        Err(fault) => faults.push(fault),
    }
    for channel in &config.channels {
        let name = channel.name.get_ref();
        let newest = state.newest(name);
        // Agents see what the pointer names, if the log says so too; without a trust state that is all there is to say.
        let shown = trust.as_ref().map_or_else(|| newest.as_ref().ok().copied().flatten(), |trust| trust.shown(name));
        match channel_status(state, config, (name, shown), now) {
            Ok(channel) => status.channels.push(channel),
            Err(fault) => faults.push(fault),
        }
        match newest {
            Ok(newest) if newest == shown => {}
            Ok(_) => faults.push(Fault::damaged(state.pointer_path(name).to_string_lossy(), NOT_SHOWN)),
            Err(fault) => faults.push(fault),
        }
        faults.extend(trust.iter().flat_map(|trust| still_shown(trust, config, name)));
    }
    status.faults = faults.iter().map(ToString::to_string).collect();
    status.next = faults.iter().map(|fault| fault.hint().to_owned()).collect();
    status
}

/// Detail of the fault that a channel's pointer is not what the log says.
const NOT_SHOWN: &str = "it is missing, or names another set than the one that the import log says agents see. `gaprelay settle` puts it right";

/// Faults of a channel that shows what was withdrawn or refused.
fn still_shown(trust: &Trust, config: &Config, channel: &str) -> Vec<Fault> {
    let members = trust.channels.get(channel).into_iter().flat_map(|shown| &shown.releases);
    let ids = members.filter_map(|id| id.parse::<ReleaseId>().ok());
    let fault = |id: ReleaseId| {
        let closed = closed_status(trust.statements(&id), config.feed(&id.feed)?)?;
        let what = format!("it still shows release {id}, which is {closed}. Take it out: gaprelay settle");
        Some(Fault::damaged(format!("channel {channel}"), what))
    };
    ids.filter_map(fault).collect()
}

fn channel_status(
    state: &State,
    config: &Config,
    (channel, shown): (&str, Option<CurrentSet>),
    now: Timestamp,
) -> Result<ChannelStatus, Fault> {
    let mut status =
        ChannelStatus { channel: channel.to_owned(), generation: 0, published: None, files: 0, releases: Vec::new() };
    let Some(current) = shown else { return Ok(status) };
    let (_, set) = state.set(channel, current)?;
    status.generation = current.generation;
    status.published = Some(set.published);
    status.files = set.files.len() as u64;
    status.releases = set
        .releases
        .iter()
        .map(|m| MemberStatus {
            feed: m.feed.clone(),
            version: m.version,
            freshness: freshness_word(m, config.feed(&m.feed).map(config::Feed::ageing).unwrap_or_default(), now),
            issued: m.issued,
            expires: m.expires,
        })
        .collect();
    Ok(status)
}
