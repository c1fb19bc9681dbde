//! `gaprelay keyring`: keys in force, denials, and releases that revoked keys brought in.

use serde::Serialize;

use crate::report::trust::{Denial, KeyInvolvement, KeyUse, TIGHTENING, denials, key_involvements};
use crate::state::{State, Trust};
use base::word_list::word_list;
use base::{Digest, Error, clock, quoted};
use bundle::Keyring;
use bundle::keyring::RawKey;
use terminal::Ended;

/// Output of `keyring show --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyringJson {
    /// Keyring in force.
    pub keyring: Keyring,
    /// SHA-256 of the file of the keyring.
    pub sha256: Digest,
    /// Denials by officers of this relay.
    pub denied: Vec<Denial>,
    /// Releases that were signed or approved with a key that no longer counts.
    pub parts: Vec<KeyInvolvement>,
}

/// Shows the keyring in force.
pub(crate) fn show(state: &State, as_json: bool) -> Result<Ended, Error> {
    let trust = Trust::load(state)?;
    let ring = state.keyring(&trust)?;
    let (denied, parts) = (denials(&trust, &ring), key_involvements(state, &state.config()?, &trust, &ring)?);
    let sha256 = trust.keyring.sha256;
    if as_json {
        terminal::say_json(&KeyringJson { keyring: ring, sha256, denied, parts });
        return Ok(Ended::Well);
    }
    let (needed, roots) = (ring.root.threshold, ring.root.keys.len());
    terminal::say(format_args!(
        "keyring version {}; a new keyring needs the signatures of {needed} of {roots} root keys",
        ring.version
    ));
    terminal::say(format_args!("sha256:{sha256}, as words to read aloud:"));
    terminal::say(word_list(sha256));
    print_keys(&ring);
    for row in &ring.thresholds {
        terminal::say(format_args!(
            "{}: needs signatures by {} different keys of the role {}",
            row.feeds.join(" "),
            row.signers,
            row.role
        ));
    }
    for epoch in &ring.epochs {
        let (feed, number, highest) = (&epoch.feed, epoch.number, epoch.highest);
        terminal::say(format_args!(
            "{feed}: epoch {number}; versions above {highest} that were accepted before this epoch are void"
        ));
    }
    for row in &ring.revoked {
        let id = RawKey::parse(&row.public).map_or_else(|_| "?".into(), |raw| raw.id_text());
        terminal::say(format_args!("revoked key {id}, on {}: {}", row.on, quoted(&row.reason)));
    }
    for Denial { what, by, sha256, lifted, extent } in &denied {
        let lifted = if *lifted { ", lifted by the keyring" } else { "" };
        let extent = extent.as_ref().map_or(String::new(), |extent| format!(" ({extent})"));
        terminal::say(format_args!(
            "denied on this relay: {what}{extent}, by {by}{lifted} (directive sha256:{sha256})"
        ));
    }
    for KeyInvolvement { release, key, part, standing } in &parts {
        terminal::note(format_args!(
            "{release} ({standing}) was {part} with key {key}, which is revoked or denied now"
        ));
    }
    let mut keys: Vec<&String> = parts.iter().map(|part| &part.key).collect();
    keys.dedup();
    for key in keys {
        terminal::hint(format_args!(
            "to withdraw all releases of key {key}: gaprelay directive withdraw-key {key} --officer NAME --reason TEXT"
        ));
    }
    Ok(Ended::Well)
}

fn print_keys(ring: &Keyring) {
    let rows = ring.keys.iter().map(|key| {
        let raw = RawKey::parse(&key.public).ok();
        vec![
            key.name.clone(),
            key.role.to_string(),
            raw.map_or("?".into(), |raw| raw.id_text()),
            key.publisher.clone().unwrap_or_else(|| "-".into()),
            key.origin.clone().unwrap_or_else(|| "-".into()),
            key.feeds.join(" "),
            key.may
                .as_ref()
                .map_or("-".into(), |may| may.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            match KeyUse::of(ring, key, clock::now()) {
                KeyUse::All => "usable".into(),
                KeyUse::Tightening(refusal) => format!("{TIGHTENING} ({})", refusal.reason),
                KeyUse::None(refusal) => refusal.reason.to_string(),
            },
        ]
    });
    terminal::table(&["name", "role", "key id", "publisher", "origin", "feeds", "may only", "today"], rows.collect());
}
