//! Page of a release: its origin, its verdicts, what it changes, its receipt, and the statement to sign.

use maud::{Markup, html};

use super::changes::differences;
use super::{ROWS, standing};
use std::time::Duration;

use crate::log::Entry;
use crate::report::changes::release_changes;
use crate::report::event_text;
use crate::report::numbers::thousands;
use crate::report::receipts::{bounded, medium_of, of_import};
use crate::report::releases::{ReleaseDetails, release_details};
use crate::report::trust::KeyUse;
use crate::review::ReviewContext;
use crate::review::chart::qr_code;
use crate::review::layout::{fact_list, framed_page, mark, quoted_text, safe_text, signed_form};
use crate::review::readers::PageReader;
use crate::review::request::PageRequest;
use crate::review::response::PageResponse;
use crate::settle::draft::{self, DraftBy, DraftedDecision, DraftedStatement};
use crate::state::Trust;
use base::limits::human;
use base::quoted::whole;
use base::{Error, Reason, Refusal, clock};
use bundle::ReleaseId;
use bundle::keyring::Role;
use bundle::statement::{Decision, Statement, Ticket};
use inspect::{Verdict, VerdictKind};

/// Builds the page.
pub(crate) fn page(
    context: &ReviewContext,
    reader: &PageReader,
    request: &PageRequest,
    id: &ReleaseId,
) -> Result<PageResponse, Error> {
    let details = release_details(&context.state, &context.config, id)?;
    // The time of a statement is in the page's address, so that an officer who comes back finds the text that they
    // signed.
    let is_new = !request.field("decision").is_empty() && request.field("issued").is_empty();
    if is_new && draft(context, request, &details).is_ok() {
        let query = request.head.uri.query().unwrap_or_default();
        return Ok(PageResponse::redirect(format!("/imports/{id}?{query}&issued={}#sign", clock::now())));
    }
    let trust = Trust::load(&context.state)?;
    let changes = release_changes((&context.state, &trust), &context.config, &details.row.release, &details.verdicts)?;
    let body = html! {
        (about(&details, medium_of(&context.state, id)?.as_ref()))
        @if let Some(warning) = details.row.warning() { p role="alert" { (mark("bad", "attention")) " " (warning) "." } }
        section { h2 { "What it changes for agents" } (differences(&changes)) }
        section { h2 { "Verdicts on the files" } (verdicts(&details.verdicts, request)) }
        section { h2 { "Officers' statements that count" } (statements(&details)) }
        section { h2 { "Receipt" } (receipt(context, id)?) }
        section id="sign" { h2 { "Decide on this release" } (form(context, reader, request, &details)) }
    };
    let page = framed_page(context.config.relay.get_ref(), reader, "/imports", &id.to_string(), None, &body);
    Ok(PageResponse::page(200, page))
}

/// Statement as a file: byte for byte the text to be signed.
pub(crate) fn statement(context: &ReviewContext, request: &PageRequest, id: &ReleaseId) -> Result<PageResponse, Error> {
    let details = release_details(&context.state, &context.config, id)?;
    Ok(PageResponse::text(draft(context, request, &details)?.statement.to_string()))
}

/// Proof that the import is in the log, as a file (C2SP tlog-proof).
pub(crate) fn proof(context: &ReviewContext, id: &ReleaseId) -> Result<PageResponse, Error> {
    let receipt = of_import(&context.state, id)?;
    let none = || {
        let text = format!("the import log has no import of release {id}");
        Error::refused(Reason::StatementUnknownRelease, text)
    };
    Ok(PageResponse::text(receipt.ok_or_else(none)?.to_text()))
}

