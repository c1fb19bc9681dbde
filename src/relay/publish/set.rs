//! Makes a channel's sets, and switches a channel to one. Their form is `serve::set`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::state::release::Packed;
use crate::state::{Release, SMALL, State, Trust};
use base::digest::Hasher;
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp, durable, quoted};
use bundle::ReleaseId;
use config::Config;
use inspect::{Stripped, Verdict, VerdictKind};
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

/// The next set of `channel` from these releases. Refusal: `path-clash`.
pub(crate) fn make_set(
    channel: &str,
    former: Option<&Set>,
    inputs: &[&SetInput],
    generation: u64,
    now: Timestamp,
) -> Result<Set, Refusal> {
    let owners = owners(inputs);
    let mut beside: BTreeMap<&str, &str> = BTreeMap::new();
    // One beside each, as a rule: of a hundred thousand files none is moved to make room for the next.
    let mut files = Vec::with_capacity(inputs.iter().map(|input| 2 * input.verdicts.len()).sum::<usize>() + 1);
    let mut members = Vec::new();
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
            // Nor does a feed vouch for another one's file; of several that are about one that nobody brings, the first counts.
            let counts = stem(&verdict.path).is_none_or(|stem| {
                !is_of_other(&stem, &release.feed, &owners)
                    && *beside.entry(&verdict.path).or_insert(&release.feed) == release.feed
            });
            if !counts {
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
    if let Some([one, other]) = files.array_windows().find(|[one, other]| one.path == other.path) {
        let detail = format!(
            "the path \"{}\" comes from the feed {} and from the feed {}",
            quoted(&one.path),
            one.feed,
            other.feed
        );
        return Err(Refusal::new(Reason::PathClash, detail));
    }
    let brought = files.len();
    for SetInput { release, verdicts, .. } in inputs {
        let feed = Arc::from(release.feed.as_str());
        for verdict in verdicts.iter().filter(|verdict| verdict.kept().is_some()) {
            for file in side_files(&feed, verdict, now) {
                let (brought, _) = files.split_at(brought);
                if brought.binary_search_by(|other| by_path(other, &file)).is_err() {
                    files.push(file);
                }
            }
        }
    }
    files.sort_unstable_by(by_path);
    let listing = sums_file(&files, now);
    if let Err(at) = files.binary_search_by(|other| by_path(other, &listing)) {
        files.insert(at, listing);
    }
    let mut set = Set {
        format: FORMAT.into(),
        channel: channel.to_owned(),
        generation,
        published: now,
        releases: members,
        files,
        gone: BTreeMap::new(),
    };
    if let Some(former) = former {
        carry_dates(&mut set, former);
    }
    Ok(set)
}

/// The next set of a channel: the former one without the members that fell, and nothing else. No file of a release is read for
/// that, so that damage in what stays keeps nothing that must leave.
pub(crate) fn without(former: &Set, has_fallen: impl Fn(&SetMember) -> bool, now: Timestamp) -> Set {
    let mut set = Set { generation: former.generation + 1, published: now, ..former.clone() };
    set.releases.retain(|member| !has_fallen(member));
    let feeds: BTreeSet<&str> = set.releases.iter().map(|member| member.feed.as_str()).collect();
    set.files.retain(|file| feeds.contains(&*file.feed));
    let listing = sums_file(&set.files, now);
    if let Err(at) = set.files.binary_search_by(|other| other.path.cmp(&listing.path)) {
        set.files.insert(at, listing);
    }
    carry_dates(&mut set, former);
    set
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

/// Gives unchanged files their former date, changed ones a later one than they ever had.
fn carry_dates(set: &mut Set, former: &Set) {
    let mut gone: BTreeMap<String, Timestamp> = former.gone.clone();
    let mut old: BTreeMap<&str, &SetFile> = former.files.iter().map(|f| (f.path.as_str(), f)).collect();
    for file in &mut set.files {
        let before = old.remove(file.path.as_str());
        if let Some(before) = before.filter(|before| before.sha256 == file.sha256) {
            file.modified = before.modified;
        } else if let Some(last) = before.map(|b| b.modified).or_else(|| gone.get(&file.path).copied()) {
            file.modified = file.modified.max(last.plus(Duration::from_secs(1)));
        }
        gone.remove(&file.path);
    }
    gone.extend(old.into_values().map(|file| (file.path.clone(), file.modified)));
    set.gone = gone;
}

/// Lines that were left out, as a set lists them.
fn dropped_lines(stripped: &Stripped) -> Vec<DroppedLines> {
    let lines = stripped.dropped.iter();
    lines.map(|it| DroppedLines { line: it.line, reason: it.reason, member: it.member.clone() }).collect()
}

/// Endings of files that vouch for another one's bytes.
const COMPANIONS: &[&str] = &[".asc", ".md5", ".minisig", ".sha256", ".sig", ".sign"];

/// True if the file at `path` vouches for an artifact that is not served as it was signed; or is a signature or an
/// increment of a database that is withheld, with which it is one: `daily-7.cvd.sign`, `daily-7.cdiff`. The verdicts
/// are sorted by path.
fn is_stale_companion(path: &str, verdicts: &[Verdict]) -> bool {
    let is = |path: &str, decision| {
        let at = verdicts.binary_search_by(|verdict| verdict.path.as_str().cmp(path)).ok();
        at.and_then(|at| verdicts.get(at)).is_some_and(|verdict| verdict.decision == decision)
    };
    companion_of(path).is_some_and(|stem| is(stem, VerdictKind::Stripped))
        || database_of(path).is_some_and(|database| is(&database, VerdictKind::Withheld))
}

/// File for whose bytes the file at `path` vouches, by its name.
fn companion_of(path: &str) -> Option<&str> {
    COMPANIONS.iter().find_map(|ending| path.strip_suffix(ending))
}

/// Database of which the file at `path` is a signature or an increment, by its name.
fn database_of(path: &str) -> Option<String> {
    let rest = [".cvd.sign", ".cdiff", ".cdiff.sign"].iter().find_map(|ending| path.strip_suffix(ending))?;
    rest.rsplit_once('-').map(|(name, _)| format!("{name}.cvd"))
}

/// File that the file at `path` is about, by its name: its database, where it is an increment or a signature of one.
fn stem(path: &str) -> Option<String> {
    database_of(path).or_else(|| companion_of(path).map(str::to_owned))
}

/// Feeds that bring each file which another file may be about, where there is more than one feed.
fn owners<'a>(inputs: &[&'a SetInput]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    if inputs.len() < 2 {
        return owners;
    }
    let wanted: BTreeSet<String> =
        inputs.iter().flat_map(|input| &input.verdicts).filter_map(|verdict| stem(&verdict.path)).collect();
    for input in inputs {
        for verdict in input.verdicts.iter().filter(|it| it.kept().is_some() && wanted.contains(&it.path)) {
            owners.entry(&verdict.path).or_default().push(&input.release.feed);
        }
    }
    owners
}

