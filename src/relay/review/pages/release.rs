//! One release: what came, what was kept back and why, what it changes, and the statement to sign.

use maud::{Markup, html};

use super::{ROWS, standing};
use crate::log::Entry;
use crate::publish::ItemChanges;
use crate::report::changes::{Changes, changes};
use crate::report::receipts::{bounded, medium_of, of_import};
use crate::report::releases::{Shown, shown};
use crate::report::words;
use crate::review::Desk;
use crate::review::chart::code;
use crate::review::frame::{Answer, facts, mark, page as frame, said, signed_form, told};
use crate::review::readers::Reader;
use crate::review::route::Asked;
use base::limits::human;
use base::quoted::whole;
use base::{Digest, Error, Reason, Refusal, clock};
use bundle::ReleaseId;
use bundle::keyring::Role;
use bundle::statement::{Decision, Statement, Ticket};
use inspect::{Decision as Inspected, Verdict};

/// The page.
pub fn page(desk: &Desk, reader: &Reader, asked: &Asked, id: &ReleaseId) -> Result<Answer, Error> {
    let shown = shown(&desk.state, &desk.config, id)?;
    let changes = changes(&desk.state, &shown.row.release, &shown.verdicts)?;
    let body = html! {
        (about(&shown, medium_of(&desk.state, id)?.as_ref()))
        section { h2 { "What it changes" } (differences(&changes)) }
        section { h2 { "Verdicts" } (verdicts(&shown.verdicts, asked)) }
        section { h2 { "Statements that count" } (statements(&shown)) }
        section { h2 { "Receipt" } (receipt(desk, id)?) }
        section id="sign" { h2 { "To decide" } (form(desk, reader, asked, &shown, changes.items.digest()?)) }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/imports", &id.to_string(), None, &body)))
}

/// The statement as a file: byte for byte what is to be signed.
pub fn statement(desk: &Desk, asked: &Asked, id: &ReleaseId) -> Result<Answer, Error> {
    let shown = shown(&desk.state, &desk.config, id)?;
    let items = changes(&desk.state, &shown.row.release, &shown.verdicts)?.items;
    let text = draft(asked, &shown, items.digest()?)?.to_string();
    Ok(Answer::text(text))
}

/// The proof that the import is in the log, as a file (C2SP tlog-proof).
pub fn proof(desk: &Desk, id: &ReleaseId) -> Result<Answer, Error> {
    let receipt = of_import(&desk.state, id)?;
    let none = || Error::refused(Reason::StatementUnknownRelease, format!("no release {id} was ever imported here"));
    Ok(Answer::text(receipt.ok_or_else(none)?.to_text()))
}

fn receipt(desk: &Desk, id: &ReleaseId) -> Result<Markup, Error> {
    let text = bounded(&desk.state)?;
    Ok(html! {
        p { "The log as it is now, for the paper book; " code { "gaprelay log verify --against FILE" } " takes it back and tells a log that was cut, restored or forked:" }
        pre { (text) }
        (code(&text))
        p {
            a href={ "/imports/" (id) "/receipt" } download={ (id.feed) "-" (id.version) ".tlog-proof" } { "The proof that this import is in the log" }
            ", for " code { "gaprelay log verify --receipt" } " and for other people's checkers."
        }
    })
}

fn about(shown: &Shown, medium: Option<&Entry>) -> Markup {
    let release = &shown.row.release;
    let signers = html! {
        ul { @for signer in &release.signers { li { (said(&signer.name)) " (" (signer.role) ", key " code { (signer.key_id) } ")" } } }
    };
    let counts = html! { (release.counts.cleared) " cleared, " (release.counts.stripped) " stripped, " (release.counts.withheld) " withheld" };
    facts(&[
        ("standing", standing(&shown.row)),
        ("label", said(&release.label)),
        ("publisher", html! { (said(&release.publisher)) ", origin " (release.origin) }),
        ("signed by", signers),
        ("issued", html! { (release.issued) ", expires " (release.expires) }),
        ("imported", html! { (release.imported) " by " (said(&release.operator.to_string())) }),
        (
            "medium",
            html! { @match medium { Some(entry) => (told(&words(&entry.event))), None => "the log does not say" } },
        ),
        ("artifacts", counts),
        ("manifest", html! { code { "sha256:" (release.manifest) } }),
        ("verdicts", html! { code { "sha256:" (release.verdicts) } }),
    ])
}

fn differences(changes: &Changes) -> Markup {
    let weaker = changes.weaker_in_words();
    html! {
        @match &changes.served {
            None => p { "No other release of this feed is served: all in it is new to agents." },
            Some(served) => p { "Against " a href={ "/imports/" (served) } { (served) } ", which agents have now." },
        }
        @if !weaker.is_empty() {
            p { (mark("bad", "this makes detection weaker")) }
            ul { @for weaker in weaker.iter().take(ROWS) { li { (told(weaker)) } } }
        } @else if changes.served.is_some() {
            p { (mark("good", "nothing that makes detection weaker was found")) }
        }
        @if changes.served.is_some() { (against(changes)) }
    }
}

/// What is other than in the release that is served.
fn against(changes: &Changes) -> Markup {
    html! {
        (item_changes(&changes.items))
        h3 { "Files" }
        @for (word, paths) in [("added", &changes.added), ("removed", &changes.removed), ("changed", &changes.changed)] {
            details {
                summary { (paths.len()) " " (word) }
                ul { @for path in paths.iter().take(ROWS) { li { (said(path)) } } }
                @if paths.len() > ROWS { p { "and " (paths.len() - ROWS) " more: gaprelay show has all" } }
            }
        }
    }
}

/// What changed by rule, signature and indicator.
fn item_changes(items: &ItemChanges) -> Markup {
    html! {
        p { (items.before) " rules, signatures and indicators there, " (items.after) " here." }
        @for group in &items.changes {
            details open[group.change.is_weaker()] {
                summary {
                    @if group.change.is_weaker() { (mark("bad", "weaker")) " " }
                    (group.count) " " (group.change.words())
                }
                ul { @for example in &group.examples {
                    li {
                        (said(&example.path))
                        @if let Some(old) = &example.old { br; del { (whole(old)) } }
                        @if let Some(new) = &example.new { br; ins { (whole(new)) } }
                    }
                } }
                @let more = group.count.saturating_sub(group.examples.len() as u64);
                @if more > 0 { p { "and " (more) " more: gaprelay show --diff --full has all" } }
            }
        }
    }
}

/// What was kept back first; a page at a time.
fn verdicts(verdicts: &[Verdict], asked: &Asked) -> Markup {
    let (kept, passed): (Vec<_>, Vec<_>) = verdicts.iter().partition(|v| v.decision != Inspected::Cleared);
    let from = asked.field("from").parse::<usize>().unwrap_or(0).min(verdicts.len());
    let to = (from + ROWS).min(verdicts.len());
    html! {
        p { (from + usize::from(to > from)) " to " (to) " of " (verdicts.len()) ", what was kept back first" }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Verdict" } th scope="col" { "Path" } th scope="col" { "Size" } th scope="col" { "Kind" } th scope="col" { "Why" }
            } }
            tbody {
                @for verdict in kept.into_iter().chain(passed).skip(from).take(ROWS) {
                    tr {
                        td { @match verdict.decision {
                            Inspected::Cleared => (mark("good", "cleared")),
                            Inspected::Stripped => (mark("bad", "stripped")),
                            Inspected::Withheld => (mark("bad", "withheld")),
                        } }
                        th scope="row" { (said(&verdict.path)) }
                        td { (human(verdict.size)) }
                        td { (kind(verdict)) @if let Some(database) = verdict.database { br; (database.words()) } }
                        td { @if let Some(reason) = verdict.reason {
                            code { (reason) } ": " (reason.meaning().trim_end_matches('.'))
                            @if let Some(member) = &verdict.member { ", " (said(member)) }
                            @if let Some(line) = verdict.line { ", line " (line) }
                            @if let Some(stripped) = &verdict.stripped { (left_out(&stripped.places())) }
                        } }
                    }
                }
            }
        }
        p class="pages" {
            @if from > 0 { a rel="prev" href={ "?from=" (from.saturating_sub(ROWS)) } { "Former" } " " }
            @if to < verdicts.len() { a rel="next" href={ "?from=" (to) } { "Further" } }
        }
    }
}

