//! Denials by this relay's officers, beyond what the keyring says. They can only tighten: a denial ends where a new
//! keyring says so, and nowhere else.

use std::collections::BTreeMap;

use crate::keyring::{RawKey, Revoked};
use crate::{Keyring, Signer};
use base::{Reason, Refusal, quoted};

/// Keys, feeds and origins that count for nothing here, each with who said so and why, escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    /// By key id, as minisign prints it.
    pub keys: BTreeMap<String, String>,
    /// By name.
    pub feeds: BTreeMap<String, String>,
    /// By country, ISO 3166-1 alpha-2.
    pub origins: BTreeMap<String, String>,
}

impl Denied {
    /// Checks that a key was not denied. Refusal: `key-denied`.
    pub fn check_key(&self, id: &str, name: &str) -> Result<(), Refusal> {
        let what = || format!("the key {id} of {name} was denied here");
        check(&self.keys, id, Reason::KeyDenied, what)
    }

    /// Checks that nothing of a release was denied: its feed, its origin, the keys that signed it. Refusals: `feed-denied`,
    /// `origin-denied`, `key-denied`.
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

    /// True if the key with this id was denied here or revoked: what it signed counts for nothing new.
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
