//! Verdicts in a terminal: a table, and each reason explained once.

use std::collections::BTreeSet;

use base::limits::human;
use base::{Reason, quoted};
use inspect::{Counts, Verdict};

use crate::{hint, say, table};

/// Verdicts as a table, with the rule that decided.
pub fn tell(verdicts: &[Verdict]) {
    let rows = verdicts.iter().map(|v| {
        let kind = v.shown.map_or_else(|| "unknown".to_owned(), |kind| kind.to_string());
        let rule = v.rule.clone().unwrap_or_default();
        vec![v.decision.word().into(), quoted(&v.path).to_string(), human(v.size).to_string(), kind, v.why(), rule]
    });
    table(&["verdict", "path", "size", "kind", "reason", "rule"], rows.collect());
    let Counts { cleared, stripped, withheld } = Counts::of(verdicts);
    say(format_args!("{cleared} cleared, {stripped} stripped, {withheld} withheld"));
}

/// Each reason once, with what to do about it.
pub fn explain(reasons: impl Iterator<Item = Reason>) {
    for reason in reasons.collect::<BTreeSet<_>>() {
        say(format_args!("{reason}: {}", reason.meaning()));
        hint(reason.next());
    }
}
