//! Directives: judged as statements are, and kept in the trust file, where they tighten what counts from then on. The
//! same judgement, without the signature, decides whether one is printed.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::grounds::{Grounds, SigningKey};
use super::{AcceptedDirective, SettleReport, SubmittedStatement, TakenDecision};
use crate::keeper::{Keeper, officer_of};
use crate::log::Event;
use crate::publish::affected::{AffectedRelease, affected_releases};
use crate::state::TakenStatement;
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp};
use bundle::ReleaseId;
use bundle::directive::{Directive, Order, TakenDirective};
use bundle::keyring::{Key, RawKey, id_text};
use bundle::officer::{keys_of, signer};
use bundle::statement::Decision;

/// Most by which the time that an officer confirms may differ from the clock's.
const NEAR: Duration = Duration::from_hours(24);

/// Effect of a directive.
pub(super) enum JudgedDirective {
    /// Withdraw these releases.
    Withdraws(Vec<ReleaseId>),
    /// Count from now on; with the time that it is or later, where it is the last one needed to turn the clock back.
    Counts(Option<Timestamp>),
}

/// Judges a directive that was handed in: form, relay, signer, right, and only then what it orders.
pub(super) fn accept(
    keeper: &mut Keeper,
    submitted: &SubmittedStatement,
    report: &mut SettleReport,
) -> Result<(), Error> {
    let directive = Directive::parse(&submitted.text)?;
    let text = String::from_utf8(submitted.text.clone())
        .map_err(|_| Fault::Internal("a directive that was read as text is not text"))?;
    let grounds = Grounds::of(keeper);
    grounds.check_scope(&directive.scope)?;
    let (key, raw) = signer((&submitted.text, &submitted.signature), grounds.keyring)?;
    let judged = judge(&grounds, &directive, &text, (key, raw))?;
    if matches!(directive.order, Order::Clock(_)) {
        keeper.believe_clock();
    }
    let signature = String::from_utf8_lossy(&submitted.signature).into_owned();
    let given = TakenDirective { taken: keeper.now, key: HEXLOWER.encode(&raw.key), text, signature };
    let clock = match judged {
        JudgedDirective::Withdraws(releases) => {
            return Ok(withdraw(keeper, releases, &directive, raw, &given, report)?);
        }
        JudgedDirective::Counts(clock) => clock,
    };
    let event = Event::Directive {
        order: directive.order.to_string(),
        officer: directive.officer.clone(),
        key_id: id_text(raw.id),
        key: given.key,
        text: given.text,
        signature: given.signature,
        clock,
    };
    if clock.is_some() {
        keeper.log.turn_back(keeper.now);
    }
    // A cut keeps it from being applied: the next opening does that.
    keeper.record(vec![event])?;
    let extent = match &directive.order {
        Order::DenyKey(id) => keeper.keyring.denied.keys.get(id).map(|denied| denied.extent),
        _ => None,
    };
    report.directives.push(AcceptedDirective { order: directive.order, officer: directive.officer, clock, extent });
    Ok(())
}

