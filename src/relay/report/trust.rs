//! Denials by officers, and the releases that revoked or denied keys signed or approved.

use serde::Serialize;

use crate::publish::affected::affected_releases;
use crate::state::{State, Trust};
use base::{Digest, Fault, Refusal, Timestamp};
use bundle::directive::{Order, TakenDirective};
use bundle::keyring::{Key, RawKey};
use bundle::{Keyring, Right, Role};
use config::Config;

/// Denial by an officer.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Denial {
    /// Denied thing: `key ID`, `feed NAME` or `origin COUNTRY`.
    pub what: String,
    /// Officer, time and reason, in a sentence part.
    pub by: String,
    /// SHA-256 of the directive, by which a keyring names it to lift the denial.
    pub sha256: Digest,
    /// True if the keyring in force has lifted the denial.
    pub lifted: bool,
    /// Extent of all denials of this key together; of a key, and where the denial is not lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extent: Option<String>,
}

/// Words for [`KeyUse::Tightening`].
pub(crate) const TIGHTENING: &str = "may only refuse and withdraw";

/// Use that a key of the keyring may have at a time.
pub(crate) enum KeyUse {
    /// All that it has a right to.
    All,
    /// An officer's key that one officer has denied: to refuse, to withdraw and to deny.
    Tightening(Refusal),
    /// Nothing.
    None(Refusal),
}

impl KeyUse {
    /// Use that `key` may have at `now`.
    pub(crate) fn of(ring: &Keyring, key: &Key, now: Timestamp) -> Self {
        let raw = match RawKey::parse(&key.public) {
            Ok(raw) => raw,
            Err(refusal) => return Self::None(refusal),
        };
        let Err(refusal) = ring.check_usable(key, raw, now) else { return Self::All };
        let tightens = key.role == Role::Officer && key.has_right(Right::Deny);
        match ring.check_usable_for(Right::Deny, key, raw, now) {
            Ok(()) if tightens => Self::Tightening(refusal),
            _ => Self::None(refusal),
        }
    }
}

/// Release that a revoked or denied key signed or approved.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyInvolvement {
    /// FEED/VERSION.
    pub release: String,
    /// Id of the key.
    pub key: String,
    /// Act of the key: `signed` or `approved`.
    pub part: &'static str,
    /// Standing of the release, in words.
    pub standing: String,
}

/// Denials by the officers of this relay, oldest first.
pub(crate) fn denials(trust: &Trust, ring: &Keyring) -> Vec<Denial> {
    let denial = |given: &TakenDirective| {
        let directive = given.directive()?;
        let what = directive.order.to_string().strip_prefix("deny ")?.to_owned();
        let by = format!("{} on {}: {}", directive.officer, given.taken, directive.reason);
        let lifted = ring.lifted.contains(&given.digest());
        let extent = match &directive.order {
            Order::DenyKey(id) if !lifted => ring.denied.keys.get(id).map(|denied| denied.extent.to_string()),
            _ => None,
        };
        Some(Denial { what, by, sha256: given.digest(), lifted, extent })
    };
    trust.directives.iter().filter_map(denial).collect()
}

/// Releases that revoked or denied keys signed or approved, except those that were refused or withdrawn since.
pub(crate) fn key_involvements(
    state: &State,
    config: &Config,
    trust: &Trust,
    ring: &Keyring,
) -> Result<Vec<KeyInvolvement>, Fault> {
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
        for it in affected_releases(state, config, trust, (&key, None))? {
            let part = if it.signed { "signed" } else { "approved" };
            parts.push(KeyInvolvement { release: it.id.to_string(), key: key.clone(), part, standing: it.standing() });
        }
    }
    Ok(parts)
}
