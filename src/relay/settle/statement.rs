//! Officers' statements: whether one counts.

use super::append_once;
use super::submission::SubmittedStatement;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::status::StatementRecord;
use crate::publish::{Examples, ReleaseStatus, item_changes, release_status};
use crate::state::Release;
use base::{Error, Fault, Reason, Refusal, Timestamp};
use bundle::statement::{Decision, Statement};
use bundle::{ReleaseId, keyring};

/// Judges one statement: form, release, digests, signer, and only then whether it adds anything.
pub(super) fn accept(
    keeper: &mut Keeper,
    submitted: &SubmittedStatement,
) -> Result<(ReleaseId, Decision, String), Error> {
    let statement = Statement::parse(&submitted.text)?;
    let id = &statement.release;
    let unknown = |detail: String| Refusal::new(Reason::StatementUnknownRelease, detail);
    let never = || unknown(format!("this relay holds no release {id}"));
    keeper.trust.accepted_manifest(&id.feed, id.version).ok_or_else(never)?;
    if !keeper.state.release_path(id).is_dir() {
        let detail =
            format!("release {id} was accepted, but is no longer kept here: `gaprelay gc` removes old releases");
        return Err(unknown(detail).into());
    }
    let no_feed = || unknown(format!("config.toml has no feed {}, so nobody can decide on release {id}", id.feed));
    let feed = keeper.config.feed(&id.feed).ok_or_else(no_feed)?;
    let release = keeper.state.release(id)?;
    if statement.manifest != release.manifest || statement.verdicts != release.verdicts {
        let what = if statement.manifest == release.manifest { "verdicts" } else { "manifest" };
        let detail = format!("the statement names another digest of the {what} than release {id} has here");
        return Err(Error::refused(Reason::StatementDigest, detail));
    }
    let raw = statement.verify(&submitted.text, &submitted.signature, &keeper.keyring, keeper.now)?;
    if release.operator.is(&statement.officer) {
        let (officer, operator) = (&statement.officer, &release.operator);
        let detail = format!("{operator} imported release {id}, so an officer other than {officer} must decide on it");
        return Err(Error::refused(Reason::StatementOwnImport, detail));
    }
    let (key, before) = (data_encoding::HEXLOWER.encode(&raw.key), keeper.state.statements(id)?);
    if before.iter().any(|t| t.decision == statement.decision && (t.key == key || t.officer == statement.officer)) {
        let (officer, decision) = (&statement.officer, statement.decision.word());
        let detail = format!("the decision `{decision}` by {officer} on release {id} already counts");
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    let stands = release_status(&release, &before, feed);
    let closed = match stands {
        ReleaseStatus::Withdrawn => true,
        // What was refused was never shown, but may have been before another officer refused it.
        ReleaseStatus::Refused => statement.decision != Decision::Withdraw,
        ReleaseStatus::Held { .. } | ReleaseStatus::Approved => false,
    };
    if closed {
        return Err(Error::refused(Reason::StatementClosed, format!("release {id} was {stands}, and that is final")));
    }
    check_ticket(&statement, &release, keeper.now)?;
    // What was signed is what would happen now, or nobody has looked at it. Once published it happens no more.
    if matches!(statement.decision, Decision::Approve | Decision::Downgrade)
        && matches!(stands, ReleaseStatus::Held { .. })
        && statement.changes != item_changes(&keeper.state, &release, Examples::Few)?.digest()?
    {
        let detail = format!("the statement names other changes than release {id} would now make for agents");
        return Err(Error::refused(Reason::StatementChanges, detail));
    }
    let text = String::from_utf8(submitted.text.clone())
        .map_err(|_| Fault::Internal("a statement that was read as text is not text"))?;
    let signature = String::from_utf8_lossy(&submitted.signature).into_owned();
    let (officer, decision) = (statement.officer.clone(), statement.decision);
    let needed = (decision == Decision::Withdraw).then_some(*feed.officers.get_ref());
    let event = Event::Statement {
        feed: id.feed.clone(),
        version: id.version,
        decision: decision.word().into(),
        officer: officer.clone(),
        key_id: keyring::id_text(raw.id),
        text: text.clone(),
        signature: signature.clone(),
    };
    append_once(keeper, vec![event])?;
    let taken = StatementRecord { taken: keeper.now, decision, officer: officer.clone(), key, text, signature, needed };
    keeper.state.store_statement(id, &taken)?;
    Ok((id.clone(), decision, officer))
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