/// Judges a directive by all but the signature itself, which is by this key, or would be. Refusals: `statement-*`,
/// `key-*`.
pub(super) fn judge(
    grounds: &Grounds<'_>,
    directive: &Directive,
    text: &str,
    signer: SigningKey<'_>,
) -> Result<JudgedDirective, Error> {
    grounds.check_scope(&directive.scope)?;
    directive.check_signer(signer, grounds.keyring, grounds.now)?;
    let key = HEXLOWER.encode(&signer.1.key);
    if grounds.trust.has_directive(&key, text) || is_in_force(grounds, &key, &directive.order) {
        let detail = format!("this order by {} already counts", directive.officer);
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    let clock = match &directive.order {
        Order::WithdrawKey { key: of, .. } => {
            return Ok(JudgedDirective::Withdraws(judge_withdrawal(grounds, directive, (of, text), signer)?));
        }
        Order::Clock(time) => {
            check_time(*time, grounds.clock, grounds.config.clock.tolerance.0)?;
            None
        }
        Order::Waive { manifest, until } => {
            check_waiver(grounds, *manifest, *until)?;
            None
        }
        Order::TurnBack { to, from } => judge_turn_back(grounds, (&key, &directive.officer), *to, *from)?,
        _ => None,
    };
    Ok(JudgedDirective::Counts(clock))
}

/// True if a denial or a waiver like this one by the same key counts already, whenever it was printed.
fn is_in_force(grounds: &Grounds<'_>, key: &str, order: &Order) -> bool {
    let lasts = matches!(order, Order::DenyKey(_) | Order::DenyFeed(_) | Order::DenyOrigin(_) | Order::Waive { .. });
    let is_same = |other: &TakenDirective| {
        other.key == key
            && !grounds.keyring.lifted.contains(&other.digest())
            && other.directive().is_some_and(|other| other.order == *order)
    };
    lasts && grounds.trust.directives.iter().any(is_same)
}

/// Checks that a waiver can do something. Refusals: `statement-expired`, `statement-repeated`.
fn check_waiver(grounds: &Grounds<'_>, manifest: Digest, until: Timestamp) -> Result<(), Refusal> {
    if until <= grounds.clock {
        let detail = format!("the waiver counts until {until}, and it is {} here", grounds.clock);
        return Err(Refusal::new(Reason::StatementExpired, detail));
    }
    grounds.trust.release_of(manifest).map_or(Ok(()), |id| {
        let detail =
            format!("the bundle with the manifest {manifest} was accepted as {id}: nothing of it is to be waived");
        Err(Refusal::new(Reason::StatementRepeated, detail))
    })
}

/// Checks that the officer's time is the clock's. Refusal: `statement-clock`.
fn check_time(time: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Refusal> {
    if time.age(now) <= NEAR && time <= now.plus(tolerance) {
        return Ok(());
    }
    let detail = format!(
        "the directive names the time {time}, and this relay's clock says {now}: it may be at most 24 hours before that, and not after it"
    );
    Err(Refusal::new(Reason::StatementClock, detail))
}

/// Time to go back to, if another officer has said as well that `from` never was; `None`: one more has to. The clock
/// itself is right by now, so that it is behind what the relay has seen, and both have said what time it is within a
/// day: an order of long ago answers none of today. Refusal: `statement-clock`.
fn judge_turn_back(
    grounds: &Grounds<'_>,
    (key, by): (&str, &str),
    to: Timestamp,
    from: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    let (now, floor, tolerance) = (grounds.now, grounds.floor, grounds.config.clock.tolerance.0);
    let wrong = |detail: String| Err(Refusal::new(Reason::StatementClock, detail));
    if grounds.trust.turned_back.contains(&from) {
        return wrong(format!("the clock was turned back from {from} before, which is possible only once"));
    }
    if now >= floor {
        return wrong(format!(
            "the clock says {now}, which is not before the newest time on record, {floor}: there is nothing to turn back"
        ));
    }
    if from != floor {
        return wrong(format!(
            "the directive turns the clock back from {from}, and the newest time on record is {floor}: they must be the same"
        ));
    }
    if to > now {
        return wrong(format!("the directive says that {to} has passed, and the clock says {now}, which is earlier"));
    }
    check_time(to, now, tolerance)?;
    let agreed = grounds.trust.directives.iter().filter_map(|other| match other.directive()? {
        Directive { order: Order::TurnBack { to, from: same }, officer, .. } if same == from => {
            let is_another = other.key != key && officer != by && check_time(to, now, tolerance).is_ok();
            (is_another && officer_of((grounds.keyring, now), other, &officer).is_some()).then_some(to)
        }
        _ => None,
    });
    // The other one may have said so by a clock that was set back since: nothing on record is ahead of the clock.
    Ok(agreed.max().map(|other| other.max(to).min(now)))
}

/// Releases that the officer may take back of those that a key had a part in. Refusals: `statement-listing`: there is
/// none; `statement-signer`: all are of feeds that are not this officer's.
pub(super) fn withdrawable_by(grounds: &Grounds<'_>, key: &str, officer: &str) -> Result<Vec<AffectedRelease>, Error> {
    withdrawable(grounds, (key, None), &keys_of(officer, grounds.keyring).map(|(key, _)| key).collect::<Vec<_>>())
}

fn withdrawable(
    grounds: &Grounds<'_>,
    by_key: (&str, Option<&str>),
    officers: &[&Key],
) -> Result<Vec<AffectedRelease>, Error> {
    let mut releases = affected_releases(grounds.state, grounds.config, grounds.trust, by_key)?;
    let Some(first) = releases.first().map(|it| it.id.clone()) else {
        let key = base::quoted(by_key.0);
        let detail =
            format!("no release here was signed or approved with the key {key}, or each one is withdrawn already");
        return Err(Error::refused(Reason::StatementListing, detail));
    };
    // What is of another feed keeps none of theirs.
    releases.retain(|it| officers.iter().any(|key| key.is_for(&it.id.feed)));
    if releases.is_empty() {
        let name = officers.first().map(|key| key.name.clone()).unwrap_or_default();
        let detail = format!("{name} may not decide on feed {}, and the directive would withdraw {first}", first.feed);
        return Err(Error::refused(Reason::StatementSigner, detail));
    }
    Ok(releases)
}

/// Releases that a directive withdraws: all that the key had a part in by now, whatever was there when it was printed.
/// Making less visible never waits for a look at what came since.
fn judge_withdrawal(
    grounds: &Grounds<'_>,
    directive: &Directive,
    by_key: (&str, &str),
    (officer, raw): SigningKey<'_>,
) -> Result<Vec<ReleaseId>, Error> {
    let releases = withdrawable(grounds, (by_key.0, Some(by_key.1)), &[officer])?;
    let key = HEXLOWER.encode(&raw.key);
    let has_said = |id: &ReleaseId| {
        let is_theirs = |t: &TakenStatement| t.key == key || t.officer == directive.officer;
        grounds.trust.statements(id).iter().any(|t| t.decision == Decision::Withdraw && is_theirs(t))
    };
    let open: Vec<ReleaseId> = releases.into_iter().map(|it| it.id).filter(|id| !has_said(id)).collect();
    if open.is_empty() {
        let detail = format!("{} has withdrawn each of these releases before", directive.officer);
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    Ok(open)
}

/// Withdraws all that a key had a part in: for each release it is as if the officer had said so of that one.
fn withdraw(
    keeper: &mut Keeper,
    releases: Vec<ReleaseId>,
    directive: &Directive,
    raw: RawKey,
    given: &TakenDirective,
    report: &mut SettleReport,
) -> Result<(), Fault> {
    let event = |id: &ReleaseId| Event::Statement {
        feed: id.feed.clone(),
        version: id.version,
        decision: Decision::Withdraw.word().into(),
        officer: directive.officer.clone(),
        key_id: id_text(raw.id),
        key: Some(given.key.clone()),
        needed: keeper.config.feed(&id.feed).map(|feed| *feed.officers.get_ref()),
        text: given.text.clone(),
        signature: given.signature.clone(),
    };
    // A cut keeps some of them from being applied: the next opening does that.
    keeper.record(releases.iter().map(event).collect())?;
    let (decision, officer) = (Decision::Withdraw, &directive.officer);
    let taken = |release| TakenDecision { release, decision, officer: officer.clone(), effect: None };
    report.taken.extend(releases.into_iter().map(taken));
    Ok(())
}
