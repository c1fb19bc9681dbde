//! Bytes of published files, mapped from the store, and the proof that they are those which were published: hashed
//! before they are first handed out, and again when the file system says that their file has changed since. So whoever
//! can write to the store can take a file away from agents; other bytes reach them for 20 ms at most, on a download
//! that began before, or by a write through a mapping that is older than the hash.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::raw::mapped::{is_broken, map};
use base::{Digest, Fault, clock};
use bundle::ReleaseId;
use bytes::Bytes;

use super::published::Published;
use super::set::BytesPlace;

/// Bytes that are hashed where they are asked for: a fraction of a millisecond. More are hashed on another thread.
const AT_ONCE: usize = 256 << 10;
/// Shortest time between two looks at a file.
const LOOK: Duration = Duration::from_millis(20);

/// File of the store, mapped.
#[derive(Debug)]
pub(crate) struct StoredFile {
    path: PathBuf,
    bytes: Bytes,
    /// Version of the file at the last look; 0 if it was there no more.
    version: AtomicU64,
    /// When the next look is due, in milliseconds since it was mapped.
    due: AtomicU64,
    mapped: Instant,
    look: Mutex<FileLook>,
    /// Held while a long content of the file is hashed: who asks meanwhile waits.
    turn: tokio::sync::Mutex<()>,
}

/// Last look at a file.
#[derive(Debug)]
struct FileLook {
    /// Stamp of the file; nothing of one that could not be mapped.
    stamp: Option<FileStamp>,
    /// Number of times that the file was found changed, or could have been, and one.
    version: u64,
    /// True if the file changed just before the look: its times may be the same after one more write.
    is_fresh: bool,
}

impl FileLook {
    fn new(stamp: Option<FileStamp>, version: u64) -> Self {
        Self { stamp, version, is_fresh: stamp.is_some_and(|stamp| stamp.is_fresh()) }
    }
}

/// Identity, length and times that a file system states of a file. Times are those of the kernel's tick, so that a
/// second write in one tick leaves all of it as it was; so does one through a mapping whose page was written to before
/// and is not on the disk yet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FileStamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// True if the file changed within the time between two looks, before or, by a clock that was set, after now.
    fn is_fresh(&self) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let (Ok(seconds), Ok(nanoseconds)) = (seconds.try_into(), nanoseconds.try_into()) else { return true };
        clock::since_1970().abs_diff(Duration::new(seconds, nanoseconds)) < LOOK
    }
}

impl StoredFile {
    /// Maps the file at `path`, which must have this length, if one is given.
    pub(crate) fn open(path: PathBuf, size: Option<u64>) -> Result<Arc<Self>, Fault> {
        let (bytes, metadata) = map(&path, size)?;
        Ok(Arc::new(Self::with(path, bytes, Some(FileStamp::of(&metadata)))))
    }

    /// File that could not be mapped.
    fn lost(path: &Path) -> Arc<Self> {
        Arc::new(Self::with(path.to_owned(), Bytes::new(), None))
    }

