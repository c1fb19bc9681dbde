//! Import log and access log, from the newest entry back: searched, filtered, paged, and saved as a file.

use std::path::PathBuf;
use std::time::Duration;

use maud::{Markup, html};

use crate::export::exporter::lines;
use crate::export::{ExportEntry, ExportFormat, VERSION};
use crate::log::search::{SearchPage, SearchQuery, first_since, search};
use crate::log::{Entry, Event};
use crate::report::event_text;
use crate::report::numbers::thousands;
use crate::review::ReviewContext;
use crate::review::layout::{framed_page, safe_text};
use crate::review::readers::PageReader;
use crate::review::request::PageRequest;
use crate::review::response::PageResponse;
use base::limits::human;
use base::quoted::whole;
use base::{Error, Fault, Timestamp};
use tlog::check::read_vkey;
use tlog::compare::receipt;
use tlog::note::Verifier;
use tlog::stored::read_checkpoint;

/// Most entries on a page.
const ENTRIES: usize = 100;
/// Most entries in a file.
const IN_A_FILE: usize = 20_000;
/// Most bytes of a file; the oldest entries are left out first.
const BYTES_IN_A_FILE: usize = 64 << 20;
const DAY: Duration = Duration::from_hours(24);

/// Filter of the form: which log, which kind of entry, which words, which days.
struct LogFilter {
    is_access: bool,
    kind: String,
    words: String,
    since: String,
    until: String,
}

impl LogFilter {
    fn read(request: &PageRequest) -> Self {
        let kind = Some(request.field("kind")).filter(|kind| Event::KINDS.contains(&kind.as_str())).unwrap_or_default();
        Self {
            is_access: request.field("log") == "access",
            kind,
            words: request.field("words"),
            since: request.field("since"),
            until: request.field("until"),
        }
    }

    fn folder(&self, context: &ReviewContext) -> PathBuf {
        if self.is_access { context.state.access_log() } else { context.state.import_log() }
    }

    fn log_name(&self) -> &'static str {
        if self.is_access { "access" } else { "import" }
    }

    /// Search for the entries that pass the filter, with numbers below `before`.
    fn search(&self, context: &ReviewContext, vkey: &Verifier, before: Option<u64>) -> Result<SearchQuery, Fault> {
        let folder = self.folder(context);
        let size = read_checkpoint(&folder, vkey)?.size;
        let day = |text: &str| format!("{text}T00:00:00Z").parse::<Timestamp>().ok();
        let at = |day: Option<Timestamp>| day.map(|day| first_since(&folder, size, day)).transpose();
        // The last day is included.
        let end = at(day(&self.until).map(|day| day.plus(DAY)))?;
        let before = before.into_iter().chain(end).min();
        // Entries are stored as JSON, so a word must be searched as JSON writes it.
        let kind = (!self.kind.is_empty()).then(|| Event::needle(&self.kind));
        let words = self.words.split_whitespace().map(in_json).chain(kind).collect();
        Ok(SearchQuery { from: at(day(&self.since))?.unwrap_or(0), before, words })
    }

    /// Query of a link: this filter, and one more pair.
    fn query(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let pairs = [("log", self.log_name()), ("kind", &self.kind), ("words", &self.words), ("since", &self.since)];
        query.extend_pairs(pairs).append_pair("until", &self.until).append_pair(name, value);
        query.finish()
    }
}

/// Builds the page.
pub(crate) fn page(context: &ReviewContext, reader: &PageReader, request: &PageRequest) -> Result<PageResponse, Error> {
    let filter = LogFilter::read(request);
    let folder = filter.folder(context);
    let vkey = read_vkey(&folder)?;
    let wanted = filter.search(context, &vkey, request.field("before").parse().ok())?;
    let found = search(&folder, &vkey, &wanted, ENTRIES)?;
    let body = html! {
        (form(&filter))
        p {
            "This log has " (thousands(found.size)) " entries. The page reads them under the log's signed head, but does not check them all. To check all, run "
            code { "gaprelay log verify" } " on the relay. To check one, open it and save its proof."
        }
        p class="pages" {
            "Save the filtered entries as a file: "
            @for (format, name) in [("json", "JSON"), ("ocsf", "OCSF"), ("cef", "CEF")] {
                a href={ "/log/export?" (filter.query("format", format)) } { (name) }
            }
            "(the newest " (thousands(IN_A_FILE as u64)) " entries, at most " (human(BYTES_IN_A_FILE as u64)) "; " code { "gaprelay log export" } " writes all)"
        }
        (entries(&found, filter.log_name()))
        p class="pages" {
            @if found.reached > wanted.from { a rel="next" href={ "?" (filter.query("before", &found.reached.to_string())) } { "Older entries" } }
        }
    };
    Ok(PageResponse::page(200, framed_page(context.config.relay.get_ref(), reader, "/log", "Log", None, &body)))
}