/// What was left out, in words.
fn left_out(places: &[(Option<&str>, u64)]) -> Markup {
    const SHOWN: usize = 20;
    html! {
        "; left out: line"
        @for (at, (member, line)) in places.iter().take(SHOWN).enumerate() {
            @if at > 0 { "," } " " (line)
            @if let Some(member) = member { " of " (said(member)) }
        }
        @if places.len() > SHOWN { " and " (places.len() - SHOWN) " more: gaprelay show --json has all" }
    }
}

fn kind(verdict: &Verdict) -> Markup {
    let seen = verdict.shown.map_or_else(|| "?".to_owned(), |kind| kind.to_string());
    html! { @if seen == verdict.declared { (seen) } @else { (said(&verdict.declared)) " declared, " (seen) " shown" } }
}

fn statements(shown: &Shown) -> Markup {
    html! {
        @if shown.statements.is_empty() { p { "None yet." } }
        @for taken in &shown.statements {
            details {
                summary { (taken.decision.word()) " by " (said(&taken.officer)) " on " (taken.taken) }
                pre { @for line in taken.text.lines() { (whole(line)) "\n" } }
            }
        }
    }
}

/// The statement that the fields of the query make.
fn draft(asked: &Asked, shown: &Shown, changes: Digest) -> Result<Statement, Refusal> {
    let decision = match asked.field("decision").as_str() {
        "approve" => Decision::Approve,
        "refuse" => Decision::Refuse,
        "withdraw" => Decision::Withdraw,
        "downgrade" => Decision::Downgrade,
        _ => {
            let words = "it decides nothing: approve, refuse, withdraw or downgrade";
            return Err(Refusal::new(Reason::StatementMalformed, words));
        }
    };
    let ticket = (decision == Decision::Downgrade).then(|| asked.field("until").trim().parse());
    let until = ticket.transpose().map_err(|e: &str| Refusal::new(Reason::StatementMalformed, e))?;
    let ticket = until.map(|until| Ticket { incident: asked.field("incident").trim().to_owned(), until });
    let (officer, reason) = (asked.field("officer"), asked.field("reason"));
    shown.row.release.statement(changes, (decision, ticket), officer.trim(), reason.trim())
}

