//! The keyring: who may sign what. See `schemas/keyring.md`.

use std::collections::BTreeSet;

use globset::Glob;
use serde::{Deserialize, Serialize};

pub use super::epoch::Epoch;
pub use super::key::{Algorithm, RawKey, id_text, parse_key_id};

use super::denied::Denied;
use base::name::{self, is_name};
use base::{Digest, Reason, Refusal, Timestamp, quoted};

/// The format this version reads and writes.
pub const FORMAT: &str = "gaprelay-keyring/1";
/// Longest keyring file, in bytes.
pub const LONGEST: u64 = 1 << 20;

/// `keyring.toml` as written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Keyring {
    /// Always `gaprelay-keyring/1`.
    pub format: String,
    /// Rises by one with each new keyring; at least 1.
    pub version: u64,
    /// Root keys: who may replace the keyring.
    pub root: Root,
    /// The keys, each with one role.
    #[serde(rename = "key", default)]
    pub keys: Vec<Key>,
    /// Number of distinct keys of a role that must sign a feed's bundles. All rows whose `feeds`
    /// match apply; a feed that no row matches cannot be imported.
    #[serde(rename = "threshold", default)]
    pub thresholds: Vec<Threshold>,
    /// Keys that must not be used again, in the keyring or not. No later keyring may leave one out.
    #[serde(default)]
    pub revoked: Vec<Revoked>,
    /// Feeds whose versions were led too far ahead, and where they go on. No later keyring may leave one out.
    #[serde(rename = "epoch", default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<Epoch>,
    /// Denials by relays' officers that count no longer: the SHA-256 of each one's text. No later keyring may leave one
    /// out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted: Vec<Digest>,
    /// Denials by this relay's officers beyond the keyring; never in the file.
    #[serde(skip)]
    pub denied: Denied,
}

/// Root keys, and their threshold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Number of `keys` that must sign a new keyring; at least 1.
    pub threshold: u64,
    /// Root public keys, minisign base64.
    pub keys: Vec<String>,
}

/// One key and what it may do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The person or service that holds it.
    pub name: String,
    /// `minisign-ed25519`; or `ml-dsa-65` for a second signature, which counts towards no threshold.
    pub algorithm: Algorithm,
    /// The public key: minisign base64 (56 characters, beginning `RW`), or base64 of the 1952 bytes of an ML-DSA-65
    /// key.
    pub public: String,
    /// Role: the kind of document it signs.
    pub role: Role,
    /// Publisher whose content it signs; not for officers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Country of the publisher, ISO 3166-1 alpha-2; not for officers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Feeds it may sign for: names, `*` stands for any characters.
    pub feeds: Vec<String>,
    /// Acts that an officer may sign; everything, if left out. Not for other roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may: Option<Vec<Right>>,
    /// Not valid before; open if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Not valid after; open if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// Role of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Made the content.
    Vendor,
    /// Collected and checked the content on the connected side.
    Custodian,
    /// Looked at the content independently.
    Evaluator,
    /// Approves, refuses and withdraws releases on the relay.
    Officer,
}

impl Role {
    /// True if a key of this role answers for publisher and origin.
    fn publishes(self) -> bool {
        matches!(self, Self::Vendor | Self::Custodian)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vendor => "vendor",
            Self::Custodian => "custodian",
            Self::Evaluator => "evaluator",
            Self::Officer => "officer",
        })
    }
}

/// Acts that an officer may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Approve releases.
    Approve,
    /// Refuse and withdraw releases; deny keys, feeds and origins.
    Deny,
    /// Waive a bundle's dates or its jump; confirm the clock; go back to older content.
    Waive,
    /// Repair the trust state from the log.
    Repair,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Waive => "waive",
            Self::Repair => "repair",
        })
    }
}

/// Number of distinct keys of a role that must sign.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Feeds it applies to: names, `*` stands for any characters.
    pub feeds: Vec<String>,
    /// Role: vendor, custodian or evaluator.
    pub role: Role,
    /// Number of distinct keys; at least 1.
    pub signers: u64,
}

/// A key that must not be used again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// The public key, minisign base64.
    pub public: String,
    /// Since when.
    pub on: Timestamp,
    /// Why, for the officers.
    pub reason: String,
}

