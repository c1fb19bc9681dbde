//! `gaprelay status`, `releases` and `show`: reading, under no lock.

use super::{Ended, json, tui};
use crate::audit::check;
use crate::audit::log::read_checkpoint;
use crate::base::limits::human;
use crate::base::{Error, Fault, Reason, Timestamp, quoted};
use crate::inspect::Decision;
use crate::publish::{Standing, standing};
use crate::sandbox::Waiver;
use crate::serve::index::freshness_word;
use crate::store::{ReleaseId, State, Trust};

/// The channels that show a release.
pub fn channels_of(state: &State, id: &ReleaseId) -> Result<Vec<String>, Fault> {
    let mut channels = Vec::new();
    for channel in state.channels()? {
        let Some(current) = state.current(&channel)? else { continue };
        let (_, set) = state.set(&channel, current)?;
        if set.releases.iter().any(|m| m.feed == id.feed && m.version == id.version) {
            channels.push(channel);
        }
    }
    Ok(channels)
}

fn row(state: &State, id: &ReleaseId) -> Result<json::ReleaseRow, Fault> {
    let release = state.release(id)?;
    let config = state.config()?;
    let statements = state.statements(id)?;
    let standing = config.feed(&id.feed).map(|feed| standing(&release, &statements, feed));
    Ok(json::ReleaseRow { release, standing, channels: channels_of(state, id)? })
}

fn outcome(row: &json::ReleaseRow) -> String {
    match (&row.standing, row.channels.as_slice()) {
        (Some(Standing::Approved), []) => "superseded".into(),
        (Some(Standing::Approved) | None, [_, ..]) => {
            format!("published in {}", row.channels.join(", "))
        }
        (Some(standing), _) => standing.to_string(),
        (None, []) => "feed not in config".into(),
    }
}

/// All releases and where they stand.
pub fn releases(state: &State, as_json: bool) -> Result<Ended, Error> {
    let trust = Trust::load(state)?;
    let rows = state.releases(&trust)?.iter().map(|id| row(state, id)).collect::<Result<Vec<_>, _>>()?;
    if as_json {
        tui::say_json(&rows);
        return Ok(Ended::Well);
    }
    if rows.is_empty() {
        tui::note("no release yet");
        tui::hint("gaprelay import PATH");
        return Ok(Ended::Well);
    }
    let table = rows.iter().map(|row| {
        let release = &row.release;
        vec![
            release.id().to_string(),
            release.label.clone(),
            release.issued.to_string(),
            release.imported.to_string(),
            release.operator.to_string(),
            release.counts.withheld.to_string(),
            outcome(row),
        ]
    });
    tui::table(&["release", "label", "issued", "imported", "by", "withheld", "standing"], table.collect());
    Ok(Ended::Well)
}

/// One release with every verdict.
pub fn show(state: &State, id: &ReleaseId, as_json: bool) -> Result<Ended, Error> {
    let trust = Trust::load(state)?;
    if trust.accepted(&id.feed, id.version).is_none() || !state.release_path(id).is_dir() {
        return Err(Error::refused(Reason::StatementUnknownRelease, format!("there is no release {id} here")));
    }
    let row = row(state, id)?;
    let verdicts = state.verdicts(&row.release)?;
    let statements = state.statements(id)?;
    if as_json {
        tui::say_json(&json::Shown { row, statements, verdicts });
        return Ok(Ended::Well);
    }
    let release = &row.release;
    let signers: Vec<_> =
        release.signers.iter().map(|s| format!("{} ({}, key {})", s.name, s.role, s.key_id)).collect();
    tui::say(format_args!("{id}  {}", quoted(&release.label)));
    for (name, value) in [
        ("standing", outcome(&row)),
        ("publisher", format!("{} ({})", release.publisher, release.origin)),
        ("signed by", signers.join(", ")),
        ("issued", format!("{}, expires {}", release.issued, release.expires)),
        ("imported", format!("{} by {}", release.imported, release.operator)),
        ("manifest", format!("sha256:{}", release.manifest)),
        ("verdicts", format!("sha256:{}", release.verdicts)),
    ] {
        tui::say(format_args!("  {name:<10} {value}"));
    }
    for taken in &statements {
        let reason = taken.text.lines().last().unwrap_or_default();
        tui::say(format_args!(
            "  {:<10} {} on {}: {}",
            taken.decision.word(),
            taken.officer,
            taken.taken,
            quoted(reason)
        ));
    }
    tui::say("");
    let rows = verdicts.iter().map(|v| {
        let line = v.line.map_or(String::new(), |line| format!(", line {line}"));
        let reason = v.reason.map_or(String::new(), |reason| format!("{reason}{line}"));
        let shown = v.shown.map_or_else(|| "?".to_owned(), |kind| kind.to_string());
        let kind = if shown == v.declared { shown } else { format!("{} declared, {shown} shown", v.declared) };
        let word = match v.decision {
            Decision::Cleared => "cleared",
            Decision::Withheld => "withheld",
        };
        vec![word.into(), quoted(&v.path).to_string(), human(v.size).to_string(), kind, reason]
    });
    tui::table(&["verdict", "path", "size", "kind", "reason"], rows.collect());
    if release.counts.withheld > 0 {
        tui::hint("what a reason means: gaprelay explain CODE");
    }
    Ok(Ended::Well)
}

