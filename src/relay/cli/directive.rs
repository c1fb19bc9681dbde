//! `gaprelay directive`: prints an order of an officer to sign, and hands in a signed one.

use std::path::Path;

use super::approve;
use super::args_keyring::{DirectiveCommand, OfficerArgs};
use crate::settle::draft::{self, DraftBy};
use crate::state::{State, Trust};
use base::{Error, Reason, Timestamp, quoted};
use bundle::directive::{Directive, Order};
use bundle::keyring::{RawKey, parse_key_id};
use terminal::Ended;

/// Prints a directive to sign, or hands in a signed one and settles.
pub(crate) fn run(root: &Path, now: Timestamp, command: &DirectiveCommand) -> Result<Ended, Error> {
    let (order, by) = match command {
        DirectiveCommand::HandIn { signature, statement, json } => {
            return approve::hand_in(root, now, (signature, statement.as_deref()), *json, |_| Ok(()));
        }
        DirectiveCommand::DenyKey { key, by } => (Order::DenyKey(whole_id(&State::open(root)?, key)?), by),
        DirectiveCommand::DenyFeed { feed, by } => (Order::DenyFeed(feed.clone()), by),
        DirectiveCommand::DenyOrigin { origin, by } => (Order::DenyOrigin(origin.clone()), by),
        DirectiveCommand::WithdrawKey { key, by } => return withdraw(&State::open(root)?, key, now, by),
        DirectiveCommand::Waive { manifest, until, by } => (Order::Waive { manifest: *manifest, until: *until }, by),
        DirectiveCommand::Clock { time, by } => (Order::Clock(*time), by),
        DirectiveCommand::ClockBack { time, by } => (turn_back(&State::open(root)?, *time, now)?, by),
    };
    let state = State::open(root)?;
    print(&draft::directive((&state, &state.config()?), now, order, signed_by(by, now))?);
    Ok(Ended::Well)
}

/// Officer who signs the directive.
fn signed_by(by: &OfficerArgs, now: Timestamp) -> DraftBy {
    let OfficerArgs { officer, reason, valid_for } = by;
    DraftBy { officer: officer.clone(), reason: reason.clone(), issued: now, valid_for: *valid_for }
}

/// Key id with all of its digits: minisign prints it without leading zeros. One that is given so must be of a key of
/// the keyring: an id that lost a digit on the way would deny nobody, and nothing would say so.
fn whole_id(state: &State, given: &str) -> Result<String, Error> {
    let wrong = |detail: String| Error::refused(Reason::StatementMalformed, detail);
    let id = parse_key_id(given).ok_or_else(|| {
        wrong(format!("\"{}\" is not a key id: 16 hex digits, as `gaprelay keyring show` prints them", quoted(given)))
    })?;
    let ring = state.keyring(&Trust::load(state)?)?;
    let mut publics = ring.keys.iter().map(|key| &key.public).chain(ring.revoked.iter().map(|row| &row.public));
    let is_known = |public: &String| RawKey::parse(public).is_ok_and(|raw| raw.id_text() == id);
    if given.len() == id.len() || publics.any(is_known) {
        return Ok(id);
    }
    Err(wrong(format!(
        "the key id {given} has fewer than 16 digits, and the keyring in force has no key {id}: give all 16 digits"
    )))
}

/// Prints an order to withdraw all releases of a key; and each of them on standard error.
fn withdraw(state: &State, key: &str, now: Timestamp, by: &OfficerArgs) -> Result<Ended, Error> {
    let (config, key) = (state.config()?, whole_id(state, key)?);
    let (directive, releases) = draft::withdrawal_of_key((state, &config), now, &key, signed_by(by, now))?;
    for it in &releases {
        let part = if it.signed { "signed" } else { "approved" };
        terminal::note(format_args!(
            "the order withdraws {} ({}), which was {part} with this key",
            it.id,
            it.standing()
        ));
    }
    terminal::note("and what else was signed or approved with this key by the time when it is handed in");
    print(&directive);
    Ok(Ended::Well)
}

/// Order to turn the clock back from the newest time on record.
fn turn_back(state: &State, to: Timestamp, now: Timestamp) -> Result<Order, Error> {
    let from = Trust::load(state)?.latest_known_time(state)?;
    if to >= from || now >= from {
        let detail = format!(
            "there is nothing to turn back: the clock says {now}, the order says {to}, and both must be before the newest time on record, {from}"
        );
        return Err(Error::refused(Reason::StatementClock, detail));
    }
    terminal::note(format_args!(
        "the order says that all records from {to} to {from} were dated by a clock that ran ahead"
    ));
    terminal::note("the order counts when two officers have signed it");
    Ok(Order::TurnBack { to, from })
}

fn print(directive: &Directive) {
    terminal::say(directive.to_string().trim_end());
    terminal::hint(
        "save these lines as a file, for example directive.txt, and sign it: minisign -S -s YOUR.key -m directive.txt",
    );
    terminal::hint("hand in the signed directive: gaprelay directive hand-in directive.txt.minisig");
}
