//! The names of an archive's files, as an agent that folds case or normalises Unicode has them.

use std::collections::HashSet;

use super::Wrong;
use base::Limits;
use bundle::paths;

/// Most files in an archive.
const MOST: usize = 20_000;

/// The names so far.
#[derive(Default)]
pub(crate) struct Names {
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Names {
    /// One more file: its name is a plain path, and no agent takes it for one that was there before.
    pub(crate) fn add(&mut self, path: &str) -> Result<(), Wrong> {
        self.enter(path)?;
        if self.files.len() == MOST {
            return Err("it holds too many files");
        }
        let folded = paths::folded(path);
        if self.folders.contains(&folded) {
            return Err("one of its files is a folder too");
        }
        if self.files.insert(folded) { Ok(()) } else { Err("two of its files have one name") }
    }

    /// A folder: an agent that unpacks makes them. The outermost has no name.
    pub(crate) fn add_folder(&mut self, path: &str) -> Result<(), Wrong> {
        let path = path.trim_end_matches('/');
        if path.is_empty() || path == "." {
            return Ok(());
        }
        self.enter(path)?;
        self.folder(paths::folded(path))
    }

    /// Folder of a path.
    fn enter(&mut self, path: &str) -> Result<(), Wrong> {
        paths::check(path, &Limits::default()).map_err(|_| "a file's name is not a plain path")?;
        path.match_indices('/').try_for_each(|(at, _)| self.folder(paths::folded(path.get(..at).unwrap_or_default())))
    }

    fn folder(&mut self, folded: String) -> Result<(), Wrong> {
        if self.files.contains(&folded) {
            return Err("one of its files is a folder too");
        }
        if self.folders.len() > MOST && !self.folders.contains(&folded) {
            return Err("it holds too many files");
        }
        self.folders.insert(folded);
        Ok(())
    }
}
