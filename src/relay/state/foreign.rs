//! Files in the state's folders that the relay did not put there. They count nowhere; but whoever could write them
//! could write more. Left alone are what the site keeps (`tls/`, and what lies beside the folders), what is in the
//! making, and the tiles of the logs, which the check of a log looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{Release, State, Trust};
use crate::log::journal_line::JournalWriter;
use base::error::IoContext as _;
use base::name::{json_number, number};
use base::quoted::quoted_os;
use base::{Digest, Fault, durable};
use bundle::ReleaseId;

/// Folders that are looked through.
const FOLDERS: [&str; 10] =
    ["keyring", "trust", "spool", "blobs", "releases", "channels", "inbox", "log", "progress", "tuf"];

/// Files of which the import log tells.
#[derive(Default)]
pub(super) struct LoggedFiles {
    /// Manifests of bundles that an import began to take.
    pub started: BTreeSet<Digest>,
    /// Digests of the sets that were published, by channel and number.
    pub sets: BTreeMap<(String, u64), Digest>,
}

/// Kind of thing that is expected at a place below the state folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExpectedPlace {
    /// A file of the relay.
    File,
    /// A folder of the relay, which is looked through.
    Folder,
    /// A folder of the relay that another check looks through.
    Elsewhere,
    /// Neither.
    Foreign,
}

/// Finds everything in the state's folders that is none of the relay's, by its name, its kind, or what the log tells.
pub(super) fn foreign(state: &State, trust: &Trust, logged: &LoggedFiles) -> Vec<Fault> {
    let channels = state.config().map(|config| config.channels.iter().map(|it| it.name.get_ref().clone()).collect());
    let walk = StateWalk { state, trust, logged, channels: channels.unwrap_or_default() };
    let mut found = Vec::new();
    for folder in FOLDERS {
        if let Err(fault) = walk.folder(&[folder], &mut found) {
            found.push(fault);
        }
    }
    found
}

/// Names in a release's folder that its record does not list.
pub(super) fn foreign_in_release(state: &State, release: &Release) -> Result<Vec<Fault>, Fault> {
    let folder = state.release_path(&release.id());
    let listed: BTreeSet<&str> = release.files().map(|(name, _)| name.as_str()).collect();
    let is_ours = |name: &str| listed.contains(name) || ["digests.json", "pack", "statements"].contains(&name);
    let foreign = durable::names(&folder)?.into_iter().filter(|name| !is_ours(name)).map(Into::into);
    Ok(foreign.chain(durable::foreign_names(&folder)?).map(|name| not_ours(&folder.join(name))).collect())
}

fn not_ours(path: &Path) -> Fault {
    let what = "it is none of the relay's files, and counts nowhere: somebody put it there. Keep a copy for the inquiry, then remove it";
    Fault::damaged(quoted_os(path), what)
}

struct StateWalk<'a> {
    state: &'a State,
    trust: &'a Trust,
    logged: &'a LoggedFiles,
    /// Channels of the config.
    channels: BTreeSet<String>,
}

