//! Files that agents have now, and would not get any more.

use bundle::paths::database_of;
use inspect::Verdict;

/// Paths of the files that are kept in `old`, and not in `new`; both are sorted by path. An increment or a signature
/// that has a version in its name is none, as long as its database stays: the next has another name.
pub(crate) fn lost_files<'a>(old: &'a [Verdict], new: &[Verdict]) -> Vec<&'a str> {
    let is_kept = |path: &str| {
        let at = new.binary_search_by(|verdict| verdict.path.as_str().cmp(path)).ok();
        at.and_then(|at| new.get(at)).is_some_and(|verdict| verdict.kept().is_some())
    };
    let had = old.iter().filter(|verdict| verdict.kept().is_some()).map(|verdict| verdict.path.as_str());
    had.filter(|path| !is_kept(path) && !database_of(path).is_some_and(|database| is_kept(&database))).collect()
}

/// Number of files that are kept.
pub(crate) fn kept_files(verdicts: &[Verdict]) -> u64 {
    verdicts.iter().filter(|verdict| verdict.kept().is_some()).count() as u64
}
