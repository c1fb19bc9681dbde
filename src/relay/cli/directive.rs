//! `gaprelay directive`: what an officer tightens or answers for, out to be signed and in again.

use std::path::Path;

use super::approve;
use super::args_keyring::{By, DirectiveCommand};
use crate::publish::affected::{affected_releases, listing_digest};
use crate::state::{State, Trust};
use base::{Error, Reason, Timestamp};
use bundle::directive::{Directive, Order};
use terminal::Ended;
use tlog::check::read_vkey;

/// Prints a directive, or hands a signed one in and settles.
pub fn run(root: &Path, now: Timestamp, command: &DirectiveCommand) -> Result<Ended, Error> {
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
    print(&State::open(root)?, order, by)
}

/// The order to withdraw what a key brought in, and on standard error what that is.
fn withdraw(state: &State, key: &str) -> Result<Order, Error> {
    let releases = affected_releases(state, &state.config()?, &Trust::load(state)?, key)?;
    if releases.is_empty() {
        let detail = format!("there is nothing here that key {} had a part in", base::quoted(key));
        return Err(Error::refused(Reason::StatementListing, detail));
    }
    for it in &releases {
        let part = if it.signed { "signed" } else { "approved" };
        terminal::note(format_args!("{} ({}), {part} with it", it.id, it.standing));
    }
    Ok(Order::WithdrawKey { key: key.to_owned(), releases: listing_digest(&releases) })
}

/// The order to turn the clock back from the latest moment that the relay has seen.
fn turn_back(state: &State, to: Timestamp, now: Timestamp) -> Result<Order, Error> {
    let from = Trust::load(state)?.latest_known_time(state)?;
    if to >= from || now >= from {
        let detail =
            format!("the clock says {now}, the latest that the relay has seen is {from}: nothing is to turn back");
        return Err(Error::refused(Reason::StatementClock, detail));
    }
    terminal::note(format_args!("all that the relay has seen from {to} to {from} was dated by a clock that ran ahead"));
    terminal::note(format_args!("it takes two officers to say so"));
    Ok(Order::TurnBack { to, from })
}

fn print(state: &State, order: Order, by: &By) -> Result<Ended, Error> {
    let relay = read_vkey(&state.import_log())?.name().to_owned();
    let directive = Directive { relay, order, officer: by.officer.clone(), reason: by.reason.clone() };
    // What we print must be what we read.
    let directive = Directive::parse(directive.to_string().as_bytes())?;
    terminal::say(directive.to_string().trim_end());
    terminal::hint("keep these five lines as a file, say directive.txt; then");
    terminal::hint("minisign -S -s YOUR.key -m directive.txt");
    terminal::hint("gaprelay directive hand-in directive.txt.minisig");
    Ok(Ended::Well)
}
