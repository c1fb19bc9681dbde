//! First page: a running import, releases that wait for officers, relay health, channels, the last import, refusals.

use maud::{Markup, html};

use crate::log::journal_line::JournalWriter;
use crate::log::search::newest;
use crate::log::{Entry, Event};
use crate::report::numbers::thousands;
use crate::report::{event_text, releases, status};
use crate::review::ReviewContext;
use crate::review::chart::bars;
use crate::review::layout::{counted, framed_page, mark, quoted_text, safe_text};
use crate::review::readers::PageReader;
use crate::review::response::PageResponse;
use crate::state::progress::{self, BundleState, Progress};
use base::limits::human;
use base::{Error, Fault, clock};
use sandbox::report::SelfTest;
use tlog::check::read_vkey;

/// Seconds after which the page reloads.
const RELOAD: u32 = 60;
/// Seconds after which the page reloads while an import runs.
const RELOAD_WHILE_IMPORTING: u32 = 2;
/// Days in the chart of refusals.
const DAYS: u64 = 21;

/// Builds the page.
pub(crate) fn page(context: &ReviewContext, reader: &PageReader) -> Result<PageResponse, Error> {
    let now = clock::now();
    let status = status::status(&context.state, &context.config, now);
    let newest = releases::rows(&context.state, &context.config)?.into_iter().max_by_key(|row| row.release.imported);
    let refused_by_day =
        if reader.sees_evidence() { Some(context.refusals(|tallies| tallies[2].days(now, DAYS))?) } else { None };
    // A progress file that is being written at this moment is shown at the next reload.
    let running = progress::read(&context.state).ok().flatten().filter(|progress| progress.is_running(now));
    let reload = if running.is_some() { RELOAD_WHILE_IMPORTING } else { RELOAD };
    let body = html! {
        @if let Some(progress) = &running { (running_import(progress)) }
        section {
            h2 { "Waiting for officers" }
            @if status.held.is_empty() {
                p { (mark("good", "No release is waiting for a decision")) }
            } @else {
                p { (mark("warn", &format!("{} waiting for a decision", counted(status.held.len() as u64, "release")))) }
                ul { @for id in &status.held { li { a href={ "/imports/" (id) } { (id) } } } }
            }
        }
        (health(context, reader, &status)?)
        section { h2 { "Channels" } (channels(&status)) }
        section {
            h2 { "Last import" }
            @match newest {
                None => p { "Nothing has been imported yet. To import a medium, run " code { "gaprelay import PATH" } " on the relay." },
                Some(row) => p {
                    a href={ "/imports/" (row.release.id()) } { (row.release.id()) }
                    " on " (row.release.imported) " by " (quoted_text(&row.release.operator.to_string())) ": "
                    (thousands(row.release.counts.cleared)) " cleared, "
                    (thousands(row.release.counts.stripped)) " stripped, "
                    (thousands(row.release.counts.withheld)) " withheld"
                },
            }
        }
        @if let Some(days) = refused_by_day {
            section {
                h2 { "Refused, by day" }
                @if days.iter().all(|(_, count)| *count == 0) {
                    p { (mark("good", &format!("No request was refused in the last {DAYS} days"))) }
                } @else {
                    (bars(&format!("Refused requests on each of the last {DAYS} days"), &days))
                    p { a href="/refusals" { "Show which agents sent them, and the setting that stops each" } }
                }
            }
        }
    };
    let page = framed_page(&status.relay, reader, "/", "Today", Some(reload), &body);
    Ok(PageResponse::page(200, page))
}

/// Faults, waived layers, self-tests, clock, size of the logs, witnesses.
fn health(context: &ReviewContext, reader: &PageReader, status: &status::Status) -> Result<Markup, Error> {
    Ok(html! {
        section {
            h2 { "Relay health" }
            @if status.faults.is_empty() {
                p { (mark("good", "No fault found")) }
            } @else {
                ul { @for fault in &status.faults { li { (mark("bad", "fault")) " " (safe_text(fault)) } } }
                @for next in &status.next { p { strong { "What to do: " } (next) } }
                p { "To list everything that is damaged, run " code { "gaprelay fsck" } " on the relay. What is already published keeps being served." }
            }
            @for waiver in &status.without {
                p { (mark("warn", "weaker isolation")) " config.toml waives " (waiver.layer) ". Reason given: " (safe_text(&waiver.reason)) }
            }
            (self_tests(context)?)
            p { "Clock of the relay: " (status.now) "; newest time on record: " (status.floor) "." }
            @if let Some(pin) = status.config {
                p { "config.toml in force, which says what needs an officer: " code { "sha256:" (pin.sha256) } ", on record in entry " (pin.entry) " of the import log." }
            }
            p { "The import log has " (counted_entries(status.import_entries)) ", the access log (refused requests) " (counted_entries(status.access_entries)) "." }
            (witnesses(reader, status))
        }
    })
}

fn counted_entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{} entries", thousands(count)) }
}

