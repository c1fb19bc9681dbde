//! What is no longer trusted here, and what it had a part in.

use serde::Serialize;

use crate::publish::affected::affected_releases;
use crate::state::{State, Trust};
use base::{Digest, Fault};
use bundle::Keyring;
use bundle::directive::Given;
use bundle::keyring::RawKey;
use config::Config;

/// What an officer denied.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Denial {
    /// What: `key ID`, `feed NAME` or `origin COUNTRY`.
    pub what: String,
    /// Who, when and why.
    pub by: String,
    /// The SHA-256 of the directive: how a keyring names it to lift it.
    pub sha256: Digest,
    /// Whether the keyring in force has lifted it.
    pub lifted: bool,
}

/// What a key that counts no longer had a part in.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Part {
    /// FEED/VERSION.
    pub release: String,
    /// The key's id.
    pub key: String,
    /// `signed` or `approved`.
    pub part: &'static str,
    /// Where the release stands.
    pub standing: String,
}

/// What officers denied here, oldest first.
pub fn denials(trust: &Trust, ring: &Keyring) -> Vec<Denial> {
    let denial = |given: &Given| {
        let directive = given.directive()?;
        let what = directive.order.to_string().strip_prefix("deny ")?.to_owned();
        let by = format!("{} on {}: {}", directive.officer, given.taken, directive.reason);
        Some(Denial { what, by, sha256: given.digest(), lifted: ring.lifted.contains(&given.digest()) })
    };
    trust.directives.iter().filter_map(denial).collect()
}

/// What revoked and denied keys had a part in, and that was not refused or withdrawn since.
pub fn parts(state: &State, config: &Config, trust: &Trust, ring: &Keyring) -> Result<Vec<Part>, Fault> {
    let id = |public: &String| RawKey::parse(public).ok().map(|raw| raw.id_text());
    let revoked = ring.revoked.iter().filter_map(|row| id(&row.public));
    let of_denied_origin = ring.keys.iter().filter(|key| {
        let origin = key.origin.as_deref();
        origin.is_some_and(|origin| ring.denied.check_origin(origin).is_err())
    });
    let denied = ring.denied.keys.keys().cloned().chain(of_denied_origin.filter_map(|key| id(&key.public)));
    let mut keys: Vec<String> = revoked.chain(denied).collect();
    keys.sort();
    keys.dedup();
    let mut parts = Vec::new();
    for key in keys {
        for it in affected_releases(state, config, trust, &key)? {
            let part = if it.signed { "signed" } else { "approved" };
            parts.push(Part { release: it.id.to_string(), key: key.clone(), part, standing: it.standing.to_string() });
        }
    }
    Ok(parts)
}
