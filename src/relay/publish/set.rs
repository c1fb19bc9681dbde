//! Makes a channel's sets, and switches a channel to one. Their form is `serve::set`.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::claims::PathClaims;
use super::companions::{is_stale_companion, side_files};
use crate::state::release::Packed;
use crate::state::{Release, SMALL, State, Trust};
use base::digest::Hasher;
use base::{Digest, Fault, Reason, Refusal, Timestamp, durable, quoted};
use inspect::{Stripped, Verdict};
use serve::published::TUF;
use serve::set::{BytesPlace, DroppedLines, FORMAT, From, SUMS, Set, SetFile, SetMember, sum_lines};
use tlog::compare::receipt;

/// Release that a set is made of.
pub(crate) struct SetInput {
    /// Release.
    pub release: Release,
    /// Verdicts, sorted by path.
    pub verdicts: Vec<Verdict>,
    /// Places of the small artifacts in the pack.
    pub packed: BTreeMap<Digest, Packed>,
}

impl SetInput {
    /// Reads verdicts and places.
    pub(crate) fn read(state: &State, release: Release) -> Result<Self, Fault> {
        let (verdicts, packed) = (state.verdicts(&release)?, state.pack_index(&release)?);
        Ok(Self { release, verdicts, packed })
    }
}

/// The next set of `channel` from these releases, and what of it had to be left out, if anything: a file whose name
/// belongs to another feed. What the former set shows keeps its name; among newcomers who was imported first has it.
/// Making a set never fails for that, so that making less visible waits for nobody. Fault: the set would have a path
/// twice.
pub(crate) fn make_set(
    channel: &str,
    former: Option<&Set>,
    inputs: &[&SetInput],
    generation: u64,
    now: Timestamp,
) -> Result<(Set, Option<Refusal>), Fault> {
    let taken = names_of_others(former, inputs);
    // One beside each, as a rule: of a hundred thousand files none is moved to make room for the next.
    let mut files = Vec::with_capacity(inputs.iter().map(|input| 2 * input.verdicts.len()).sum::<usize>() + 1);
    let (mut members, mut beside) = (Vec::new(), Vec::new());
    for SetInput { release, verdicts, packed } in inputs {
        let (id, feed) = (release.id().to_string(), Arc::from(release.feed.as_str()));
        let mut withheld = BTreeMap::new();
        for verdict in verdicts {
            let Some((sha256, size)) = verdict.kept() else {
                withheld.insert(verdict.path.clone(), verdict.reason.unwrap_or(Reason::KindUnknown));
                continue;
            };
            // What a publisher brings beside a file is about the bytes that were signed, not those that are left.
            if is_stale_companion(&verdict.path, verdicts) {
                continue;
            }
            if taken.contains_key(&(release.feed.as_str(), verdict.path.as_str())) {
                withheld.insert(verdict.path.clone(), Reason::PathClash);
                continue;
            }
            let place = match packed.get(&sha256) {
                Some(packed) if size < SMALL => BytesPlace::Pack { release: id.clone(), offset: packed.offset },
                _ => BytesPlace::Blob,
            };
            files.push(SetFile {
                path: verdict.path.clone(),
                feed: Arc::clone(&feed),
                size,
                sha256,
                modified: now,
                place,
                stripped: verdict
                    .stripped
                    .as_ref()
                    .map(|stripped| Box::new(From { sha256: verdict.sha256, dropped: dropped_lines(stripped) })),
            });
            beside.extend(side_files(&feed, verdict, now));
        }
        members.push(SetMember {
            feed: release.feed.clone(),
            version: release.version,
            manifest: release.manifest,
            signatures: release.signatures.clone(),
            issued: release.issued,
            expires: release.expires,
            back_until: None,
            withheld,
        });
    }
    let by_path = |a: &SetFile, b: &SetFile| a.path.cmp(&b.path);
    files.sort_unstable_by(by_path);
    let brought = files.len();
    for file in beside {
        let (brought, _) = files.split_at(brought);
        if brought.binary_search_by(|other| by_path(other, &file)).is_err() {
            files.push(file);
        }
    }
    files.sort_unstable_by(by_path);
    if files.array_windows().any(|[one, other]| one.path == other.path) {
        return Err(Fault::Internal("a set would have one path twice"));
    }
    let mut set = Set { releases: members, ..empty_set(channel, generation, now) };
    complete(&mut set, files, former);
    Ok((set, clash(&taken)))
}

/// A set that shows nothing but its list.
pub(crate) fn empty_set(channel: &str, generation: u64, now: Timestamp) -> Set {
    Set {
        format: FORMAT.into(),
        channel: channel.to_owned(),
        generation,
        published: now,
        releases: Vec::new(),
        files: vec![sums_file(&[], now)],
        gone: BTreeMap::new(),
        last_gone: None,
    }
}

