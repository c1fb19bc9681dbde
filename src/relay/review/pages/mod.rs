//! Pages, one file for each.

pub mod agents;
pub mod imports;
pub mod keys;
pub mod log;
pub mod manual;
pub mod refusals;
pub mod release;
pub mod today;
pub mod witnesses;

use super::layout::mark;
use crate::publish::ReleaseStatus;
use crate::report::releases::ReleaseRow;
use maud::Markup;

/// Most rows of a table on a page.
const ROWS: usize = 200;

/// ReleaseStatus of a release, as a mark.
fn standing(row: &ReleaseRow) -> Markup {
    let class = match &row.standing {
        Some(ReleaseStatus::Held { .. }) => "warn",
        Some(ReleaseStatus::Approved) => "good",
        Some(ReleaseStatus::Refused | ReleaseStatus::Withdrawn) | None => "bad",
    };
    mark(class, &row.outcome())
}
