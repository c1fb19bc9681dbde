//! The names of an archive's files, as an agent that folds case or normalises Unicode has them.

use std::collections::HashSet;

use super::Wrong;
use base::{Limits, Reason};
use bundle::paths;

/// Most files in an archive.
const MOST: usize = 20_000;

const FILE_AND_FOLDER: Wrong = "one name in the archive is both a file and a folder";

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
            return Err("the archive holds more than 20,000 files");
        }
        let folded = paths::folded(path);
        if self.folders.contains(&folded) {
            return Err(FILE_AND_FOLDER);
        }
        if self.files.insert(folded) {
            Ok(())
        } else {
            Err("two files of the archive have the same name, or names that differ only in upper and lower case")
        }
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

    /// Checks a path, and adds the folders in it.
    fn enter(&mut self, path: &str) -> Result<(), Wrong> {
        paths::check(path, &Limits::default()).map_err(|refusal| wrong_name(refusal.reason))?;
        path.match_indices('/').try_for_each(|(at, _)| self.folder(paths::folded(path.get(..at).unwrap_or_default())))
    }

    fn folder(&mut self, folded: String) -> Result<(), Wrong> {
        if self.files.contains(&folded) {
            return Err(FILE_AND_FOLDER);
        }
        if self.folders.len() > MOST && !self.folders.contains(&folded) {
            return Err("the archive holds more than 20,000 folders");
        }
        self.folders.insert(folded);
        Ok(())
    }
}

/// Fault of a name that may not stand in an archive.
fn wrong_name(reason: Reason) -> Wrong {
    match reason {
        Reason::PathEscapes => "a name in the archive is empty or absolute, or has an empty, `.` or `..` part",
        Reason::PathTooLong | Reason::PathTooDeep => "a name in the archive is too long, or has too many folders",
        Reason::PathReserved => {
            "a name in the archive begins with `-/` or ends in `.cld`, which the relay does not serve"
        }
        _ => "a name in the archive has a character that is not allowed, or a space or dot at the end of a part",
    }
}
