//! Exporter: turns entries of the logs into lines, from the entry at which the last run ended.

use std::path::PathBuf;

use super::{ExportEntry, ExportFormat, VERSION, syslog};
use crate::log::reading::each_between;
use crate::log::search::first_since;
use crate::log::{Entry, Event};
use crate::state::{LONGEST, State};
use base::{Digest, Fault, Timestamp, durable};
use bundle::ReleaseId;
use inspect::{Verdict, VerdictKind};
use tlog::check::read_vkey;
use tlog::note::Verifier;
use tlog::stored::read_checkpoint;

/// Log, with the number of the entry to export next.
struct LogPosition {
    folder: PathBuf,
    vkey: Verifier,
    next: u64,
}

/// Logs to export, with their positions.
pub(crate) struct LogExporter {
    state: State,
    format: ExportFormat,
    framed: bool,
    sources: Vec<LogPosition>,
}

impl LogExporter {
    /// Opens the logs in `folders`: from the position that `cursor` gives, else from the first entry at `since` or
    /// later, else from the first entry. Fault: a log is shorter than its position, so it was cut or replaced.
    pub(crate) fn open(
        state: &State,
        (format, framed): (ExportFormat, bool),
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
                let wrong = format!(
                    "{next} entries of this log were exported before, but the log has only {size} now: the log was cut or replaced, or the cursor belongs to another relay"
                );
                return Err(Fault::damaged(folder.to_string_lossy(), wrong));
            }
            sources.push(LogPosition { folder: folder.clone(), vkey, next });
        }
        Ok(Self { state: state.clone(), format, framed, sources })
    }

    /// Gives the lines of new entries to `take`, each without a line end: at most `most` entries of each log. Returns
    /// the number of lines, and true if more entries wait.
    pub(crate) fn export_new(
        &mut self,
        most: u64,
        mut take: impl FnMut(&str) -> Result<(), Fault>,
    ) -> Result<(u64, bool), Fault> {
        let (mut count, mut more) = (0, false);
        for source in &mut self.sources {
            let size = read_checkpoint(&source.folder, &source.vkey)?.size;
            let (next, log) = (&mut source.next, source.vkey.name());
            let end = size.min(next.saturating_add(most));
            more |= end < size;
            each_between(&source.folder, (*next, end), size, |number, bytes, entry| {
                let exported = ExportEntry { log, number, size, bytes, entry: &entry, file: None, version: VERSION };
                for line in lines(&self.state, &exported, self.format, self.framed) {
                    take(&line)?;
                    count += 1;
                }
                *next = number + 1;
                Ok(())
            })?;
        }
        Ok((count, more))
    }

    /// Origin of each log, with the number of the entry to export next.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&str, u64)> {
        self.sources.iter().map(|source| (source.vkey.name(), source.next))
    }
}

/// Lines of an entry: its own and, except in the format JSON, one for each file that its import withheld or stripped.
pub(crate) fn lines(state: &State, exported: &ExportEntry<'_>, format: ExportFormat, framed: bool) -> Vec<String> {
    let mut lines = vec![format_line(exported, format, framed)];
    if format != ExportFormat::Json {
        let withheld = withheld(state, exported.entry);
        lines.extend(
            withheld
                .iter()
                .enumerate()
                .map(|file| format_line(&ExportEntry { file: Some(file), ..*exported }, format, framed)),
        );
    }
    lines
}

/// Line in this format, inside a syslog frame if `framed`.
pub(crate) fn format_line(exported: &ExportEntry<'_>, format: ExportFormat, framed: bool) -> String {
    let line = exported.line(format);
    if framed { syslog::frame(exported, &line) } else { line }
}

/// Verdicts on the files that an import withheld or stripped; empty if the release's verdicts are not those that the
/// entry names.
pub(crate) fn withheld(state: &State, entry: &Entry) -> Vec<Verdict> {
    let Event::Imported { feed, version, verdicts, counts, .. } = &entry.event else { return Vec::new() };
    if counts.is_clean() {
        return Vec::new();
    }
    let id = ReleaseId { feed: feed.clone(), version: *version };
    // gc removes the verdicts with their release; the counts in the entry stay.
    let bytes = durable::read(&state.release_path(&id).join("verdicts.json"), LONGEST).ok();
    let bytes = bytes.filter(|bytes| Digest::of(bytes) == *verdicts);
    let mut all: Vec<Verdict> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    all.retain(|verdict| verdict.decision != VerdictKind::Cleared);
    all
}
