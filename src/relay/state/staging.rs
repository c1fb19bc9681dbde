//! Staging of a release. Cleared bytes go into a staging folder in the spool; withheld bytes are dropped at once; the
//! new bytes of a stripped artifact wait there until they are examined. [`Staging::commit`] puts everything in place;
//! until the trust file names the release it does not exist for anyone, and a cut leaves nothing but what the next
//! start sweeps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::compare::{self, ReleaseItems, compare};
use super::items::StoredItems;
use super::lost_files::{kept_files, lost_files};
use super::names::{self, FollowedNames};
use super::release::{Digests, Loss, Packed, RECORD, Release};
use super::{SMALL, State, Trust, items};
use base::error::IoContext as _;
use base::{Digest, Fault, Operator, Timestamp, durable};
use bundle::{Artifact, ReleaseId, Verified};
use inspect::{Counts, Examined, Keep, Kind, ProvenContent, Verdict, VerdictKind};

/// Destination of the bytes of the current artifact.
enum ArtifactSink {
    /// Memory, and from there the pack.
    Small,
    /// File that becomes a blob.
    Large(File, PathBuf),
    /// None: a thin bundle leaves it out, so that its bytes come from this blob.
    Held(Digest),
}

/// Release that is being put together.
pub struct Staging {
    state: State,
    /// Digest of the manifest of the bundle that the bytes belong to.
    manifest: Digest,
    folder: PathBuf,
    pack: BufWriter<File>,
    packed: Vec<Packed>,
    offset: u64,
    small: Vec<u8>,
    current: ArtifactSink,
    blobs: Vec<(PathBuf, Digest)>,
    /// Files of stripped artifacts, which are neither kept nor cleared yet.
    waiting: Vec<PathBuf>,
    items: items::ItemWriter,
}

impl Staging {
    /// Makes an empty folder in the spool for the release that this bundle becomes.
    pub fn new(state: &State, verified: &Verified) -> Result<Self, Fault> {
        let id = release_id(verified);
        let folder = durable::beside(&state.spool(), &format!("{}-{}", id.feed, id.version));
        durable::remove(&folder)?;
        durable::create_dir(&folder)?;
        let pack = BufWriter::with_capacity(1 << 20, durable::create(&folder.join("pack"), 0o644)?);
        let items = items::ItemWriter::new(&folder)?;
        Ok(Self {
            state: state.clone(),
            manifest: verified.digest(),
            folder,
            pack,
            packed: Vec::new(),
            offset: 0,
            small: Vec::new(),
            current: ArtifactSink::Small,
            blobs: Vec::new(),
            waiting: Vec::new(),
            items,
        })
    }

    /// Computes the loss for agents against the served release, with the items that were stripped on import.
    fn loss(
        &self,
        (trust, served): (&Trust, Option<&ReleaseId>),
        verdicts: &[Verdict],
        id: &ReleaseId,
        items: StoredItems,
    ) -> Result<Loss, Fault> {
        let new = ReleaseItems { verdicts, sections: items.sections, file: items.file };
        let stripped = verdicts.iter().filter_map(|verdict| verdict.stripped.as_ref());
        let mut lost: u64 = stripped.map(|stripped| stripped.places().len() as u64).sum();
        let twice = compare::count_duplicates(&new)?;
        let Some(served) = served else {
            return Ok(Loss { lost, of: new.count().saturating_add(lost), twice, ..Loss::default() });
        };
        let served = self.state.release(trust, served)?;
        let former = self.state.verdicts(&served)?;
        let (sections, file) = self.state.items(&served)?;
        let old = ReleaseItems { verdicts: &former, sections, file };
        compare(&old, &new, &mut |change, _| {
            lost += u64::from(change.is_loss());
        })?;
        let databases = verdicts.iter().filter(|verdict| verdict.database.is_some());
        let is_older = |new: &&Verdict| former.iter().any(|former| former.path == new.path && new.goes_back(former));
        let older = databases.filter(is_older).count() as u64;
        let files = lost_files(&former, verdicts).len() as u64;
        let files_of = if files > 0 { kept_files(&former) } else { 0 };
        let again = self.find_same_content(trust, verdicts, &former, id)?;
        Ok(Loss { lost, of: old.count(), files, files_of, twice, older, again })
    }

