//! `gaprelay repair`: prints statements for two officers to sign, and then does the repair.

use std::path::Path;

use super::approve;
use super::args_keyring::RepairArgs;
use crate::settle::draft::{DraftBy, scope};
use crate::settle::repair::{check_needed, check_signer, rebuild, repair};
use crate::state::State;
use base::{Error, Timestamp};
use terminal::Ended;

/// Prints a statement to sign, or repairs the trust state.
pub(crate) fn run(root: &Path, now: Timestamp, args: &RepairArgs) -> Result<Ended, Error> {
    let state = State::open(root)?;
    if let (Some(officer), Some(reason)) = (&args.officer, &args.reason) {
        let rebuilt = rebuild(&state)?;
        // The keyring may be what is damaged.
        let keyring = state.keyring(&rebuilt.trust).ok();
        let by = DraftBy { officer: officer.clone(), reason: reason.clone(), issued: now, valid_for: args.valid_for };
        let scope = scope(&state, keyring.as_ref(), &by)?;
        if let Some(keyring) = &keyring {
            check_signer(officer, keyring, now)?;
        }
        check_needed(&rebuilt)?;
        for (feed, known) in &rebuilt.trust.feeds {
            terminal::note(format_args!("found in the log: {feed} up to version {}", known.highest));
        }
        let (keyring, directives) = (&rebuilt.trust.keyring, rebuilt.trust.directives.len());
        terminal::note(format_args!("found in the log: keyring {}, {directives} directives", keyring.version));
        terminal::say(rebuilt.statement(scope, officer, reason)?.to_string().trim_end());
        terminal::hint(
            "first compare the log with a receipt that was kept outside: gaprelay log verify --against RECEIPT",
        );
        terminal::hint(
            "save these lines as a file, for example repair.NAME.txt, and sign it: minisign -S -s YOUR.key -m repair.NAME.txt",
        );
        terminal::hint(
            "a second officer does the same; then repair: gaprelay repair --signature ONE.minisig --signature OTHER.minisig",
        );
        return Ok(Ended::Well);
    }
    // Opened with the rights of the user who hands it in; read and judged only when confined.
    let mut signed = Vec::new();
    for signature in &args.signature {
        signed.push((approve::open(&approve::statement_of(signature, None)?)?, approve::open(signature)?));
    }
    let keyring = args.keyring.as_deref().map(approve::open).transpose()?;
    let state = crate::cli::enter_confinement(root)?;
    let mut read = Vec::new();
    for (text, signature) in signed {
        read.push((approve::read(text)?, approve::read(signature)?));
    }
    let keyring = keyring.map(approve::read_keyring).transpose()?;
    let trust = repair(&state, &read, keyring, now)?;
    let (version, feeds) = (trust.keyring.version, trust.feeds.len());
    terminal::say(format_args!("repaired: trust in keyring {version} and in {feeds} feeds was rebuilt from the log"));
    terminal::hint("check the whole state: gaprelay fsck");
    Ok(Ended::Well)
}