    fn with(path: PathBuf, bytes: Bytes, stamp: Option<FileStamp>) -> Self {
        Self {
            path,
            bytes,
            version: AtomicU64::new(u64::from(stamp.is_some())),
            due: AtomicU64::new(0),
            mapped: Instant::now(),
            look: Mutex::new(FileLook::new(stamp, 1)),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Looks at the file at its path, if that is due: its version; `None` if it is there no more.
    fn version(&self) -> Option<u64> {
        let now = self.mapped.elapsed();
        if self.due.load(Relaxed) <= milliseconds(now) {
            let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
            let found = self.path.symlink_metadata().map(|metadata| FileStamp::of(&metadata));
            let ours = found.ok().filter(|found| look.stamp.is_some_and(|stamp| stamp.file == found.file));
            if ours.is_some() && (ours != look.stamp || look.is_fresh) {
                *look = FileLook::new(ours, look.version + 1);
            }
            self.version.store(ours.map_or(0, |_| look.version), Relaxed);
            self.due.store(milliseconds(now + LOOK), Relaxed);
        }
        Some(self.version.load(Relaxed)).filter(|version| *version != 0)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes of the store, all of a file or a part of one, that have to have a digest.
#[derive(Debug)]
pub(crate) struct StoredContent {
    file: Arc<StoredFile>,
    /// Part of the file's mapping.
    bytes: Bytes,
    sha256: Digest,
    /// Version of the file in which they had the digest, and one in which they had not; 0 is none.
    proven: AtomicU64,
    refuted: AtomicU64,
    /// True once it was told that they are not those which were published, until they are again.
    is_told: AtomicBool,
}

/// Result of a look at a content of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Proof that the bytes are those that were published.
    Holds,
    /// Proof that they are others, or cannot be read.
    Refuted,
    /// No proof: its file was removed or replaced, and has to be mapped anew.
    Gone,
}

impl StoredContent {
    /// `size` bytes of the file from `offset` on. Nothing if the file is shorter.
    pub(crate) fn new(file: &Arc<StoredFile>, offset: u64, size: u64, sha256: Digest) -> Option<Arc<Self>> {
        let (begin, end) = (usize::try_from(offset).ok()?, usize::try_from(offset.checked_add(size)?).ok()?);
        let bytes = (begin <= end && end <= file.bytes.len()).then(|| file.bytes.slice(begin..end))?;
        Some(Arc::new(Self::unproven(Arc::clone(file), bytes, sha256)))
    }

    /// Content that cannot be had now: its file is missing, say.
    fn lost(path: &Path, sha256: Digest) -> Arc<Self> {
        Arc::new(Self::unproven(StoredFile::lost(path), Bytes::new(), sha256))
    }

    fn unproven(file: Arc<StoredFile>, bytes: Bytes, sha256: Digest) -> Self {
        let (proven, refuted, is_told) = Default::default();
        Self { file, bytes, sha256, proven, refuted, is_told }
    }

    /// True at the first call since they were last proven: a fault is told once, not to each agent that asks.
    pub(crate) fn is_news(&self) -> bool {
        !self.is_told.swap(true, Relaxed)
    }

    /// Digest that the bytes have to have.
    pub(crate) fn sha256(&self) -> Digest {
        self.sha256
    }

    /// True if it is this part of the file at `path`, is whole, and was proven: there is nothing to do anew.
    fn is_still(&self, path: &Path, offset: u64, size: u64) -> bool {
        let at = usize::try_from(offset).ok().and_then(|offset| self.file.bytes.get(offset..));
        self.file.path == path
            && self.bytes.len() as u64 == size
            && at.is_some_and(|at| at.as_ptr() == self.bytes.as_ptr())
            && self.known() == Ok(Proof::Holds)
    }

    /// Proof that is known; else the version of the file that has to be hashed.
    fn known(&self) -> Result<Proof, u64> {
        match self.file.version() {
            None => Ok(Proof::Gone),
            Some(_) if is_broken(&self.bytes) => Ok(Proof::Refuted),
            Some(version) if self.proven.load(Relaxed) == version => Ok(Proof::Holds),
            Some(version) if self.refuted.load(Relaxed) == version => Ok(Proof::Refuted),
            Some(version) => Err(version),
        }
    }

    fn hash(&self, version: u64) -> Proof {
        let holds = Digest::of(&self.bytes) == self.sha256 && !is_broken(&self.bytes);
        if holds { &self.proven } else { &self.refuted }.store(version, Relaxed);
        if holds {
            self.is_told.store(false, Relaxed);
        }
        if holds { Proof::Holds } else { Proof::Refuted }
    }

    /// Proves it now, however long it is.
    pub(crate) fn proof_at_once(&self) -> Proof {
        self.known().unwrap_or_else(|version| self.hash(version))
    }

    /// Proof of a content that is short, or known; `None` of one that is better waited for.
    pub(crate) fn quick_proof(&self) -> Option<Proof> {
        if self.bytes.len() <= AT_ONCE { Some(self.proof_at_once()) } else { self.known().ok() }
    }

    /// Proves it on another thread, if it is not known.
    pub(crate) async fn proof(self: &Arc<Self>) -> Proof {
        let _turn = self.file.turn.lock().await;
        match self.known() {
            Ok(proof) => proof,
            Err(version) => {
                let content = Arc::clone(self);
                tokio::task::spawn_blocking(move || content.hash(version)).await.unwrap_or(Proof::Refuted)
            }
        }
    }
}

/// Contents of the store for a new index: each is mapped once, and what was proven for the former index stays so.
pub(crate) struct Contents<'a> {
    /// Folder of the published sets.
    pub published: &'a Published,
    former: Option<&'a HashMap<Digest, Arc<StoredContent>>>,
    files: HashMap<PathBuf, Arc<StoredFile>>,
    known: HashMap<Digest, Arc<StoredContent>>,
    faults: Vec<Fault>,
}

impl<'a> Contents<'a> {
    /// None yet; `former` has those of the former index.
    pub(crate) fn new(published: &'a Published, former: Option<&'a HashMap<Digest, Arc<StoredContent>>>) -> Self {
        Self { published, former, files: HashMap::new(), known: HashMap::new(), faults: Vec::new() }
    }

    /// Bytes of a published file; with the content of the store that they are, where they come from there. One that
    /// cannot be read has none, and its fault is kept.
    pub(crate) fn find(
        &mut self,
        sha256: Digest,
        size: u64,
        place: &BytesPlace,
    ) -> Result<(Bytes, Option<Arc<StoredContent>>), Fault> {
        let (path, offset) = match place {
            BytesPlace::Inline(text) => return Ok((Bytes::from(text.clone()), None)),
            BytesPlace::Sums => return Err(Fault::Internal("a list of a set's files stands in no set")),
            BytesPlace::Blob => (self.published.blob_path(sha256), 0),
            BytesPlace::Pack { release, offset } => {
                let id: ReleaseId = release.parse().map_err(|e: &str| Fault::damaged(release, e))?;
                (self.published.release_path(&id).join("pack"), *offset)
            }
        };
        // The same bytes may lie at two places, of which one is damaged.
        let is_it = |known: &&Arc<StoredContent>| known.file.path == path || known.known() != Ok(Proof::Gone);
        if let Some(known) = self.known.get(&sha256).filter(is_it) {
            return Ok((known.bytes.clone(), Some(Arc::clone(known))));
        }
        let proven = self.former.and_then(|former| former.get(&sha256));
        let content = match proven.filter(|content| content.is_still(&path, offset, size)) {
            Some(content) => Arc::clone(content),
            None => {
                self.map(&path, (offset, size), matches!(place, BytesPlace::Blob), sha256).unwrap_or_else(|fault| {
                    self.faults.push(fault);
                    StoredContent::lost(&path, sha256)
                })
            }
        };
        self.known.insert(sha256, Arc::clone(&content));
        Ok((content.bytes.clone(), Some(content)))
    }

    fn map(
        &mut self,
        path: &Path,
        (offset, size): (u64, u64),
        is_whole: bool,
        sha256: Digest,
    ) -> Result<Arc<StoredContent>, Fault> {
        let file = self.file(path, is_whole.then_some(size))?;
        let short = || Fault::damaged(path.to_string_lossy(), "it is shorter than it should be");
        StoredContent::new(&file, offset, size, sha256).ok_or_else(short)
    }

    /// A whole file of the store, that has to have this digest; without one, the one that it has now. `None` where it
    /// cannot be read; its fault is kept.
    pub(crate) fn open(&mut self, path: &Path, sha256: Option<Digest>) -> Option<(Bytes, Option<Arc<StoredContent>>)> {
        let mapped = self.file(path, None).and_then(|file| {
            let (size, sha256) = (file.bytes.len() as u64, sha256.unwrap_or_else(|| Digest::of(&file.bytes)));
            let content =
                StoredContent::new(&file, 0, size, sha256).ok_or(Fault::Internal("a whole file is too long"))?;
            let differs = || Fault::damaged(path.to_string_lossy(), "it is not the file of the published release");
            if content.proof_at_once() == Proof::Holds { Ok(content) } else { Err(differs()) }
        });
        let content = mapped.map_err(|fault| self.faults.push(fault)).ok()?;
        Some((content.bytes.clone(), Some(content)))
    }

    fn file(&mut self, path: &Path, size: Option<u64>) -> Result<Arc<StoredFile>, Fault> {
        if let Some(file) = self.files.get(path) {
            return Ok(Arc::clone(file));
        }
        let file = StoredFile::open(path.to_owned(), size)?;
        self.files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// All that was found, by digest, for the next index; and what could not be read.
    pub(crate) fn into_parts(self) -> (HashMap<Digest, Arc<StoredContent>>, Vec<Fault>) {
        (self.known, self.faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::durable;
    use std::fs;
    use std::os::unix::fs::FileExt as _;

    /// Until the next look is due.
    fn wait() {
        std::thread::sleep(2 * LOOK);
    }

    #[test]
    fn what_is_changed_is_refuted_and_what_is_put_back_is_proven() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        durable::replace_derived(&path, b"one two").unwrap();
        let file = StoredFile::open(path.clone(), Some(7)).unwrap();
        let [one, two] = [(0, b"one"), (4, b"two")]
            .map(|(offset, text)| StoredContent::new(&file, offset, 3, Digest::of(text)).unwrap());
        assert_eq!((one.proof_at_once(), two.proof_at_once()), (Proof::Holds, Proof::Holds));
        let change = |text: &[u8]| durable::open_again(&path).unwrap().write_at(text, 4).unwrap();
        change(b"six");
        wait();
        assert_eq!((one.proof_at_once(), two.proof_at_once()), (Proof::Holds, Proof::Refuted));
        assert!(one.is_still(&path, 0, 3) && !two.is_still(&path, 4, 3));
        change(b"two");
        wait();
        assert_eq!((one.proof_at_once(), two.proof_at_once()), (Proof::Holds, Proof::Holds));
        assert!(one.is_still(&path, 0, 3) && !one.is_still(&path, 1, 3));
    }

    #[test]
    fn what_was_changed_before_it_was_mapped_is_refuted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        durable::replace_derived(&path, b"six").unwrap();
        let file = StoredFile::open(path, Some(3)).unwrap();
        assert_eq!(StoredContent::new(&file, 0, 3, Digest::of(b"two")).unwrap().proof_at_once(), Proof::Refuted);
        assert!(StoredContent::new(&file, 1, 3, Digest::of(b"two")).is_none());
        assert!(StoredContent::new(&file, u64::MAX, 3, Digest::of(b"two")).is_none());
    }

    #[test]
    fn what_is_replaced_removed_or_cut_is_not_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for change in [
            |path: &Path| {
                durable::replace_derived(&path.with_extension("new"), b"two").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
            |path: &Path| fs::remove_file(path).unwrap(),
            |path: &Path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink(path.with_extension("new"), path).unwrap();
            },
        ] {
            let _ = fs::remove_file(&path);
            durable::replace_derived(&path, b"two").unwrap();
            let file = StoredFile::open(path.clone(), None).unwrap();
            let content = StoredContent::new(&file, 0, 3, Digest::of(b"two")).unwrap();
            assert_eq!(content.proof_at_once(), Proof::Holds);
            change(&path);
            wait();
            assert_eq!(content.proof_at_once(), Proof::Gone);
        }
        let _ = fs::remove_file(&path);
        durable::replace_derived(&path, &vec![7; 3 * AT_ONCE]).unwrap();
        let file = StoredFile::open(path.clone(), None).unwrap();
        let content = StoredContent::new(&file, 0, 3 * AT_ONCE as u64, Digest::of(&vec![7; 3 * AT_ONCE])).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        assert_eq!(runtime.block_on(content.proof()), Proof::Holds);
        durable::open_again(&path).unwrap().set_len(9).unwrap();
        wait();
        assert_eq!(runtime.block_on(content.proof()), Proof::Refuted);
    }
}
