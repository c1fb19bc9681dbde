//! One file for each page.

pub mod agents;
pub mod imports;
pub mod keys;
pub mod log;
pub mod refusals;
pub mod release;
pub mod today;
pub mod witnesses;

use super::frame::mark;
use crate::publish::ReleaseStatus;
use crate::report::releases::ReleaseRow;
use maud::Markup;

/// How many rows a page shows at most.
const ROWS: usize = 200;

/// Where a release stands, as a mark.
fn standing(row: &ReleaseRow) -> Markup {
    let class = match &row.standing {
        Some(ReleaseStatus::Held { .. }) => "warn",
        Some(ReleaseStatus::Approved) => "good",
        Some(ReleaseStatus::Refused | ReleaseStatus::Withdrawn) | None => "bad",
    };
    mark(class, &row.outcome())
}
