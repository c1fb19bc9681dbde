//! Who keeps an outside memory of the log, what they saw, what they are to sign, and where to hand it in.

use maud::{Markup, html};

use crate::log::Event;
use crate::log::writer::each_from;
use crate::report::{status, words};
use crate::review::Desk;
use crate::review::frame::{Answer, mark, page as frame, told};
use crate::review::readers::Reader;
use crate::review::route::Asked;
use base::{Error, clock};
use tlog::check::read_vkey;
use tlog::compare::growth;
use tlog::cosigned::{Cosigned, kept};

/// The page.
pub fn page(desk: &Desk, reader: &Reader, asked: &Asked) -> Result<Answer, Error> {
    let Some(witness) = &desk.config.witness else {
        let body = html! {
            p { (mark("warn", "no witness")) " The config names none: nobody outside keeps a memory of the log but those who keep receipts." }
            p { "Add " code { "[witness]" } " with a policy to the config, and " code { "gaprelay log witness init" } " on an officer's machine." }
        };
        return Ok(Answer::page(
            200,
            frame(desk.config.relay.get_ref(), reader, "/witnesses", "Witnesses", None, &body),
        ));
    };
    let folder = desk.state.import_log();
    let vkey = read_vkey(&folder)?;
    let heads = kept(&folder, &vkey, &witness.policy)?;
    let newest = status::witnesses(&desk.state, &desk.config, clock::now())?;
    let became = asked.field("from").parse().ok().map(|from| became(desk, from)).transpose()?;
    let again = became.as_ref().is_some_and(Option::is_none).then_some(2);
    let body = html! {
        @if let Some(became) = became {
            section role="status" {
                h2 { "What was handed in" }
                @match became {
                    Some(told) => (told),
                    None => p { (mark("warn", "It waits for the keeper")) " This page looks again every two seconds. The keeper runs under " code { "gaprelay up" } "." },
                }
            }
        }
        @if let Some(newest) = newest {
            p { @if newest.due { (mark("warn", "due")) } @else { (mark("good", "witnessed")) } " " (newest) "." }
        }
        section { h2 { "Heads that were cosigned" } (table(&heads)) }
        section { h2 { "The next one" } (next(reader, &heads)) }
        section {
            h2 { "Policy" }
            pre { (witness.policy.to_text(&vkey.to_text())) }
            p { "A head counts as seen for " (humantime::format_duration(witness.fresh.0)) "." }
        }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/witnesses", "Witnesses", again, &body)))
}

fn table(heads: &[Cosigned]) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr { th scope="col" { "Entries" } th scope="col" { "Witnesses" } th scope="col" { "Quorum" } } }
            tbody {
                @for cosigned in heads {
                    tr {
                        th scope="row" { (cosigned.head.size) }
                        td { ul { @for (name, time) in &cosigned.by { li { (told(name)) ", " (time) } } } }
                        td { @if cosigned.is_met { (mark("good", "met")) } @else { (mark("warn", "not yet")) } }
                    }
                }
                @if heads.is_empty() { tr { td colspan="3" { "None yet." } } }
            }
        }
    }
}

fn next(reader: &Reader, heads: &[Cosigned]) -> Markup {
    let old = heads.first().map_or(0, |cosigned| cosigned.head.size);
    html! {
        form method="get" action="/witnesses/request.txt" {
            p {
                label for="old" { "Entries that the witness saw last" }
                input id="old" name="old" inputmode="numeric" pattern="[0-9]+" value=(old) required;
            }
            button { "Get the request" }
        }
        p { "On the witness: " code { "gaprelay log witness sign DESK request.txt > signed" } ". Then hand in " code { "signed" } ":" }
        @if reader.hands_in() {
            form method="post" action="/witnesses" enctype="multipart/form-data" {
                p {
                    label for="signature" { "Cosigned head" }
                    input id="signature" name="signature" type="file";
                }
                p {
                    label for="signature-text" { "or its lines" }
                    textarea id="signature-text" name="signature-text" rows="8" cols="80" spellcheck="false" {}
                }
                button { "Hand in" }
            }
        } @else {
            p { "Only officers hand in here." }
        }
    }
}

/// The body of `add-checkpoint`, as a file.
pub fn request(desk: &Desk, asked: &Asked) -> Result<Option<Answer>, Error> {
    let folder = desk.state.import_log();
    let Ok(old) = asked.field("old").parse() else { return Ok(None) };
    Ok(growth(&folder, &read_vkey(&folder)?, old)?.map(|growth| Answer::text(growth.to_text())))
}

/// What the log says of cosignatures since; `None` while it says nothing.
fn became(desk: &Desk, from: u64) -> Result<Option<Markup>, Error> {
    let folder = desk.state.import_log();
    let mut found = None;
    each_from(&folder, &read_vkey(&folder)?, from, |_, entry| {
        let class = match &entry.event {
            Event::Cosigned { .. } => "good",
            Event::CosignatureRefused { .. } => "bad",
            _ => return,
        };
        let next = match &entry.event {
            Event::CosignatureRefused { reason, .. } => reason.next(),
            _ => "",
        };
        let word = if class == "good" { "it counts" } else { "it does not count" };
        found = Some(html! { p { (mark(class, word)) " " (told(&words(&entry.event))) ". " (next) } });
    })?;
    Ok(found)
}
