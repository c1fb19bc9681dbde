//! Is anything waiting for me, and is the relay sound?

use maud::{Markup, html};

use crate::log::search::{Hit, SearchQuery, search};
use crate::log::{Entry, Event};
use crate::report::{releases, status, words};
use crate::review::Desk;
use crate::review::chart::bars;
use crate::review::frame::{Answer, mark, page as frame, said, told};
use crate::review::readers::Reader;
use crate::state::progress::{self, BundleState, Progress};
use base::limits::human;
use base::{Error, Fault, clock};
use sandbox::report::SelfTest;
use tlog::check::read_vkey;

/// After so many seconds the page is loaded again, and while an import runs.
const AGAIN: u32 = 60;
const WHILE_IMPORTING: u32 = 2;
/// Days that the picture of refusals covers.
const DAYS: u64 = 21;

/// The page.
pub fn page(desk: &Desk, reader: &Reader) -> Result<Answer, Error> {
    let now = clock::now();
    let status = status::status(&desk.state, &desk.config, now)?;
    let newest = releases::rows(&desk.state, &desk.config)?.into_iter().max_by_key(|row| row.release.imported);
    let evidence =
        if reader.sees_evidence() { Some(desk.refusals(|tallies| tallies[2].days(now, DAYS))?) } else { None };
    // One that is being written just now is seen the next time.
    let running = progress::read(&desk.state).ok().flatten().filter(|progress| progress.is_running(now));
    let again = if running.is_some() { WHILE_IMPORTING } else { AGAIN };
    let body = html! {
        @if let Some(progress) = &running { (import(progress)) }
        section {
            h2 { "Waiting for officers" }
            @if status.held.is_empty() {
                p { (mark("good", "Nothing waits")) }
            } @else {
                p { (mark("warn", &format!("{} to look at", status.held.len()))) }
                ul { @for id in &status.held { li { a href={ "/imports/" (id) } { (id) } } } }
            }
        }
        section {
            h2 { "Is it sound?" }
            @if status.faults.is_empty() {
                p { (mark("good", "No fault found")) }
            } @else {
                ul { @for fault in &status.faults { li { (mark("bad", "fault")) " " (told(fault)) } } }
                p { "Run " code { "gaprelay fsck" } " on the relay: it names all that is damaged. What is published keeps being served." }
            }
            @for waiver in &status.without {
                p { (mark("warn", "weaker")) " this site does without " (waiver.layer) ": " (told(&waiver.reason)) }
            }
            (proofs(desk)?)
            p { "It is " (status.now) " here; the latest moment that the relay knows to have passed is " (status.floor) "." }
            p { "The logs have " (status.import_entries) " entries on imports and " (status.access_entries) " on what was refused." }
            @match &status.witness {
                None => p { (mark("warn", "no witness")) " nobody outside keeps a memory of the log: name witnesses in the config, or keep receipts." },
                Some(witness) if witness.due => p { (mark("warn", "witnesses are due")) " " (witness) ". " a href="/witnesses" { "What they sign, and where to hand it in" } },
                Some(witness) => p { (mark("good", "witnessed")) " " (witness) "." },
            }
        }
        section {
            h2 { "Channels" }
            (channels(&status))
        }
        section {
            h2 { "Last import" }
            @match newest {
                None => p { "Nothing was imported yet: " code { "gaprelay import PATH" } " on the relay." },
                Some(row) => p {
                    a href={ "/imports/" (row.release.id()) } { (row.release.id()) }
                    " on " (row.release.imported) " by " (said(&row.release.operator.to_string())) ": "
                    (row.release.counts.cleared) " cleared, " (row.release.counts.stripped) " stripped, " (row.release.counts.withheld) " withheld"
                },
            }
        }
        @if let Some(days) = evidence {
            section {
                h2 { "Refused, by day" }
                @if days.iter().all(|(_, count)| *count == 0) {
                    p { (mark("good", "Nothing was refused in the last three weeks")) }
                } @else {
                    (bars("Attempts refused on each of the last 21 days", &days))
                    p { a href="/refusals" { "Who tried what, and how to turn it off" } }
                }
            }
        }
    };
    Ok(Answer::page(200, frame(&status.relay, reader, "/", "Today", Some(again), &body)))
}

/// An import that runs now.
fn import(progress: &Progress) -> Markup {
    html! {
        section role="status" {
            h2 { "An import is running" }
            p {
                (mark("warn", progress.step.word()))
                @if let Some(bundle) = &progress.bundle { " " (told(bundle)) }
                ", since " (progress.begun) ", by " (told(&progress.operator)) "."
                @if progress.medium_free { " The medium may be removed." } @else { " The medium must stay in." }
            }
            @if progress.total > 0 {
                p {
                    label for="progress" { (progress.percent()) " %, " (human(progress.bytes)) " of " (human(progress.total)) }
                    progress id="progress" value=(progress.bytes.min(progress.total)) max=(progress.total) { (progress.percent()) " %" }
                }
            }
            @if !progress.bundles.is_empty() {
                table tabindex="0" {
                    thead { tr { th scope="col" { "Bundle" } th scope="col" { "Release" } th scope="col" { "State" } } }
                    tbody { @for bundle in &progress.bundles { tr {
                        th scope="row" { (told(&bundle.name)) }
                        td { (told(bundle.release.as_deref().unwrap_or("-"))) }
                        td {
                            (mark(match bundle.state { BundleState::Imported | BundleState::AlreadyHere => "good", BundleState::Refused | BundleState::Failed => "bad", _ => "warn" }, bundle.state.word()))
                            @if let Some(reason) = bundle.reason { " " code { (reason) } }
                        }
                    } } }
                }
                @if progress.found > progress.bundles.len() as u64 { p { (progress.found) " bundles were found." } }
            }
        }
    }
}

/// The newest self-tests: of the keeper's side, and of what the server wrote.
fn proofs(desk: &Desk) -> Result<Markup, Fault> {
    let mut newest = Vec::new();
    for folder in [desk.state.import_log(), desk.state.access_log()] {
        let wanted = SearchQuery { words: vec![Event::needle("self-test")], ..SearchQuery::default() };
        newest.extend(search(&folder, &read_vkey(&folder)?, &wanted, 1)?.hits);
    }
    Ok(html! {
        @if newest.is_empty() { p { (mark("warn", "No self-test is on record")) } }
        @for Hit { entry: Entry { time, event }, .. } in &newest {
            @let sound = matches!(event, Event::SelfTest(SelfTest { findings, .. }) if findings.is_empty());
            p {
                @if sound { (mark("good", "the cage holds")) } @else { (mark("bad", "the cage does NOT hold")) }
                " " (time) ": " (told(&words(event)))
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
                        tr { th scope="row" { (channel.channel) } td colspan="4" { (mark("warn", "nothing published")) } }
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
            }
        }
    }
}