fn witnesses(reader: &PageReader, status: &status::Status) -> Markup {
    html! {
        @match &status.witness {
            None => p {
                (mark("warn", "no witness"))
                " Nobody outside this relay could prove that the log was cut or replaced, except with a receipt. Name witnesses under "
                code { "[witness]" } " in config.toml, or keep the receipts of imports."
            },
            Some(witness) if witness.due => p {
                (mark("warn", "witnesses are due")) " " (witness) ". "
                @if reader.sees_evidence() {
                    a href="/witnesses" { "Get the request for the witness, and hand in its answer" }
                } @else {
                    "An officer carries the next request to the witness."
                }
            },
            Some(witness) => p { (mark("good", "witnessed")) " " (witness) "." },
        }
    }
}

/// Import that runs now: its step, its bundles, and if the medium may be removed.
fn running_import(progress: &Progress) -> Markup {
    html! {
        section role="status" {
            h2 { "An import is running" }
            p {
                (mark("warn", progress.step.word()))
                @if let Some(bundle) = &progress.bundle { " " (safe_text(bundle)) }
                ", started " (progress.begun) " by " (safe_text(&progress.operator)) "."
                @if progress.medium_free { " The medium can be removed now." } @else { " Do not remove the medium yet." }
            }
            @if progress.total > 0 {
                p {
                    label for="progress" { (progress.percent()) " %: " (human(progress.bytes)) " of " (human(progress.total)) }
                    progress id="progress" value=(progress.bytes.min(progress.total)) max=(progress.total) { (progress.percent()) " %" }
                }
            }
            @if !progress.bundles.is_empty() {
                table tabindex="0" {
                    thead { tr { th scope="col" { "Bundle" } th scope="col" { "Release" } th scope="col" { "State" } } }
                    tbody { @for bundle in &progress.bundles { tr {
                        th scope="row" { (safe_text(&bundle.name)) }
                        td { (safe_text(bundle.release.as_deref().unwrap_or("-"))) }
                        td {
                            (mark(class(bundle.state), bundle.state.word()))
                            @if let Some(reason) = bundle.reason { " " code { (reason) } ": " (reason.meaning()) }
                        }
                    } } }
                }
                @if progress.found > progress.bundles.len() as u64 {
                    p { (counted(progress.found, "bundle")) " found on the medium; the table shows the first of them." }
                }
            }
        }
    }
}

fn class(state: BundleState) -> &'static str {
    match state {
        BundleState::Imported | BundleState::AlreadyHere => "good",
        BundleState::Refused | BundleState::Failed => "bad",
        _ => "warn",
    }
}

/// Newest isolation self-test by the relay, and the newest that server and sinkhole say they passed: what a process
/// says of itself stands beside the relay's word, without its mark, and never in its place or in that of another
/// process.
fn self_tests(context: &ReviewContext) -> Result<Markup, Fault> {
    let own = |entry: &Entry| matches!(&entry.event, Event::SelfTest(SelfTest { by: None, .. }));
    let mut found = Vec::new();
    let folder = context.state.import_log();
    found.extend(newest(&folder, &read_vkey(&folder)?, &[Event::needle("self-test")], own)?);
    let folder = context.state.access_log();
    for writer in JournalWriter::ALL {
        let by = |entry: &Entry| matches!(&entry.event, Event::SelfTest(SelfTest { by: Some(by), .. }) if by == writer.name());
        found.extend(newest(&folder, &read_vkey(&folder)?, &[Event::needle("self-test")], by)?);
    }
    Ok(html! {
        @if !found.iter().any(|(_, entry)| own(entry)) {
            p { (mark("warn", "no isolation self-test on record")) " Run " code { "gaprelay selftest" } " on the relay." }
        }
        @for (_, entry) in &found {
            @let Entry { time, event } = entry;
            @let passed = matches!(event, Event::SelfTest(SelfTest { findings, .. }) if findings.is_empty());
            p {
                @if !passed {
                    (mark("bad", "isolation self-test FAILED")) " on " (time) ": "
                } @else if own(entry) {
                    (mark("good", "isolation self-test passed")) " on " (time) ": "
                } @else {
                    "On " (time) " "
                }
                (safe_text(&event_text(event))) "."
                @if !own(entry) {
                    " That is its own word, and proves nothing if it was taken over."
                }
                @if !passed {
                    " A process can do something that must be impossible. Stop importing, run "
                    code { "gaprelay selftest" } " on the relay, and tell the administrator."
                }
            }
        }
    })
}

fn channels(status: &status::Status) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr { th scope="col" { "Channel" } th scope="col" { "Release" } th scope="col" { "Freshness" } th scope="col" { "Issued" } th scope="col" { "Expires" } } }
            tbody {
                @for channel in &status.channels {
                    @if channel.releases.is_empty() {
                        tr { th scope="row" { (channel.channel) } td colspan="4" { (mark("warn", "nothing published yet")) } }
                    }
                    @for member in &channel.releases {
                        tr {
                            th scope="row" { (channel.channel) }
                            td { a href={ "/imports/" (member.feed) "/" (member.version) } { (member.feed) "/" (member.version) } }
                            td { (mark(match member.freshness { "fresh" => "good", "ageing" => "warn", _ => "bad" }, member.freshness)) }
                            td { (member.issued) }
                            td { (member.expires) }
                        }
                    }
                }
                @if status.channels.is_empty() {
                    tr { td colspan="5" { "No channel can be shown: config.toml has no [[channel]], or a fault under Relay health names it." } }
                }
            }
        }
    }
}