/// What is served, held and stale. What is damaged is named, and the rest still shown.
pub fn status(state: &State, now: Timestamp, as_json: bool) -> Result<Ended, Error> {
    let config = state.config()?;
    let mut status = json::Status {
        relay: config.relay.get_ref().clone(),
        now,
        floor: Timestamp::default(),
        keyring: 0,
        channels: Vec::new(),
        held: Vec::new(),
        import_entries: 0,
        access_entries: 0,
        without: config.waivers(),
        faults: Vec::new(),
    };
    let mut faults: Vec<Fault> = Vec::new();
    match Trust::load(state) {
        Ok(trust) => {
            status.floor = trust.floor;
            status.keyring = trust.keyring.version;
            faults.extend(state.keyring(&trust).err());
            if now < trust.floor {
                faults.push(Fault::ClockBehind { now, floor: trust.floor });
            }
            for id in state.releases(&trust)? {
                match row(state, &id) {
                    Ok(row) if matches!(row.standing, Some(Standing::Held { .. })) => status.held.push(id.to_string()),
                    Ok(_) => {}
                    Err(fault) => faults.push(fault),
                }
            }
        }
        Err(fault) => faults.push(fault),
    }
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
    for channel in &config.channels {
        match channel_status(state, channel.name.get_ref(), now) {
            Ok(channel) => status.channels.push(channel),
            Err(fault) => faults.push(fault),
        }
    }
    status.faults = faults.iter().map(ToString::to_string).collect();
    if as_json {
        tui::say_json(&status);
    } else {
        print(&status);
    }
    Ok(if status.faults.is_empty() { Ended::Well } else { Ended::Damaged })
}

fn channel_status(state: &State, channel: &str, now: Timestamp) -> Result<json::ChannelStatus, Fault> {
    let config = state.config()?;
    let mut status = json::ChannelStatus {
        channel: channel.to_owned(),
        generation: 0,
        published: None,
        files: 0,
        releases: Vec::new(),
    };
    let Some(current) = state.current(channel)? else { return Ok(status) };
    let (_, set) = state.set(channel, current)?;
    status.generation = current.generation;
    status.published = Some(set.published);
    status.files = set.files.len() as u64;
    status.releases = set
        .releases
        .iter()
        .map(|m| json::MemberStatus {
            feed: m.feed.clone(),
            version: m.version,
            freshness: freshness_word(m.issued, m.expires, config.feed(&m.feed), now),
            issued: m.issued,
            expires: m.expires,
        })
        .collect();
    Ok(status)
}

fn print(status: &json::Status) {
    tui::say(format_args!("relay {}, keyring {}, {} now", status.relay, status.keyring, status.now));
    tui::say(format_args!(
        "log: {} entries on imports, {} in the access log",
        status.import_entries, status.access_entries
    ));
    for Waiver { layer, reason } in &status.without {
        tui::say(format_args!("CONFINEMENT: this site does without {layer}: {reason}"));
    }
    tui::say("");
    let mut rows = Vec::new();
    for channel in &status.channels {
        if channel.releases.is_empty() {
            rows.push(vec![
                channel.channel.clone(),
                channel.generation.to_string(),
                "-".into(),
                "nothing published".into(),
                String::new(),
            ]);
        }
        for m in &channel.releases {
            rows.push(vec![
                channel.channel.clone(),
                channel.generation.to_string(),
                format!("{}/{}", m.feed, m.version),
                m.freshness.into(),
                format!("issued {}, expires {}", m.issued, m.expires),
            ]);
        }
    }
    if rows.is_empty() {
        tui::say("no channel in the config");
    } else {
        tui::table(&["channel", "set", "release", "freshness", "dates"], rows);
    }
    for id in &status.held {
        tui::say(format_args!("held: {id}"));
    }
    if !status.held.is_empty() {
        tui::hint("gaprelay show FEED/VERSION, then gaprelay approve FEED/VERSION");
    }
    for fault in &status.faults {
        tui::note(format_args!("fault: {fault}"));
    }
    if !status.faults.is_empty() {
        tui::hint("gaprelay fsck names all that is damaged; what is published keeps being served");
    }
}