impl Keyring {
    /// Reads and checks a keyring. Refusals: `keyring-malformed`, `key-weak`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: String| Refusal::new(Reason::KeyringMalformed, what);
        let text = str::from_utf8(bytes).map_err(|_| malformed("the keyring is not UTF-8".into()))?;
        let keyring: Self = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1)).unwrap_or_default();
            malformed(format!("the keyring cannot be read: {line}{}", quoted(e.message())))
        })?;
        keyring.check()?;
        Ok(keyring)
    }

    /// Checks that the keyring does not contradict itself.
    pub fn check(&self) -> Result<(), Refusal> {
        let malformed = |what: String| Err(Refusal::new(Reason::KeyringMalformed, what));
        if self.format != FORMAT {
            return malformed(format!("the keyring's format is \"{}\", not {FORMAT}", quoted(&self.format)));
        }
        if self.version == 0 || self.version > 1 << 53 {
            return malformed("the keyring's version is not between 1 and 2^53".into());
        }
        let mut seen = BTreeSet::new();
        for public in &self.root.keys {
            let raw = RawKey::parse(public)?;
            if raw.algorithm != Algorithm::default() {
                return malformed("a root key must be a key of minisign".into());
            }
            if !seen.insert(raw.key) {
                return malformed(format!("root key {} stands twice in the keyring", raw.id_text()));
            }
        }
        let usable = self.root_keys().count() as u64;
        if self.root.threshold == 0 || self.root.threshold > usable {
            return malformed(
                "the root threshold is not between 1 and the number of root keys that are not revoked".into(),
            );
        }
        let mut ids = BTreeSet::new();
        for key in &self.keys {
            let name = quoted(&key.name);
            let raw = RawKey::parse(&key.public)?;
            if !seen.insert(raw.key) || !ids.insert(raw.id) {
                return malformed(format!("the key of {name} or its key id stands twice in the keyring"));
            }
            if !is_name(&key.name) {
                return malformed(format!("\"{name}\" is not a name: {}", name::RULE));
            }
            if key.algorithm != raw.algorithm {
                return malformed(format!(
                    "key {name}: the public key is not one of the algorithm {}",
                    key.algorithm.name()
                ));
            }
            if key.algorithm != Algorithm::default() && key.role == Role::Officer {
                return malformed(format!("key {name}: an officer's key must be a key of minisign"));
            }
            match (key.role.publishes(), &key.publisher, &key.origin) {
                (true, Some(publisher), Some(origin)) if is_name(publisher) && is_country(origin) => {}
                (true, publisher, origin) => {
                    let publisher = match publisher {
                        None => Some("publisher is missing".to_owned()),
                        Some(text) if is_name(text) => None,
                        Some(text) => Some(format!("publisher \"{}\": {}", quoted(text), name::RULE)),
                    };
                    let origin = match origin {
                        None => Some("origin is missing: two capital letters, such as CH".to_owned()),
                        Some(text) if is_country(text) => None,
                        Some(text) => Some(format!("origin \"{}\": two capital letters, such as CH", quoted(text))),
                    };
                    let faults: Vec<String> = publisher.into_iter().chain(origin).collect();
                    return malformed(format!("key {name} ({}): {}", key.role, faults.join("; ")));
                }
                (false, None, None) => {}
                (false, ..) => {
                    return malformed(format!(
                        "key {name}: a key of role {} must not have a publisher or an origin",
                        key.role
                    ));
                }
            }
            if key.may.is_some() && key.role != Role::Officer {
                return malformed(format!("key {name}: only an officer's key may have rights (may)"));
            }
            check_globs(&key.feeds)?;
        }
        let mut feeds = BTreeSet::new();
        for epoch in &self.epochs {
            if !is_name(&epoch.feed) || epoch.number == 0 || !feeds.insert(&epoch.feed) {
                let feed = quoted(&epoch.feed);
                return malformed(format!(
                    "epoch of feed \"{feed}\": the feed is not a name, the number is 0, or the feed has two epochs"
                ));
            }
        }
        for row in &self.thresholds {
            check_globs(&row.feeds)?;
            if row.role == Role::Officer || row.signers == 0 {
                return malformed(
                    "a [[threshold]] needs the role vendor, custodian or evaluator, and signers of at least 1".into(),
                );
            }
        }
        self.revoked.iter().try_for_each(|row| RawKey::parse(&row.public).map(drop))
    }

    /// The keys of an algorithm, whatever their state.
    pub fn of(&self, algorithm: Algorithm) -> impl Iterator<Item = (&Key, RawKey)> {
        let keys = self.keys.iter().filter(move |key| key.algorithm == algorithm);
        keys.filter_map(|key| Some((key, RawKey::parse(&key.public).ok()?)))
    }

    /// The minisign key with this id, whatever its state.
    pub fn by_id(&self, id: [u8; 8]) -> Option<(&Key, RawKey)> {
        self.of(Algorithm::MinisignEd25519).find(|(_, raw)| raw.id == id)
    }

    /// The root keys that are not revoked.
    pub fn root_keys(&self) -> impl Iterator<Item = (&str, RawKey)> {
        let keys = self.root.keys.iter().filter_map(|public| Some((public.as_str(), RawKey::parse(public).ok()?)));
        keys.filter(|(_, raw)| self.revocation(*raw).is_none())
    }

    /// The row that revokes a key.
    pub fn revocation(&self, raw: RawKey) -> Option<&Revoked> {
        self.revoked.iter().find(|row| RawKey::parse(&row.public).is_ok_and(|revoked| revoked.key == raw.key))
    }

    /// Checks that `key` may be used at `now`, for all that it has a right to.
    /// Refusals: `key-revoked`, `key-denied`, `origin-denied`, `key-expired`, `key-not-yet-valid`.
    pub fn check_usable(&self, key: &Key, raw: RawKey, now: Timestamp) -> Result<(), Refusal> {
        self.check_valid(key, raw, now)?;
        self.denied.check_key(&raw.id_text(), &key.name)
    }

    /// Checks that an officer may use `key` at `now` for what needs this right.
    /// Refusals: `key-revoked`, `key-denied`, `key-expired`, `key-not-yet-valid`.
    pub fn check_usable_for(&self, right: Right, key: &Key, raw: RawKey, now: Timestamp) -> Result<(), Refusal> {
        self.check_valid(key, raw, now)?;
        let id = raw.id_text();
        match right {
            // What makes less visible, or takes from others: withdrawal always wins.
            Right::Deny => self.denied.check_tightening_key(&id, &key.name),
            Right::Approve | Right::Waive | Right::Repair => self.denied.check_key(&id, &key.name),
        }
    }

    /// Checks what the keyring says of a key, and what officers denied of its origin.
    fn check_valid(&self, key: &Key, raw: RawKey, now: Timestamp) -> Result<(), Refusal> {
        if let Some(row) = self.revocation(raw) {
            let detail = format!("the key of {} was revoked on {}: {}", key.name, row.on, quoted(&row.reason));
            return Err(Refusal::new(Reason::KeyRevoked, detail));
        }
        key.origin.as_deref().map_or(Ok(()), |origin| self.denied.check_origin(origin))?;
        if let Some(end) = key.not_after.filter(|end| *end < now) {
            let detail = format!("the key of {} was valid until {end}", key.name);
            return Err(Refusal::new(Reason::KeyExpired, detail));
        }
        if let Some(begin) = key.not_before.filter(|begin| *begin > now) {
            let detail = format!("the key of {} is valid from {begin}", key.name);
            return Err(Refusal::new(Reason::KeyNotYetValid, detail));
        }
        Ok(())
    }

    /// The thresholds that apply to a feed.
    pub fn thresholds_for(&self, feed: &str) -> impl Iterator<Item = &Threshold> {
        self.thresholds.iter().filter(move |row| matches_feed(&row.feeds, feed))
    }
}

