//! Names of files in the channels that several feeds share, and whose they are: one feed's file neither takes the place
//! of another one's, nor vouches for it. A name belongs to the feed that brought it first. So do, for other feeds, the
//! names that go with it: what differs from it in letter case alone, its folders, what lies below it as if it were a
//! folder, and the files that are about it by their names, or that it is about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::companions::stems;
use bundle::paths::folded;
use serve::set::SUMS;

/// Feed that a name of the relay's own belongs to, in words.
const RELAY: &str = "(the relay itself)";

/// Names that feeds have claimed, folded.
#[derive(Default)]
pub(crate) struct PathClaims {
    /// Files.
    files: BTreeMap<String, Arc<str>>,
    /// Folders of the files, and files that they are about.
    beside: BTreeMap<String, BTreeSet<Arc<str>>>,
}

impl PathClaims {
    /// No names but that of the list of all files, which no feed writes for the others.
    pub(crate) fn new() -> Self {
        let mut claims = Self::default();
        claims.files.insert(folded(SUMS), Arc::from(RELAY));
        claims
    }

    /// The feed, other than this one, to which the name of this file belongs.
    pub(crate) fn other_owner(&self, path: &str, feed: &str) -> Option<&Arc<str>> {
        let name = folded(path);
        let beside = self.beside.get(&name).into_iter().flatten();
        let mut owners = self.files.get(&name).into_iter().chain(beside);
        let is_other = |owner: &&Arc<str>| ***owner != *feed;
        owners.find(is_other).or_else(|| around(&name).iter().filter_map(|name| self.files.get(name)).find(is_other))
    }

    /// Gives a name to the feed, or says whose it is.
    pub(crate) fn claim(&mut self, path: &str, feed: &Arc<str>) -> Result<(), Arc<str>> {
        if let Some(owner) = self.other_owner(path, feed) {
            return Err(Arc::clone(owner));
        }
        let name = folded(path);
        for other in around(&name) {
            self.beside.entry(other).or_default().insert(Arc::clone(feed));
        }
        self.files.insert(name, Arc::clone(feed));
        Ok(())
    }
}

/// Folders of a file, and the files that it is about.
fn around(name: &str) -> Vec<String> {
    let folders = name.match_indices('/').filter_map(|(at, _)| name.get(..at)).map(str::to_owned);
    folders.chain(stems(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_one_feed_with_those_that_go_with_it() {
        let (one, other): (Arc<str>, Arc<str>) = (Arc::from("one"), Arc::from("other"));
        let mut claims = PathClaims::new();
        for path in ["a/b/c.hdb", "x.cvd", "y.txt.sha256", "z-7.cdiff", "\u{c4}.hdb"] {
            assert_eq!(claims.claim(path, &one), Ok(()));
        }
        for path in [
            "a/b/c.hdb",
            "A/b/C.hdb",
            "a/b",
            "a",
            "a/b/c.hdb/d",
            "a/b/c.hdb.sha256",
            "a/b/c.hdb.md5",
            "x-7.cdiff",
            "x-7.cvd.sign",
            "x-7.cdiff.sign",
            "x.cvd.sign",
            "y.txt",
            "Y.TXT",
            "z.cvd",
            "\u{e4}.hdb",
        ] {
            assert_eq!(claims.claim(path, &other), Err(Arc::clone(&one)), "{path}");
            assert_eq!(claims.other_owner(path, "one"), None, "{path}");
        }
        assert_eq!(claims.claim("SHA256SUMS", &one), Err(Arc::from(RELAY)));
        // A folder is everybody's, and so is a name that only looks alike.
        for path in ["a/b/d.hdb", "a/c", "x.cvd.txt", "y.txt.asc"] {
            assert_eq!(claims.claim(path, &other), Ok(()), "{path}");
        }
    }
}
