//! All releases, the newest import first.

use maud::html;

use super::{ROWS, standing};
use crate::report::numbers::thousands;
use crate::report::releases;
use crate::review::ReviewContext;
use crate::review::layout::{framed_page, quoted_text};
use crate::review::readers::PageReader;
use crate::review::response::PageResponse;
use base::Error;

/// Builds the page.
pub(crate) fn page(context: &ReviewContext, reader: &PageReader) -> Result<PageResponse, Error> {
    let mut rows = releases::rows(&context.state, &context.config)?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.release.imported));
    let body = html! {
        @if rows.is_empty() {
            p { "Nothing has been imported yet. To import a medium, run " code { "gaprelay import PATH" } " on the relay." }
        } @else {
            p { "Open a release to see its verdicts and what it changes, and to decide on it." }
        }
        @if rows.len() > ROWS {
            p { "This page shows the newest " (ROWS) " of " (thousands(rows.len() as u64)) " releases. To list all, run " code { "gaprelay releases" } " on the relay." }
        }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Release" } th scope="col" { "Label" } th scope="col" { "Imported" }
                th scope="col" { "Operator" } th scope="col" { "Files stripped" } th scope="col" { "Files withheld" } th scope="col" { "Status" }
            } }
            tbody {
                @for row in rows.iter().take(ROWS) {
                    @let release = &row.release;
                    tr {
                        th scope="row" { a href={ "/imports/" (release.id()) } { (release.id()) } }
                        td { (quoted_text(&release.label)) }
                        td { (release.imported) }
                        td { (quoted_text(&release.operator.to_string())) }
                        td { (thousands(release.counts.stripped)) }
                        td { (thousands(release.counts.withheld)) }
                        td { (standing(row)) }
                    }
                }
            }
        }
    };
    let relay = context.config.relay.get_ref();
    Ok(PageResponse::page(200, framed_page(relay, reader, "/imports", "Imports", None, &body)))
}
