//! Entries of the logs, each as the lines that tell it, from where the last run ended.

use std::path::PathBuf;

use super::{Format, Told, VERSION, syslog};
use crate::log::search::first_since;
use crate::log::writer::each_between;
use crate::log::{Entry, Event};
use crate::state::{LONGEST, State};
use base::{Digest, Fault, Timestamp, durable};
use bundle::ReleaseId;
use inspect::{Decision, Verdict};
use tlog::check::read_vkey;
use tlog::note::Verifier;
use tlog::stored::read_checkpoint;

/// One log, and how far it was told.
struct Source {
    folder: PathBuf,
    vkey: Verifier,
    next: u64,
}

/// The logs that are told.
pub struct Feed {
    state: State,
    format: Format,
    framed: bool,
    sources: Vec<Source>,
}

impl Feed {
    /// The logs in `folders`: from where `cursor` says, else from the first entry at `since` or later, else from
    /// their beginning. Fault: one is shorter than what was told of it.
    pub fn open(
        state: &State,
        (format, framed): (Format, bool),
        folders: &[PathBuf],
        since: Option<Timestamp>,
        cursor: impl Fn(&str) -> Option<u64>,
    ) -> Result<Self, Fault> {
        let mut sources = Vec::new();
        for folder in folders {
            let vkey = read_vkey(folder)?;
            let size = read_checkpoint(folder, &vkey)?.size;
            let next = match (cursor(vkey.name()), since) {
                (Some(next), _) => next,
                (None, Some(since)) => first_since(folder, size, since)?,
                (None, None) => 0,
            };
            if next > size {
                let wrong = format!("{next} entries of it were told before, and it has {size}");
                return Err(Fault::damaged(folder.to_string_lossy(), wrong));
            }
            sources.push(Source { folder: folder.clone(), vkey, next });
        }
        Ok(Self { state: state.clone(), format, framed, sources })
    }

    /// Gives the lines of entries that were not told yet to `take`, each without its end: of all, or of `most`
    /// entries of each log. Says how many lines, and whether more entries wait.
    pub fn tell(&mut self, most: u64, mut take: impl FnMut(&str) -> Result<(), Fault>) -> Result<(u64, bool), Fault> {
        let (mut count, mut more) = (0, false);
        for source in &mut self.sources {
            let size = read_checkpoint(&source.folder, &source.vkey)?.size;
            let (next, log) = (&mut source.next, source.vkey.name());
            let end = size.min(next.saturating_add(most));
            more |= end < size;
            each_between(&source.folder, (*next, end), size, |number, bytes, entry| {
                let told = Told { log, number, size, bytes, entry: &entry, file: None, version: VERSION };
                for line in lines(&self.state, &told, self.format, self.framed) {
                    take(&line)?;
                    count += 1;
                }
                *next = number + 1;
                Ok(())
            })?;
        }
        Ok((count, more))
    }

    /// Each log's origin, and the number of the entry that comes next.
    pub fn places(&self) -> impl Iterator<Item = (&str, u64)> {
        self.sources.iter().map(|source| (source.vkey.name(), source.next))
    }
}

/// The lines of one entry: its own and, but where entries go out as they are, one for each artifact that its
/// import withheld.
pub fn lines(state: &State, told: &Told<'_>, format: Format, framed: bool) -> Vec<String> {
    let mut lines = vec![shape(told, format, framed)];
    if format != Format::Json {
        let withheld = withheld(state, told.entry);
        lines
            .extend(withheld.iter().enumerate().map(|file| shape(&Told { file: Some(file), ..*told }, format, framed)));
    }
    lines
}

/// A line in its form, framed or not.
pub fn shape(told: &Told<'_>, format: Format, framed: bool) -> String {
    let line = told.line(format);
    if framed { syslog::frame(told, &line) } else { line }
}

/// The artifacts that an import withheld or stripped, as long as the release's verdicts are those that the entry names.
pub fn withheld(state: &State, entry: &Entry) -> Vec<Verdict> {
    let Event::Imported { feed, version, verdicts, counts, .. } = &entry.event else { return Vec::new() };
    if counts.is_clean() {
        return Vec::new();
    }
    let id = ReleaseId { feed: feed.clone(), version: *version };
    // A release that gc removed has none any more; its entry's counts stay.
    let bytes = durable::read(&state.release_path(&id).join("verdicts.json"), LONGEST).ok();
    let bytes = bytes.filter(|bytes| Digest::of(bytes) == *verdicts);
    let mut all: Vec<Verdict> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    all.retain(|verdict| verdict.decision != Decision::Cleared);
    all
}