fn receipt(context: &ReviewContext, id: &ReleaseId) -> Result<Markup, Error> {
    let text = bounded(&context.state)?;
    Ok(html! {
        p {
            "State of the import log now. Keep it outside this relay, on paper for example: with it, "
            code { "gaprelay log verify --against FILE" } " detects a log that was cut, restored from an old copy, or forked later."
        }
        pre { (text) }
        (qr_code(&text))
        p {
            a href={ "/imports/" (id) "/receipt" } download={ (id.feed) "-" (id.version) ".tlog-proof" } { "Save the proof that this import is in the log" }
            ". Check it with " code { "gaprelay log verify --receipt FILE" } ", or with another program that reads C2SP tlog-proof."
        }
    })
}

fn about(details: &ReleaseDetails, medium: Option<&Entry>) -> Markup {
    let release = &details.row.release;
    let signers = html! {
        ul { @for signer in &release.signers { li { (quoted_text(&signer.name)) " (" (signer.role) ", key " code { (signer.key_id) } ")" } } }
    };
    let counts = html! {
        (thousands(release.counts.cleared)) " cleared, " (thousands(release.counts.stripped)) " stripped, " (thousands(release.counts.withheld)) " withheld"
    };
    fact_list(&[
        ("status", standing(&details.row)),
        ("label", quoted_text(&release.label)),
        ("publisher", html! { (quoted_text(&release.publisher)) ", origin " (release.origin) }),
        ("signed by", signers),
        ("issued", html! { (release.issued) ", expires " (release.expires) }),
        ("imported", html! { (release.imported) " by " (quoted_text(&release.operator.to_string())) }),
        (
            "medium",
            html! { @match medium { Some(entry) => (safe_text(&event_text(&entry.event))), None => "the log has no entry about the medium" } },
        ),
        ("files", counts),
        ("manifest", html! { code { "sha256:" (release.manifest) } }),
        ("verdicts", html! { code { "sha256:" (release.verdicts) } }),
    ])
}

/// Table of the verdicts, withheld and stripped files first, a page at a time.
fn verdicts(verdicts: &[Verdict], request: &PageRequest) -> Markup {
    let (not_cleared, cleared): (Vec<_>, Vec<_>) = verdicts.iter().partition(|v| v.decision != VerdictKind::Cleared);
    let from = request.field("from").parse::<usize>().unwrap_or(0).min(verdicts.len());
    let to = (from + ROWS).min(verdicts.len());
    let number = |place: usize| thousands(place as u64);
    html! {
        p {
            "Files " (number(from + usize::from(to > from))) " to " (number(to)) " of " (number(verdicts.len()))
            "; withheld and stripped files come first."
        }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Verdict" } th scope="col" { "File" } th scope="col" { "Size" } th scope="col" { "Kind" } th scope="col" { "Reason" }
            } }
            tbody {
                @for verdict in not_cleared.into_iter().chain(cleared).skip(from).take(ROWS) {
                    tr {
                        td { @match verdict.decision {
                            VerdictKind::Cleared => (mark("good", "cleared")),
                            VerdictKind::Stripped => (mark("bad", "stripped")),
                            VerdictKind::Withheld => (mark("bad", "withheld")),
                        } }
                        th scope="row" { (quoted_text(&verdict.path)) }
                        td { (human(verdict.size)) }
                        td { (kind(verdict)) @if let Some(database) = verdict.database { br; (database.words()) } }
                        td { @if let Some(reason) = verdict.reason {
                            code { (reason) } ": " (reason.meaning().trim_end_matches('.'))
                            @match (&verdict.member, verdict.line) {
                                // Of the whole file this is the cause, not a file in it.
                                (Some(cause), _) if matches!(reason, Reason::ArchiveForm | Reason::PathClash) => {
                                    ": " (quoted_text(cause))
                                }
                                (member, line) => {
                                    @if let Some(member) = member { ", in " (quoted_text(member)) }
                                    @if let Some(line) = line { ", line " (line) }
                                }
                            }
                            @if let Some(stripped) = &verdict.stripped { (lines_left_out(&stripped.places())) }
                            "."
                        } }
                    }
                }
            }
        }
        p class="pages" {
            @if from > 0 { a rel="prev" href={ "?from=" (from.saturating_sub(ROWS)) } { "Previous files" } " " }
            @if to < verdicts.len() { a rel="next" href={ "?from=" (to) } { "Next files" } }
        }
    }
}

