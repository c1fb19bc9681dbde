//! Officers' statements: whether one counts. The same judgement, without the signature, decides whether one is printed.

use super::grounds::{Grounds, SigningKey};
use super::inbox::record_refusal;
use super::submission::SubmittedStatement;
use super::{SettleReport, TakenDecision};
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::status::closed_status;
use crate::publish::{Examples, ReleaseStatus, goes_back_now, item_changes};
use crate::state::{Release, TakenStatement};
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp};
use bundle::officer::signer;
use bundle::statement::{Decision, Statement, Subject};
use bundle::{ReleaseId, keyring};
use config::Feed;

/// Statement of which only the digests are left to compare.
pub(super) struct JudgedStatement<'a> {
    /// Releases for which it counts.
    counts: Vec<JudgedSubject<'a>>,
    /// Causes why it does not count for the others.
    pub passed_over: Vec<Refusal>,
}

/// Release for which a statement counts.
struct JudgedSubject<'a> {
    subject: &'a Subject,
    feed: &'a Feed,
    /// The release as it is kept; none where its files are damaged.
    release: Option<Release>,
    /// True if the release waits for officers, and the statement lets it pass.
    lets_pass: bool,
}

/// Judges one statement that was handed in: form, scope, releases, signer, and only then whether it adds anything. An
/// approval counts for all of its releases, or for none; a denial for those of which there is something left to deny.
pub(super) fn accept(
    keeper: &mut Keeper,
    submitted: &SubmittedStatement,
    report: &mut SettleReport,
) -> Result<(), Error> {
    let statement = Statement::parse(&submitted.text)?;
    let text = String::from_utf8(submitted.text.clone())
        .map_err(|_| Fault::Internal("a statement that was read as text is not text"))?;
    let grounds = Grounds::of(keeper);
    check_place(&grounds, &statement)?;
    let (key, raw) = signer((&submitted.text, &submitted.signature), grounds.keyring)?;
    let judged = judge(&grounds, &statement, (key, raw))?;
    let (mut events, mut taken) = (Vec::new(), Vec::new());
    for it in &judged.counts {
        check_digests(&grounds, it)?;
        let (id, decision) = (&it.subject.release, statement.decision);
        events.push(Event::Statement {
            feed: id.feed.clone(),
            version: id.version,
            decision: decision.word().into(),
            officer: statement.officer.clone(),
            key_id: keyring::id_text(raw.id),
            key: Some(data_encoding::HEXLOWER.encode(&raw.key)),
            needed: (decision == Decision::Withdraw).then_some(*it.feed.officers.get_ref()),
            text: text.clone(),
            signature: String::from_utf8_lossy(&submitted.signature).into_owned(),
        });
        let (officer, effect) = (statement.officer.clone(), it.subject.effect.clone());
        taken.push(TakenDecision { release: id.clone(), decision, officer, effect });
    }
    let left = judged.passed_over.into_iter().filter(|refusal| refusal.reason == Reason::StatementPublished);
    let left: Vec<Refusal> = left.collect();
    // A cut keeps some of them from being applied: the next opening does that.
    keeper.record(events)?;
    report.taken.extend(taken);
    // What agents go on getting although the officer refused it is told.
    left.into_iter().try_for_each(|refusal| Ok(record_refusal(keeper, refusal, &submitted.text, report)?))
}

/// Judges a statement by all but its digests and the signature itself, which is by this key, or would be.
/// Refusals: `statement-*`, `key-*`.
pub(super) fn judge<'a>(
    grounds: &Grounds<'a>,
    statement: &'a Statement,
    signer: SigningKey<'_>,
) -> Result<JudgedStatement<'a>, Error> {
    check_place(grounds, statement)?;
    statement.check_signer(signer, grounds.keyring, grounds.now)?;
    let (mut counts, mut passed_over) = (Vec::new(), Vec::new());
    for subject in &statement.subjects {
        let kept = check_kept(grounds, &subject.release).map_err(Error::from);
        match kept.and_then(|()| judge_subject(grounds, statement, subject, signer)) {
            Ok(judged) => counts.push(judged),
            // Of a denial the rest counts: what is closed or gone already must not keep what is still shown.
            Err(Error::Refused(refusal)) if denies(statement) && is_passed_over(refusal.reason) => {
                passed_over.push(refusal);
            }
            Err(error) => return Err(error),
        }
    }
    if counts.is_empty() {
        let place = passed_over.iter().position(|it| it.reason == Reason::StatementPublished).unwrap_or_default();
        let nothing = Fault::Internal("a statement counts for no release and is not refused");
        let refusal = passed_over.into_iter().nth(place);
        return Err(refusal.map_or(nothing.into(), Error::from));
    }
    Ok(JudgedStatement { counts, passed_over })
}