impl Key {
    /// True if the key may sign for `feed`.
    pub fn is_for(&self, feed: &str) -> bool {
        matches_feed(&self.feeds, feed)
    }

    /// True if the key may sign for every feed.
    pub fn is_for_all(&self) -> bool {
        self.feeds.iter().any(|glob| glob == "*")
    }

    /// True if an officer may sign this.
    pub fn has_right(&self, right: Right) -> bool {
        self.may.as_ref().is_none_or(|may| may.contains(&right))
    }

    /// True if the key answers for publisher and origin of the content that it signs.
    pub fn publishes(&self) -> bool {
        self.role.publishes()
    }
}

fn matches_feed(globs: &[String], feed: &str) -> bool {
    globs.iter().any(|glob| Glob::new(glob).is_ok_and(|glob| glob.compile_matcher().is_match(feed)))
}

fn check_globs(globs: &[String]) -> Result<(), Refusal> {
    let plain = |glob: &String| {
        !glob.is_empty() && glob.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-*".contains(&b))
    };
    if globs.is_empty() || !globs.iter().all(plain) {
        return Err(Refusal::new(
            Reason::KeyringMalformed,
            "a list of feeds is empty, or has an entry with other characters than a-z 0-9 . _ - *",
        ));
    }
    Ok(())
}

/// ISO 3166-1 alpha-2 in form; which countries exist is not judged.
pub fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}
