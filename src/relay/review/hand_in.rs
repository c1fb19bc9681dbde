//! Forms of the pages: a signed statement or directive, or a head that a witness cosigned, goes into the inbox; then
//! the page that says how the keeper judged a statement or directive.

use maud::html;
use multer::Multipart;

use super::ReviewContext;
use super::layout::{NoticeLink, fact_list, framed_page, mark, notice, quoted_text, safe_text, unix_lines};
use super::readers::PageReader;
use super::request::{PageRequest, release_in_path};
use super::response::PageResponse;
use crate::log::Event;
use crate::log::reading::each_from;
use crate::settle::{CosignedNote, InboxItem, SubmittedStatement};
use base::{Digest, Error, clock};
use tlog::check::read_vkey;
use tlog::stored::read_checkpoint;

/// Fields of a form that hands something in.
#[derive(Default)]
struct HandInForm {
    statement: String,
    signature: Vec<u8>,
}

/// Takes a statement, a directive or a cosigned head, with its signature, from the form of a page.
pub(crate) fn receive(
    context: &ReviewContext,
    reader: &PageReader,
    request: &PageRequest,
) -> Result<PageResponse, Error> {
    let id = request.path().strip_prefix("/imports/").and_then(release_in_path);
    let (is_head, is_directive) = (request.path() == "/witnesses", request.path() == "/keys");
    if id.is_none() && !is_head && !is_directive {
        let text = "Nothing can be handed in at that address, so nothing was. Hand in a statement on the page of its \
                    release, a directive on Keys and policy, and a cosigned head on Witnesses.";
        return Ok(notice(404, "Page not found", text, NoticeLink::Today));
    }
    if !reader.hands_in() {
        let text = "Only readers with the role officer hand in signed texts here, so nothing was handed in. Give the \
                    files to an officer, or use gaprelay approve or gaprelay directive on the relay.";
        return Ok(notice(403, "Your role cannot hand in", text, NoticeLink::Back));
    }
    let Some(form) = read_form(request) else {
        let text = "The form could not be read, so nothing was handed in. Fill in the form on the page of this relay: \
                    the signed text, and its signature as a file or as text.";
        return Ok(notice(400, "Nothing was handed in", text, NoticeLink::Back));
    };
    let folder = context.state.import_log();
    let from = read_checkpoint(&folder, &read_vkey(&folder)?)?.size;
    if is_head {
        let Some(cosigned) = String::from_utf8(form.signature).ok().filter(|text| !text.is_empty()) else {
            let text = "The cosigned head is missing or is not text, so nothing was handed in. Choose the file that \
                        gaprelay log witness sign wrote, or paste its lines.";
            return Ok(notice(400, "Nothing was handed in", text, NoticeLink::Back));
        };
        let item = InboxItem::Cosigned(CosignedNote { at: clock::now(), cosigned });
        let sent_on = || PageResponse::redirect(format!("/witnesses?from={from}"));
        return Ok(if context.submit(&item)? { sent_on() } else { inbox_is_full() });
    }
    if form.statement.trim().is_empty() || form.signature.is_empty() {
        let text = "The signed text or its signature is missing, so nothing was handed in. Give both: the text \
                    exactly as it was signed, and the .minisig file that minisign wrote.";
        return Ok(notice(400, "Nothing was handed in", text, NoticeLink::Back));
    }
    let statement = Digest::of(form.statement.as_bytes());
    let item = InboxItem::Statement(SubmittedStatement {
        at: clock::now(),
        text: form.statement.into_bytes(),
        signature: form.signature,
    });
    if !context.submit(&item)? {
        return Ok(inbox_is_full());
    }
    let about = id.map(|id| format!("&release={id}")).unwrap_or_default();
    Ok(PageResponse::redirect(format!("/handed-in/{statement}?from={from}{about}")))
}

fn inbox_is_full() -> PageResponse {
    let text = "The inbox has no room, so nothing was handed in. On the relay, start gaprelay up or run gaprelay settle \
                once: the keeper then judges what lies in the inbox. After that, hand in again.";
    notice(503, "The inbox is full", text, NoticeLink::Back)
}

/// Reads the form; `None` if the body is not a form.
fn read_form(request: &PageRequest) -> Option<HandInForm> {
    let boundary =
        request.head.headers.get("content-type")?.to_str().ok().and_then(|t| multer::parse_boundary(t).ok())?;
    let runtime = tokio::runtime::Handle::current();
    runtime.block_on(async {
        let mut form = HandInForm::default();
        let mut fields = Multipart::with_reader(request.body.as_ref(), boundary);
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

/// Page that says how the log judges the text with this digest, which was handed in at entry `from` or later.
pub(crate) fn outcome(
    context: &ReviewContext,
    reader: &PageReader,
    request: &PageRequest,
    digest: &str,
) -> Result<PageResponse, Error> {
    let folder = context.state.import_log();
    let from = request.field("from").parse().unwrap_or(u64::MAX);
    let id = release_in_path(&request.field("release"));
    let mut found = None;
    each_from(&folder, &read_vkey(&folder)?, from, |number, entry| match entry.event {
        Event::Statement { text, officer, decision, .. } if Digest::of(text.as_bytes()).to_string() == digest => {
            found = Some(html! {
                p { (mark("good", "Accepted: the statement counts")) }
                (fact_list(&[
                    ("officer", quoted_text(&officer)),
                    ("decision", quoted_text(&decision)),
                    ("log entry", html! { (number) }),
                ]))
            });
        }
        Event::Directive { text, officer, order, .. } if Digest::of(text.as_bytes()).to_string() == digest => {
            found = Some(html! {
                p { (mark("good", "Accepted: the directive counts")) }
                (fact_list(&[
                    ("officer", quoted_text(&officer)),
                    ("order", quoted_text(&order)),
                    ("log entry", html! { (number) }),
                ]))
            });
        }
        Event::StatementRefused { statement, reason, detail } if statement.to_string() == digest => {
            found = Some(html! {
                p { (mark("bad", "Refused: the signed text does not count")) }
                (fact_list(&[
                    ("cause", safe_text(&detail)),
                    ("reason code", html! { code { (reason) } ": " (reason.meaning()) }),
                    ("what to do", html! { (reason.next()) }),
                    ("log entry", html! { (number) }),
                ]))
            });
        }
        _ => {}
    })?;
    let reload = found.is_none().then_some(2);
    let body = found.unwrap_or_else(|| {
        html! {
            p { (mark("warn", "Waiting for the keeper")) }
            p { "The keeper is the process that checks the signature and decides. This page reloads every two seconds. "
                "If nothing changes within ten seconds, the keeper is not running: on the relay, start "
                code { "gaprelay up" } ", or run " code { "gaprelay settle" } " once." }
        }
    });
    let menu_path = if id.is_some() { "/imports" } else { "/keys" };
    let body = html! {
        (body)
        @match id {
            Some(id) => p { a href={ "/imports/" (id) } { "Back to release " (id) } },
            None => p { a href="/keys" { "Back to Keys and policy" } },
        }
    };
    let relay = context.config.relay.get_ref();
    Ok(PageResponse::page(200, framed_page(relay, reader, menu_path, "What was handed in", reload, &body)))
}
