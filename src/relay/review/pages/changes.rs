//! Changes that a release makes for agents, as the page of a release shows them.

use maud::{Markup, html};

use super::ROWS;
use crate::publish::ItemChanges;
use crate::publish::changes::Example;
use crate::report::changes::ReleaseChanges;
use crate::report::numbers::{percent_change, thousands};
use crate::review::layout::{mark, quoted_text, safe_text};
use base::quoted::whole;

/// Changes of a release for agents, those that make detection weaker first.
pub(super) fn differences(changes: &ReleaseChanges) -> Markup {
    let weakenings = changes.weakenings();
    html! {
        @match &changes.served {
            None => p { "Agents have no other release of this feed: everything in this release is new to them." },
            Some(served) => p { "Compared with " a href={ "/imports/" (served) } { (served) } ", which agents have now." },
        }
        @if !weakenings.is_empty() {
            p { (mark("bad", "this release weakens detection")) }
            ul { @for weakening in weakenings.iter().take(ROWS) { li { (safe_text(weakening)) } } }
            @if weakenings.len() > ROWS {
                p { "and " (thousands((weakenings.len() - ROWS) as u64)) " more; to list all, run " code { "gaprelay show --diff --full" } }
            }
        } @else if changes.served.is_some() {
            p { (mark("good", "no change that weakens detection was found")) }
        }
        @for shared in &changes.items.shared {
            details open {
                summary { (mark("bad", "same id")) " " (thousands(shared.count)) ": of feed " (quoted_text(&shared.feed)) ", and of this release" }
                (examples(&shared.examples))
            }
        }
        @if changes.served.is_some() { (against_served(changes)) }
    }
}

/// Differences from the release that is served.
fn against_served(changes: &ReleaseChanges) -> Markup {
    html! {
        (item_changes(&changes.items))
        h3 { "Files" }
        @for (word, paths) in [("added", &changes.added), ("removed", &changes.removed), ("changed", &changes.changed)] {
            details {
                summary { (thousands(paths.len() as u64)) " " (word) }
                ul { @for path in paths.iter().take(ROWS) { li { (quoted_text(path)) } } }
                @if paths.len() > ROWS {
                    p { "and " (thousands((paths.len() - ROWS) as u64)) " more; to list all, run " code { "gaprelay show --diff" } }
                }
            }
        }
    }
}

/// Differences by rule, signature and indicator.
fn item_changes(items: &ItemChanges) -> Markup {
    html! {
        h3 { "Rules, signatures and indicators" }
        p {
            "Agents have " (thousands(items.before)) "; this release has " (thousands(items.after))
            @if let Some(percent) = percent_change(items.before, items.after) { " (" (percent) ")" } "."
        }
        @for group in &items.changes {
            details open[group.change.is_weaker()] {
                summary {
                    @if group.change.is_weaker() { (mark("bad", "weaker")) " " }
                    (thousands(group.count)) " " (group.change.words())
                }
                (examples(&group.examples))
                @let more = group.count.saturating_sub(group.examples.len() as u64);
                @if more > 0 {
                    p { "and " (thousands(more)) " more; to list all, run " code { "gaprelay show --diff --full" } }
                }
            }
        }
    }
}

/// Items as they stand in their artifacts, before and after.
fn examples(examples: &[Example]) -> Markup {
    html! {
        ul { @for example in examples {
            li {
                (quoted_text(&example.path))
                @if let Some(old) = &example.old { br; del { (whole(old)) } }
                @if let Some(new) = &example.new { br; ins { (whole(new)) } }
            }
        } }
    }
}
