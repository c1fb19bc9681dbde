//! `[tuf]`: the repository for TUF clients.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use base::quoted;
use base::span::Span;
use bundle::tuf::NOTICE;

/// The repository for TUF clients, at `/-/tuf/`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tuf {
    /// The feed that brings `1.root.json`, `2.root.json`, … and `targets.json`, as they were signed offline.
    pub feed: String,
    /// Lifetime of what the relay signs: as long as a hostile relay can hide that there is something newer. It is
    /// signed anew after a third of that. Default 3 days, at least 3 minutes.
    #[serde(default = "three_days")]
    pub expires: Span,
}

fn three_days() -> Span {
    Span(Duration::from_hours(72))
}

impl Tuf {
    /// Faults of the table, with feeds of these names.
    pub fn problems(&self, feeds: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        if !feeds.contains(&self.feed) {
            problems.push(format!("tuf.feed: there is no feed \"{}\"", quoted(&self.feed)));
        }
        let own = ["root", "targets", "snapshot", "timestamp", NOTICE];
        for name in own.into_iter().filter(|name| feeds.contains(*name)) {
            problems.push(format!("with [tuf] a feed cannot have the name {name}: TUF has a role of that name"));
        }
        if self.expires.0 < Duration::from_mins(3) {
            problems.push("tuf.expires must be at least 3 minutes".into());
        }
        problems
    }
}
