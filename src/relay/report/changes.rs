//! What a release changes against the one that agents have now, and above all what makes detection weaker.

use std::collections::BTreeMap;

use crate::publish::{Examples, ItemChanges, item_changes};
use crate::state::{Release, State};
use base::{Fault, quoted};
use bundle::ReleaseId;
use inspect::Verdict;

/// The differences, by path.
#[derive(Debug, Default)]
pub struct Changes {
    /// The release that is served, if there is one.
    pub served: Option<ReleaseId>,
    /// Files that agents did not have.
    pub added: Vec<String>,
    /// Files that they would have no more.
    pub removed: Vec<String>,
    /// Files with other bytes.
    pub changed: Vec<String>,
    /// What makes detection weaker as a whole, and no single item shows, in words.
    pub weaker: Vec<String>,
    /// The same by rule, signature and indicator.
    pub items: ItemChanges,
}

impl Changes {
    /// All that makes detection weaker, in words.
    pub fn weaker_in_words(&self) -> Vec<String> {
        let of = self.items.before;
        let items = self.items.weaker().map(|group| format!("{} of {of} items {}", group.count, group.change.words()));
        self.weaker.iter().cloned().chain(items).collect()
    }
}

/// Compares `release` with what the channels show of its feed.
pub fn changes(state: &State, release: &Release, verdicts: &[Verdict]) -> Result<Changes, Fault> {
    let items = item_changes(state, release, Examples::Few)?;
    Ok(Changes { items, ..as_a_whole(state, release, verdicts)? })
}

/// The same without a look at any item.
pub fn as_a_whole(state: &State, release: &Release, verdicts: &[Verdict]) -> Result<Changes, Fault> {
    let mut changes = Changes::default();
    if release.loss.twice > 0 {
        let count = release.loss.twice;
        changes.weaker.push(format!("rules that stand in it more than once, of which an engine takes one: {count}"));
    }
    if let Some(again) = release.loss.again {
        changes
            .weaker
            .push(format!("it goes back to what {}/{again} had: that needs a downgrade ticket", release.feed));
    } else if release.loss.older > 0 {
        changes.weaker.push("it goes back to older databases: that needs a downgrade ticket".into());
    }
    let Some(served) = state.served_release(&release.id())? else { return Ok(changes) };
    let former = state.release(&served)?;
    let before = state.verdicts(&former)?;
    if served.version > release.version {
        changes.weaker.push(format!("it is older than {served}, which is served now"));
    }
    if former.issued > release.issued {
        changes.weaker.push(format!("it was made on {}, what is served on {}", release.issued, former.issued));
    }
    let cleared = |verdicts: &[Verdict]| -> BTreeMap<String, Verdict> {
        verdicts
            .iter()
            .filter(|verdict| verdict.kept().is_some())
            .map(|verdict| (verdict.path.clone(), verdict.clone()))
            .collect()
    };
    let (old, new) = (cleared(&before), cleared(verdicts));
    for (path, verdict) in &new {
        match old.get(path) {
            None => changes.added.push(path.clone()),
            Some(former) if former.kept() != verdict.kept() => {
                changes.changed.push(path.clone());
                if verdict.goes_back(former) {
                    changes.weaker.push(format!("{} goes back to an older database version", quoted(path)));
                }
                // Half of it gone: worth a look, whatever the reason.
                if verdict.size < former.size / 2 {
                    changes.weaker.push(format!(
                        "{} shrinks from {} to {} bytes",
                        quoted(path),
                        former.size,
                        verdict.size
                    ));
                }
            }
            Some(_) => {}
        }
    }
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        let withheld = verdicts.iter().any(|verdict| verdict.path == *path);
        let why = if withheld { "is withheld" } else { "is not in it" };
        changes.weaker.push(format!("{}, which agents have now, {why}", quoted(path)));
        changes.removed.push(path.clone());
    }
    changes.served = Some(served);
    Ok(changes)
}
