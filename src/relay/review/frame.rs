//! What every page has around it, and the headers that make a browser keep it to itself.

use maud::{DOCTYPE, Markup, html};

use super::readers::Reader;
use base::quoted;
use base::quoted::printable;

/// The one style sheet.
pub const STYLE: &str = include_str!("style.css");

/// The picture on a browser's tab: one way in.
pub const ICON: &str = include_str!("icon.svg");

/// Nothing is run, nothing is loaded but our style sheet, forms lead back to us, nobody may frame us.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An answer to a browser.
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// Media type.
    pub kind: &'static str,
    /// Where to go on.
    pub location: Option<String>,
    /// Under which name it is kept, if it is to be kept rather than shown: letters, dots and dashes.
    pub kept_as: Option<String>,
    /// What is shown.
    pub body: Vec<u8>,
}

/// Where a notice leads.
#[derive(Clone, Copy)]
pub enum Next {
    /// To the first page.
    Today,
    /// To the page before.
    Back,
}

impl Answer {
    /// A file of plain text.
    pub fn text(text: String) -> Self {
        Self::of("text/plain; charset=utf-8", text)
    }

    /// A file to be kept under this name.
    pub fn file(text: String, name: String) -> Self {
        Self { kept_as: Some(name), ..Self::text(text) }
    }

    /// What is shown as it is.
    pub fn of(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, location: None, kept_as: None, body: body.into() }
    }

    /// A page.
    pub fn page(status: u16, page: Markup) -> Self {
        Self { status, ..Self::of("text/html; charset=utf-8", page.into_string()) }
    }

    /// To another page, after something was handed in.
    pub fn see(location: String) -> Self {
        Self { status: 303, location: Some(location), ..Self::of("text/plain", "") }
    }

    /// Its headers.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers: Vec<(&str, String)> = [
            ("Content-Type", self.kind),
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        let kept = self.kept_as.iter().map(|name| ("Content-Disposition", format!("attachment; filename=\"{name}\"")));
        headers.extend(kept);
        headers.extend(self.location.iter().map(|location| ("Location", location.clone())));
        headers
    }
}

/// The pages, in the order of the menu: path, name, whether an operator may see it.
const MENU: [(&str, &str, bool); 7] = [
    ("/", "Today", true),
    ("/imports", "Imports", true),
    ("/refusals", "Refusals", false),
    ("/agents", "Agents", false),
    ("/log", "Log", false),
    ("/witnesses", "Witnesses", false),
    ("/keys", "Keys and policy", false),
];

/// A page with the menu. `again`: it is to be loaded again after so many seconds.
pub fn page(relay: &str, reader: &Reader, here: &str, title: &str, again: Option<u32>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, relay, again))
            body {
                a class="skip" href="#main" { "Skip to the page" }
                header {
                    p class="relay" { strong { (said(relay)) } }
                    nav aria-label="Pages" {
                        ul {
                            @for (path, name, everybody) in MENU {
                                @if everybody || reader.sees_evidence() {
                                    li { a href=(path) aria-current=[(path == here).then_some("page")] { (name) } }
                                }
                            }
                        }
                    }
                    p class="who" { "You are " strong { (said(&reader.name)) } " (" (reader.who) "), " (reader.role_word()) }
                }
                main id="main" {
                    h1 { (title) }
                    (body)
                }
                footer { p { "These pages show; only a signature decides. Nothing here leads out of this network." } }
            }
        }
    }
}

fn head(title: &str, relay: &str, again: Option<u32>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            @if let Some(seconds) = again { meta http-equiv="refresh" content=(seconds); }
            title { (title) " · " (said_plainly(relay)) }
            link rel="stylesheet" href="/style.css";
            link rel="icon" type="image/svg+xml" href="/icon.svg";
        }
    }
}

/// A page that says one thing, to anybody.
pub fn notice(status: u16, title: &str, text: &str, next: Next) -> Answer {
    Answer::page(
        status,
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(title, "gaprelay", None))
                body {
                    main id="main" {
                        h1 { (title) }
                        p { (told(text)) }
                        @match next {
                            Next::Today => p { a href="/" { "Today" } },
                            Next::Back => p { "Go back, and look at what was handed in." },
                        }
                    }
                }
            }
        },
    )
}

/// Text that somebody else wrote: escaped, on one line, and with a direction of its own.
pub fn said(text: &str) -> Markup {
    html! { bdi { (said_plainly(text)) } }
}

/// Words of ours, in which what somebody else wrote was made safe before; made sure of.
pub fn told(text: &str) -> Markup {
    html! { bdi { (printable(text)) } }
}

fn said_plainly(text: &str) -> String {
    quoted(text).to_string()
}

/// Names and values side by side.
pub fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! { dl { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } } }
}

/// A mark with a word: never colour alone.
pub fn mark(class: &str, word: &str) -> Markup {
    let sign = match class {
        "good" => "✓",
        "bad" => "✗",
        _ => "!",
    };
    html! { span class={ "mark " (class) } { span aria-hidden="true" { (sign) " " } (word) } }
}

/// A number and what it counts.
pub fn many(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// A form's line feed as ours.
pub fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Where a signed text of so many lines is handed in, with its signature.
pub fn signed_form(action: &str, what: &str, rows: u8, text: &str) -> Markup {
    html! {
        form method="post" action=(action) enctype="multipart/form-data" {
            p {
                label for="statement" { (what) }
                textarea id="statement" name="statement" rows=(rows) cols="80" spellcheck="false" required { (text) }
            }
            p {
                label for="signature" { "Signature file" }
                input id="signature" name="signature" type="file" accept=".minisig";
            }
            p {
                label for="signature-text" { "or its four lines" }
                textarea id="signature-text" name="signature-text" rows="4" cols="80" spellcheck="false" {}
            }
            button { "Hand in" }
        }
    }
}
