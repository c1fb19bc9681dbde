//! Denials by this relay's officers, beyond what the keyring says. They can only tighten: a denial ends where a new
//! keyring says so, and nowhere else.

use std::collections::BTreeMap;
use std::fmt;

use crate::keyring::{RawKey, Revoked};
use crate::{Keyring, Signer};
use base::{Reason, Refusal, quoted};

/// Keys, feeds and origins that were denied here, each with who said so and why, escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    /// By key id.
    pub keys: BTreeMap<String, DeniedKey>,
    /// By name.
    pub feeds: BTreeMap<String, String>,
    /// By country, ISO 3166-1 alpha-2.
    pub origins: BTreeMap<String, String>,
}

/// Denial of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedKey {
    /// Names of those who said so, each with time and cause.
    pub why: String,
    /// Extent: the acts that the denial takes from the key.
    pub extent: Extent,
}

/// Extent of the denial of a key. One officer alone takes from another what lets content pass, and never what takes it
/// back: a rogue who denied all others would else be the only one left who can withdraw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// An officer's key, denied by one officer: it still signs what makes less visible, and denies.
    Loosening,
    /// An officer's key, denied by two; or a key of another role, denied by one: nothing counts.
    Everything,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loosening => {
                "its approvals do not count; it may still refuse and withdraw until a second officer denies it"
            }
            Self::Everything => "nothing that it signs counts",
        })
    }
}

impl Denied {
    /// Checks that a key was not denied, by whomever. Refusal: `key-denied`.
    pub fn check_key(&self, id: &str, name: &str) -> Result<(), Refusal> {
        self.keys.get(id).map_or(Ok(()), |DeniedKey { why, extent }| {
            let left = match extent {
                Extent::Loosening => format!(" ({extent})"),
                Extent::Everything => String::new(),
            };
            let detail = format!("the key {id} of {name} was denied here{left} by {why}");
            Err(Refusal::new(Reason::KeyDenied, detail))
        })
    }

    /// Checks that an officer's key may still sign what makes less visible. Refusal: `key-denied`.
    pub fn check_tightening_key(&self, id: &str, name: &str) -> Result<(), Refusal> {
        match self.keys.get(id) {
            Some(DeniedKey { extent: Extent::Loosening, .. }) => Ok(()),
            _ => self.check_key(id, name),
        }
    }

    /// Checks that nothing of a release was denied: its feed, its origin, the keys that signed it. Refusals:
    /// `feed-denied`, `origin-denied`, `key-denied`.
    pub fn check_release(&self, feed: &str, origin: &str, signers: &[Signer]) -> Result<(), Refusal> {
        self.check_feed(feed)?;
        self.check_origin(origin)?;
        signers.iter().try_for_each(|signer| self.check_key(&signer.key_id, &signer.name))
    }

    /// Checks that a feed was not denied. Refusal: `feed-denied`.
    pub fn check_feed(&self, feed: &str) -> Result<(), Refusal> {
        check(&self.feeds, feed, Reason::FeedDenied, || format!("feed {feed} was denied here"))
    }

    /// Checks that an origin was not denied. Refusal: `origin-denied`.
    pub fn check_origin(&self, origin: &str) -> Result<(), Refusal> {
        check(&self.origins, origin, Reason::OriginDenied, || format!("origin {origin} was denied here"))
    }
}

impl Keyring {
    /// Checks that nothing of a release was denied here, and no key that signed it was denied or revoked since.
    /// Refusals: `feed-denied`, `origin-denied`, `key-denied`, `key-revoked`.
    pub fn check_release(&self, feed: &str, origin: &str, signers: &[Signer]) -> Result<(), Refusal> {
        self.denied.check_release(feed, origin, signers)?;
        let revoked = signers.iter().find_map(|signer| Some((signer, self.revocation_by_id(&signer.key_id)?)));
        revoked.map_or(Ok(()), |(signer, row)| {
            let detail = format!("the key of {} was revoked on {}: {}", signer.name, row.on, quoted(&row.reason));
            Err(Refusal::new(Reason::KeyRevoked, detail))
        })
    }

    /// True if the key with this id was denied here, by whomever, or revoked: what it let pass counts for nothing new.
    pub fn has_lost(&self, key_id: &str) -> bool {
        self.denied.keys.contains_key(key_id) || self.revocation_by_id(key_id).is_some()
    }

    fn revocation_by_id(&self, key_id: &str) -> Option<&Revoked> {
        self.revoked.iter().find(|row| RawKey::parse(&row.public).is_ok_and(|raw| raw.id_text() == key_id))
    }
}

fn check(
    denied: &BTreeMap<String, String>,
    name: &str,
    reason: Reason,
    what: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    denied.get(name).map_or(Ok(()), |why| Err(Refusal::new(reason, format!("{} by {why}", what()))))
}