/// Checks that the statement is for this relay and for now, and about releases that are kept; of a denial one is
/// enough.
fn check_place(grounds: &Grounds<'_>, statement: &Statement) -> Result<(), Error> {
    if let Some(scope) = &statement.scope {
        grounds.check_scope(scope)?;
    }
    let kept = || statement.subjects.iter().map(|it| check_kept(grounds, &it.release));
    match kept().find_map(Result::err) {
        Some(refusal) if !denies(statement) || kept().all(|it| it.is_err()) => Err(refusal.into()),
        _ => Ok(()),
    }
}

/// True if the statement makes less visible.
fn denies(statement: &Statement) -> bool {
    matches!(statement.decision, Decision::Refuse | Decision::Withdraw)
}

/// True if a denial passes over a release for this reason: there is nothing left to deny, or that takes a withdrawal.
fn is_passed_over(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::StatementClosed
            | Reason::StatementRepeated
            | Reason::StatementUnknownRelease
            | Reason::StatementPublished
    )
}

/// Checks that a release is kept here, of a feed that somebody can decide on. Refusal: `statement-unknown-release`.
pub(super) fn check_kept(grounds: &Grounds<'_>, id: &ReleaseId) -> Result<(), Refusal> {
    let detail = if grounds.trust.accepted_manifest(&id.feed, id.version).is_none() {
        format!("this relay holds no release {id}")
    } else if grounds.trust.history(id).is_none() {
        format!("release {id} was accepted, but is no longer kept here: `gaprelay gc` removes old releases")
    } else if grounds.config.feed(&id.feed).is_none() {
        format!("config.toml has no feed {}, so nobody can decide on release {id}", id.feed)
    } else {
        return Ok(());
    };
    Err(Refusal::new(Reason::StatementUnknownRelease, detail))
}

/// Judges what a statement does with one release. Of a release that is damaged here only the log is left, so that it
/// can still be refused and withdrawn.
fn judge_subject<'a>(
    grounds: &Grounds<'a>,
    statement: &Statement,
    subject: &'a Subject,
    (_, raw): SigningKey<'_>,
) -> Result<JudgedSubject<'a>, Error> {
    let (id, decision, officer) = (&subject.release, statement.decision, &statement.officer);
    let feed = grounds.config.feed(&id.feed).ok_or(Fault::Internal("a feed of the config is gone"))?;
    let release = grounds.state.release(grounds.trust, id);
    // Whoever imports under an officer's name must not keep that officer from making less visible.
    let passes = matches!(decision, Decision::Approve | Decision::Downgrade);
    let operator = release.as_ref().ok().map(|release| &release.operator).filter(|it| it.is(officer));
    if let Some(operator) = operator.filter(|_| passes) {
        let detail = format!("{operator} imported release {id}, so an officer other than {officer} must approve it");
        return Err(Error::refused(Reason::StatementOwnImport, detail));
    }
    let (before, key) = (grounds.trust.statements(id), data_encoding::HEXLOWER.encode(&raw.key));
    let stands =
        release.as_ref().ok().map(|release| grounds.trust.status(release, feed, (grounds.config, grounds.keyring)));
    let lets_pass = passes && matches!(stands, Some(ReleaseStatus::Held { .. }));
    // What waits is decided anew by who decided about other changes, or with a key that counts no longer.
    let is_same = |t: &&TakenStatement| t.decision == decision && (t.key == key || t.officer == *officer);
    let mut same = before.iter().filter(is_same).peekable();
    let is_repeated = match &release {
        Ok(release) if lets_pass && same.peek().is_some() => {
            let changes =
                item_changes((grounds.state, grounds.trust), grounds.config, release, Examples::Few)?.digest()?;
            same.any(|taken| still_lets_pass(grounds, taken, changes))
        }
        _ => same.peek().is_some(),
    };
    if is_repeated {
        let detail = format!("the decision `{}` by {officer} on release {id} already counts", decision.word());
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    // What was refused was never shown, but may have been before another officer refused it.
    let closed = closed_status(before, feed)
        .filter(|closed| (closed, decision) != (&ReleaseStatus::Refused, Decision::Withdraw));
    if let Some(closed) = closed {
        return Err(Error::refused(Reason::StatementClosed, format!("release {id} was {closed}, and that is final")));
    }
    if decision == Decision::Refuse
        && (stands == Some(ReleaseStatus::Approved) || grounds.trust.is_shown(grounds.config, id))
    {
        let detail = format!("release {id} was approved already, so that refusing it would take it back from agents");
        return Err(Error::refused(Reason::StatementPublished, detail));
    }
    if denies(statement) {
        return Ok(JudgedSubject { subject, feed, release: release.ok(), lets_pass: false });
    }
    if let (Ok(release), Some(ReleaseStatus::Denied { .. })) = (&release, &stands) {
        grounds.keyring.check_release(&release.feed, &release.origin, &release.signers)?;
    }
    let release = release?;
    check_ticket(statement, &release, grounds.now)?;
    if let Some(ReleaseStatus::Overtaken { by }) = stands {
        let detail = format!("agents have or had {}/{by}, so that release {id} would not be shown", id.feed);
        return Err(Error::refused(Reason::StatementClosed, detail));
    }
    if lets_pass
        && !release.loss.goes_back()
        && goes_back_now((grounds.state, grounds.trust), grounds.config, &release)?
    {
        let detail = format!(
            "release {id} would now take agents back to older content, since something else was published after its import: bring the content again under a new version, and sign a downgrade ticket for that"
        );
        return Err(Error::refused(Reason::StatementTicket, detail));
    }
    Ok(JudgedSubject { subject, feed, release: Some(release), lets_pass })
}