/// Files of these releases whose names belong to another feed: by feed and path, the owner.
type TakenNames<'a> = BTreeMap<(&'a str, &'a str), Arc<str>>;

/// Finds the files whose names belong to another feed.
fn names_of_others<'a>(former: Option<&Set>, inputs: &[&'a SetInput]) -> TakenNames<'a> {
    let mut taken = BTreeMap::new();
    if inputs.len() < 2 {
        return taken;
    }
    let shown = |path: &str, feed: &str| {
        let files = former.map(|former| former.files.as_slice()).unwrap_or_default();
        let at = files.binary_search_by(|file| file.path.as_str().cmp(path)).ok();
        at.and_then(|at| files.get(at)).is_some_and(|file| *file.feed == *feed && is_brought(file))
    };
    let mut inputs = inputs.to_vec();
    inputs.sort_by_key(|input| input.release.imported);
    let mut claims = PathClaims::new();
    for is_shown in [true, false] {
        for SetInput { release, verdicts, .. } in &inputs {
            let feed: Arc<str> = Arc::from(release.feed.as_str());
            let kept = verdicts.iter().filter(|verdict| verdict.kept().is_some());
            for verdict in kept.filter(|verdict| shown(&verdict.path, &feed) == is_shown) {
                if let Err(owner) = claims.claim(&verdict.path, &feed) {
                    taken.insert((release.feed.as_str(), verdict.path.as_str()), owner);
                }
            }
        }
    }
    taken
}

/// True if a feed brought the file: the relay did not make it.
fn is_brought(file: &SetFile) -> bool {
    matches!(file.place, BytesPlace::Blob | BytesPlace::Pack { .. })
}

/// Refusal of the files whose names belong to another feed, with the first of them.
fn clash(taken: &TakenNames<'_>) -> Option<Refusal> {
    let ((feed, path), owner) = taken.first_key_value()?;
    let more = match taken.len() {
        1 => String::new(),
        count => format!("; so are {} more files", count - 1),
    };
    let detail =
        format!("\"{}\" of feed {feed} is left out, since the name belongs to feed {owner}{more}", quoted(path));
    Some(Refusal::new(Reason::PathClash, detail))
}

/// The set after `former` that is the same without the members that go: for which no release need be read. What was
/// left out for the sake of one of those stays left out.
pub(crate) fn set_without(former: &Set, goes: impl Fn(&SetMember) -> bool, now: Timestamp) -> Set {
    let releases: Vec<SetMember> = former.releases.iter().filter(|member| !goes(member)).cloned().collect();
    let stays = |file: &&SetFile| releases.iter().any(|member| *member.feed == *file.feed);
    let files = former.files.iter().filter(stays).cloned().collect();
    let mut set = Set { releases, ..empty_set(&former.channel, former.generation + 1, now) };
    complete(&mut set, files, Some(former));
    set
}

/// Gives a set its files, which are sorted by path, the list of them, and the dates that follow from the former set.
fn complete(set: &mut Set, files: Vec<SetFile>, former: Option<&Set>) {
    let listing = sums_file(&files, set.published);
    set.files = files;
    if let Err(at) = set.files.binary_search_by(|other| other.path.cmp(&listing.path)) {
        set.files.insert(at, listing);
    }
    if let Some(former) = former {
        carry_dates(set, former);
    }
}

/// List of the digests of all files, as a file of its own.
fn sums_file(files: &[SetFile], now: Timestamp) -> SetFile {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    for line in sum_lines(files) {
        hasher.update(line.as_bytes());
        size += line.len() as u64;
    }
    SetFile {
        path: SUMS.into(),
        feed: Arc::from(""),
        size,
        sha256: hasher.finish(),
        modified: now,
        place: BytesPlace::Sums,
        stripped: None,
    }
}

/// Gives unchanged files their former date, changed ones a later one than they ever had, and those that come a later
/// one than all that ever left: one moment, however many paths that were.
fn carry_dates(set: &mut Set, former: &Set) {
    let gone = former.gone.values().copied().chain(former.last_gone).max();
    let mut old: BTreeMap<&str, &SetFile> = former.files.iter().map(|f| (f.path.as_str(), f)).collect();
    for file in &mut set.files {
        let before = old.remove(file.path.as_str());
        if let Some(before) = before.filter(|before| before.sha256 == file.sha256) {
            file.modified = before.modified;
        } else if let Some(last) = before.map(|before| before.modified).or(gone) {
            file.modified = file.modified.max(last.plus(Duration::from_secs(1)));
        }
    }
    set.last_gone = old.into_values().map(|file| file.modified).chain(gone).max();
}

