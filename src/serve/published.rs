//! The folder that published sets lie in, for whoever reads them: channels with their pointers, the files of releases,
//! blobs, the repository for TUF clients, the import log's public part. Nothing here writes.

use std::path::{Path, PathBuf};

use base::{Digest, Fault, durable};
use bundle::ReleaseId;
use serde::Deserialize;

use super::set::{CurrentSet, FORMAT, Set, SetMember};
use super::tree::{self, Outline, Tree};

/// Longest file that is read whole, in bytes.
pub const LONGEST: u64 = 1 << 30;

/// Published sets, in a folder.
#[derive(Clone, Debug)]
pub struct Published {
    root: PathBuf,
}

impl Published {
    /// Published sets in the folder `root`; nothing is read yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
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

    /// Set that a channel serves; `None` before the first publication.
    pub fn current(&self, channel: &str) -> Result<Option<CurrentSet>, Fault> {
        let path = self.channel_path(channel).join("current");
        if !self.channel_path(channel).is_dir() {
            return Ok(None);
        }
        if !path.exists() {
            // Sets without a pointer, once one was switched to, cannot be: it is only ever replaced.
            return Ok(None);
        }
        CurrentSet::parse(&durable::read(&path, 4096)?)
            .map(Some)
            .ok_or_else(|| Fault::damaged(path.to_string_lossy(), "it cannot be read"))
    }

    /// Path of a set.
    pub fn set_path(&self, channel: &str, generation: u64) -> PathBuf {
        self.channel_path(channel).join(format!("{generation}.json"))
    }

    /// The bytes of a set file, proven to be those that the channel was switched to, and the set.
    pub fn set(&self, channel: &str, current: CurrentSet) -> Result<(Vec<u8>, Set), Fault> {
        let path = self.set_path(channel, current.generation);
        let bytes = durable::read(&path, LONGEST)?;
        let damaged = |detail: &str| Fault::damaged(path.to_string_lossy(), detail);
        if Digest::of(&bytes) != current.set {
            return Err(damaged("it is not the set that was published"));
        }
        let set: Set = serde_json::from_slice(&bytes).map_err(|_| damaged("it cannot be read"))?;
        if set.format == FORMAT && set.channel == channel {
            Ok((bytes, set))
        } else {
            Err(damaged("it is a set of another channel or another format"))
        }
    }

    /// The releases that a channel shows; none before the first publication. Its files, of which there may be a
    /// hundred thousand, are passed over.
    pub fn members(&self, channel: &str) -> Result<Vec<SetMember>, Fault> {
        #[derive(Deserialize)]
        struct Members {
            releases: Vec<SetMember>,
        }
        let Some(current) = self.current(channel)? else { return Ok(Vec::new()) };
        let path = self.set_path(channel, current.generation);
        let Members { releases } = durable::read_json(&path, current.set)?;
        Ok(releases)
    }

    /// The channels that were ever published, sorted.
    pub fn channels(&self) -> Result<Vec<String>, Fault> {
        durable::names(&self.root().join("channels"))
    }

    /// Tree that is served; none before the first.
    pub fn tree_current(&self) -> Result<Option<CurrentSet>, Fault> {
        let path = self.tuf_path("current");
        if !path.exists() {
            return Ok(None);
        }
        CurrentSet::parse(&durable::read(&path, 4096)?)
            .map(Some)
            .ok_or_else(|| Fault::damaged(path.to_string_lossy(), "it cannot be read"))
    }

    /// Sources and time of the tree that is served; none before the first.
    pub fn tree_outline(&self) -> Result<Option<Outline>, Fault> {
        let Some(current) = self.tree_current()? else { return Ok(None) };
        durable::read_json(&self.tuf_path(&format!("{}.json", current.generation)), current.set).map(Some)
    }

    /// The tree that is served.
    pub fn tree(&self) -> Result<Option<(CurrentSet, Tree)>, Fault> {
        let Some(current) = self.tree_current()? else { return Ok(None) };
        let path = self.tuf_path(&format!("{}.json", current.generation));
        let bytes = durable::read(&path, LONGEST)?;
        let damaged = |detail: &str| Fault::damaged(path.to_string_lossy(), detail);
        if Digest::of(&bytes) != current.set {
            return Err(damaged("it is not the tree that was published"));
        }
        let tree: Tree = serde_json::from_slice(&bytes).map_err(|_| damaged("it cannot be read"))?;
        if tree.format == tree::FORMAT { Ok(Some((current, tree))) } else { Err(damaged("it is of another format")) }
    }
}
