//! Drafts of the texts that officers sign: whom the keyring knows, where and until when a text counts, and what a
//! statement says of a release. What would not count if it was signed and handed in now is refused here, by the
//! keeper's own judgement.

use std::collections::BTreeSet;
use std::time::Duration;

use super::grounds::{Grounds, OpenGrounds};
use super::{directive, statement};
use crate::log::Event;
use crate::log::search::newest;
use crate::publish::affected::{AffectedRelease, listing_digest};
use crate::publish::{Examples, ItemChanges, item_changes};
use crate::state::State;
use base::{Digest, Error, Fault, Refusal, Timestamp};
use bundle::directive::{Directive, Order};
use bundle::keyring::Role;
use bundle::scope::{LONGEST, Scope, USUAL};
use bundle::statement::{Decision, Statement, Subject, Ticket};
use bundle::{Keyring, ReleaseId};
use config::Config;

/// Officer who signs a text, the reason, and the time in which it may be handed in.
pub(crate) struct DraftBy {
    /// The officer: the name in the keyring.
    pub officer: String,
    /// Reason; one line.
    pub reason: String,
    /// When the text is issued.
    pub issued: Timestamp,
    /// Time in which it may be handed in; none: the usual.
    pub valid_for: Option<Duration>,
}

/// Statement to sign.
pub(crate) struct DraftedStatement {
    /// The statement.
    pub statement: Statement,
    /// Causes why it would not count for some of its releases.
    pub passed_over: Vec<Refusal>,
}

/// Decision that is drafted.
pub(crate) struct DraftedDecision<'a> {
    /// Releases.
    pub releases: &'a [ReleaseId],
    /// Decision.
    pub decision: Decision,
    /// Downgrade ticket.
    pub ticket: Option<Ticket>,
}

/// Drafts a statement that would count if it was handed in at `now`. Fault: the keyring knows no such officer. Refused:
/// it would not count.
pub(crate) fn statement(
    (state, config): (&State, &Config),
    now: Timestamp,
    drafted: DraftedDecision<'_>,
    by: DraftBy,
) -> Result<DraftedStatement, Error> {
    let open = OpenGrounds::open(state, config, now)?;
    let grounds = open.grounds();
    let scope = scope(state, Some(grounds.keyring), &by)?;
    let subjects =
        drafted.releases.iter().map(|id| subject(&grounds, id, drafted.decision)).collect::<Result<_, _>>()?;
    let DraftedDecision { decision, ticket, .. } = drafted;
    let DraftBy { officer, reason, .. } = by;
    let statement = Statement { scope: Some(scope), subjects, decision, ticket, officer, reason }.checked()?;
    let may_sign = |signer| statement.check_signer(signer, grounds.keyring, grounds.now);
    let judge = |signer| Ok(statement::judge(&grounds, &statement, signer)?.passed_over);
    let passed_over = grounds.judge_unsigned(&statement.officer, may_sign, judge)?;
    Ok(DraftedStatement { statement, passed_over })
}

/// Drafts a directive that would count if it was handed in at `now`. Fault: the keyring knows no such officer. Refused:
/// it would not count.
pub(crate) fn directive(
    (state, config): (&State, &Config),
    now: Timestamp,
    order: Order,
    by: DraftBy,
) -> Result<Directive, Error> {
    let open = OpenGrounds::open(state, config, now)?;
    let grounds = open.grounds();
    let scope = scope(state, Some(grounds.keyring), &by)?;
    let DraftBy { officer, reason, .. } = by;
    let directive = Directive { scope, order, officer, reason };
    // The printed text must be one that hand-in accepts.
    let text = directive.to_string();
    let directive = Directive::parse(text.as_bytes())?;
    let may_sign = |signer| directive.check_signer(signer, grounds.keyring, grounds.now);
    let judge = |signer| directive::judge(&grounds, &directive, &text, signer).map(drop);
    grounds.judge_unsigned(&directive.officer, may_sign, judge)?;
    Ok(directive)
}

/// Drafts the withdrawal of all releases that a key had a part in; gives each of those that it takes back now.
pub(crate) fn withdrawal_of_key(
    (state, config): (&State, &Config),
    now: Timestamp,
    key: &str,
    by: DraftBy,
) -> Result<(Directive, Vec<AffectedRelease>), Error> {
    let open = OpenGrounds::open(state, config, now)?;
    let releases = directive::withdrawable_by(&open.grounds(), key, &by.officer)?;
    let order = Order::WithdrawKey { key: key.to_owned(), releases: listing_digest(&releases) };
    Ok((directive((state, config), now, order, by)?, releases))
}

/// Scope of a text that this officer signs. Fault: the keyring in force knows no such officer, or the time is too long.
pub(crate) fn scope(state: &State, keyring: Option<&Keyring>, by: &DraftBy) -> Result<Scope, Fault> {
    let valid_for = by.valid_for.unwrap_or(USUAL);
    if valid_for > LONGEST || valid_for.as_secs() == 0 {
        let span = humantime::format_duration(valid_for);
        let wrong = format!("a signed text may be handed in for more than nothing and at most 31 days, not {span}");
        return Err(Fault::usage(wrong, "Give a time such as 12h or 7d."));
    }
    if let Some(keyring) = keyring {
        let officers = keyring.keys.iter().filter(|key| key.role == Role::Officer);
        let names: BTreeSet<&str> = officers.map(|key| key.name.as_str()).collect();
        if !names.contains(by.officer.as_str()) {
            let known = if names.is_empty() { "none".into() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
            return Err(Fault::usage(
                format!("the keyring in force knows no officer {}", base::quoted(&by.officer)),
                format!("Give the name as the keyring has it. Officers in it: {known}."),
            ));
        }
    }
    Ok(Scope::new(state.log_key()?.name(), by.issued, valid_for))
}

/// Drafts the part of a statement about a release, as it is now. A denial needs nothing but what the log has of it, so
/// that a release with damaged files can be withdrawn.
fn subject(grounds: &Grounds<'_>, id: &ReleaseId, decision: Decision) -> Result<Subject, Error> {
    statement::check_kept(grounds, id)?;
    let (state, trust) = (grounds.state, grounds.trust);
    let whole = state.release(trust, id).and_then(|release| {
        let changes = item_changes((state, trust), grounds.config, &release, Examples::Few)?;
        Ok((release, changes))
    });
    if matches!(decision, Decision::Refuse | Decision::Withdraw) {
        return Ok(match whole {
            Ok((release, changes)) => release.subject(changes.digest()?, None),
            Err(damage) => damaged_subject(grounds, id, damage)?,
        });
    }
    let (release, changes) = whole?;
    let effect = grounds.config.feed(&id.feed).and_then(|feed| changes.effect(&release, feed));
    Ok(release.subject(changes.digest()?, effect))
}

/// Part of a denial about a release whose files are damaged, by the import log.
fn damaged_subject(grounds: &Grounds<'_>, id: &ReleaseId, damage: Fault) -> Result<Subject, Fault> {
    let is_it = |event: &Event| matches!(event, Event::Imported { feed, version, .. } if *feed == id.feed && *version == id.version);
    let folder = grounds.state.import_log();
    let found = newest(&folder, grounds.state.log_key()?, &[Event::needle("imported")], |entry| is_it(&entry.event))?;
    match found.map(|(_, entry)| entry.event) {
        Some(Event::Imported { manifest, verdicts, .. }) => {
            let changes: Digest = ItemChanges::default().digest()?;
            Ok(Subject { release: id.clone(), manifest, verdicts, changes, effect: None })
        }
        _ => Err(damage),
    }
}