    /// Compares the names of rules and signatures with those of releases that agents load too: the number of questions
    /// by feed, and which names another feed had first.
    fn shared_names(
        &self,
        (trust, served): (&Trust, Option<&ReleaseId>),
        verdicts: &[Verdict],
        beside: &[ReleaseId],
        items: &StoredItems,
    ) -> Result<(BTreeMap<String, u64>, FollowedNames), Fault> {
        let file = Rc::clone(&items.file);
        let new = ReleaseItems { verdicts, sections: items.sections.clone(), file };
        let (found, followed) = self.state.names_beside(trust, &new, served, (beside, 0))?;
        let shared = found.into_iter().filter(|(_, common)| common.count > 0);
        Ok((shared.map(|(other, common)| (other.feed, common.count)).collect(), followed))
    }

    /// Finds the earlier release of the feed with exactly this content, where that is not the served one.
    fn find_same_content(
        &self,
        trust: &Trust,
        verdicts: &[Verdict],
        served: &[Verdict],
        id: &ReleaseId,
    ) -> Result<Option<u64>, Fault> {
        let same = |other: &[Verdict]| {
            other.len() == verdicts.len()
                && other.iter().zip(verdicts).all(|(a, b)| (&a.path, a.sha256) == (&b.path, b.sha256))
        };
        if same(served) {
            return Ok(None);
        }
        let mut found = None;
        for kept in trust.kept_releases().into_iter().filter(|kept| kept.feed == id.feed && kept.version < id.version) {
            let earlier = self.state.release(trust, &kept)?;
            let Counts { cleared, stripped, withheld } = earlier.counts;
            if cleared + stripped + withheld == verdicts.len() as u64 && same(&self.state.verdicts(&earlier)?) {
                found = found.max(Some(kept.version));
            }
        }
        Ok(found)
    }

    /// Puts everything in place, durably; the release counts once the trust file names it. The stored content is that
    /// of one examination of exactly this bundle: no caller can pass anything else. `beside`: releases of other feeds
    /// that agents load together with it.
    ///
    /// Stopping is safe: nobody reads the release before the trust file names it, so that the order of the writes does
    /// not matter; but all of it must be on the disk when this returns.
    pub fn commit(
        examined: Examined<Self>,
        (trust, served, beside): (&Trust, Option<&ReleaseId>, &[ReleaseId]),
        operator: &Operator,
        now: Timestamp,
    ) -> Result<Release, Fault> {
        let (spooled, mut staging, verdicts) = examined.into_parts();
        let verified = spooled.verified();
        if verified.digest() != staging.manifest {
            return Err(Fault::Internal("the stored artifacts and the verdicts belong to different bundles"));
        }
        let pack = staging.folder.join("pack");
        staging.pack.flush().during("write", &pack)?;
        staging.pack.get_ref().sync_all().during("sync", &pack)?;
        let items = staging.items.finish()?;
        let mut digests = Digests::from([("items".to_owned(), items.records), ("items.json".to_owned(), items.index)]);
        let id = release_id(verified);
        let (shared_names, followed) = staging.shared_names((trust, served), &verdicts, beside, &items)?;
        if !followed.is_empty() {
            digests.insert(names::FILE.to_owned(), names::write(&staging.folder, &followed)?);
        }
        let loss = staging.loss((trust, served), &verdicts, &id, items)?;
        for path in std::mem::take(&mut staging.waiting) {
            durable::remove(&path)?;
        }
        for (from, digest) in std::mem::take(&mut staging.blobs) {
            durable::open(&from)?.sync_all().during("sync", &from)?;
            let to = staging.state.blob_path(digest);
            durable::create_dir(to.parent().unwrap_or(&to))?;
            durable::settle(&from, &to)?;
        }
        let stored = durable::replace_json(&staging.folder.join("verdicts.json"), &verdicts)?;
        let (counts, suppressions) = (Counts::of(&verdicts), staging.items.suppressions());
        let mut release = Release::new(verified, stored, counts, loss, suppressions, operator.clone(), now);
        release.shared_names = shared_names;
        durable::create_dir(&staging.folder.join("statements"))?;
        for (name, bytes) in &verified.envelope().signatures {
            durable::replace(&staging.folder.join(name), bytes)?;
            digests.insert(name.clone(), Digest::of(bytes));
        }
        durable::replace(&staging.folder.join("manifest.json"), &verified.envelope().document)?;
        let pack = durable::replace_json(&staging.folder.join("pack.json"), &staging.packed)?;
        let own = durable::replace_json(&staging.folder.join("release.json"), &release)?;
        let others = [
            ("manifest.json", release.manifest),
            ("verdicts.json", stored),
            ("pack.json", pack),
            ("release.json", own),
        ];
        digests.extend(others.map(|(name, digest)| (name.to_owned(), digest)));
        let record = durable::replace_json(&staging.folder.join(RECORD), &digests)?;
        let to = staging.state.release_path(&release.id());
        durable::create_dir(to.parent().unwrap_or(&to))?;
        // A folder that an interrupted run left there was never accepted.
        durable::remove(&to)?;
        durable::settle(&staging.folder, &to)?;
        Ok(release.recorded(record, digests))
    }
}

