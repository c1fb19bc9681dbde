//! Witnesses: the heads of the log that they cosigned, the next request for them, and the form for their answer.

use maud::{Markup, html};

use crate::log::Event;
use crate::log::reading::each_from;
use crate::report::numbers::thousands;
use crate::report::{event_text, status};
use crate::review::ReviewContext;
use crate::review::layout::{NoticeLink, framed_page, mark, notice, safe_text};
use crate::review::readers::PageReader;
use crate::review::request::PageRequest;
use crate::review::response::PageResponse;
use base::{Error, clock};
use tlog::check::read_vkey;
use tlog::compare::growth;
use tlog::cosigned::{Cosigned, kept};

/// Builds the page.
pub(crate) fn page(context: &ReviewContext, reader: &PageReader, request: &PageRequest) -> Result<PageResponse, Error> {
    let relay = context.config.relay.get_ref();
    let Some(witness) = &context.config.witness else {
        let body = html! {
            p {
                (mark("warn", "no witness"))
                " config.toml names no witness. A witness is another machine, an officer's for example, that signs the state of the log from time to time. "
                "Without one, only receipts of imports can show that the log was cut or replaced."
            }
            p {
                "To add one, run " code { "gaprelay log witness init" } " on an officer's machine, and give its key in a policy under "
                code { "[witness]" } " in config.toml."
            }
        };
        return Ok(PageResponse::page(200, framed_page(relay, reader, "/witnesses", "Witnesses", None, &body)));
    };
    let folder = context.state.import_log();
    let vkey = read_vkey(&folder)?;
    let heads = kept(&folder, &vkey, &witness.policy)?;
    let newest = status::witnesses(&context.state, &context.config, clock::now())?;
    let outcome = request.field("from").parse().ok().map(|from| outcome(context, from)).transpose()?;
    let reload = outcome.as_ref().is_some_and(Option::is_none).then_some(2);
    let body = html! {
        @if let Some(outcome) = outcome {
            section role="status" {
                h2 { "What was handed in" }
                @match outcome {
                    Some(text) => (text),
                    None => {
                        p { (mark("warn", "Waiting for the keeper")) }
                        p { "This page reloads every two seconds. If nothing changes within ten seconds, the keeper is not running: on the relay, start "
                            code { "gaprelay up" } ", or run " code { "gaprelay settle" } " once." }
                    },
                }
            }
        }
        @if let Some(newest) = newest {
            p {
                @if newest.due {
                    (mark("warn", "due")) " " (newest) ". Carry the next request to the witness: see below."
                } @else {
                    (mark("good", "witnessed")) " " (newest) "."
                }
            }
        }
        section { h2 { "Cosigned heads of the log" } (table(&heads)) }
        section { h2 { "Next cosignature" } (next_request(reader, &heads)) }
        section {
            h2 { "Policy" }
            pre { (witness.policy.to_text(&vkey.to_text())) }
            p { "A new cosignature is due " (humantime::format_duration(witness.fresh.0)) " after the last one." }
        }
    };
    Ok(PageResponse::page(200, framed_page(relay, reader, "/witnesses", "Witnesses", reload, &body)))
}

fn table(heads: &[Cosigned]) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr { th scope="col" { "Log entries" } th scope="col" { "Witnesses" } th scope="col" { "Quorum" } } }
            tbody {
                @for cosigned in heads {
                    tr {
                        th scope="row" { (thousands(cosigned.head.size)) }
                        td { ul { @for (name, time) in &cosigned.by { li { (safe_text(name)) ", " (time) } } } }
                        td { @if cosigned.is_met { (mark("good", "met")) } @else { (mark("warn", "not met yet")) } }
                    }
                }
                @if heads.is_empty() { tr { td colspan="3" { "No head has been cosigned yet." } } }
            }
        }
    }
}

fn next_request(reader: &PageReader, heads: &[Cosigned]) -> Markup {
    let old = heads.first().map_or(0, |cosigned| cosigned.head.size);
    html! {
        form method="get" action="/witnesses/request.txt" {
            p {
                label for="old" { "Number of log entries that the witness signed last (0 if none)" }
                input id="old" name="old" inputmode="numeric" pattern="[0-9]+" value=(old) required;
            }
            button { "Get the request" }
        }
        p {
            "Save the request as request.txt and carry it to the witness's machine. There, run "
            code { "gaprelay log witness sign FOLDER request.txt > signed" } ", where FOLDER is the witness's folder. Then hand in the file "
            code { "signed" } " here."
        }
        @if reader.hands_in() {
            form method="post" action="/witnesses" enctype="multipart/form-data" {
                p {
                    label for="signature" { "Cosigned head (the file signed)" }
                    input id="signature" name="signature" type="file";
                }
                p {
                    label for="signature-text" { "or the lines of that file" }
                    textarea id="signature-text" name="signature-text" rows="8" cols="80" spellcheck="false" {}
                }
                button { "Hand in" }
            }
        } @else {
            p { "Only officers can hand in a cosigned head here." }
        }
    }
}

/// Body of an `add-checkpoint` request (C2SP tlog-witness), as a file; a notice if the log has no such older size.
pub(crate) fn request_file(context: &ReviewContext, request: &PageRequest) -> Result<PageResponse, Error> {
    let folder = context.state.import_log();
    let Ok(old) = request.field("old").parse() else {
        let text = "The number of log entries is missing or is not a number. On the page Witnesses, enter the number \
                    that the witness signed last, or 0 if it has signed none.";
        return Ok(notice(404, "No request was made", text, NoticeLink::Back));
    };
    let Some(growth) = growth(&folder, &read_vkey(&folder)?, old)? else {
        let text = format!(
            "The log has fewer than {old} entries. Check the number on the page Witnesses. If a witness has signed that \
             many entries, the log was cut, or an old copy was restored: stop importing, and tell the administrator."
        );
        return Ok(notice(404, "No request was made", &text, NoticeLink::Back));
    };
    Ok(PageResponse::text(growth.to_text()))
}

/// Newest cosignature, or refusal of one, from entry `from` on; `None` while the log has none.
fn outcome(context: &ReviewContext, from: u64) -> Result<Option<Markup>, Error> {
    let folder = context.state.import_log();
    let mut found = None;
    each_from(&folder, &read_vkey(&folder)?, from, |_, entry| match &entry.event {
        Event::Cosigned { .. } => {
            found = Some(html! {
                p { (mark("good", "Accepted: the cosignature counts")) " " (safe_text(&event_text(&entry.event))) "." }
            });
        }
        Event::CosignatureRefused { reason, .. } => {
            found = Some(html! {
                p { (mark("bad", "Refused: the cosignature does not count")) " " (safe_text(&event_text(&entry.event))) "." }
                p { strong { "What to do: " } (reason.next()) }
            });
        }
        _ => {}
    })?;
    Ok(found)
}
