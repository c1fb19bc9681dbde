//! The two logs, from the newest entry back, searched and paged.

use maud::{Markup, html};

use crate::audit::Entry;
use crate::audit::check::read_vkey;
use crate::audit::compare::receipt;
use crate::audit::search::{Found, search};
use crate::base::Error;
use crate::base::quoted::whole;
use crate::report::words;
use crate::review::Desk;
use crate::review::frame::{Answer, page as frame, told};
use crate::review::readers::Reader;
use crate::review::route::Asked;

/// Entries on a page.
const ENTRIES: usize = 100;

/// The page.
pub fn page(desk: &Desk, reader: &Reader, asked: &Asked) -> Result<Answer, Error> {
    let access = asked.field("log") == "access";
    let (folder, name) = if access { (desk.state.access_log(), "access") } else { (desk.state.import_log(), "import") };
    let wanted = asked.field("words");
    // Entries are JSON: what is looked for is found as it is written there.
    let words: Vec<String> = wanted.split_whitespace().map(in_json).collect();
    let found = search(&folder, &read_vkey(&folder)?, asked.field("before").parse().ok(), &words, ENTRIES)?;
    let body = html! {
        form method="get" role="search" {
            p {
                label for="log" { "Log" }
                select id="log" name="log" {
                    option value="import" selected[!access] { "imports and decisions" }
                    option value="access" selected[access] { "what was refused" }
                }
            }
            p {
                label for="words" { "Words that an entry must hold, as they are written" }
                input id="words" name="words" type="search" value=(wanted) maxlength="200";
            }
            button { "Search" }
        }
        p { (found.size) " entries in all. They are read under the signed head; " code { "gaprelay log verify" } " proves them all, the file beside each proves that one." }
        (entries(&found, name))
        p class="pages" {
            @if found.reached > 0 { a rel="next" href={ "?" (query(name, &wanted, found.reached)) } { "Older" } }
        }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/log", "Log", None, &body)))
}

/// The proof of one entry, `import/7.tlog-proof` say, as a file (C2SP tlog-proof). `None`: there is none.
pub fn proof(desk: &Desk, entry: &str) -> Result<Option<Answer>, Error> {
    let Some((log, number)) = entry.strip_suffix(".tlog-proof").and_then(|entry| entry.split_once('/')) else {
        return Ok(None);
    };
    let folder = match log {
        "import" => desk.state.import_log(),
        "access" => desk.state.access_log(),
        _ => return Ok(None),
    };
    let Ok(number) = number.parse() else { return Ok(None) };
    Ok(receipt(&folder, &read_vkey(&folder)?, number)?.map(|receipt| Answer::text(receipt.to_text())))
}

fn entries(found: &Found, log: &str) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Entry" } th scope="col" { "Time" } th scope="col" { "What happened" } } }
            tbody {
                @for (number, entry) in &found.entries {
                    tr {
                        th scope="row" { (number) }
                        td { (entry.time) }
                        td {
                            details {
                                summary { (told(&words(&entry.event))) }
                                pre { (whole(&json(entry))) }
                                p { a href={ "/log/" (log) "/" (number) ".tlog-proof" } download { "The proof that it is in the log" } }
                            }
                        }
                    }
                }
                @if found.entries.is_empty() { tr { td colspan="3" { "No entry holds these words." } } }
            }
        }
    }
}

fn json(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

fn in_json(word: &str) -> String {
    let quoted = serde_json::to_string(word).unwrap_or_default();
    quoted.trim_matches('"').to_owned()
}

fn query(log: &str, words: &str, before: u64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("log", log).append_pair("words", words).append_pair("before", &before.to_string());
    query.finish()
}
