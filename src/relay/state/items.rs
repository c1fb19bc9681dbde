//! Items of a release (see `inspect/item.rs`), as the examiner reported them, for the comparison of releases:
//! `items` holds their records, `items.json` says which belong to which artifact.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{Release, State};
use base::proven::{ProvenFile, ProvenWriter};
use base::{Digest, Fault, durable};
use inspect::item::{Effect, Item, RECORD};

/// Section of the file: the records of one artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Digest of the artifact as it is kept.
    pub sha256: Digest,
    /// Number of its first record, counted from 0.
    pub first: u64,
    /// Number of its records.
    pub count: u64,
}

/// Writes the items of a release in the making.
pub(crate) struct ItemWriter {
    folder: PathBuf,
    records: ProvenWriter,
    sections: Vec<Section>,
    /// Section that is being written.
    open: Section,
    /// Number of items in that section that keep something else from detecting.
    suppress: u64,
    suppressions: u64,
}

impl ItemWriter {
    /// Creates the files in this folder.
    pub(crate) fn new(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join("items");
        let records = ProvenWriter::new(path.clone(), durable::create(&path, 0o644)?);
        let open = Section { sha256: Digest([0; 32]), first: 0, count: 0 };
        Ok(Self { folder: folder.to_owned(), records, sections: Vec::new(), open, suppress: 0, suppressions: 0 })
    }

    /// Begins the section of the next artifact.
    pub(crate) fn begin(&mut self, sha256: Digest) {
        self.open = Section { sha256, first: self.open.first, count: 0 };
        self.records.mark();
        self.suppress = 0;
    }

    /// Appends records to the section.
    pub(crate) fn take(&mut self, records: &[u8]) -> Result<(), Fault> {
        self.open.count += (records.len() / RECORD) as u64;
        let suppress = |record: &&[u8]| Item::parse(record).is_some_and(|item| item.effect == Effect::Suppresses);
        self.suppress += records.chunks(RECORD).filter(suppress).count() as u64;
        self.records.append(records)
    }

    /// Ends the section. Without `is_kept` its records are removed; with `suppresses` its suppressions ask for more
    /// officers.
    pub(crate) fn end(&mut self, is_kept: bool, suppresses: bool) -> Result<(), Fault> {
        if !is_kept && self.open.count > 0 {
            self.records.cut_to_mark()?;
        } else if self.open.count > 0 {
            self.sections.push(self.open);
            self.open.first += self.open.count;
            self.suppressions += if suppresses { self.suppress } else { 0 };
        }
        self.open.count = 0;
        Ok(())
    }

    /// Number of items that keep something else from detecting.
    pub(crate) fn suppressions(&self) -> u64 {
        self.suppressions
    }

    /// Writes everything to the disk; returns the sections, and the file of the records to read.
    pub(crate) fn finish(&mut self) -> Result<StoredItems, Fault> {
        let (file, records) = self.records.finish()?;
        let index = durable::replace_json(&self.folder.join("items.json"), &self.sections)?;
        Ok(StoredItems { sections: self.sections.clone(), file: Rc::new(file), records, index })
    }
}

/// Items of a release on the disk.
pub(crate) struct StoredItems {
    /// Sections: the records that belong to each artifact.
    pub sections: Vec<Section>,
    /// File of the records.
    pub file: Rc<ProvenFile>,
    /// Digest of that file.
    pub records: Digest,
    /// Digest of `items.json`.
    pub index: Digest,
}

impl State {
    /// Opens the items of a release: the sections, and the file of the records, both proven by their digests.
    pub fn items(&self, release: &Release) -> Result<(Vec<Section>, Rc<ProvenFile>), Fault> {
        let folder = self.release_path(&release.id());
        let file = Rc::new(ProvenFile::open(&folder.join("items"), release.digest_of("items")?)?);
        Ok((durable::read_json(&folder.join("items.json"), release.digest_of("items.json")?)?, file))
    }
}
