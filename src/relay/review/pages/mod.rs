//! Pages, one file for each.

pub(crate) mod agents;
mod changes;
pub(crate) mod imports;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod manual;
pub(crate) mod refusals;
pub(crate) mod release;
pub(crate) mod today;
pub(crate) mod witnesses;

use super::layout::mark;
use crate::publish::ReleaseStatus;
use crate::report::releases::ReleaseRow;
use maud::Markup;

/// Most rows of a table on a page.
const ROWS: usize = 200;

/// Standing of a release, as a mark.
fn standing(row: &ReleaseRow) -> Markup {
    let class = match &row.standing {
        Some(ReleaseStatus::Held { .. } | ReleaseStatus::Overtaken { .. }) => "warn",
        Some(ReleaseStatus::Approved) => "good",
        Some(ReleaseStatus::Denied { .. } | ReleaseStatus::Refused | ReleaseStatus::Withdrawn) | None => "bad",
    };
    mark(class, &row.outcome())
}
