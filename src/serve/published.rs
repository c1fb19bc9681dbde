//! The folder that published sets lie in, for whoever reads them: channels with their pointers, the files of releases,
//! blobs, the repository for TUF clients, the import log's public part. Nothing here writes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use base::{Digest, Fault, durable};
use bundle::ReleaseId;
use serde::Deserialize;

use super::pointer::{self, Pointer};
use super::set::{CurrentSet, FORMAT, Set, SetMember};
use super::tree::{self, Outline, Tree};
use tlog::check::read_vkey;
use tlog::note::Verifier;
use tlog::stored::read_checkpoint;

/// Longest file that is read whole, in bytes.
pub const LONGEST: u64 = 1 << 30;
/// Name in the log of the repository for TUF clients, where otherwise a channel's name stands.
pub const TUF: &str = "-/tuf";

/// Published sets, in a folder.
#[derive(Clone, Debug)]
pub struct Published {
    root: PathBuf,
    /// The import log's key, once it was read: a process that lives long takes no other for it.
    log_key: Arc<OnceLock<Verifier>>,
    /// Most entries that the import log was seen to have: a process that lives long takes no older log for it.
    seen: Arc<AtomicU64>,
}

impl Published {
    /// Published sets in the folder `root`; nothing is read yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), log_key: Arc::default(), seen: Arc::default() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A channel's folder.
    pub fn channel_path(&self, channel: &str) -> PathBuf {
        self.root.join("channels").join(channel)
    }

    /// Path of the blob of this digest.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_string();
        let (two, _) = hex.split_at(2);
        self.root.join("blobs/sha256").join(two).join(&hex)
    }

    /// A release's folder.
    pub fn release_path(&self, id: &ReleaseId) -> PathBuf {
        self.root.join("releases").join(&id.feed).join(id.version.to_string())
    }

    /// The import log.
    pub fn import_log(&self) -> PathBuf {
        self.root.join("log/import")
    }

    /// A file of the repository for TUF clients.
    pub fn tuf_path(&self, name: &str) -> PathBuf {
        self.root.join("tuf").join(name)
    }

    /// Takes this key for the import log's, whatever lies in the folder. Fault: another was read already.
    pub fn expect_log_key(&self, key: Verifier) -> Result<(), Fault> {
        self.log_key.set(key).map_err(|_| Fault::Internal("the log's key was read before the expected one was given"))
    }

    /// The import log's public key.
    pub fn log_key(&self) -> Result<&Verifier, Fault> {
        if let Some(key) = self.log_key.get() {
            return Ok(key);
        }
        let key = read_vkey(&self.import_log())?;
        Ok(self.log_key.get_or_init(|| key))
    }

    /// Path of the pointer of a channel, or of the repository for TUF clients.
    pub fn pointer_path(&self, channel: &str) -> PathBuf {
        if channel == TUF { self.tuf_path(pointer::NAME) } else { self.channel_path(channel).join(pointer::NAME) }
    }

    /// Set that a channel serves by its pointer, or the tree of the repository for TUF clients; `None` before the first
    /// publication. Fault: the pointer is none that the relay's log vouches for.
    pub fn current(&self, channel: &str) -> Result<Option<CurrentSet>, Fault> {
        Ok(self.pointer(channel)?.map(|pointer| pointer.current))
    }

    /// The pointer itself.
    pub fn pointer(&self, channel: &str) -> Result<Option<Pointer>, Fault> {
        Pointer::read(&self.pointer_path(channel), channel, self.log_key()?)
    }

    /// The same, where the import log says that it is what agents see: for whoever shows it. Fault: it is not, or the
    /// log is an older one than this process has seen.
    pub fn newest(&self, channel: &str) -> Result<Option<CurrentSet>, Fault> {
        let folder = self.import_log();
        let mut fault = Fault::damaged(
            self.pointer_path(channel).to_string_lossy(),
            "it names another set than the one that the import log says agents see: an old copy was put back, or one of a switch that never happened. `gaprelay settle` puts it right",
        );
        // A switch between the two looks makes it seem old once.
        for _ in 0..3 {
            let Some(pointer) = self.pointer(channel)? else { return Ok(None) };
            let newest = read_checkpoint(&folder, self.log_key()?)?;
            if self.seen.fetch_max(newest.size, Ordering::Relaxed) > newest.size {
                let what = "it is shorter than it was: an older copy was put back. Restore the newest copy; after a restore from a backup, start the server again";
                fault = Fault::damaged(folder.to_string_lossy(), what);
            } else if pointer.is_newest(channel, &folder, &newest)? {
                return Ok(Some(pointer.current));
            }
        }
        Err(fault)
    }

    /// Path of a set.
    pub fn set_path(&self, channel: &str, generation: u64) -> PathBuf {
        self.channel_path(channel).join(format!("{generation}.json"))
    }

    /// The bytes of a set file, proven to be those that the channel was switched to, and the set.
    pub fn set(&self, channel: &str, current: CurrentSet) -> Result<(Vec<u8>, Set), Fault> {
        let path = self.set_path(channel, current.generation);
        let what = "it is not the set that was published";
        let damaged = || Fault::damaged(path.to_string_lossy(), what);
        Self::read_set(channel, current, durable::read(&path, LONGEST)?).ok_or_else(damaged)
    }

    /// Set in these bytes; `None` if they are not those that the channel was switched to.
    pub(crate) fn read_set(channel: &str, current: CurrentSet, bytes: Vec<u8>) -> Option<(Vec<u8>, Set)> {
        let set =
            || serde_json::from_slice(&bytes).ok().filter(|set: &Set| set.format == FORMAT && set.channel == channel);
        let set = (Digest::of(&bytes) == current.set).then(set).flatten()?;
        Some((bytes, set))
    }

    /// The releases of a set. Its files, of which there may be a hundred thousand, are passed over.
    pub fn members_of(&self, channel: &str, current: CurrentSet) -> Result<Vec<SetMember>, Fault> {
        #[derive(Deserialize)]
        struct Members {
            releases: Vec<SetMember>,
        }
        let Members { releases } = durable::read_json(&self.set_path(channel, current.generation), current.set)?;
        Ok(releases)
    }

    /// The channels that were ever published, sorted.
    pub fn channels(&self) -> Result<Vec<String>, Fault> {
        durable::names(&self.root().join("channels"))
    }

    /// Sources and time of a tree.
    pub fn tree_outline(&self, current: CurrentSet) -> Result<Outline, Fault> {
        durable::read_json(&self.tuf_path(&format!("{}.json", current.generation)), current.set)
    }

    /// The tree that is served.
    pub fn tree(&self) -> Result<Option<Tree>, Fault> {
        self.current(TUF)?.map(|current| self.tree_of(current)).transpose()
    }

    /// A tree.
    pub fn tree_of(&self, current: CurrentSet) -> Result<Tree, Fault> {
        let path = self.tuf_path(&format!("{}.json", current.generation));
        let bytes = durable::read(&path, LONGEST)?;
        let damaged = |detail: &str| Fault::damaged(path.to_string_lossy(), detail);
        if Digest::of(&bytes) != current.set {
            return Err(damaged("it is not the tree that was published"));
        }
        let tree: Tree = serde_json::from_slice(&bytes).map_err(|_| damaged("it cannot be read"))?;
        if tree.format == tree::FORMAT { Ok(tree) } else { Err(damaged("it is of another format")) }
    }
}