/// Sentence part that names the lines left out of a stripped file.
fn lines_left_out(places: &[(Option<&str>, u64)]) -> Markup {
    const SHOWN: usize = 20;
    html! {
        "; left out: line"
        @if places.len() > 1 { "s" }
        @for (at, (member, line)) in places.iter().take(SHOWN).enumerate() {
            @if at > 0 { "," } " " (line)
            @if let Some(member) = member { " of " (quoted_text(member)) }
        }
        @if places.len() > SHOWN {
            " and " (thousands((places.len() - SHOWN) as u64)) " more; to list all, run " code { "gaprelay show --json" }
        }
    }
}

/// Kind of a file: declared by the manifest, and shown by the bytes.
fn kind(verdict: &Verdict) -> Markup {
    html! {
        @match verdict.shown {
            Some(shown) if shown.to_string() == verdict.declared => (shown),
            Some(shown) => { "declared \"" (quoted_text(&verdict.declared)) "\"; the bytes show " (shown) },
            None => { "declared \"" (quoted_text(&verdict.declared)) "\"; the bytes show no known kind" },
        }
    }
}

fn statements(details: &ReleaseDetails) -> Markup {
    html! {
        @if details.statements.is_empty() { p { "No officer's statement counts yet." } }
        @for taken in &details.statements {
            details {
                summary { (taken.decision.word()) " by " (quoted_text(&taken.officer)) " on " (taken.taken) }
                pre { @for line in taken.text.lines() { (whole(line)) "\n" } }
            }
        }
    }
}

/// Statement that the fields of the query make. Refused: a field is missing or malformed, or the statement would not
/// count if it was handed in now.
fn draft(context: &ReviewContext, request: &PageRequest, details: &ReleaseDetails) -> Result<DraftedStatement, Error> {
    let malformed = |what: String| Refusal::new(Reason::StatementMalformed, what);
    let decision = Decision::parse(&request.field("decision"))
        .ok_or_else(|| malformed("the decision is missing: choose approve, refuse, withdraw or downgrade".into()))?;
    let ticket = (decision == Decision::Downgrade).then(|| request.field("until").trim().parse());
    let until = ticket.transpose().map_err(|e: &str| malformed(format!("the end of the downgrade is {e}")))?;
    let ticket = until.map(|until| Ticket { incident: request.field("incident").trim().to_owned(), until });
    let issued = request.field("issued");
    let issued = if issued.is_empty() { Ok(clock::now()) } else { issued.trim().parse() };
    let issued = issued.map_err(|e: &str| malformed(format!("the time of the statement is {e}")))?;
    let days = request.field("days");
    let days = if days.is_empty() { Ok(2) } else { days.trim().parse::<u32>() };
    let days = days.map_err(|_| malformed("the number of days is not a number".into()))?;
    let valid_for = Some(Duration::from_hours(24).saturating_mul(days));
    let (officer, reason) = (request.field("officer").trim().to_owned(), request.field("reason").trim().to_owned());
    let releases = &[details.row.release.id()];
    let drafted = DraftedDecision { releases, decision, ticket };
    let by = DraftBy { officer, reason, issued, valid_for };
    draft::statement((&context.state, &context.config), clock::now(), drafted, by)
}

/// Decisions that the form offers: a release that goes back to older content can only be let in by a downgrade ticket.
fn decisions(details: &ReleaseDetails) -> [(&'static str, &'static str); 3] {
    let first = if details.row.release.loss.goes_back() {
        ("downgrade", "downgrade: let agents have this older content")
    } else {
        ("approve", "approve: agents may have this release")
    };
    [
        first,
        ("refuse", "refuse: agents never get this release (final)"),
        ("withdraw", "withdraw: agents no longer get this release (final)"),
    ]
}