/// True if other feeds than this one bring the file at `stem`.
fn is_of_other(stem: &str, feed: &str, owners: &BTreeMap<&str, Vec<&str>>) -> bool {
    owners.get(stem).is_some_and(|feeds| !feeds.contains(&feed))
}

/// Checks that no kept file of these verdicts has the path of a file that another feed brings into a channel of the feed. A
/// file that is about another one stops nobody: the set leaves it out. Refusal: `path-clash`.
pub(crate) fn check_paths(
    (state, trust): (&State, &Trust),
    config: &Config,
    feed: &str,
    verdicts: &[Verdict],
) -> Result<(), Error> {
    let is_kept = |path: &str| {
        let at = verdicts.binary_search_by(|verdict| verdict.path.as_str().cmp(path)).ok();
        at.and_then(|at| verdicts.get(at)).is_some_and(|verdict| verdict.kept().is_some())
    };
    for channel in config.channels_of(feed).into_iter().filter(|channel| channel.feeds.len() > 1) {
        let name = channel.name.get_ref();
        let Some(current) = trust.shown(name) else { continue };
        let (_, set) = state.set(name, current)?;
        let brought = set.files.iter().filter(|file| matches!(file.place, BytesPlace::Blob | BytesPlace::Pack { .. }));
        let mut others = brought.filter(|file| *file.feed != *feed && stem(&file.path).is_none());
        if let Some(file) = others.find(|file| is_kept(&file.path)) {
            let detail = format!("\"{}\" is in channel {name} already, from feed {}", quoted(&file.path), file.feed);
            return Err(Error::refused(Reason::PathClash, detail));
        }
    }
    Ok(())
}

/// Files that agents read beside an artifact, where the publisher did not bring them: digests as bare hex
/// without a line feed, which is the one form all their clients take; and an empty increment, which
/// makes freshclam fetch the whole database instead of waiting for ever.
fn side_files(feed: &Arc<str>, verdict: &Verdict, now: Timestamp) -> impl Iterator<Item = SetFile> {
    let digest = verdict.kept().map(|(sha256, _)| (format!("{}.sha256", verdict.path), sha256.to_string()));
    let md5 = verdict.md5.as_ref().map(|md5| (format!("{}.md5", verdict.path), md5.clone()));
    let database = verdict.database.zip(verdict.path.strip_suffix(".cvd"));
    let increment = database.map(|(of, stem)| (format!("{stem}-{}.cdiff", of.version), String::new()));
    [digest, md5, increment].into_iter().flatten().map(move |(path, text)| {
        let (size, sha256) = (text.len() as u64, Digest::of(text.as_bytes()));
        SetFile {
            path,
            feed: Arc::clone(feed),
            size,
            sha256,
            modified: now,
            place: BytesPlace::Inline(text),
            stripped: None,
        }
    })
}

impl State {
    /// The release of the same feed that the channels show, if it is another.
    pub fn served_release(&self, trust: &Trust, id: &ReleaseId) -> Result<Option<ReleaseId>, Fault> {
        for channel in trust.channels.keys().filter(|channel| *channel != TUF) {
            let mut members = self.members(trust, channel)?.into_iter();
            if let Some(member) = members.find(|m| m.feed == id.feed && m.version != id.version) {
                return Ok(Some(ReleaseId { feed: member.feed, version: member.version }));
            }
        }
        Ok(None)
    }

    /// The releases that a channel shows, by the import log; none before the first publication.
    pub fn members(&self, trust: &Trust, channel: &str) -> Result<Vec<SetMember>, Fault> {
        trust.shown(channel).map_or(Ok(Vec::new()), |current| self.members_of(channel, current))
    }
}

/// Switches a channel, or the repository for TUF clients, to the set that this entry of the import log announces: the one step
/// by which agents see another. The pointer is the receipt of the entry.
pub(crate) fn switch(state: &State, channel: &str, entry: u64) -> Result<(), Fault> {
    let folder = state.import_log();
    let receipt = receipt(&folder, state.log_key()?, entry)?;
    let lost = || Fault::damaged(folder.to_string_lossy(), format!("entry {entry} cannot be proven"));
    let receipt = receipt.filter(|receipt| state.log_key().is_ok_and(|key| receipt.verify(key).is_some()));
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
        }
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
        assert!(fourth.gone.is_empty());
    }
}
