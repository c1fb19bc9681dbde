//! Folder in which a dry run keeps what it strips.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Keep;
use super::judgement::ProvenContent;
use base::error::IoContext as _;
use base::{Fault, durable};
use bundle::Artifact;

/// Keeps what is stripped, in an empty folder, and nothing else: for a dry run.
pub struct Scratch {
    folder: PathBuf,
    whole: Option<File>,
    number: usize,
}

impl Scratch {
    /// In this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), whole: None, number: 0 }
    }

    fn whole(&self) -> PathBuf {
        self.folder.join("whole")
    }
}

impl Keep for Scratch {
    fn begin(&mut self, _: &Artifact) -> Result<(), Fault> {
        durable::remove(&self.whole())?;
        self.whole = Some(durable::create(&self.whole(), 0o600)?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let path = self.whole();
        self.whole.as_mut().map_or(Ok(()), |file| file.write_all(bytes)).during("write", &path)
    }

    fn items(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn end(&mut self, mut proven: ProvenContent<'_>) -> Result<(), Fault> {
        if proven.verdict().stripped.is_some() {
            let path = self.whole();
            let to = self.folder.join(format!("stripped-{}", self.number));
            proven.strip(durable::open(&path)?, &to)?;
            self.number += 1;
        }
        Ok(())
    }
}
