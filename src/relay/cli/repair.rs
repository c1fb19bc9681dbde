//! `gaprelay repair`: statements out to be signed by two officers, and then the repair.

use std::path::Path;

use super::approve;
use super::args_keyring::Repair;
use crate::settle::repair::{rebuild, repair};
use crate::state::State;
use base::{Error, Timestamp};
use terminal::Ended;

/// Prints what an officer is to sign, or repairs.
pub fn run(root: &Path, now: Timestamp, args: &Repair) -> Result<Ended, Error> {
    let state = State::open(root)?;
    if let (Some(officer), Some(reason)) = (&args.officer, &args.reason) {
        let rebuilt = rebuild(&state)?;
        for (feed, known) in &rebuilt.trust.feeds {
            terminal::note(format_args!("the log tells: {feed} up to version {}", known.highest));
        }
        let (keyring, directives) = (&rebuilt.trust.keyring, rebuilt.trust.directives.len());
        terminal::note(format_args!("the log tells: keyring {}, {directives} directives", keyring.version));
        terminal::say(rebuilt.statement(officer, reason)?.to_string().trim_end());
        terminal::hint("compare the log with what is kept outside first: gaprelay log verify --against RECEIPT");
        terminal::hint(
            "keep these six lines as a file, say repair.NAME.txt; then minisign -S -s YOUR.key -m repair.NAME.txt",
        );
        terminal::hint(
            "another officer does the same; then gaprelay repair --signature ONE.minisig --signature OTHER.minisig",
        );
        return Ok(Ended::Well);
    }
    // Opened as whoever hands it in; read and judged only in the cage.
    let mut signed = Vec::new();
    for signature in &args.signature {
        signed.push((approve::open(&approve::statement_of(signature, None)?)?, approve::open(signature)?));
    }
    let keyring = args.keyring.as_deref().map(approve::open).transpose()?;
    let state = crate::cli::confined(root)?;
    let mut read = Vec::new();
    for (text, signature) in signed {
        read.push((approve::read(text)?, approve::read(signature)?));
    }
    let keyring = keyring.map(approve::read_keyring).transpose()?;
    let trust = repair(&state, &read, keyring, now)?;
    let (version, feeds) = (trust.keyring.version, trust.feeds.len());
    terminal::say(format_args!("repaired: keyring {version} and {feeds} feeds are trusted as the log tells"));
    terminal::hint("gaprelay fsck");
    Ok(Ended::Well)
}
