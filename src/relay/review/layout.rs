//! Layout that all pages share: head, menu, footer, and the small parts from which pages are built.

use maud::{DOCTYPE, Markup, html};

use super::readers::PageReader;
use super::response::PageResponse;
use crate::report::numbers::thousands;
use base::quoted;
use base::quoted::printable;
use terminal::manual;

/// Style sheet of all pages.
pub(crate) const STYLE: &str = include_str!("style.css");

/// Icon on the browser's tab.
pub(crate) const ICON: &str = include_str!("icon.svg");

/// Way on from a notice.
#[derive(Clone, Copy)]
pub(crate) enum NoticeLink {
    /// Link to the first page.
    Today,
    /// Advice to go back to the form.
    Back,
}

/// Line of the menu.
struct MenuItem {
    path: &'static str,
    name: &'static str,
    /// True if operators see the page too.
    is_for_operators: bool,
    /// Topic of the manual that explains the page.
    topic: &'static str,
}

const fn item(path: &'static str, name: &'static str, is_for_operators: bool, topic: &'static str) -> MenuItem {
    MenuItem { path, name, is_for_operators, topic }
}

/// Pages, in the order of the menu.
const MENU: [MenuItem; 8] = [
    item("/", "Today", true, "officer"),
    item("/imports", "Imports", true, "officer"),
    item("/refusals", "Refusals", false, "agents"),
    item("/agents", "Agents", false, "agents"),
    item("/log", "Log", false, "auditor"),
    item("/witnesses", "Witnesses", false, "officer"),
    item("/keys", "Keys and policy", false, "officer"),
    item("/manual", "Manual", true, "glossary"),
];

/// Page with the menu around it. `menu_path`: path of the menu's line that it belongs to; `reload`: seconds after
/// which the browser loads it again.
pub(crate) fn framed_page(
    relay: &str,
    reader: &PageReader,
    menu_path: &str,
    title: &str,
    reload: Option<u32>,
    body: &Markup,
) -> Markup {
    let topic = MENU.iter().find(|item| item.path == menu_path).and_then(|item| manual::page(item.topic));
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, relay, reload))
            body {
                a class="skip" href="#main" { "Skip to the content of this page" }
                header {
                    p class="relay" { strong { (quoted_text(relay)) } }
                    nav aria-label="Pages" {
                        ul {
                            @for item in &MENU {
                                @if item.is_for_operators || reader.sees_evidence() {
                                    li {
                                        a href=(item.path) aria-current=[(item.path == menu_path).then_some("page")] {
                                            (item.name)
                                        }
                                    }
                                }
                            }
                        }
                    }
                    p class="who" {
                        "Signed in: " strong { (quoted_text(&reader.name)) }
                        " (" (reader.identity) "), " (reader.role_word())
                    }
                }
                main id="main" {
                    h1 { (title) }
                    (body)
                }
                footer {
                    @if let Some(topic) = topic {
                        p { "Manual for this page: " a href={ "/manual/" (topic.topic) } { (topic.topic) " - " (topic.about) } }
                    }
                    p { "These pages decide nothing: each decision needs an officer's signature. No link leads out of this network." }
                }
            }
        }
    }
}

fn head(title: &str, relay: &str, reload: Option<u32>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            @if let Some(seconds) = reload { meta http-equiv="refresh" content=(seconds); }
            title { (title) " · " (quoted_string(relay)) }
            link rel="stylesheet" href="/style.css";
            link rel="icon" type="image/svg+xml" href="/icon.svg";
        }
    }
}

/// Short page without the menu: shown before the reader is known, or where a request failed.
pub(crate) fn notice(status: u16, title: &str, text: &str, link: NoticeLink) -> PageResponse {
    PageResponse::page(
        status,
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(title, "gaprelay", None))
                body {
                    main id="main" {
                        h1 { (title) }
                        p { (safe_text(text)) }
                        @match link {
                            NoticeLink::Today => p { a href="/" { "Go to the page Today" } },
                            NoticeLink::Back => p { "Use the browser's Back button to return to the form." },
                        }
                    }
                }
            }
        },
    )
}

/// Text that somebody outside wrote: escaped, on one line, with a text direction of its own.
pub(crate) fn quoted_text(text: &str) -> Markup {
    html! { bdi { (quoted_string(text)) } }
}

/// Sentence of ours in which outside text was escaped before; escaped once more, to be sure.
pub(crate) fn safe_text(text: &str) -> Markup {
    html! { bdi { (printable(text)) } }
}

fn quoted_string(text: &str) -> String {
    quoted(text).to_string()
}

/// List of names, each with its value.
pub(crate) fn fact_list(rows: &[(&str, Markup)]) -> Markup {
    html! { dl { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } } }
}

/// Coloured mark with a sign and a word: colour alone never carries the meaning. `class`: good, warn or bad.
pub(crate) fn mark(class: &str, word: &str) -> Markup {
    let sign = match class {
        "good" => "✓",
        "bad" => "✗",
        _ => "!",
    };
    html! { span class={ "mark " (class) } { span aria-hidden="true" { (sign) " " } (word) } }
}

/// Number with the noun that it counts, such as `1 attempt` or `5,360 attempts`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", thousands(count))
}

/// Text of a form with LF line ends; browsers send CR LF.
pub(crate) fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Form that takes a signed text of `rows` lines and its signature.
pub(crate) fn signed_form(action: &str, label: &str, rows: u8, text: &str) -> Markup {
    html! {
        form method="post" action=(action) enctype="multipart/form-data" {
            p {
                label for="statement" { (label) }
                textarea id="statement" name="statement" rows=(rows) cols="80" spellcheck="false" required { (text) }
            }
            p {
                label for="signature" { "Signature file (.minisig)" }
                input id="signature" name="signature" type="file" accept=".minisig";
            }
            p {
                label for="signature-text" { "or the four lines of the signature file" }
                textarea id="signature-text" name="signature-text" rows="4" cols="80" spellcheck="false" {}
            }
            button { "Hand in" }
        }
    }
}
