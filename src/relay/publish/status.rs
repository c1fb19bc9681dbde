//! Status of a release by the statements taken so far. Nothing is stored but the statements: the
//! standing is always derived.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::state::release::read_json;
use crate::state::{Release, State};
use base::{Digest, Fault, Timestamp, durable};
use bundle::ReleaseId;
use bundle::officer::count_officers;
use bundle::statement::{Decision, Statement};
use config::Feed;

/// A statement that was verified and counts: a file in the release's `statements/`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatementRecord {
    /// When it was taken.
    pub taken: Timestamp,
    /// Decision.
    pub decision: Decision,
    /// The officer's name.
    pub officer: String,
    /// The officer's raw public key, hex.
    pub key: String,
    /// The statement as signed.
    pub text: String,
    /// The signature file.
    pub signature: String,
    /// Number of officers whom the feed asked for when it was taken; of a withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u64>,
}

/// Status of a release.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub(crate) enum ReleaseStatus {
    /// Waits for officers.
    Held {
        /// Distinct officers who approved.
        approvals: u64,
        /// Number of approvals that are needed.
        needed: u64,
    },
    /// May be published.
    Approved,
    /// Was refused; final.
    Refused,
    /// Was withdrawn; final.
    Withdrawn,
}

impl std::fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held { approvals, needed } => {
                write!(f, "held ({approvals} of {needed} approvals)")
            }
            Self::Approved => f.write_str("approved"),
            Self::Refused => f.write_str("refused"),
            Self::Withdrawn => f.write_str("withdrawn"),
        }
    }
}

/// Status of `release` under the feed's rules: as many distinct officers as the feed asks for
/// approve or withdraw; a single one refuses. What is clean may go without, where the feed says so; but what keeps
/// something else from detecting needs its own number of officers, what takes too much away needs one always, and what goes
/// back to older content needs as many downgrade tickets as suppressing content needs officers.
pub(crate) fn release_status(release: &Release, taken: &[StatementRecord], feed: &Feed) -> ReleaseStatus {
    let (suppresses, goes_back) = (release.suppressions > 0, release.loss.goes_back());
    let usual = *feed.officers.get_ref();
    // Nothing in it: agents would lose all that they have of the feed.
    let is_empty = release.counts.cleared + release.counts.stripped == 0;
    let needed = match feed.suppress.officers(feed) {
        most if suppresses || goes_back => most,
        most if is_empty => most.max(usual),
        _ => usual,
    };
    let braked = suppresses || is_empty || release.loss.is_above(*feed.brake.get_ref());
    let officers = |decision| {
        let those = taken.iter().filter(|t| t.decision == decision);
        count_officers(those.map(|t| (t.officer.as_str(), t.key.as_str())))
    };
    let approvals = officers(if goes_back { Decision::Downgrade } else { Decision::Approve });
    if officers(Decision::Withdraw) >= usual || was_withdrawn(taken, usual) {
        ReleaseStatus::Withdrawn
    } else if officers(Decision::Refuse) > 0 {
        ReleaseStatus::Refused
    } else if approvals >= needed || (feed.clean_without_approval && release.counts.is_clean() && !braked) {
        ReleaseStatus::Approved
    } else {
        ReleaseStatus::Held { approvals, needed }
    }
}

/// True if enough officers had withdrawn the release when the last of them did: that is final, whatever the config asks for
/// since. Records of earlier versions say no number, and counted keys.
fn was_withdrawn(taken: &[StatementRecord], usual: u64) -> bool {
    let withdrawals: Vec<&StatementRecord> = taken.iter().filter(|t| t.decision == Decision::Withdraw).collect();
    (1..=withdrawals.len()).any(|count| {
        let (so_far, _) = withdrawals.split_at(count);
        let keys = || so_far.iter().map(|t| &t.key).collect::<BTreeSet<_>>().len() as u64;
        match so_far.last().and_then(|last| last.needed) {
            Some(needed) => count_officers(so_far.iter().map(|t| (t.officer.as_str(), t.key.as_str()))) >= needed,
            None => keys() >= usual,
        }
    })
}

/// When content that goes forward again is due, by the downgrade tickets that let a release be published.
pub(crate) fn back_until(taken: &[StatementRecord]) -> Option<Timestamp> {
    let tickets = taken.iter().filter(|t| t.decision == Decision::Downgrade);
    tickets.filter_map(|t| Some(Statement::parse(t.text.as_bytes()).ok()?.ticket?.until)).min()
}

impl State {
    /// The statements on a release that count, oldest first.
    pub fn statements(&self, id: &ReleaseId) -> Result<Vec<StatementRecord>, Fault> {
        let folder = self.release_path(id).join("statements");
        let mut taken: Vec<StatementRecord> =
            durable::names(&folder)?.iter().map(|name| read_json(&folder.join(name))).collect::<Result<_, _>>()?;
        taken.sort_by_key(|t| t.taken);
        Ok(taken)
    }

    /// Keeps a statement, by the digest of its text and key.
    pub fn store_statement(&self, id: &ReleaseId, taken: &StatementRecord) -> Result<(), Fault> {
        let name = Digest::of(format!("{}\n{}", taken.key, taken.text).as_bytes());
        let bytes = serde_json::to_vec(taken).map_err(|_| Fault::Internal("a statement cannot be written as JSON"))?;
        durable::replace(&self.release_path(id).join("statements").join(format!("{name}.json")), &bytes)
    }
}
