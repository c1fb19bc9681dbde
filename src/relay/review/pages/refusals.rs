//! Refused requests of agents: which product sent what, and the setting that stops it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use maud::{Markup, html};

use super::ROWS;
use crate::report::numbers::thousands;
use crate::report::refusals::RefusalRow;
use crate::review::ReviewContext;
use crate::review::chart::{bars, ranking};
use crate::review::layout::{counted, framed_page, mark, safe_text};
use crate::review::readers::PageReader;
use crate::review::response::PageResponse;
use base::quoted::printable;
use base::{Error, clock};

/// Days in the chart by day.
const DAYS: u64 = 31;
/// Bars in each of the other charts.
const BARS: usize = 8;

/// Builds the page.
pub(crate) fn page(context: &ReviewContext, reader: &PageReader) -> Result<PageResponse, Error> {
    let guard = context.guard()?;
    let (by_agent, by_product, days) = context.refusals(|[agents, products, days]| {
        (agents.rows(&guard), products.rows(&guard), days.days(clock::now(), DAYS))
    })?;
    let body = html! {
        @if by_agent.is_empty() {
            p { (mark("good", "No refused request on record")) " Requests of the last seconds appear after the next settle." }
        } @else {
            p {
                "A request is marked " (mark("bad", "tried to send"))
                " if its agent tried to send a sample, a look-up or statistics out of this network. The relay refused it and passed nothing on. "
                (mark("warn", "asked")) " means that an agent asked for something that this relay does not offer."
            }
            div class="charts" {
                figure {
                    figcaption { "By day, the last " (DAYS) " days" }
                    (bars(&format!("Refused requests on each of the last {DAYS} days"), &days))
                }
                figure {
                    figcaption { "By vendor and kind" }
                    (ranking("Refused requests by vendor and kind", &most_frequent(&by_product, |row| row.label.clone())))
                }
                figure {
                    figcaption { "By agent" }
                    (ranking("Refused requests by agent", &most_frequent(&by_agent, |row| row.agent.clone().unwrap_or_default())))
                }
            }
            section { h2 { "Refused requests by kind, and what to do" } @for row in by_product.iter().take(ROWS) { (product(row)) } }
            section { h2 { "Refused requests by agent" } (agents(&by_agent)) }
        }
    };
    let relay = context.config.relay.get_ref();
    Ok(PageResponse::page(200, framed_page(relay, reader, "/refusals", "Refusals", None, &body)))
}

/// Groups with the most requests, each with their number.
fn most_frequent(rows: &[RefusalRow], group: impl Fn(&RefusalRow) -> String) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let count = counts.entry(printable(&group(row))).or_default();
        *count = count.saturating_add(row.count);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts.truncate(BARS);
    counts
}

fn product(row: &RefusalRow) -> Markup {
    html! {
        article {
            h3 { (safe_text(&row.label)) " " @if row.submission { (mark("bad", "tried to send")) } @else { (mark("warn", "asked")) } }
            p { (counted(row.count, "request")) " from " (counted(row.agents, "agent")) ", between " (row.first) " and " (row.last) "." }
            p { (row.meaning) }
            p { strong { "What to do: " } (row.remedy) }
        }
    }
}

fn agents(rows: &[RefusalRow]) -> Markup {
    html! {
        @if rows.len() > ROWS {
            p { "This page shows the first " (ROWS) " of " (thousands(rows.len() as u64)) " rows. To list all, run " code { "gaprelay refusals" } " on the relay." }
        }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Agent" } th scope="col" { "Kind" } th scope="col" { "Requests" } th scope="col" { "Last seen" } th scope="col" { "Last request, and what to do on that agent" }
            } }
            tbody {
                @for row in rows.iter().take(ROWS) {
                    tr {
                        th scope="row" { (safe_text(row.agent.as_deref().unwrap_or_default())) }
                        td { (safe_text(&row.label)) @if row.submission { " " (mark("bad", "tried to send")) } }
                        td { (thousands(row.count)) }
                        td { (row.last) }
                        td {
                            (safe_text(&row.request))
                            @if let Some(name) = &row.name { " to " (safe_text(name)) }
                            @if let Some(program) = &row.user_agent { ", program " (safe_text(program)) }
                            @if let Some(by) = &row.by { ", recorded by the " (by) }
                            details { summary { "What to do" } p { (row.meaning) " " (row.remedy) } }
                        }
                    }
                }
            }
        }
    }
}
