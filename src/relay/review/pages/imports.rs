//! All releases, the newest import first.

use maud::html;

use super::{ROWS, standing};
use crate::report::releases;
use crate::review::Desk;
use crate::review::frame::{Answer, page as frame, said};
use crate::review::readers::Reader;
use base::Error;

/// The page.
pub fn page(desk: &Desk, reader: &Reader) -> Result<Answer, Error> {
    let mut rows = releases::rows(&desk.state, &desk.config)?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.release.imported));
    let body = html! {
        @if rows.is_empty() { p { "Nothing was imported yet: " code { "gaprelay import PATH" } " on the relay." } }
        @if rows.len() > ROWS { p { "The newest " (ROWS) " of " (rows.len()) ". " code { "gaprelay releases" } " lists all." } }
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Release" } th scope="col" { "Label" } th scope="col" { "Imported" }
                th scope="col" { "Operator" } th scope="col" { "Stripped" } th scope="col" { "Withheld" } th scope="col" { "Standing" }
            } }
            tbody {
                @for row in rows.iter().take(ROWS) {
                    @let release = &row.release;
                    tr {
                        th scope="row" { a href={ "/imports/" (release.id()) } { (release.id()) } }
                        td { (said(&release.label)) }
                        td { (release.imported) }
                        td { (said(&release.operator.to_string())) }
                        td { (release.counts.stripped) }
                        td { (release.counts.withheld) }
                        td { (standing(row)) }
                    }
                }
            }
        }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/imports", "Imports", None, &body)))
}
