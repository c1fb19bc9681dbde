//! Officers' statements: whether one counts.

use super::TakenDecision;
use super::submission::SubmittedStatement;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::draft::went_back;
use crate::publish::status::closed_status;
use crate::publish::{Examples, ReleaseStatus, goes_back_now, item_changes};
use crate::state::Release;
use base::{Error, Fault, Reason, Refusal, Timestamp};
use bundle::statement::{Decision, Statement, Subject};
use bundle::{ReleaseId, keyring};
use config::Feed;

/// Judges one statement: form, scope, releases, signer, digests, and only then whether it adds anything. An approval counts
/// for all of its releases, or for none; a denial for those that are not closed yet. Gives for each of them what an approval takes from agents, where it says so.
pub(super) fn accept(keeper: &mut Keeper, submitted: &SubmittedStatement) -> Result<Vec<TakenDecision>, Error> {
    let statement = Statement::parse(&submitted.text)?;
    if let Some(scope) = &statement.scope {
        keeper.check_scope(scope)?;
    }
    let denies = matches!(statement.decision, Decision::Refuse | Decision::Withdraw);
    if let Some(refusal) = statement.subjects.iter().find_map(|it| check_kept(keeper, &it.release).err())
        && !(denies && statement.subjects.iter().any(|it| check_kept(keeper, &it.release).is_ok()))
    {
        return Err(refusal.into());
    }
    let raw = statement.verify(&submitted.text, &submitted.signature, &keeper.keyring, keeper.now)?;
    let (key, decision) = (data_encoding::HEXLOWER.encode(&raw.key), statement.decision);
    let text = String::from_utf8(submitted.text.clone())
        .map_err(|_| Fault::Internal("a statement that was read as text is not text"))?;
    let (mut events, mut taken, mut passed_over) = (Vec::new(), Vec::new(), None);
    for subject in &statement.subjects {
        let id = &subject.release;
        let checked = check_kept(keeper, id).map_err(Error::from);
        let feed = match checked.and_then(|()| check_subject(keeper, &statement, subject, &key)) {
            Ok(feed) => feed,
            // Of a denial the rest counts: what is closed or gone already must not keep what is still shown.
            Err(Error::Refused(refusal)) if denies && is_done(refusal.reason) => {
                passed_over = Some(refusal);
                continue;
            }
            Err(error) => return Err(error),
        };
        events.push(Event::Statement {
            feed: id.feed.clone(),
            version: id.version,
            decision: decision.word().into(),
            officer: statement.officer.clone(),
            key_id: keyring::id_text(raw.id),
            key: Some(key.clone()),
            needed: (decision == Decision::Withdraw).then_some(*feed.officers.get_ref()),
            text: text.clone(),
            signature: String::from_utf8_lossy(&submitted.signature).into_owned(),
        });
        let (officer, effect) = (statement.officer.clone(), subject.effect.clone());
        taken.push(TakenDecision { release: id.clone(), decision, officer, effect });
    }
    if let Some(refusal) = passed_over.filter(|_| events.is_empty()) {
        return Err(refusal.into());
    }
    // A cut keeps some of them from being applied: the next opening does that.
    keeper.record(events)?;
    Ok(taken)
}

/// True if there is nothing left to deny of a release.
fn is_done(reason: Reason) -> bool {
    matches!(reason, Reason::StatementClosed | Reason::StatementRepeated | Reason::StatementUnknownRelease)
}

/// Checks that a release is kept here, of a feed that somebody can decide on. Refusal: `statement-unknown-release`.
fn check_kept(keeper: &Keeper, id: &ReleaseId) -> Result<(), Refusal> {
    let detail = if keeper.trust.accepted_manifest(&id.feed, id.version).is_none() {
        format!("this relay holds no release {id}")
    } else if keeper.trust.history(id).is_none() {
        format!("release {id} was accepted, but is no longer kept here: `gaprelay gc` removes old releases")
    } else if keeper.config.feed(&id.feed).is_none() {
        format!("config.toml has no feed {}, so nobody can decide on release {id}", id.feed)
    } else {
        return Ok(());
    };
    Err(Refusal::new(Reason::StatementUnknownRelease, detail))
}

/// Checks what a statement says of one release; gives its feed. Of a release that is damaged here only the log is left to
/// compare with, so that it can still be refused and withdrawn.
fn check_subject<'a>(
    keeper: &'a Keeper,
    statement: &Statement,
    subject: &Subject,
    key: &str,
) -> Result<&'a Feed, Error> {
    let (id, decision, officer) = (&subject.release, statement.decision, &statement.officer);
    let feed = keeper.config.feed(&id.feed).ok_or(Fault::Internal("a feed of the config is gone"))?;
    let release = keeper.state.release(&keeper.trust, id);
    let manifest = keeper.trust.accepted_manifest(&id.feed, id.version);
    let has_other_verdicts = release.as_ref().is_ok_and(|release| release.verdicts != subject.verdicts);
    if Some(subject.manifest) != manifest || has_other_verdicts {
        let what = if has_other_verdicts && Some(subject.manifest) == manifest { "verdicts" } else { "manifest" };
        let detail = format!("the statement names another digest of the {what} than release {id} has here");
        return Err(Error::refused(Reason::StatementDigest, detail));
    }
    if let Some(operator) = release.as_ref().ok().map(|release| &release.operator).filter(|it| it.is(officer)) {
        let detail = format!("{operator} imported release {id}, so an officer other than {officer} must decide on it");
        return Err(Error::refused(Reason::StatementOwnImport, detail));
    }
    let before = keeper.trust.statements(id);
    if before.iter().any(|t| t.decision == decision && (t.key == key || t.officer == *officer)) {
        let detail = format!("the decision `{}` by {officer} on release {id} already counts", decision.word());
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    // What was refused was never shown, but may have been before another officer refused it.
    let closed = closed_status(before, feed)
        .filter(|closed| (closed, decision) != (&ReleaseStatus::Refused, Decision::Withdraw));
    if let Some(closed) = closed {
        return Err(Error::refused(Reason::StatementClosed, format!("release {id} was {closed}, and that is final")));
    }
    if matches!(decision, Decision::Approve | Decision::Downgrade) {
        check_approval(keeper, statement, subject, &release?, feed)?;
    }
    Ok(feed)
}

/// Checks that what was signed is what would happen now, or nobody has looked at it. Once published it happens no more.
/// Refusals: `statement-ticket`, `statement-closed`, `statement-changes`.
fn check_approval(
    keeper: &Keeper,
    statement: &Statement,
    subject: &Subject,
    release: &Release,
    feed: &Feed,
) -> Result<(), Error> {
    let id = &subject.release;
    check_ticket(statement, release, keeper.now)?;
    let stands = keeper.trust.status(release, feed);
    if let ReleaseStatus::Overtaken { by } = stands {
        let detail = format!("agents have {}/{by} already, so that release {id} would not be shown", id.feed);
        return Err(Error::refused(Reason::StatementClosed, detail));
    }
    if matches!(stands, ReleaseStatus::Held { .. }) {
        if !release.loss.goes_back() && goes_back_now((&keeper.state, &keeper.trust), release)? {
            return Err(went_back(id).into());
        }
        let changes = item_changes((&keeper.state, &keeper.trust), release, Examples::Few)?;
        if subject.changes != changes.digest()? || subject.effect != changes.effect(release, feed) {
            let detail = format!("the statement names other changes than release {id} would now make for agents");
            return Err(Error::refused(Reason::StatementChanges, detail));
        }
    }
    Ok(())
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
