//! Who pulled what and when, who is behind, and who will not follow a step back.

use maud::{Markup, html};

use super::ROWS;
use crate::report::agents::{AgentRow, AgentStanding, rows};
use crate::review::Desk;
use crate::review::frame::{Answer, many, mark, page as frame, told};
use crate::review::readers::Reader;
use base::{Error, clock};

/// The page.
pub fn page(desk: &Desk, reader: &Reader) -> Result<Answer, Error> {
    let rows = rows(&desk.state, clock::now())?;
    let refused = desk.refusals(|[agents, ..]| agents.senders())?;
    let waiting: Vec<&AgentRow> = rows.iter().filter(|row| row.standing != AgentStanding::Current).collect();
    let body = html! {
        @if rows.is_empty() {
            p { (mark("warn", "No agent has pulled anything")) " What came in the last seconds is known with the next settle." }
        } @else {
            p {
                @if waiting.is_empty() { (mark("good", "Every agent has what is published")) }
                @else { (mark("warn", &format!("{} of {}", waiting.len(), many(rows.len() as u64, "agent and feed")))) " have something else than what is published." }
            }
            @let silent = rows.iter().filter(|row| row.silent).count() as u64;
            @if silent > 0 { p { (mark("warn", "silent")) " " (many(silent, "row")) ": not seen for 24 hours." } }
            (advice(&waiting))
            section { h2 { "Agents" } (table(&rows, &refused)) }
        }
        p { "This is what the server says of those it answered. It is no log: nothing proves it, and the oldest of it is let go." }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/agents", "Agents", None, &body)))
}

fn advice(waiting: &[&AgentRow]) -> Markup {
    let mut standings: Vec<AgentStanding> = waiting.iter().map(|row| row.standing).collect();
    standings.dedup();
    html! {
        @if !standings.is_empty() {
            dl { @for standing in standings { div { dt { (standing.word()) } dd { (standing.next()) } } } }
        }
    }
}

fn table(rows: &[AgentRow], refused: &std::collections::BTreeSet<String>) -> Markup {
    html! {
        @if rows.len() > ROWS { p { "The first " (ROWS) " of " (rows.len()) ". " code { "gaprelay agents" } " lists all." } }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Agent" } th scope="col" { "Program" } th scope="col" { "Feed" } th scope="col" { "Has" }
                th scope="col" { "Standing" } th scope="col" { "Last seen" } th scope="col" { "Times" } th scope="col" { "Asked for" }
            } }
            tbody {
                @for row in rows.iter().take(ROWS) {
                    tr {
                        th scope="row" {
                            (told(&row.agent))
                            @if let Some(name) = &row.certificate { " (" (told(name)) ")" }
                            @if refused.contains(&row.agent) { " " (mark("bad", "tried to send")) }
                        }
                        td { (told(&row.program)) }
                        td { @if let Some(version) = row.has { a href={ "/imports/" (row.feed) "/" (version) } { (row.feed) } } @else { (row.feed) } }
                        td {
                            @match row.has { Some(version) => (version), None => "-" }
                            @if let Some(published) = row.published.filter(|published| row.has != Some(*published)) { " (published: " (published) ")" }
                        }
                        td {
                            (mark(class(row.standing), row.standing.word()))
                            @if row.silent { " " (mark("warn", "silent")) }
                        }
                        td { (row.last) }
                        td { (row.count) }
                        td { (told(&row.path)) }
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
