//! Directives: judged as statements are, and kept in the trust file, where they tighten what counts from then on.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::{AcceptedDirective, SettleReport, SubmittedStatement, TakenDecision, append_once};
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::affected::{affected_releases, listing_digest};
use crate::state::TakenStatement;
use base::{Error, Fault, Reason, Refusal, Timestamp};
use bundle::ReleaseId;
use bundle::directive::{Directive, Order, TakenDirective};
use bundle::keyring::{RawKey, id_text};
use bundle::statement::Decision;

/// Most by which the time that an officer confirms may differ from the clock's.
const NEAR: Duration = Duration::from_hours(24);

/// Judges a directive: form, relay, signer, right, and only then what it orders.
pub(super) fn accept(
    keeper: &mut Keeper,
    submitted: &SubmittedStatement,
    report: &mut SettleReport,
) -> Result<(), Error> {
    let directive = Directive::parse(&submitted.text)?;
    keeper.check_scope(&directive.scope)?;
    let raw = directive.verify(&submitted.text, &submitted.signature, &keeper.keyring, keeper.now)?;
    let text = String::from_utf8(submitted.text.clone())
        .map_err(|_| Fault::Internal("a directive that was read as text is not text"))?;
    let signature = String::from_utf8_lossy(&submitted.signature).into_owned();
    let given = TakenDirective { taken: keeper.now, key: HEXLOWER.encode(&raw.key), text, signature };
    if keeper.trust.has_directive(&given) || is_in_force(keeper, &given.key, &directive.order) {
        let detail = format!("this order by {} already counts", directive.officer);
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    if let Order::WithdrawKey { key, .. } = &directive.order {
        return withdraw(keeper, &directive, key, raw, &given, report);
    }
    let clock = match directive.order {
        Order::Clock(time) => {
            check_time(time, keeper.ahead.unwrap_or(keeper.now), keeper.config.clock.tolerance.0)?;
            None
        }
        Order::TurnBack { to, from } => turn_back(keeper, (&given, &directive.officer), to, from)?,
        _ => None,
    };
    let event = Event::Directive {
        order: directive.order.to_string(),
        officer: directive.officer.clone(),
        key_id: id_text(raw.id),
        key: given.key.clone(),
        text: given.text.clone(),
        signature: given.signature.clone(),
        clock,
    };
    if clock.is_some() {
        keeper.log.turn_back(keeper.now);
    }
    append_once(keeper, vec![event])?;
    let mut trust = keeper.trust.clone();
    trust.directives.push(given);
    trust.apply_time_order(&directive.order, clock);
    keeper.replace_trust(trust)?;
    if let (Order::Clock(_), Some(now)) = (&directive.order, keeper.ahead.take()) {
        keeper.now = now.max(keeper.floor());
    }
    report.directives.push(AcceptedDirective { order: directive.order, officer: directive.officer, clock });
    Ok(())
}

/// True if a denial or a waiver like this one by the same key counts already, whenever it was printed.
fn is_in_force(keeper: &Keeper, key: &str, order: &Order) -> bool {
    let lasts = matches!(order, Order::DenyKey(_) | Order::DenyFeed(_) | Order::DenyOrigin(_) | Order::Waive { .. });
    let is_same = |other: &TakenDirective| {
        other.key == key
            && !keeper.keyring.lifted.contains(&other.digest())
            && other.directive().is_some_and(|other| other.order == *order)
    };
    lasts && keeper.trust.directives.iter().any(is_same)
}

/// Checks that the officer's time is the clock's. Refusal: `statement-clock`.
fn check_time(time: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Refusal> {
    // Nothing is dated ahead of the clock: the newest time on record would stop imports until then.
    if time.age(now) <= NEAR && time <= now.plus(tolerance) {
        return Ok(());
    }
    let detail = format!(
        "the directive names the time {time}, and this relay's clock says {now}: it may be at most 24 hours before that, and not after it"
    );
    Err(Refusal::new(Reason::StatementClock, detail))
}

/// Time to go back to, if another officer has said as well that `from` never was; `None`: one more has to. The clock
/// itself is right by now, so that it is behind what the relay has seen. Refusal: `statement-clock`.
fn turn_back(
    keeper: &Keeper,
    (given, by): (&TakenDirective, &str),
    to: Timestamp,
    from: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    let (now, floor) = (keeper.now, keeper.floor());
    let wrong = |detail: String| Err(Refusal::new(Reason::StatementClock, detail));
    if keeper.trust.turned_back.contains(&from) {
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
    check_time(to, now, keeper.config.clock.tolerance.0)?;
    let agreed = keeper.trust.directives.iter().filter_map(|other| match other.directive()? {
        Directive { order: Order::TurnBack { to, from: same }, officer, .. } if same == from => {
            let is_another = other.key != given.key && officer != by;
            (is_another && keeper.officer_of(other, &officer).is_some()).then_some(to)
        }
        _ => None,
    });
    Ok(agreed.max().map(|other| other.max(to)))
}

/// Withdraws all that a key had a part in: for each release it is as if the officer had said so of that one.
fn withdraw(
    keeper: &mut Keeper,
    directive: &Directive,
    key: &str,
    raw: RawKey,
    given: &TakenDirective,
    report: &mut SettleReport,
) -> Result<(), Error> {
    let releases = affected_releases(&keeper.state, &keeper.config, &keeper.trust, (key, Some(&given.text)))?;
    let now = listing_digest(&releases);
    if !matches!(&directive.order, Order::WithdrawKey { releases, .. } if *releases == now) || releases.is_empty() {
        let detail = if releases.is_empty() {
            format!("no release here was signed or approved with the key {key}, or each one is withdrawn already")
        } else {
            let count = releases.len();
            format!(
                "releases signed or approved with the key {key}: {count} now; their list has the digest sha256:{now}, and the directive names another list"
            )
        };
        return Err(Error::refused(Reason::StatementListing, detail));
    }
    let officer = keeper.keyring.by_id(raw.id).map(|(key, _)| key.clone());
    if let Some(other) = releases.iter().find(|it| !officer.as_ref().is_some_and(|key| key.is_for(&it.id.feed))) {
        let (officer, id) = (&directive.officer, &other.id);
        let detail = format!("{officer} may not decide on feed {}, and the directive would withdraw {id}", id.feed);
        return Err(Error::refused(Reason::StatementSigner, detail));
    }
    let has_said = |id: &ReleaseId| {
        let is_theirs = |t: &TakenStatement| t.key == given.key || t.officer == directive.officer;
        keeper.trust.statements(id).iter().any(|t| t.decision == Decision::Withdraw && is_theirs(t))
    };
    let open: Vec<ReleaseId> = releases.iter().map(|it| &it.id).filter(|id| !has_said(id)).cloned().collect();
    if open.is_empty() {
        let detail = format!("{} has withdrawn each of these releases before", directive.officer);
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
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
    keeper.record(open.iter().map(event).collect())?;
    let (decision, officer) = (Decision::Withdraw, &directive.officer);
    let taken = |release| TakenDecision { release, decision, officer: officer.clone(), effect: None };
    report.taken.extend(open.into_iter().map(taken));
    Ok(())
}
