//! Officers' statements: whether one counts.

use super::submission::SubmittedStatement;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::status::closed_status;
use crate::publish::{Examples, ReleaseStatus, item_changes, release_status};
use crate::state::Release;
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp};
use bundle::statement::{Decision, Statement};
use bundle::{ReleaseId, keyring};
use config::Feed;

/// Judges one statement: form, release, signer, digests, and only then whether it adds anything.
pub(super) fn accept(
    keeper: &mut Keeper,
    submitted: &SubmittedStatement,
) -> Result<(ReleaseId, Decision, String), Error> {
    let statement = Statement::parse(&submitted.text)?;
    let (id, decision) = (&statement.release, statement.decision);
    let unknown = |detail: String| Refusal::new(Reason::StatementUnknownRelease, detail);
    let never = || unknown(format!("this relay holds no release {id}"));
    let manifest = keeper.trust.accepted_manifest(&id.feed, id.version).ok_or_else(never)?;
    if keeper.trust.history(id).is_none() {
        let detail =
            format!("release {id} was accepted, but is no longer kept here: `gaprelay gc` removes old releases");
        return Err(unknown(detail).into());
    }
    let no_feed = || unknown(format!("config.toml has no feed {}, so nobody can decide on release {id}", id.feed));
    let feed = keeper.config.feed(&id.feed).ok_or_else(no_feed)?;
    let raw = statement.verify(&submitted.text, &submitted.signature, &keeper.keyring, keeper.now)?;
    let release = keeper.state.release(&keeper.trust, id);
    check_subject(&statement, manifest, release.as_ref().ok())?;
    let (key, before) = (data_encoding::HEXLOWER.encode(&raw.key), keeper.trust.statements(id));
    if before.iter().any(|t| t.decision == decision && (t.key == key || t.officer == statement.officer)) {
        let (officer, decision) = (&statement.officer, decision.word());
        let detail = format!("the decision `{decision}` by {officer} on release {id} already counts");
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    let closed = match (closed_status(before, feed), decision) {
        // What was refused was never shown, but may have been before another officer refused it.
        (Some(ReleaseStatus::Refused), Decision::Withdraw) => None,
        (closed, _) => closed,
    };
    if let Some(closed) = closed {
        return Err(Error::refused(Reason::StatementClosed, format!("release {id} was {closed}, and that is final")));
    }
    if matches!(decision, Decision::Approve | Decision::Downgrade) {
        // What is damaged here can still be refused and withdrawn.
        check_approval(keeper, &statement, &release?, feed)?;
    }
    let text = String::from_utf8(submitted.text.clone())
        .map_err(|_| Fault::Internal("a statement that was read as text is not text"))?;
    let event = Event::Statement {
        feed: id.feed.clone(),
        version: id.version,
        decision: decision.word().into(),
        officer: statement.officer.clone(),
        key_id: keyring::id_text(raw.id),
        key: Some(key),
        needed: (decision == Decision::Withdraw).then_some(*feed.officers.get_ref()),
        text,
        signature: String::from_utf8_lossy(&submitted.signature).into_owned(),
    };
    keeper.record(vec![event])?;
    Ok((statement.release, decision, statement.officer))
}

/// Checks that the statement is about the release as it is here, by another person than who imported it. Of a release that
/// is damaged only the log is left to compare with. Refusals: `statement-digest`, `statement-own-import`.
fn check_subject(statement: &Statement, manifest: Digest, release: Option<&Release>) -> Result<(), Refusal> {
    let id = &statement.release;
    let is_other = release.is_some_and(|release| release.verdicts != statement.verdicts);
    if statement.manifest != manifest || is_other {
        let what = if statement.manifest == manifest { "verdicts" } else { "manifest" };
        let detail = format!("the statement names another digest of the {what} than release {id} has here");
        return Err(Refusal::new(Reason::StatementDigest, detail));
    }
    if let Some(operator) = release.map(|release| &release.operator).filter(|it| it.is(&statement.officer)) {
        let officer = &statement.officer;
        let detail = format!("{operator} imported release {id}, so an officer other than {officer} must decide on it");
        return Err(Refusal::new(Reason::StatementOwnImport, detail));
    }
    Ok(())
}

/// Checks that what was signed is what would happen now, or nobody has looked at it. Once published it happens no more.
/// Refusals: `statement-ticket`, `statement-changes`.
fn check_approval(keeper: &Keeper, statement: &Statement, release: &Release, feed: &Feed) -> Result<(), Error> {
    let id = &statement.release;
    check_ticket(statement, release, keeper.now)?;
    let stands = release_status(release, keeper.trust.statements(id), feed);
    let is_held = matches!(stands, ReleaseStatus::Held { .. });
    if is_held && statement.changes != item_changes((&keeper.state, &keeper.trust), release, Examples::Few)?.digest()? {
        let detail = format!("the statement names other changes than release {id} would now make for agents");
        return Err(Error::refused(Reason::StatementChanges, detail));
    }
    Ok(())
}

/// Checks that older content comes by a downgrade ticket, which is not over, and nothing else does. Refusal:
/// `statement-ticket`.
fn check_ticket(statement: &Statement, release: &Release, now: Timestamp) -> Result<(), Refusal> {
    let id = &statement.release;
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
