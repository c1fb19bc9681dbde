//! A signed statement, or a head that a witness cosigned, through the slot; and what became of a statement.

use maud::html;
use multer::Multipart;

use super::Desk;
use super::frame::{Answer, Next, facts, mark, notice, page, said, told, unix_lines};
use super::readers::Reader;
use super::route::{Asked, release};
use crate::log::Event;
use crate::log::writer::each_from;
use crate::settle::{CosignedNote, InboxItem, SubmittedStatement};
use base::{Digest, Error, clock};
use tlog::check::read_vkey;
use tlog::stored::read_checkpoint;

/// What the form brings.
#[derive(Default)]
struct Form {
    statement: String,
    signature: Vec<u8>,
}

/// Takes a statement and its signature from the form of a release's page.
pub fn receive(desk: &Desk, reader: &Reader, asked: &Asked) -> Result<Answer, Error> {
    let id = asked.path().strip_prefix("/imports/").and_then(release);
    let (is_head, is_directive) = (asked.path() == "/witnesses", asked.path() == "/keys");
    if id.is_none() && !is_head && !is_directive {
        return Ok(notice(
            404,
            "There is no such page",
            "Statements are handed in on a release's page, directives on Keys and policy.",
            Next::Today,
        ));
    }
    if !reader.hands_in() {
        let text = "Only officers hand in what was signed. An officer can also do so by command on the relay.";
        return Ok(notice(403, "Not for this role", text, Next::Back));
    }
    let Some(form) = read(asked) else {
        let text = "The form could not be read: a statement, and its signature as a file or as text, are wanted.";
        return Ok(notice(400, "Nothing was handed in", text, Next::Back));
    };
    let folder = desk.state.import_log();
    let from = read_checkpoint(&folder, &read_vkey(&folder)?)?.size;
    if is_head {
        let Some(cosigned) = String::from_utf8(form.signature).ok().filter(|text| !text.is_empty()) else {
            let text = "What the witness printed is wanted, as a file or as text.";
            return Ok(notice(400, "Nothing was handed in", text, Next::Back));
        };
        let letter = InboxItem::Cosigned(CosignedNote { at: clock::now(), cosigned });
        return Ok(if desk.put(&letter)? { Answer::see(format!("/witnesses?from={from}")) } else { full() });
    }
    if form.statement.trim().is_empty() || form.signature.is_empty() {
        let text = "Both are needed: the statement exactly as it was signed, and the .minisig file that minisign made.";
        return Ok(notice(400, "Something is missing", text, Next::Back));
    }
    let statement = Digest::of(form.statement.as_bytes());
    let letter = InboxItem::Statement(SubmittedStatement {
        at: clock::now(),
        text: form.statement.into_bytes(),
        signature: form.signature,
    });
    if !desk.put(&letter)? {
        return Ok(full());
    }
    let about = id.map(|id| format!("&release={id}")).unwrap_or_default();
    Ok(Answer::see(format!("/handed-in/{statement}?from={from}{about}")))
}

fn full() -> Answer {
    let text =
        "The inbox is full until the keeper has settled. Start gaprelay up or gaprelay settle, then hand in again.";
    notice(503, "The inbox is full", text, Next::Back)
}

/// Reads the form; none if it is not one.
fn read(asked: &Asked) -> Option<Form> {
    let boundary =
        asked.head.headers.get("content-type")?.to_str().ok().and_then(|t| multer::parse_boundary(t).ok())?;
    let runtime = tokio::runtime::Handle::current();
    runtime.block_on(async {
        let mut form = Form::default();
        let mut fields = Multipart::with_reader(asked.handed_in.as_ref(), boundary);
        while let Some(field) = fields.next_field().await.ok()? {
            let name = field.name().map(str::to_owned);
            let bytes = field.bytes().await.ok()?;
            match name.as_deref() {
                Some("statement") => form.statement = unix_lines(str::from_utf8(&bytes).ok()?),
                Some("signature") if !bytes.is_empty() => form.signature = bytes.into(),
                // Browsers send text with CR LF, minisign writes LF.
                Some("signature-text") if !bytes.is_empty() && form.signature.is_empty() => {
                    form.signature = format!("{}\n", unix_lines(str::from_utf8(&bytes).ok()?).trim()).into_bytes();
                }
                _ => {}
            }
        }
        Some(form)
    })
}

/// What the log says of the statement with this digest, since it was handed in.
pub fn outcome(desk: &Desk, reader: &Reader, asked: &Asked, digest: &str) -> Result<Answer, Error> {
    let folder = desk.state.import_log();
    let from = asked.field("from").parse().unwrap_or(u64::MAX);
    let id = release(&asked.field("release"));
    let mut found = None;
    each_from(&folder, &read_vkey(&folder)?, from, |number, entry| match entry.event {
        Event::Statement { text, officer, decision, .. } if Digest::of(text.as_bytes()).to_string() == digest => {
            found = Some(html! {
                p { (mark("good", "It counts")) }
                (facts(&[("officer", said(&officer)), ("decision", said(&decision)), ("entry of the log", html! { (number) })]))
            });
        }
        Event::Directive { text, officer, order, .. } if Digest::of(text.as_bytes()).to_string() == digest => {
            found = Some(html! {
                p { (mark("good", "It counts")) }
                (facts(&[("officer", said(&officer)), ("order", said(&order)), ("entry of the log", html! { (number) })]))
            });
        }
        Event::StatementRefused { statement, reason, detail } if statement.to_string() == digest => {
            found = Some(html! {
                p { (mark("bad", "It does not count")) }
                (facts(&[
                    ("why", told(&detail)),
                    ("code", html! { code { (reason) } ": " (reason.meaning()) }),
                    ("what to do", html! { (reason.next()) }),
                    ("entry of the log", html! { (number) }),
                ]))
            });
        }
        _ => {}
    })?;
    let again = found.is_none().then_some(2);
    let body = found.unwrap_or_else(|| {
        html! {
            p { (mark("warn", "It waits for the keeper")) }
            p { "This page looks again every two seconds. If it goes on for longer than ten, the keeper does not run: start "
                code { "gaprelay up" } ", or run " code { "gaprelay settle" } " once." }
        }
    });
    let body = html! {
        (body)
        @match id {
            Some(id) => p { a href={ "/imports/" (id) } { "Back to " (id) } },
            None => p { a href="/keys" { "Back to keys and policy" } },
        }
    };
    Ok(Answer::page(200, page(desk.config.relay.get_ref(), reader, "/imports", "What was handed in", again, &body)))
}
