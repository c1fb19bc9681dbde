//! `gaprelay init`, `check-config`, `fsck` and `gc`.

use std::path::Path;

use super::args::InitArgs;
use super::json;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::ReleaseStatus;
use crate::publish::set::{SetInput, make_set};
use crate::sinkhole::zones::Zones;
use crate::state::{LONGEST, State, Trust, fsck as store_fsck, gc as store_gc};
use base::error::IoContext as _;
use base::limits::human;
use base::{Digest, Error, Fault, clock, durable};
use bundle::Keyring;
use config::{Config, EXAMPLE};
use terminal::Ended;

/// Makes the state folder, or prints the commented example of a config.
pub(crate) fn init(root: &Path, args: &InitArgs) -> Result<Ended, Error> {
    let Some(keyring) = &args.keyring else {
        terminal::say(EXAMPLE.trim_end());
        return Ok(Ended::Well);
    };
    let keyring = std::fs::read(keyring).during("read", keyring)?;
    let ring = Keyring::parse(&keyring)?;
    let config = match &args.config {
        Some(path) => std::fs::read_to_string(path).during("read", path)?,
        None => EXAMPLE.to_owned(),
    };
    let parsed = Config::parse_file(&config, args.config.as_deref().unwrap_or(Path::new("config.toml")))?;
    let state = State::create(root, &config, &parsed, &keyring, &ring)?;
    let now = clock::now();
    let mut keeper = Keeper::open(state, now, || {})?;
    let event = Event::Initialised {
        relay: parsed.relay.get_ref().clone(),
        keyring_version: ring.version,
        keyring: Digest::of(&keyring),
        config: Some(Digest::of(config.as_bytes())),
    };
    keeper.append(vec![event])?;
    terminal::say(format_args!("made the state folder {}", root.display()));
    terminal::hint(format_args!("edit {}, then check it: gaprelay check-config", root.join("config.toml").display()));
    terminal::hint("keep a copy of log/import/vkey outside this machine: with that key anybody can check the log");
    Ok(Ended::Well)
}

/// Checks a config.
pub(crate) fn check_config(root: &Path, file: Option<&Path>) -> Result<Ended, Error> {
    let own = root.join("config.toml");
    let path = file.unwrap_or(&own);
    let text = match file {
        Some(path) => std::fs::read_to_string(path).during("read", path)?,
        // Who can write to the state can put a pipe there, which would be waited for.
        None => String::from_utf8(durable::read(&own, LONGEST)?).map_err(|_| not_text(&own))?,
    };
    let config = Config::parse_file(&text, path)?;
    Zones::load(&config.dns, root)?;
    if let Ok(state) = State::open(root) {
        check_clashes(&state, &config)?;
    }
    let (feeds, channels) = (config.feeds.len(), config.channels.len());
    terminal::say(format_args!("{}: no mistakes found; {feeds} feeds, {channels} channels", path.display()));
    Ok(Ended::Well)
}

fn not_text(path: &Path) -> Fault {
    Fault::usage(format!("{} is not UTF-8 text", path.display()), "Save the file as UTF-8.")
}

/// Checks that no two feeds of a channel would show the same path.
fn check_clashes(state: &State, config: &Config) -> Result<(), Error> {
    let trust = Trust::load(state)?;
    for channel in &config.channels {
        let mut releases = Vec::new();
        for name in &channel.feeds {
            let newest = trust.kept_releases().into_iter().rev().find(|id| id.feed == *name.get_ref());
            if let Some(id) = newest {
                releases.push(SetInput::read(state, state.release(&trust, &id)?)?);
            }
        }
        let (_, clash) = make_set(channel.name.get_ref(), None, &releases.iter().collect::<Vec<_>>(), 1, clock::now())?;
        clash.map_or(Ok(()), |refusal| Err(Error::from(refusal)))?;
    }
    Ok(())
}

/// Checks every file, record and log of the state.
pub(crate) fn fsck(state: &State, as_json: bool) -> Ended {
    let report = store_fsck::fsck(state);
    let ended = if report.faults.is_empty() { Ended::Well } else { Ended::Damaged };
    if as_json {
        let store_fsck::FsckReport { releases, artifacts, bytes, entries, faults } = report;
        terminal::say_json(&json::FsckJson { releases, artifacts, bytes, entries, faults });
        return ended;
    }
    for fault in &report.faults {
        terminal::note(fault);
    }
    terminal::say(format_args!(
        "{} releases, {} artifacts of {}, {} log entries: {}",
        report.releases,
        report.artifacts,
        human(report.bytes),
        report.entries,
        if report.faults.is_empty() {
            "no damage found".to_owned()
        } else {
            format!("DAMAGED in {} places", report.faults.len())
        }
    ));
    if ended == Ended::Damaged {
        terminal::hint(
            "published content is still served. A pointer: gaprelay settle. Statements, or hashes of a log: gaprelay log rebuild. Trust state or keyring: gaprelay repair. Another file of a release: restore it from a backup. Anything else: gaprelay help backup",
        );
    }
    ended
}

/// Lists what is no longer needed, and removes it if `yes` is true.
pub(crate) fn gc(keeper: &mut Keeper, yes: bool, as_json: bool) -> Result<Ended, Error> {
    let plan = store_gc::plan(&keeper.state, &keeper.trust, &keeper.config, |id| {
        let Some(feed) = keeper.config.feed(&id.feed) else { return Ok(false) };
        let release = keeper.state.release(&keeper.trust, id)?;
        let stands = keeper.trust.status(&release, feed, (&keeper.config, &keeper.keyring));
        Ok(matches!(stands, ReleaseStatus::Held { .. } | ReleaseStatus::Denied { .. }))
    })?;
    if yes {
        store_gc::collect(keeper, &plan)?;
    }
    if as_json {
        let name = |path: &std::path::PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        terminal::say_json(&json::GcJson {
            removed: yes,
            sets: plan.sets.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            releases: plan.releases.iter().map(ToString::to_string).collect(),
            blobs: plan.blobs.iter().filter_map(|path| name(path).parse().ok()).collect(),
            bytes: plan.bytes,
        });
        return Ok(Ended::Well);
    }
    let verb = if yes { "removed" } else { "would remove" };
    for path in &plan.sets {
        terminal::say(format_args!("{verb} set {}", path.display()));
    }
    for id in &plan.releases {
        terminal::say(format_args!("{verb} release {id}"));
    }
    terminal::say(format_args!("{verb} {} blobs (stored files); {} in all", plan.blobs.len(), human(plan.bytes)));
    if !yes && plan.bytes > 0 {
        terminal::hint("remove all this: gaprelay gc --yes");
    }
    Ok(Ended::Well)
}