impl StateWalk<'_> {
    fn folder(&self, parts: &[&str], found: &mut Vec<Fault>) -> Result<(), Fault> {
        let path = parts.iter().fold(self.state.root().to_owned(), |path, part| path.join(part));
        for name in durable::foreign_names(&path)? {
            found.push(not_ours(&path.join(name)));
        }
        for name in durable::names(&path)? {
            let (below, inside) = (path.join(&name), [parts, &[&name]].concat());
            let kind = match fs::symlink_metadata(&below) {
                Ok(meta) => meta.file_type(),
                // A keeper is at work.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e).during("read", &below),
            };
            match self.place(&inside) {
                ExpectedPlace::File if kind.is_file() => {}
                ExpectedPlace::Elsewhere if kind.is_dir() => {}
                ExpectedPlace::Folder if kind.is_dir() => self.folder(&inside, found)?,
                _ => found.push(not_ours(&below)),
            }
        }
        Ok(())
    }

    /// Kind of thing that belongs at this place.
    fn place(&self, parts: &[&str]) -> ExpectedPlace {
        let file = |is_ours: bool| if is_ours { ExpectedPlace::File } else { ExpectedPlace::Foreign };
        match parts {
            ["keyring", name] => file(self.is_keyring(name)),
            ["trust", name] => file(*name == "trust.json"),
            ["blobs", "sha256"] | ["releases", _] | ["log", "import" | "access" | "reserve"] => ExpectedPlace::Folder,
            ["blobs", "sha256", two] if two.len() == 2 => ExpectedPlace::Folder,
            ["blobs", "sha256", two, name] => file(name.parse::<Digest>().is_ok() && name.starts_with(two)),
            ["releases", feed, version] if self.is_release(feed, version) => ExpectedPlace::Elsewhere,
            ["channels", channel] if self.channels.contains(*channel) || self.trust.channels.contains_key(*channel) => {
                ExpectedPlace::Folder
            }
            // `current` is the pointer of the first format.
            ["channels", _, "pointer" | "refused" | "current"] | ["log", _, "checkpoint" | "vkey" | "pending"] => {
                ExpectedPlace::File
            }
            ["channels", channel, name] => file(self.is_set(channel, name)),
            ["inbox", name] => file(["slot", "slot.taken", "slot.spent"].contains(name) || is_item(name)),
            ["log", "reserve", piece] => file(number(piece).is_some()),
            ["log", name] => file(["import.key", "access.key", "tuf.key"].contains(name)),
            ["log", _, "tile"] | ["log", "import", "cosigned"] => ExpectedPlace::Elsewhere,
            ["log", "access", "agents.json"] => ExpectedPlace::File,
            ["log", "access", name] => file(is_journal(name)),
            ["progress", name] => file(*name == "import.json"),
            ["tuf", name] => file(["pointer", "refused", "current"].contains(name) || json_number(name).is_some()),
            _ => ExpectedPlace::Foreign,
        }
    }

    /// True for a keyring that was in force, or its signatures; of the next one an interrupted import may have left
    /// them.
    fn is_keyring(&self, name: &str) -> bool {
        let Some((version, rest)) = name.split_once('.') else { return false };
        let version = number(version);
        let is_known = version.is_some_and(|version| {
            self.trust.keyrings.contains_key(&version) || version == self.trust.keyring.version + 1
        });
        is_known && (rest == "toml" || (rest.starts_with("toml.") && rest.ends_with(".minisig")))
    }

    /// True for a release that is kept, or that an import began to take: an interrupted one may have left it.
    fn is_release(&self, feed: &str, version: &str) -> bool {
        let Some(version) = number(version) else { return false };
        let id = ReleaseId { feed: feed.to_owned(), version };
        let manifest = || super::fsck::digest_of(&self.state.release_path(&id).join("manifest.json"), 0, u64::MAX);
        self.trust.history(&id).is_some() || manifest().is_ok_and(|digest| self.logged.started.contains(&digest))
    }

    /// True for a set that was published, or for the next: an interrupted publication may have left it.
    fn is_set(&self, channel: &str, name: &str) -> bool {
        let next = self.trust.shown(channel).map_or(1, |shown| shown.generation + 1);
        json_number(name)
            .is_some_and(|number| number == next || self.logged.sets.contains_key(&(channel.to_owned(), number)))
    }
}

/// True for the name of an item of the inbox: its digest, with a mark of those that came from the pages.
fn is_item(name: &str) -> bool {
    let digest = name.strip_suffix(".json").map(|name| name.strip_prefix("pages-").unwrap_or(name));
    digest.is_some_and(|digest| digest.parse::<Digest>().is_ok())
}

/// True for the name of a journal, or of a record beside one.
fn is_journal(name: &str) -> bool {
    let is_of = |file: &str| name.strip_prefix(file).is_some_and(|end| ["", ".taken", ".spent"].contains(&end));
    JournalWriter::ALL.into_iter().any(|writer| is_of(writer.file()))
}