/// What can be decided: of what goes back to older content, whether it may.
fn decisions(shown: &Shown) -> [&'static str; 3] {
    let first = if shown.row.release.loss.goes_back() { "downgrade" } else { "approve" };
    [first, "refuse", "withdraw"]
}

/// First what is decided, by whom and why; then the exact text, and where to hand it in.
fn form(desk: &Desk, reader: &Reader, asked: &Asked, shown: &Shown, changes: Digest) -> Markup {
    let id = shown.row.release.id();
    let officers = officers(desk);
    let (officer, reason, decision) = (asked.field("officer"), asked.field("reason"), asked.field("decision"));
    let officer = if officer.is_empty() { reader.name.clone() } else { officer };
    let drafted = (!decision.is_empty()).then(|| draft(asked, shown, changes));
    html! {
        form method="get" action="#sign" {
            p {
                label for="decision" { "Decision" }
                select id="decision" name="decision" {
                    @for word in decisions(shown) { option value=(word) selected[decision == word] { (word) } }
                }
            }
            @if shown.row.release.loss.goes_back() {
                p {
                    label for="incident" { "Incident that going back is for" }
                    input id="incident" name="incident" value=(asked.field("incident")) maxlength="64";
                }
                p {
                    label for="until" { "Until when, such as 2026-12-31T00:00:00Z" }
                    input id="until" name="until" value=(asked.field("until")) maxlength="20";
                }
            }
            p {
                label for="officer" { "Officer, as the keyring has it" }
                input id="officer" name="officer" value=(officer) list="officers" required maxlength="100";
                datalist id="officers" { @for name in &officers { option value=(name) {} } }
            }
            p {
                label for="reason" { "Reason, one line" }
                input id="reason" name="reason" value=(reason) required maxlength="500" size="60";
            }
            button { "Show the statement" }
        }
        @match drafted {
            None => {},
            Some(Err(refusal)) => p role="alert" { (mark("bad", "no statement")) " " (told(&refusal.to_string())) },
            Some(Ok(statement)) => (sign(reader, &id, &statement, asked.head.uri.query().unwrap_or_default())),
        }
    }
}

fn sign(reader: &Reader, id: &ReleaseId, statement: &Statement, query: &str) -> Markup {
    html! {
        ol {
            li {
                p {
                    "Keep these eight lines as a file, on the machine that has your key: "
                    a href={ "/imports/" (id) "/statement.txt?" (query) } download="statement.txt" { "statement.txt" }
                }
                pre { (statement) }
            }
            li { p { "Sign it there: " code { "minisign -S -s YOUR.key -m statement.txt" } } }
            li {
                p { "Hand in " code { "statement.txt.minisig" } ":" }
                @if reader.hands_in() {
                    (signed_form(&format!("/imports/{id}"), "Statement, exactly as signed", 8, &statement.to_string()))
                } @else {
                    p { "Only officers hand in statements here." }
                }
            }
        }
    }
}

/// The officers whose keys may be used now; none where the keyring cannot be read, which Today tells.
fn officers(desk: &Desk) -> Vec<String> {
    let keyring = crate::state::Trust::load(&desk.state).and_then(|trust| desk.state.keyring(&trust));
    let Ok(keyring) = keyring else { return Vec::new() };
    let usable = |key: &&bundle::keyring::Key| {
        let raw = bundle::keyring::RawKey::parse(&key.public);
        key.role == Role::Officer && raw.is_ok_and(|raw| keyring.check_usable(key, raw, clock::now()).is_ok())
    };
    keyring.keys.iter().filter(usable).map(|key| key.name.clone()).collect()
}
