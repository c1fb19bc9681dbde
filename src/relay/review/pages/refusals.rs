//! Who tried to send something, and how to turn it off.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use maud::{Markup, html};

use super::ROWS;
use crate::report::refusals::Refusals;
use crate::review::Desk;
use crate::review::chart::{bars, ranking};
use crate::review::frame::{Answer, many, mark, page as frame, told};
use crate::review::readers::Reader;
use base::quoted::printable;
use base::{Error, clock};

/// Days that the picture covers.
const DAYS: u64 = 31;
/// Bars in each of the other pictures.
const BARS: usize = 8;

/// The page.
pub fn page(desk: &Desk, reader: &Reader) -> Result<Answer, Error> {
    let guard = desk.guard()?;
    let (by_agent, by_product, days) = desk.refusals(|[agents, products, days]| {
        (agents.rows(&guard), products.rows(&guard), days.days(clock::now(), DAYS))
    })?;
    let body = html! {
        @if by_agent.is_empty() {
            p { (mark("good", "The record holds no attempt")) " What came in the last seconds is recorded with the next settle." }
        } @else {
            div class="charts" {
                figure { figcaption { "By day, the last " (DAYS) } (bars("Attempts refused on each of the last 31 days", &days)) }
                figure { figcaption { "By vendor and kind" } (ranking("Attempts refused by vendor and kind", &most(&by_product, |row| row.label.clone()))) }
                figure { figcaption { "By agent" } (ranking("Attempts refused by agent", &most(&by_agent, |row| row.agent.clone().unwrap_or_default()))) }
            }
            section { h2 { "What was tried, and what to change" } @for row in by_product.iter().take(ROWS) { (product(row)) } }
            section { h2 { "By agent" } (agents(&by_agent)) }
        }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/refusals", "Refusals", None, &body)))
}

/// The groups with the most attempts, each with its number.
fn most(rows: &[Refusals], group: impl Fn(&Refusals) -> String) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        *counts.entry(printable(&group(row))).or_default() += row.count;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts.truncate(BARS);
    counts
}

fn product(row: &Refusals) -> Markup {
    html! {
        article {
            h3 { (told(&row.label)) " " @if row.submission { (mark("bad", "tried to send")) } @else { (mark("warn", "asked")) } }
            p { (many(row.count, "attempt")) " by " (many(row.agents, "agent")) ", from " (row.first) " to " (row.last) }
            p { (row.meaning) }
            p { strong { "What to do: " } (row.remedy) }
        }
    }
}

fn agents(rows: &[Refusals]) -> Markup {
    html! {
        @if rows.len() > ROWS { p { "The first " (ROWS) " of " (rows.len()) ". " code { "gaprelay refusals" } " lists all." } }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Agent" } th scope="col" { "What" } th scope="col" { "Times" } th scope="col" { "Last" } th scope="col" { "Last request, and what to change there" }
            } }
            tbody {
                @for row in rows.iter().take(ROWS) {
                    tr {
                        th scope="row" { (told(row.agent.as_deref().unwrap_or_default())) }
                        td { (told(&row.label)) @if row.submission { " " (mark("bad", "tried to send")) } }
                        td { (row.count) }
                        td { (row.last) }
                        td {
                            (told(&row.request))
                            @if let Some(name) = &row.name { " at " (told(name)) }
                            @if let Some(agent) = &row.user_agent { " by " (told(agent)) }
                            details { summary { "What to change" } p { (row.meaning) " " (row.remedy) } }
                        }
                    }
                }
            }
        }
    }
}