/// Lines that were left out, as a set lists them.
fn dropped_lines(stripped: &Stripped) -> Vec<DroppedLines> {
    let lines = stripped.dropped.iter();
    lines.map(|it| DroppedLines { line: it.line, reason: it.reason, member: it.member.clone() }).collect()
}

impl State {
    /// The releases that a channel shows, by the import log; none before the first publication.
    pub fn members(&self, trust: &Trust, channel: &str) -> Result<Vec<SetMember>, Fault> {
        trust.shown(channel).map_or(Ok(Vec::new()), |current| self.members_of(channel, current))
    }
}

/// Makes the folder of a channel. What else stands in its place is removed, and keeps nothing from being withdrawn; the
/// sets that are lost then are told where they are read.
pub(crate) fn make_folder(state: &State, channel: &str) -> Result<(), Fault> {
    let folder = state.channel_path(channel);
    if fs::symlink_metadata(&folder).is_ok_and(|meta| !meta.is_dir()) {
        durable::remove(&folder)?;
    }
    durable::create_dir(&folder)
}

/// Switches a channel, or the repository for TUF clients, to the set that this entry of the import log announces: the
/// one step by which agents see another. The pointer is the receipt of the entry.
pub(crate) fn switch(state: &State, channel: &str, entry: u64) -> Result<(), Fault> {
    let folder = state.import_log();
    let receipt = receipt(&folder, state.log_key()?, entry)?;
    let lost = || Fault::damaged(folder.to_string_lossy(), format!("entry {entry} cannot be proven"));
    let receipt = receipt.filter(|receipt| state.log_key().is_ok_and(|key| receipt.verify(key).is_some()));
    if channel != TUF {
        make_folder(state, channel)?;
    }
    durable::replace(&state.pointer_path(channel), receipt.ok_or_else(lost)?.to_text().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(generation: u64, now: u64, files: &[(&str, &str)]) -> Set {
        let now = Timestamp::from_secs(now);
        let files = files
            .iter()
            .map(|(path, text)| SetFile {
                path: (*path).into(),
                feed: "f".into(),
                size: text.len() as u64,
                sha256: Digest::of(text.as_bytes()),
                modified: now,
                place: BytesPlace::Inline((*text).into()),
                stripped: None,
            })
            .collect();
        Set {
            format: FORMAT.into(),
            channel: "c".into(),
            generation,
            published: now,
            releases: vec![],
            files,
            gone: BTreeMap::new(),
            last_gone: None,
        }
    }

    #[test]
    fn what_left_makes_no_set_longer() {
        let mut shown = set(1, 1000, &[("a-1", "one")]);
        let mut lengths = Vec::new();
        for generation in 2..200 {
            let mut next = set(generation, 1000 + generation, &[(&format!("a-{generation:03}"), "one")]);
            carry_dates(&mut next, &shown);
            lengths.push(serde_json::to_vec(&next).unwrap().len());
            shown = next;
        }
        assert!(lengths.last().unwrap() - lengths[0] < 10, "{lengths:?}");
    }

    /// R4: freshclam compares with the time of its own last download.
    #[test]
    fn last_modified_only_moves_forward() {
        let first = set(1, 1000, &[("a", "one"), ("b", "same")]);
        let mut second = set(2, 2000, &[("a", "two"), ("b", "same")]);
        carry_dates(&mut second, &first);
        assert_eq!(second.files.iter().map(|f| f.modified.secs()).collect::<Vec<_>>(), [2000, 1000]);
        // Back to the first content, with a clock that went back, and `b` gone.
        let mut third = set(3, 1500, &[("a", "one")]);
        carry_dates(&mut third, &second);
        assert_eq!(third.files[0].modified.secs(), 2001);
        // `b` comes again: later than it ever was.
        let mut fourth = set(4, 900, &[("a", "one"), ("b", "same")]);
        carry_dates(&mut fourth, &third);
        assert_eq!(fourth.files.iter().map(|f| f.modified.secs()).collect::<Vec<_>>(), [2001, 1001]);
        // A set of an earlier version remembered each path.
        third.gone = BTreeMap::from([("c".to_owned(), Timestamp::from_secs(3000))]);
        let mut fifth = set(5, 900, &[("c", "new")]);
        carry_dates(&mut fifth, &third);
        assert_eq!(fifth.files[0].modified.secs(), 3001);
        let mut sixth = set(6, 5000, &[("c", "newer")]);
        carry_dates(&mut sixth, &fifth);
        assert_eq!((sixth.files[0].modified.secs(), sixth.gone.len()), (5000, 0));
    }
}
