//! Files that belong to another by their names: digests, signatures and increments. Those that a publisher brought, and
//! those that a set has beside each file.

use std::sync::Arc;

use base::{Digest, Timestamp};
use bundle::paths::{companion_of, database_of};
use inspect::{Verdict, VerdictKind};
use serve::set::{BytesPlace, SetFile};

/// True if the file at `path` vouches for an artifact that is not served as it was signed; or is a signature or an
/// increment of a database that is withheld, with which it is one: `daily-7.cvd.sign`, `daily-7.cdiff`. The verdicts
/// are sorted by path.
pub(super) fn is_stale_companion(path: &str, verdicts: &[Verdict]) -> bool {
    let is = |path: &str, decision| {
        let at = verdicts.binary_search_by(|verdict| verdict.path.as_str().cmp(path)).ok();
        at.and_then(|at| verdicts.get(at)).is_some_and(|verdict| verdict.decision == decision)
    };
    companion_of(path).is_some_and(|stem| is(stem, VerdictKind::Stripped))
        || database_of(path).is_some_and(|database| is(&database, VerdictKind::Withheld))
}

/// Files that the file at `path` is about, by its name.
pub(super) fn stems(path: &str) -> impl Iterator<Item = String> {
    [database_of(path), companion_of(path).map(str::to_owned)].into_iter().flatten()
}

/// Files that agents read beside an artifact, where the publisher did not bring them: digests as bare hex
/// without a line feed, which is the one form all their clients take; and an empty increment, which
/// makes freshclam fetch the whole database instead of waiting for ever.
pub(super) fn side_files(feed: &Arc<str>, verdict: &Verdict, now: Timestamp) -> impl Iterator<Item = SetFile> {
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