/// True if an approval or a ticket that was taken counts for the changes of today (in the former format for whatever
/// they are), and its key counts.
fn still_lets_pass(grounds: &Grounds<'_>, taken: &TakenStatement, today: Digest) -> bool {
    let is_of_today = taken.changes.is_none_or(|changes| changes == today);
    is_of_today && !grounds.keyring.has_lost(&taken.key_id)
}

/// Checks that older content comes by a downgrade ticket, which is not over, and nothing else does. Refusal:
/// `statement-ticket`.
fn check_ticket(statement: &Statement, release: &Release, now: Timestamp) -> Result<(), Refusal> {
    let id = release.id();
    let wrong = match (statement.decision, release.loss.goes_back(), &statement.ticket) {
        (Decision::Approve, true, _) => {
            format!("release {id} goes back to older content: that needs a downgrade ticket, and this is an approval")
        }
        (Decision::Downgrade, false, _) => {
            format!(
                "release {id} does not go back to older content: that needs an approval, and this is a downgrade ticket"
            )
        }
        (Decision::Downgrade, true, Some(ticket)) if ticket.until <= now => {
            format!("the downgrade ticket for release {id} was valid until {}, and it is {now} now", ticket.until)
        }
        _ => return Ok(()),
    };
    Err(Refusal::new(Reason::StatementTicket, wrong))
}

/// Checks that what was signed is what is kept here, and of what waits for officers also what would happen now, or
/// nobody has looked at it. Refusals: `statement-digest`, `statement-changes`.
fn check_digests(grounds: &Grounds<'_>, judged: &JudgedSubject<'_>) -> Result<(), Error> {
    let JudgedSubject { subject, feed, release, lets_pass } = judged;
    let id = &subject.release;
    let is_same_manifest = grounds.trust.accepted_manifest(&id.feed, id.version) == Some(subject.manifest);
    if !is_same_manifest || release.as_ref().is_some_and(|release| release.verdicts != subject.verdicts) {
        let what = if is_same_manifest { "verdicts" } else { "manifest" };
        let detail = format!("the statement names another digest of the {what} than release {id} has here");
        return Err(Error::refused(Reason::StatementDigest, detail));
    }
    if let Some(release) = release.as_ref().filter(|_| *lets_pass) {
        let changes = item_changes((grounds.state, grounds.trust), grounds.config, release, Examples::Few)?;
        if subject.changes != changes.digest()? || subject.effect != changes.effect(release, feed) {
            let detail = format!("the statement names other changes than release {id} would now make for agents");
            return Err(Error::refused(Reason::StatementChanges, detail));
        }
    }
    Ok(())
}
