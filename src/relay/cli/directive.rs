//! `gaprelay directive`: prints an order of an officer to sign, and hands in a signed one.

use std::path::Path;

use super::approve;
use super::args_keyring::{DirectiveCommand, OfficerArgs};
use crate::publish::affected::{affected_releases, listing_digest};
use crate::publish::draft::scope;
use crate::state::{State, Trust};
use base::{Error, Reason, Timestamp};
use bundle::directive::{Directive, Order};
use terminal::Ended;

/// Prints a directive to sign, or hands in a signed one and settles.
pub(crate) fn run(root: &Path, now: Timestamp, command: &DirectiveCommand) -> Result<Ended, Error> {
    let (order, by) = match command {
        DirectiveCommand::HandIn { signature, statement, json } => {
            return approve::hand_in(root, now, (signature, statement.as_deref()), *json, |_| Ok(()));
        }
        DirectiveCommand::DenyKey { key, by } => (Order::DenyKey(key.clone()), by),
        DirectiveCommand::DenyFeed { feed, by } => (Order::DenyFeed(feed.clone()), by),
        DirectiveCommand::DenyOrigin { origin, by } => (Order::DenyOrigin(origin.clone()), by),
        DirectiveCommand::WithdrawKey { key, by } => (withdraw(&State::open(root)?, key)?, by),
        DirectiveCommand::Waive { manifest, until, by } => (Order::Waive { manifest: *manifest, until: *until }, by),
        DirectiveCommand::Clock { time, by } => (Order::Clock(*time), by),
        DirectiveCommand::ClockBack { time, by } => (turn_back(&State::open(root)?, *time, now)?, by),
    };
    print(&State::open(root)?, now, order, by)
}

/// Order to withdraw all releases of a key; prints each of them on standard error.
fn withdraw(state: &State, key: &str) -> Result<Order, Error> {
    let releases = affected_releases(state, &state.config()?, &Trust::load(state)?, (key, None))?;
    if releases.is_empty() {
        let detail = format!("no release here was signed or approved with key {}", base::quoted(key));
        return Err(Error::refused(Reason::StatementListing, detail));
    }
    for it in &releases {
        let part = if it.signed { "signed" } else { "approved" };
        terminal::note(format_args!("the order withdraws {} ({}), which was {part} with this key", it.id, it.standing));
    }
    Ok(Order::WithdrawKey { key: key.to_owned(), releases: listing_digest(&releases) })
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

fn print(state: &State, now: Timestamp, order: Order, by: &OfficerArgs) -> Result<Ended, Error> {
    let keyring = state.keyring(&Trust::load(state)?)?;
    let scope = scope(state, Some(&keyring), &by.officer, (now, by.valid_for))?;
    let directive = Directive { scope, order, officer: by.officer.clone(), reason: by.reason.clone() };
    // The printed text must be one that hand-in accepts.
    let directive = Directive::parse(directive.to_string().as_bytes())?;
    terminal::say(directive.to_string().trim_end());
    terminal::hint(
        "save these lines as a file, for example directive.txt, and sign it: minisign -S -s YOUR.key -m directive.txt",
    );
    terminal::hint("hand in the signed directive: gaprelay directive hand-in directive.txt.minisig");
    Ok(Ended::Well)
}
