//! Agents: their last pull, the version that each has, and the agents that need somebody.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::ROWS;
use crate::report::agents::{AgentRow, AgentStanding, rows};
use crate::report::numbers::thousands;
use crate::review::ReviewContext;
use crate::review::layout::{framed_page, mark, safe_text};
use crate::review::readers::PageReader;
use crate::review::response::PageResponse;
use base::{Error, clock};

/// Builds the page.
pub(crate) fn page(context: &ReviewContext, reader: &PageReader) -> Result<PageResponse, Error> {
    let rows = rows(&context.state, clock::now())?;
    let senders = context.refusals(|[agents, ..]| agents.senders())?;
    let differing: Vec<&AgentRow> = rows.iter().filter(|row| row.standing != AgentStanding::Current).collect();
    let silent = rows.iter().filter(|row| row.silent).count();
    let body = html! {
        @if rows.is_empty() {
            p { (mark("warn", "No agent has pulled anything")) " Pulls of the last seconds appear after the next settle." }
        } @else {
            p {
                @if differing.is_empty() {
                    (mark("good", "Every agent has the published version"))
                } @else {
                    (mark("warn", "Some agents do not have the published version"))
                    " This concerns " (thousands(differing.len() as u64)) " of " (thousands(rows.len() as u64)) " rows below."
                }
            }
            @if silent > 0 {
                p {
                    (mark("warn", "silent")) " " (thousands(silent as u64)) " of " (thousands(rows.len() as u64))
                    " rows: the agent sent no request for 24 hours. Check that it is switched on, and check its timer and its log."
                }
            }
            (advice(&differing))
            section { h2 { "Agents" } (table(&rows, &senders)) }
        }
        p { "This table comes from the server's own record of its answers. It is not a log: nothing proves it, and the oldest rows are removed." }
    };
    let relay = context.config.relay.get_ref();
    Ok(PageResponse::page(200, framed_page(relay, reader, "/agents", "Agents", None, &body)))
}

/// Next step for each status in the table.
fn advice(differing: &[&AgentRow]) -> Markup {
    let standings: BTreeSet<AgentStanding> = differing.iter().map(|row| row.standing).collect();
    html! {
        @if !standings.is_empty() {
            section {
                h2 { "What to do" }
                dl { @for standing in standings { div { dt { (standing.word()) } dd { (standing.next()) } } } }
            }
        }
    }
}

fn table(rows: &[AgentRow], senders: &BTreeSet<String>) -> Markup {
    html! {
        @if rows.len() > ROWS {
            p { "This page shows the first " (ROWS) " of " (thousands(rows.len() as u64)) " rows. To list all, run " code { "gaprelay agents" } " on the relay." }
        }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Agent" } th scope="col" { "Program" } th scope="col" { "Feed" } th scope="col" { "Version" }
                th scope="col" { "Status" } th scope="col" { "Last request" } th scope="col" { "Requests" } th scope="col" { "Last path" }
            } }
            tbody {
                @for row in rows.iter().take(ROWS) {
                    tr {
                        th scope="row" {
                            (safe_text(&row.agent))
                            @if let Some(name) = &row.certificate { " (" (safe_text(name)) ")" }
                            @if senders.contains(&row.agent) { " " (mark("bad", "tried to send")) }
                        }
                        td { (safe_text(&row.program)) }
                        td { @if let Some(version) = row.has { a href={ "/imports/" (row.feed) "/" (version) } { (row.feed) } } @else { (row.feed) } }
                        td {
                            @match row.has { Some(version) => (version), None => "none" }
                            @if let Some(published) = row.published.filter(|published| row.has != Some(*published)) { " (published: " (published) ")" }
                        }
                        td {
                            (mark(class(row.standing), row.standing.word()))
                            @if row.silent { " " (mark("warn", "silent")) }
                        }
                        td { (row.last) }
                        td { (thousands(row.count)) }
                        td { (safe_text(&row.path)) }
                    }
                }
            }
        }
    }
}

fn class(standing: AgentStanding) -> &'static str {
    match standing {
        AgentStanding::Current => "good",
        AgentStanding::WillNotFollow | AgentStanding::Incomplete => "bad",
        AgentStanding::Behind | AgentStanding::Ahead | AgentStanding::Withdrawn => "warn",
    }
}