/// Form in two steps: the decision, the officer and the reason; then the exact text to sign, and the form to hand it
/// in.
fn form(context: &ReviewContext, reader: &PageReader, request: &PageRequest, details: &ReleaseDetails) -> Markup {
    let id = details.row.release.id();
    let officers = officers(context);
    let (officer, reason, decision) = (request.field("officer"), request.field("reason"), request.field("decision"));
    let officer = if officer.is_empty() { reader.name.clone() } else { officer };
    let drafted = (!decision.is_empty()).then(|| draft(context, request, details));
    let days = Some(request.field("days")).filter(|days| !days.is_empty()).unwrap_or_else(|| "2".into());
    html! {
        p { "A decision is a statement that an officer signs on their own machine. Fill in the form to get its text." }
        form method="get" action="#sign" {
            p {
                label for="decision" { "Decision" }
                select id="decision" name="decision" {
                    @for (word, meaning) in decisions(details) { option value=(word) selected[decision == word] { (meaning) } }
                }
            }
            @if details.row.release.loss.goes_back() {
                p {
                    label for="incident" { "Number of the incident that makes the downgrade necessary" }
                    input id="incident" name="incident" value=(request.field("incident")) maxlength="64";
                }
                p {
                    label for="until" { "End of the downgrade (UTC), such as 2026-12-31T00:00:00Z" }
                    input id="until" name="until" value=(request.field("until")) maxlength="20";
                }
            }
            p {
                label for="officer" { "Officer (name in the keyring)" }
                input id="officer" name="officer" value=(officer) list="officers" required maxlength="100";
                datalist id="officers" { @for name in &officers { option value=(name) {} } }
            }
            p {
                label for="reason" { "Reason (one line)" }
                input id="reason" name="reason" value=(reason) required maxlength="500" size="60";
            }
            p {
                label for="days" { "Days in which the statement may be handed in (1 to 31)" }
                input id="days" name="days" value=(days) type="number" min="1" max="31" required;
            }
            button { "Show the statement" }
        }
        @match drafted {
            None => {},
            Some(Err(error)) => p role="alert" {
                (mark("bad", "no statement was made")) " " (safe_text(&error.to_string())) ". Correct the form, then show the statement again."
            },
            Some(Ok(drafted)) => (sign(reader, &id, &drafted.statement, request.head.uri.query().unwrap_or_default())),
        }
    }
}

fn sign(reader: &PageReader, id: &ReleaseId, statement: &Statement, query: &str) -> Markup {
    html! {
        ol {
            li {
                p {
                    "Save these lines as a file on the machine that holds your key: "
                    a href={ "/imports/" (id) "/statement.txt?" (query) } download="statement.txt" { "statement.txt" }
                }
                @for effect in statement.subjects.iter().filter_map(|subject| subject.effect.as_ref()) {
                    p role="alert" { (mark("bad", "attention")) " This approval " (safe_text(effect)) "." }
                }
                pre { (statement) }
            }
            li { p { "Sign the file there: " code { "minisign -S -s YOUR.key -m statement.txt" } } }
            li {
                p { "Hand in the signature file " code { "statement.txt.minisig" } ":" }
                @if reader.hands_in() {
                    (signed_form(&format!("/imports/{id}"), "Statement, exactly as it was signed", 11, &statement.to_string()))
                } @else {
                    p { "Only officers can hand in a statement here." }
                }
            }
        }
    }
}

/// Names of the officers who have a key that is usable now, if only to refuse and to withdraw; empty if the keyring
/// cannot be read, a fault that the page Today shows.
fn officers(context: &ReviewContext) -> Vec<String> {
    let keyring = Trust::load(&context.state).and_then(|trust| context.state.keyring(&trust));
    let Ok(keyring) = keyring else { return Vec::new() };
    let officers = keyring.keys.iter().filter(|key| key.role == Role::Officer);
    let usable = officers.filter(|key| !matches!(KeyUse::of(&keyring, key, clock::now()), KeyUse::None(_)));
    usable.map(|key| key.name.clone()).collect()
}
