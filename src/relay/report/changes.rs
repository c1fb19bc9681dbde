//! Changes from the release that agents have now to another one, above all those that weaken detection.

use std::collections::BTreeMap;

use super::numbers::thousands;
use crate::publish::changes::SharedNames;
use crate::publish::{Examples, ItemChanges, item_changes};
use crate::state::{Release, State, Trust};
use base::limits::human;
use base::{Fault, quoted};
use bundle::ReleaseId;
use config::Config;
use inspect::Verdict;

/// Differences of a release from the one that is served.
#[derive(Debug, Default)]
pub(crate) struct ReleaseChanges {
    /// Release that is served; `None` if no channel serves the feed.
    pub served: Option<ReleaseId>,
    /// Paths of files that agents do not have yet.
    pub added: Vec<String>,
    /// Paths of files that agents have now and would lose.
    pub removed: Vec<String>,
    /// Paths of files with other bytes.
    pub changed: Vec<String>,
    /// Sentences for what weakens detection as a whole, which no single item shows.
    pub weaker: Vec<String>,
    /// Differences by rule, signature and indicator.
    pub items: ItemChanges,
}

impl ReleaseChanges {
    /// Sentences for everything that weakens detection.
    pub(crate) fn weakenings(&self) -> Vec<String> {
        let of = thousands(self.items.before);
        let items = self.items.weaker().map(|group| {
            let count = thousands(group.count);
            format!("{count} of {of} rules, signatures and indicators: {}", group.change.words())
        });
        let shared = self.items.shared.iter().map(shared_words);
        self.weaker.iter().cloned().chain(shared).chain(items).collect()
    }
}

/// Sentence for the names that another feed has first.
pub(crate) fn shared_words(SharedNames { feed, count, .. }: &SharedNames) -> String {
    let names = if *count == 1 { "rule or signature has an id" } else { "rules or signatures have ids" };
    format!(
        "{} {names} that feed {feed} has too, with another content: an engine that loads both uses one of them and ignores the other",
        thousands(*count)
    )
}

/// Compares `release` with the release of its feed that the channels serve, file by file and item by item.
pub(crate) fn release_changes(
    (state, trust): (&State, &Trust),
    config: &Config,
    release: &Release,
    verdicts: &[Verdict],
) -> Result<ReleaseChanges, Fault> {
    let items = item_changes((state, trust), config, release, Examples::Few)?;
    Ok(ReleaseChanges { items, ..file_changes((state, trust), config, release, verdicts)? })
}

/// Compares file by file only, without reading any item.
pub(crate) fn file_changes(
    (state, trust): (&State, &Trust),
    config: &Config,
    release: &Release,
    verdicts: &[Verdict],
) -> Result<ReleaseChanges, Fault> {
    let mut changes = ReleaseChanges::default();
    if release.loss.twice > 0 {
        let count = release.loss.twice;
        changes.weaker.push(format!(
            "{} in this release twice or more: an engine uses one copy and ignores the others",
            if count == 1 { "1 rule is".to_owned() } else { format!("{} rules are", thousands(count)) }
        ));
    }
    if let Some(again) = release.loss.again {
        changes.weaker.push(format!(
            "this release goes back to the content of {}/{again}: officers can let it in only with a downgrade ticket",
            release.feed
        ));
    } else if release.loss.older > 0 {
        changes.weaker.push(
            "this release goes back to older databases: officers can let it in only with a downgrade ticket".into(),
        );
    }
    let Some(served) = trust.shown_beside(config, &release.id()) else { return Ok(changes) };
    let former = state.release(trust, &served)?;
    let before = state.verdicts(&former)?;
    if served.version > release.version {
        changes.weaker.push(format!("this release has a lower version than {served}, which agents have now"));
    }
    if former.issued > release.issued {
        changes.weaker.push(format!(
            "this release was issued on {}, before the release that agents have now ({})",
            release.issued, former.issued
        ));
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
                    changes.weaker.push(format!("{} goes back to an older version of the database", quoted(path)));
                }
                // Less than half of the bytes left: an officer should see it, whatever the reason.
                if verdict.size < former.size / 2 {
                    changes.weaker.push(format!(
                        "{} shrinks from {} to {}",
                        quoted(path),
                        human(former.size),
                        human(verdict.size)
                    ));
                }
            }
            Some(_) => {}
        }
    }
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        let withheld = verdicts.iter().any(|verdict| verdict.path == *path);
        let why = if withheld { "is withheld" } else { "is missing" };
        changes.weaker.push(format!("{} {why} in this release, and agents have it now", quoted(path)));
        changes.removed.push(path.clone());
    }
    changes.served = Some(served);
    Ok(changes)
}
