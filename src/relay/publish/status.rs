//! Status of a release by the statements that the import log has on it: it is always derived. The statements' files are
//! evidence, which is verified again before a release is shown.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::log::{Entry, Event};
use crate::state::release::read_json;
use crate::state::{Release, State, TakenStatement, Trust};
use base::{Digest, Fault, Refusal, Timestamp, durable};
use bundle::directive::Directive;
use bundle::officer::{count_officers, signed_by};
use bundle::statement::{Decision, Statement};
use bundle::{Keyring, ReleaseId, Right};
use config::{Config, Feed};
use tlog::check::{LogFinding, check};

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
    /// Waits no longer: agents have, or had, a newer release of the feed.
    Overtaken {
        /// Version of that release.
        by: u64,
    },
    /// May be published.
    Approved,
    /// Cannot be shown, nor wait for officers: its feed, its origin or a key that signed it was denied, or the key
    /// revoked.
    Denied {
        /// By whom, and why.
        why: String,
    },
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
            Self::Overtaken { by } => write!(f, "overtaken by version {by}"),
            Self::Approved => f.write_str("approved"),
            Self::Denied { why } => write!(f, "denied: {why}"),
            Self::Refused => f.write_str("refused"),
            Self::Withdrawn => f.write_str("withdrawn"),
        }
    }
}

/// Status of `release` under the feed's rules: as many distinct officers as the feed asks for approve or withdraw; a
/// single one refuses. What is clean may go without, where the feed says so; but what keeps something else from
/// detecting needs its own number of officers, what takes too much away needs one always, and what goes back to older
/// content needs as many downgrade tickets as suppressing content needs officers. What nobody can prove of an
/// `unproven` one is taken to be the worst.
fn release_status(release: &Release, (taken, unproven): (&[&TakenStatement], bool), feed: &Feed) -> ReleaseStatus {
    let (suppresses, goes_back) = (release.suppressions > 0 || unproven, release.loss.goes_back());
    let usual = *feed.officers.get_ref();
    // Nothing in it: agents would lose all that they have of the feed.
    let is_empty = release.counts.cleared + release.counts.stripped == 0;
    let needed = match feed.suppress.officers(feed) {
        most if suppresses || goes_back => most,
        most if is_empty => most.max(usual),
        _ => usual,
    };
    let braked =
        suppresses || is_empty || !release.shared_names.is_empty() || release.loss.is_above(*feed.brake.get_ref());
    let approvals = count_approvals(taken, if goes_back { Decision::Downgrade } else { Decision::Approve });
    if approvals >= needed || (feed.clean_without_approval && release.counts.is_clean() && !braked) {
        ReleaseStatus::Approved
    } else {
        ReleaseStatus::Held { approvals, needed }
    }
}

/// Withdrawn or refused, which is final whatever the release is and whatever lies on the disk; none if it is neither.
pub(crate) fn closed_status(taken: &[TakenStatement], feed: &Feed) -> Option<ReleaseStatus> {
    let usual = *feed.officers.get_ref();
    if count_decisions(taken, Decision::Withdraw) >= usual || was_withdrawn(taken, usual) {
        Some(ReleaseStatus::Withdrawn)
    } else {
        (count_decisions(taken, Decision::Refuse) > 0).then_some(ReleaseStatus::Refused)
    }
}

/// Number of officers who let the release pass with the same changes for agents: what one has looked at is not what
/// another has, once something else was published between the two.
fn count_approvals(taken: &[&TakenStatement], decision: Decision) -> u64 {
    let such: Vec<&&TakenStatement> = taken.iter().filter(|t| t.decision == decision).collect();
    let with = |changes: Option<Digest>| {
        let those = such.iter().filter(|t| t.changes.is_none() || t.changes == changes);
        count_officers(those.map(|t| (t.officer.as_str(), t.key.as_str())))
    };
    such.iter().map(|t| with(t.changes)).max().unwrap_or_default()
}

/// Number of officers who decided so.
fn count_decisions(taken: &[TakenStatement], decision: Decision) -> u64 {
    let those = taken.iter().filter(|t| t.decision == decision);
    count_officers(those.map(|t| (t.officer.as_str(), t.key.as_str())))
}

