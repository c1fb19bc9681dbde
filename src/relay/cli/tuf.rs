//! `gaprelay tuf`: key of the relay for the repository, and the published versions.

use std::path::Path;

use data_encoding::HEXLOWER;

use super::args_tuf::TufCommand;
use super::here;
use crate::settle::tuf::read_key;
use crate::state::State;
use base::{Error, Timestamp, durable};
use bundle::tuf::TufKey;
use bundle::tuf::client::check;
use terminal::Ended;
use tlog::note::fresh_key;

/// Runs a subcommand of `tuf`.
pub(crate) fn run(root: &Path, now: Timestamp, command: &TufCommand) -> Result<Ended, Error> {
    match command {
        TufCommand::Key => key(root, now),
        TufCommand::Show => show(&State::open(root)?, now),
    }
}

fn key(root: &Path, now: Timestamp) -> Result<Ended, Error> {
    let keeper = here(root, now)?;
    let key = if let Some(key) = read_key(&keeper.state)? {
        key
    } else {
        let key = fresh_key()?;
        durable::replace_secret(&keeper.state.tuf_key_path(), HEXLOWER.encode(&key.to_bytes()).as_bytes())?;
        key
    };
    let public = key.verifying_key().to_bytes();
    terminal::say(HEXLOWER.encode(&public));
    terminal::note(format_args!("the key id of this key: {}", TufKey::ed25519(&public).id()));
    terminal::hint(
        "give this key to the people who sign the root: gaprelay-pack tuf root --relay KEY, and gaprelay-pack tuf targets --relay KEY",
    );
    Ok(Ended::Well)
}

fn show(state: &State, now: Timestamp) -> Result<Ended, Error> {
    let Some(tree) = state.tree()? else {
        terminal::note("no repository for TUF clients is published yet");
        terminal::hint(
            "set the feed that brings root and targets in the section [tuf] of config.toml; then gaprelay settle shows what is missing",
        );
        return Ok(Ended::Well);
    };
    let checked = check(&tree.metadata, None, now)?;
    let row = |name: &str, version: u64, expires: Timestamp, targets: usize| {
        vec![name.to_owned(), version.to_string(), expires.to_string(), targets.to_string()]
    };
    let mut rows = vec![
        row("root", checked.root.version, checked.root.expires, 0),
        row("snapshot", checked.snapshot.version, checked.snapshot.expires, 0),
        row("targets", checked.targets.version, checked.targets.expires, checked.targets.targets.len()),
    ];
    rows.extend(checked.roles.iter().map(|(name, it)| row(name, it.version, it.expires, it.targets.len())));
    terminal::table(&["role", "version", "expires", "targets"], rows);
    terminal::say(format_args!("made on {}; clients can get {} targets", tree.made, tree.targets.len()));
    for (role, why) in &checked.unusable {
        terminal::note(format_args!("stock clients do not accept the role {role}: {why}"));
    }
    Ok(Ended::Well)
}