/// Id of the release that a bundle becomes.
fn release_id(verified: &Verified) -> ReleaseId {
    ReleaseId { feed: verified.manifest().feed.clone(), version: verified.manifest().version }
}

impl Keep for Staging {
    fn begin(&mut self, artifact: &Artifact) -> Result<(), Fault> {
        self.small.clear();
        self.items.begin(artifact.sha256);
        self.current = if artifact.size < SMALL {
            ArtifactSink::Small
        } else if !artifact.carried {
            ArtifactSink::Held(artifact.sha256)
        } else {
            let path = self.folder.join(format!("blob-{}", self.blobs.len()));
            ArtifactSink::Large(durable::create(&path, 0o644)?, path)
        };
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.current {
            ArtifactSink::Small => self.small.extend_from_slice(bytes),
            ArtifactSink::Large(file, path) => file.write_all(bytes).during("write", path)?,
            ArtifactSink::Held(_) => {}
        }
        Ok(())
    }

    fn items(&mut self, records: &[u8]) -> Result<(), Fault> {
        self.items.take(records)
    }

    fn end(&mut self, mut proven: ProvenContent<'_>) -> Result<(), Fault> {
        let current = std::mem::replace(&mut self.current, ArtifactSink::Small);
        if proven.verdict().decision == VerdictKind::Stripped {
            let to = self.folder.join(format!("stripped-{}", self.waiting.len()));
            let open = |path: &Path| durable::open(path);
            match &current {
                ArtifactSink::Small => proven.strip(self.small.as_slice(), &to)?,
                ArtifactSink::Large(_, path) => proven.strip(open(path)?, &to)?,
                ArtifactSink::Held(digest) => proven.strip(open(&self.state.blob_path(*digest))?, &to)?,
            }
            self.waiting.push(to);
        }
        let verdict = proven.verdict();
        // Suppressions in a vendor's database ask for no more officers: it always has some, signed as one with the
        // rest.
        let suppresses = verdict.shown != Some(Kind::ClamavCvd);
        self.items.end(verdict.decision == VerdictKind::Cleared, suppresses)?;
        match (current, verdict.decision) {
            (ArtifactSink::Small, VerdictKind::Cleared) => {
                self.pack.write_all(&self.small).during("write", &self.folder.join("pack"))?;
                let (offset, size) = (self.offset, self.small.len() as u64);
                self.packed.push(Packed { sha256: verdict.sha256, offset, size });
                self.offset += size;
            }
            (ArtifactSink::Large(file, path), VerdictKind::Cleared) => {
                // Synced when all is written; closed until then, since there may be more files than a process may open.
                drop(file);
                self.blobs.push((path, verdict.sha256));
            }
            (ArtifactSink::Large(_, path), VerdictKind::Withheld | VerdictKind::Stripped) => durable::remove(&path)?,
            (ArtifactSink::Small, VerdictKind::Withheld | VerdictKind::Stripped) | (ArtifactSink::Held(_), _) => {}
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit the folder is gone; else the next start sweeps what could not be removed here.
        let _ = durable::remove(&self.folder);
    }
}