/// True if enough officers had withdrawn the release when the last of them did: that is final, whatever the config asks
/// for since. Records of earlier versions say no number, and counted keys.
fn was_withdrawn(taken: &[TakenStatement], usual: u64) -> bool {
    let withdrawals: Vec<&TakenStatement> = taken.iter().filter(|t| t.decision == Decision::Withdraw).collect();
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
    tickets.filter_map(|t| Some(Statement::parse_taken(t.text.as_bytes()).ok()?.ticket?.until)).min()
}

impl Trust {
    /// Status of a release by what the import log has on it. What no channel shows now becomes visible only if nothing
    /// of it is denied, and by approvals whose keys are not. What waits for officers is overtaken once agents have a
    /// newer one; what they never had stays so when that is withdrawn, so that a withdrawal shows nothing for the first
    /// time.
    pub(crate) fn status(&self, release: &Release, feed: &Feed, rules: (&Config, &Keyring)) -> ReleaseStatus {
        let (id, (config, keyring)) = (release.id(), rules);
        let taken = self.statements(&id);
        if let Some(closed) = closed_status(taken, feed) {
            return closed;
        }
        let is_shown = self.is_shown(config, &id);
        if !is_shown && let Err(refusal) = keyring.check_release(&release.feed, &release.origin, &release.signers) {
            return ReleaseStatus::Denied { why: refusal.detail };
        }
        let counts = |taken: &&TakenStatement| is_shown || !keyring.has_lost(&taken.key_id);
        let counting: Vec<&TakenStatement> = taken.iter().filter(counts).collect();
        let unproven = self.history(&id).is_none_or(|history| history.unproven);
        let status = release_status(release, (&counting, unproven), feed);
        let newer = match &status {
            ReleaseStatus::Held { .. } if !release.loss.goes_back() => self.shown_version(config, &release.feed),
            ReleaseStatus::Approved if !self.was_shown(&id) => self.highest_shown(&release.feed),
            _ => None,
        };
        match newer.filter(|newer| *newer > release.version) {
            Some(by) => ReleaseStatus::Overtaken { by },
            None => status,
        }
    }
}

impl StatementRecord {
    /// Record of an entry `statement`; none for an entry of another kind.
    pub(crate) fn of(entry: &Entry) -> Option<(ReleaseId, Self)> {
        let Event::Statement { feed, version, decision, officer, key_id, key, needed, text, signature } = &entry.event
        else {
            return None;
        };
        let record = Self {
            taken: entry.time,
            decision: Decision::parse(decision)?,
            officer: officer.clone(),
            key: key.clone().unwrap_or_else(|| key_id.clone()),
            text: text.clone(),
            signature: signature.clone(),
            needed: *needed,
        };
        Some((ReleaseId { feed: feed.clone(), version: *version }, record))
    }

    /// True if the import log has this as that statement.
    fn is(&self, taken: &TakenStatement) -> bool {
        self.decision == taken.decision
            && self.officer == taken.officer
            && Digest::of(self.text.as_bytes()) == taken.text
            && Digest::of(self.signature.as_bytes()) == taken.signature
    }

    /// Verifies the statement again, by the keyring of the time when it was taken: whose it is, and what it decides.
    fn verify(&self, id: &ReleaseId, manifest: Option<Digest>, ring: &Keyring) -> Result<(), Refusal> {
        let signed = (self.text.as_bytes(), self.signature.as_bytes());
        if Directive::is_one(signed.0) {
            let directive = Directive::parse_taken(signed.0)?;
            return signed_by(&directive.officer, Right::Deny, signed, ring, self.taken).map(drop);
        }
        let statement = Statement::parse_taken(signed.0)?;
        statement.verify(signed.0, signed.1, ring, self.taken)?;
        let is_this = statement.subject(id).is_some_and(|subject| Some(subject.manifest) == manifest);
        if is_this && (statement.decision, &statement.officer) == (self.decision, &self.officer) {
            return Ok(());
        }
        Err(Refusal::new(base::Reason::StatementDigest, "it is about another release, or decides something else"))
    }
}