fn form(filter: &LogFilter) -> Markup {
    html! {
        form method="get" role="search" class="filter" {
            p {
                label for="log" { "Log" }
                select id="log" name="log" {
                    option value="import" selected[!filter.is_access] { "import log: imports and decisions" }
                    option value="access" selected[filter.is_access] { "access log: refused requests" }
                }
            }
            p {
                label for="kind" { "Kind of entry" }
                select id="kind" name="kind" {
                    option value="" { "all" }
                    @for kind in Event::KINDS { option value=(kind) selected[kind == filter.kind] { (kind.replace('-', " ")) } }
                }
            }
            p { label for="since" { "From day (UTC)" } input id="since" name="since" type="date" value=(filter.since); }
            p { label for="until" { "To day (UTC)" } input id="until" name="until" type="date" value=(filter.until); }
            p {
                label for="words" { "Words in the entry (all must occur, exact spelling)" }
                input id="words" name="words" type="search" value=(filter.words) maxlength="200";
            }
            p { button { "Search" } }
        }
    }
}

/// File with the filtered entries, oldest first, as lines of an export; `None` if the format is unknown.
pub(crate) fn export(context: &ReviewContext, request: &PageRequest) -> Result<Option<PageResponse>, Error> {
    let (format, end) = match request.field("format").as_str() {
        "json" => (ExportFormat::Json, "jsonl"),
        "ocsf" => (ExportFormat::Ocsf, "ocsf.jsonl"),
        "cef" => (ExportFormat::Cef, "cef"),
        _ => return Ok(None),
    };
    let filter = LogFilter::read(request);
    let folder = filter.folder(context);
    let vkey = read_vkey(&folder)?;
    let found = search(&folder, &vkey, &filter.search(context, &vkey, None)?, IN_A_FILE)?;
    let (mut newest_first, mut bytes) = (Vec::new(), 0);
    for hit in &found.hits {
        let (log, number, size) = (vkey.name(), hit.number, found.size);
        let entry =
            ExportEntry { log, number, size, bytes: &hit.bytes, entry: &hit.entry, file: None, version: VERSION };
        let lines = lines(&context.state, &entry, format, false);
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
    Ok(Some(PageResponse::file(text, format!("{}-log.{end}", filter.log_name()))))
}

/// Proof of one entry, such as `import/7.tlog-proof`, as a file (C2SP tlog-proof); `None` if there is no such entry.
pub(crate) fn proof(context: &ReviewContext, entry: &str) -> Result<Option<PageResponse>, Error> {
    let Some((log, number)) = entry.strip_suffix(".tlog-proof").and_then(|entry| entry.split_once('/')) else {
        return Ok(None);
    };
    let folder = match log {
        "import" => context.state.import_log(),
        "access" => context.state.access_log(),
        _ => return Ok(None),
    };
    let Ok(number) = number.parse() else { return Ok(None) };
    Ok(receipt(&folder, &read_vkey(&folder)?, number)?.map(|receipt| PageResponse::text(receipt.to_text())))
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
                                summary { (safe_text(&event_text(&entry.event))) }
                                pre { (whole(&json(entry))) }
                                p { a href={ "/log/" (log) "/" (number) ".tlog-proof" } download { "Save the proof that this entry is in the log" } }
                            }
                        }
                    }
                }
                @if found.hits.is_empty() { tr { td colspan="3" { "No entry passes the filter." } } }
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
