//! The two logs, from the newest entry back: searched, filtered, paged, and taken away as a file.

use std::path::PathBuf;
use std::time::Duration;

use maud::{Markup, html};

use crate::export::feed::lines;
use crate::export::{Format, Told, VERSION};
use crate::log::search::{SearchPage, SearchQuery, first_since, search};
use crate::log::{Entry, Event};
use crate::report::words;
use crate::review::Desk;
use crate::review::frame::{Answer, page as frame, told};
use crate::review::readers::Reader;
use crate::review::route::Asked;
use base::limits::human;
use base::quoted::whole;
use base::{Error, Fault, Timestamp};
use tlog::check::read_vkey;
use tlog::compare::receipt;
use tlog::note::Verifier;
use tlog::stored::read_checkpoint;

/// Entries on a page.
const ENTRIES: usize = 100;
/// Entries in a file.
const IN_A_FILE: usize = 20_000;
/// Bytes of a file; what would make it longer is left out, the oldest first.
const BYTES_IN_A_FILE: usize = 64 << 20;
const DAY: Duration = Duration::from_hours(24);

/// What the form asks for.
struct Filter {
    access: bool,
    kind: String,
    words: String,
    since: String,
    until: String,
}

impl Filter {
    fn of(asked: &Asked) -> Self {
        let kind = Some(asked.field("kind")).filter(|kind| Event::KINDS.contains(&kind.as_str())).unwrap_or_default();
        Self {
            access: asked.field("log") == "access",
            kind,
            words: asked.field("words"),
            since: asked.field("since"),
            until: asked.field("until"),
        }
    }

    fn folder(&self, desk: &Desk) -> PathBuf {
        if self.access { desk.state.access_log() } else { desk.state.import_log() }
    }

    fn name(&self) -> &'static str {
        if self.access { "access" } else { "import" }
    }

    /// The entries that it leaves, below `before`.
    fn wanted(&self, desk: &Desk, vkey: &Verifier, before: Option<u64>) -> Result<SearchQuery, Fault> {
        let folder = self.folder(desk);
        let size = read_checkpoint(&folder, vkey)?.size;
        let day = |text: &str| format!("{text}T00:00:00Z").parse::<Timestamp>().ok();
        let at = |day: Option<Timestamp>| day.map(|day| first_since(&folder, size, day)).transpose();
        // The day that is named last is wanted too.
        let end = at(day(&self.until).map(|day| day.plus(DAY)))?;
        let before = before.into_iter().chain(end).min();
        // Entries are JSON: what is looked for is found as it is written there.
        let kind = (!self.kind.is_empty()).then(|| Event::needle(&self.kind));
        let words = self.words.split_whitespace().map(in_json).chain(kind).collect();
        Ok(SearchQuery { from: at(day(&self.since))?.unwrap_or(0), before, words })
    }

    /// As a link has it, with one more pair.
    fn query(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let pairs = [("log", self.name()), ("kind", &self.kind), ("words", &self.words), ("since", &self.since)];
        query.extend_pairs(pairs).append_pair("until", &self.until).append_pair(name, value);
        query.finish()
    }
}

/// The page.
pub fn page(desk: &Desk, reader: &Reader, asked: &Asked) -> Result<Answer, Error> {
    let filter = Filter::of(asked);
    let folder = filter.folder(desk);
    let vkey = read_vkey(&folder)?;
    let wanted = filter.wanted(desk, &vkey, asked.field("before").parse().ok())?;
    let found = search(&folder, &vkey, &wanted, ENTRIES)?;
    let body = html! {
        (form(&filter))
        p { (found.size) " entries in all. They are read under the signed head; " code { "gaprelay log verify" } " proves them all, the file beside each proves that one." }
        p class="pages" {
            "What is left by the filter, as a file: "
            @for (format, name) in [("json", "JSON"), ("ocsf", "OCSF"), ("cef", "CEF")] {
                a href={ "/log/export?" (filter.query("format", format)) } { (name) }
            }
            "(the newest " (IN_A_FILE) ", at most " (human(BYTES_IN_A_FILE as u64)) "; " code { "gaprelay log export" } " tells all)"
        }
        (entries(&found, filter.name()))
        p class="pages" {
            @if found.reached > wanted.from { a rel="next" href={ "?" (filter.query("before", &found.reached.to_string())) } { "Older" } }
        }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/log", "Log", None, &body)))
}

fn form(filter: &Filter) -> Markup {
    html! {
        form method="get" role="search" class="filter" {
            p {
                label for="log" { "Log" }
                select id="log" name="log" {
                    option value="import" selected[!filter.access] { "imports and decisions" }
                    option value="access" selected[filter.access] { "what was refused" }
                }
            }
            p {
                label for="kind" { "Kind" }
                select id="kind" name="kind" {
                    option value="" { "all" }
                    @for kind in Event::KINDS { option value=(kind) selected[kind == filter.kind] { (kind.replace('-', " ")) } }
                }
            }
            p { label for="since" { "From the day (UTC)" } input id="since" name="since" type="date" value=(filter.since); }
            p { label for="until" { "to the day" } input id="until" name="until" type="date" value=(filter.until); }
            p {
                label for="words" { "Words that an entry must hold, as they are written" }
                input id="words" name="words" type="search" value=(filter.words) maxlength="200";
            }
            p { button { "Search" } }
        }
    }
}

/// What the filter leaves, oldest first, as lines of an export.
pub fn export(desk: &Desk, asked: &Asked) -> Result<Option<Answer>, Error> {
    let (format, end) = match asked.field("format").as_str() {
        "json" => (Format::Json, "jsonl"),
        "ocsf" => (Format::Ocsf, "ocsf.jsonl"),
        "cef" => (Format::Cef, "cef"),
        _ => return Ok(None),
    };
    let filter = Filter::of(asked);
    let folder = filter.folder(desk);
    let vkey = read_vkey(&folder)?;
    let found = search(&folder, &vkey, &filter.wanted(desk, &vkey, None)?, IN_A_FILE)?;
    let (mut newest_first, mut bytes) = (Vec::new(), 0);
    for hit in &found.hits {
        let (log, number, size) = (vkey.name(), hit.number, found.size);
        let told = Told { log, number, size, bytes: &hit.bytes, entry: &hit.entry, file: None, version: VERSION };
        let lines = lines(&desk.state, &told, format, false);
        bytes += lines.iter().map(String::len).sum::<usize>();
        if bytes > BYTES_IN_A_FILE {
            break;
        }
        newest_first.push(lines);
    }
    let mut text = String::with_capacity(bytes);
    for line in newest_first.into_iter().rev().flatten() {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(Some(Answer::file(text, format!("{}-log.{end}", filter.name()))))
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

fn entries(found: &SearchPage, log: &str) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr { th scope="col" { "Entry" } th scope="col" { "Time" } th scope="col" { "What happened" } } }
            tbody {
                @for hit in &found.hits {
                    @let (number, entry) = (hit.number, &hit.entry);
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
                @if found.hits.is_empty() { tr { td colspan="3" { "No such entry." } } }
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