impl State {
    /// The statements on a release that count, oldest first: those that the import log has. Each is verified again.
    /// Fault: one is missing, or is not as it was taken.
    pub fn statements(&self, trust: &Trust, id: &ReleaseId) -> Result<Vec<StatementRecord>, Fault> {
        let folder = self.release_path(id).join("statements");
        let mut stored = self.stored_statements(id)?;
        let mut rings: BTreeMap<u64, Keyring> = BTreeMap::new();
        let mut found = Vec::new();
        for taken in trust.statements(id) {
            let what = format!("the statement `{}` of {} from {}", taken.decision.word(), taken.officer, taken.taken);
            let next = "`gaprelay log rebuild` writes it again from the import log";
            let place = stored.iter().position(|(_, record)| record.is(taken)).ok_or_else(|| {
                let detail = format!("{what}, which the import log has, is missing or was changed. {next}");
                Fault::damaged(folder.to_string_lossy(), detail)
            })?;
            let (name, record) = stored.swap_remove(place);
            let ring = match rings.entry(taken.keyring) {
                Slot::Occupied(known) => known.into_mut(),
                Slot::Vacant(free) => free.insert(self.keyring_of(trust, taken.keyring)?),
            };
            let record = StatementRecord { taken: taken.taken, needed: taken.needed, key: taken.key.clone(), ..record };
            record.verify(id, trust.accepted_manifest(&id.feed, id.version), ring).map_err(|refusal| {
                let path = folder.join(name);
                Fault::damaged(path.to_string_lossy(), format!("{what} does not hold: {}", refusal.detail))
            })?;
            found.push(record);
        }
        Ok(found)
    }

    /// Files of statements that the import log has not: they count nowhere, and nobody but the relay should write here.
    pub fn stray_statements(&self, trust: &Trust, id: &ReleaseId) -> Result<Vec<Fault>, Fault> {
        let folder = self.release_path(id).join("statements");
        let stray = |(name, record): &(String, StatementRecord)| {
            let is_known = trust.statements(id).iter().any(|taken| record.is(taken));
            let what = "the import log has no such statement, so it counts nowhere: somebody put it there, or changed it. Keep a copy for the inquiry, then remove the file";
            (!is_known).then(|| Fault::damaged(folder.join(name).to_string_lossy(), what))
        };
        Ok(self.stored_statements(id)?.iter().filter_map(stray).collect())
    }

    /// Writes the files of statements anew that are missing or were changed, from the entries of the import log, every
    /// one hashed again. Gives the releases whose statements they are. Fault: the log is damaged.
    pub fn rebuild_statements(&self, trust: &Trust) -> Result<Vec<ReleaseId>, Fault> {
        let mut damaged = trust.kept_releases();
        damaged.retain(|id| self.statements(trust, id).is_err());
        if damaged.is_empty() {
            return Ok(damaged);
        }
        let folder = self.import_log();
        let mut found = Vec::new();
        let finding = check(&folder, self.log_key()?, |_, bytes, _| {
            let record = serde_json::from_slice(bytes).ok().and_then(|entry| StatementRecord::of(&entry));
            found.extend(record.filter(|(id, _)| damaged.contains(id)));
        })?;
        if let LogFinding::Bad { detail, .. } = finding {
            return Err(Fault::damaged(folder.to_string_lossy(), detail));
        }
        for (id, record) in &found {
            self.store_statement(id, record)?;
        }
        Ok(damaged)
    }

    fn stored_statements(&self, id: &ReleaseId) -> Result<Vec<(String, StatementRecord)>, Fault> {
        let folder = self.release_path(id).join("statements");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        durable::names(&folder)?.into_iter().map(|name| Ok((name.clone(), read_json(&folder.join(&name))?))).collect()
    }

    /// Keeps a statement, by the digest of its text and key.
    pub fn store_statement(&self, id: &ReleaseId, taken: &StatementRecord) -> Result<(), Fault> {
        let name = Digest::of(format!("{}\n{}", taken.key, taken.text).as_bytes());
        let bytes = serde_json::to_vec(taken).map_err(|_| Fault::Internal("a statement cannot be written as JSON"))?;
        let folder = self.release_path(id).join("statements");
        durable::create_dir(&folder)?;
        durable::replace(&folder.join(format!("{name}.json")), &bytes)
    }
}
