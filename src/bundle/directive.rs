//! An officer's directive: lines that tighten what this relay accepts, or answer for one exception. See
//! `schemas/directive.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::denied::{Denied, DeniedKey, Extent};
use super::officer::{check_officer, count_officers, signer};
use super::scope::{Fields, Scope};
use super::statement::check_who_and_why;
use crate::keyring::{Key, RawKey, is_country, parse_key_id};
use crate::{Keyring, Right, Role};
use base::name::is_name;
use base::{Digest, Reason, Refusal, Timestamp};

/// The first line: no other kind of statement begins so.
pub const FORMAT: &str = "gaprelay-directive/2";
/// The first line in the former format, of directives that were taken before.
const FORMER: &str = "gaprelay-directive/1";
/// Longest directive, in bytes.
const LONGEST: usize = 4096;

/// Order of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing that the key with this id signs counts any more; of an officer's key by two officers' orders alone.
    DenyKey(String),
    /// No bundle of the feed is taken any more.
    DenyFeed(String),
    /// Nothing counts that is signed by a key of this origin.
    DenyOrigin(String),
    /// All that the key with this id had a part in is withdrawn.
    WithdrawKey {
        /// The key's id.
        key: String,
        /// Digest of the list of releases and their manifests that the officer saw when it was printed: evidence. What
        /// came since is withdrawn as well.
        releases: Digest,
    },
    /// The bundle with this manifest is taken although it is expired, stale, or runs far ahead.
    Waive {
        /// Digest of its manifest.
        manifest: Digest,
        /// Until when.
        until: Timestamp,
    },
    /// Confirms that this is the time now, however far that is from the newest time on record.
    Clock(Timestamp),
    /// Confirms that this is the time now, and that the newest time on record never was: the clock had run ahead.
    TurnBack {
        /// Time now.
        to: Timestamp,
        /// The latest moment that the relay has seen; later than `to`.
        from: Timestamp,
    },
}

impl Order {
    /// The right that it needs.
    pub fn right(&self) -> Right {
        match self {
            Self::DenyKey(_) | Self::DenyFeed(_) | Self::DenyOrigin(_) | Self::WithdrawKey { .. } => Right::Deny,
            Self::Waive { .. } | Self::Clock(_) | Self::TurnBack { .. } => Right::Waive,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DenyKey(key) => write!(f, "deny key {key}"),
            Self::DenyFeed(feed) => write!(f, "deny feed {feed}"),
            Self::DenyOrigin(origin) => write!(f, "deny origin {origin}"),
            Self::WithdrawKey { key, releases } => write!(f, "withdraw key {key} releases sha256:{releases}"),
            Self::Waive { manifest, until } => write!(f, "waive manifest sha256:{manifest} until {until}"),
            Self::Clock(time) => write!(f, "clock {time}"),
            Self::TurnBack { to, from } => write!(f, "clock {to} instead of {from}"),
        }
    }
}

impl FromStr for Order {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "the order is none that this relay knows: deny, withdraw, waive or clock";
        let (no_id, no_feed, no_country) = (
            "the order needs a key id: 16 hex digits, with capital letters and leading zeros",
            "the order \"deny feed\" needs the name of a feed",
            "the order \"deny origin\" needs two capital letters, such as CH",
        );
        let digest = |text: &str| {
            let wrong = "the order needs a digest: sha256: and 64 lower-case hex digits";
            text.strip_prefix("sha256:").and_then(|text| text.parse::<Digest>().ok()).ok_or(wrong)
        };
        let time = |text: &str| {
            text.parse::<Timestamp>().map_err(|_| "the order needs a time in UTC, such as 2026-11-20T06:00:00Z")
        };
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["deny", "key", key] if is_key_id(key) => Ok(Self::DenyKey(key.into())),
            ["deny", "feed", feed] if is_name(feed) => Ok(Self::DenyFeed(feed.into())),
            ["deny", "origin", origin] if is_country(origin) => Ok(Self::DenyOrigin(origin.into())),
            ["withdraw", "key", key, "releases", releases] if is_key_id(key) => {
                Ok(Self::WithdrawKey { key: key.into(), releases: digest(releases)? })
            }
            ["waive", "manifest", manifest, "until", until] => {
                Ok(Self::Waive { manifest: digest(manifest)?, until: time(until)? })
            }
            ["clock", now] => Ok(Self::Clock(time(now)?)),
            ["clock", to, "instead", "of", from] => match (time(to)?, time(from)?) {
                (to, from) if to < from => Ok(Self::TurnBack { to, from }),
                _ => Err("the order does not turn the clock back: its first time must be before its second"),
            },
            ["deny" | "withdraw", "key", ..] => Err(no_id),
            ["deny", "feed", ..] => Err(no_feed),
            ["deny", "origin", ..] => Err(no_country),
            _ => Err(wrong),
        }
    }
}

/// True for a key id in the form that signed texts have.
fn is_key_id(text: &str) -> bool {
    parse_key_id(text).is_some_and(|id| id == text)
}

/// Content of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Scope: relay and time; of a directive in the former format the relay alone is known.
    pub scope: Scope,
    /// Order.
    pub order: Order,
    /// By whom: the name in the keyring.
    pub officer: String,
    /// Why; one line of at most 500 characters.
    pub reason: String,
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}\nrelay {}\n{}\nofficer {}", self.scope.relay, self.order, self.officer)?;
        self.scope.write_times(f)?;
        writeln!(f, "reason {}", self.reason)
    }
}

impl Directive {
    /// True if these bytes are meant to be a directive, by their first line.
    pub fn is_one(bytes: &[u8]) -> bool {
        let first = bytes.split(|b| *b == b'\n').next();
        [FORMAT, FORMER].iter().any(|format| first == Some(format.as_bytes()))
    }

    /// Reads a directive that is handed in. Refusal: `statement-malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: &str| Refusal::new(Reason::StatementMalformed, what);
        let Some(mut fields) = Fields::of(bytes, FORMAT, LONGEST)? else {
            return Err(malformed(
                "the first line of the directive is not gaprelay-directive/2; in the former form none is taken any more",
            ));
        };
        let relay = fields.take("relay")?.to_owned();
        let order = fields.line()?.parse().map_err(|cause: &str| fields.wrong(0, cause))?;
        let (scope, officer, reason) = fields.end(relay)?;
        let directive = Self { scope, order, officer, reason };
        Fields::check_text(bytes, &directive.to_string())?;
        Ok(directive)
    }

    /// Reads a directive that was taken before, in the present format or the former. Refusal: `statement-malformed`.
    pub fn parse_taken(bytes: &[u8]) -> Result<Self, Refusal> {
        let Some(mut fields) = Fields::of(bytes, FORMER, LONGEST)? else { return Self::parse(bytes) };
        let (relay, times) = (fields.take("relay")?.to_owned(), Timestamp::default());
        let order: Order = fields.line()?.parse().map_err(|cause: &str| fields.wrong(0, cause))?;
        let (officer, reason) = (fields.take("officer")?.to_owned(), fields.take("reason")?.to_owned());
        check_who_and_why(&officer, &reason)?;
        Fields::check_text(bytes, &format!("{FORMER}\nrelay {relay}\n{order}\nofficer {officer}\nreason {reason}\n"))?;
        Ok(Self { scope: Scope { relay, issued: times, until: times }, order, officer, reason })
    }

    /// Proves who signed `bytes`, and that this officer may order this; gives the raw key.
    /// Refusals: `signature-*`, `key-*`, `statement-signer`, `statement-right`.
    pub fn verify(&self, bytes: &[u8], signature: &[u8], keyring: &Keyring, now: Timestamp) -> Result<RawKey, Refusal> {
        let signer = signer((bytes, signature), keyring)?;
        self.check_signer(signer, keyring, now)?;
        Ok(signer.1)
    }

    /// Checks that the officer may order this with this key now. Refusals: `key-*`, `statement-signer`,
    /// `statement-right`.
    pub fn check_signer(&self, signer: (&Key, RawKey), keyring: &Keyring, now: Timestamp) -> Result<(), Refusal> {
        check_officer(&self.officer, self.order.right(), signer, keyring, now)?;
        let (key, _) = signer;
        let name = &key.name;
        let beyond = match &self.order {
            Order::DenyFeed(feed) if !key.is_for(feed) => format!("the key of {name} may not decide on feed {feed}"),
            // What this denies is more than the officer decides on.
            Order::DenyOrigin(origin) if !key.is_for_all() => {
                format!("the key of {name} is for some feeds only, and origin {origin} may have others")
            }
            Order::DenyKey(id) if !covers(key, id, keyring) => {
                format!("the key of {name} is for some feeds only, and key {id} is for others as well")
            }
            _ => return Ok(()),
        };
        Err(Refusal::new(Reason::StatementSigner, beyond))
    }
}

/// True if the officer decides on all feeds that the key with this id may sign for; one that is in no keyring may sign
/// for any. A `*` of the key's is matched by a `*` of the officer's alone, since no feed has it in its name.
fn covers(officer: &Key, id: &str, keyring: &Keyring) -> bool {
    let named = keyring.keys.iter().find(|key| has_id(key, id));
    officer.is_for_all() || named.is_some_and(|key| key.feeds.iter().all(|glob| officer.is_for(glob)))
}

/// A directive that was verified and counts, as the trust file keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TakenDirective {
    /// When it was taken.
    pub taken: Timestamp,
    /// The officer's raw public key, hex.
    pub key: String,
    /// The directive as signed.
    pub text: String,
    /// The signature file.
    pub signature: String,
}

impl TakenDirective {
    /// Parsed directive. It was verified before it was kept.
    pub fn directive(&self) -> Option<Directive> {
        Directive::parse_taken(self.text.as_bytes()).ok()
    }

    /// The SHA-256 of its text: how a keyring names it to lift it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// Number of officers who take everything from an officer's key. See [`Extent`].
const CLOSING: u64 = 2;

/// Denials of these directives, without those that the keyring has lifted.
pub fn denied(given: &[TakenDirective], keyring: &Keyring) -> Denied {
    let mut denied = Denied::default();
    let mut keys: BTreeMap<String, Vec<(Directive, &TakenDirective)>> = BTreeMap::new();
    for (directive, given) in given.iter().filter_map(|given| Some((given.directive()?, given))) {
        if keyring.lifted.contains(&given.digest()) {
            continue;
        }
        let why = why(&directive, given);
        match &directive.order {
            Order::DenyKey(key) => keys.entry(key.clone()).or_default().push((directive, given)),
            Order::DenyFeed(feed) => {
                denied.feeds.insert(feed.clone(), why);
            }
            Order::DenyOrigin(origin) => {
                denied.origins.insert(origin.clone(), why);
            }
            Order::WithdrawKey { .. } | Order::Waive { .. } | Order::Clock(_) | Order::TurnBack { .. } => {}
        }
    }
    for (id, by) in keys {
        let key = denied_key(&id, &by, keyring);
        denied.keys.insert(id, key);
    }
    denied
}

/// Denial of the key with this id by these directives.
fn denied_key(id: &str, by: &[(Directive, &TakenDirective)], keyring: &Keyring) -> DeniedKey {
    let officers = count_officers(by.iter().map(|(directive, given)| (directive.officer.as_str(), given.key.as_str())));
    let named = keyring.keys.iter().find(|key| has_id(key, id));
    let is_officers = named.is_some_and(|key| key.role == Role::Officer);
    let extent = if is_officers && officers < CLOSING { Extent::Loosening } else { Extent::Everything };
    let why: Vec<String> = by.iter().map(|(directive, given)| why(directive, given)).collect();
    DeniedKey { why: why.join("; and by "), extent }
}

/// Author, time and cause of an order.
fn why(directive: &Directive, given: &TakenDirective) -> String {
    format!("{} on {}: {}", directive.officer, given.taken, directive.reason)
}

/// True if this is the id of the key.
fn has_id(key: &Key, id: &str) -> bool {
    RawKey::parse(&key.public).is_ok_and(|raw| raw.id_text() == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Algorithm;

    /// Key of the keyring that this number stands for.
    fn key(number: u8, role: Role) -> Key {
        let point = ed25519_dalek::SigningKey::from_bytes(&[number; 32]).verifying_key();
        let public = [b"Ed".as_slice(), &[number; 8], point.as_bytes()].concat();
        Key {
            name: format!("n{number}"),
            algorithm: Algorithm::default(),
            public: data_encoding::BASE64.encode(&public),
            role,
            publisher: None,
            origin: None,
            feeds: vec!["*".into()],
            may: None,
            not_before: None,
            not_after: None,
        }
    }

    fn denial(officer: &str, by: &str, denied: u8) -> TakenDirective {
        let order = Order::DenyKey(crate::keyring::id_text([denied; 8]));
        let scope =
            Scope { relay: "r/import/1".into(), issued: Timestamp::from_secs(1), until: Timestamp::from_secs(2) };
        let directive = Directive { scope, order, officer: officer.into(), reason: "x".into() };
        let (key, signature) = (by.to_owned(), String::new());
        TakenDirective { taken: Timestamp::from_secs(1), key, text: directive.to_string(), signature }
    }

    #[test]
    fn an_officers_key_is_closed_by_two_officers() {
        let keys = vec![key(1, Role::Officer), key(2, Role::Officer), key(3, Role::Custodian)];
        let mut ring = Keyring { keys, ..Keyring::default() };
        let extent = |given: &[TakenDirective], ring: &Keyring, number: u8| {
            denied(given, ring).keys.get(&crate::keyring::id_text([number; 8])).map(|denied| denied.extent)
        };
        let (one, again, other) = (denial("n2", "k2", 1), denial("n2", "k3", 1), denial("n1", "k1", 1));
        let former = TakenDirective { text: one.text.replace("directive/2", "directive/1"), ..one.clone() };
        let (issued, until) = (Timestamp::from_secs(1), Timestamp::from_secs(2));
        let former =
            TakenDirective { text: former.text.replace(&format!("issued {issued}\nuntil {until}\n"), ""), ..former };
        assert_eq!(extent(std::slice::from_ref(&one), &ring, 1), Some(Extent::Loosening));
        assert_eq!(extent(&[one.clone(), again.clone()], &ring, 1), Some(Extent::Loosening), "one person");
        assert_eq!(extent(&[one.clone(), denial("n4", "k2", 1)], &ring, 1), Some(Extent::Loosening), "one key");
        assert_eq!(extent(&[one.clone(), other.clone()], &ring, 1), Some(Extent::Everything));
        assert_eq!(extent(&[former, other.clone()], &ring, 1), Some(Extent::Everything), "in the former format");
        assert_eq!(extent(&[one.clone(), other.clone()], &ring, 2), None);
        assert_eq!(extent(&[denial("n2", "k2", 3)], &ring, 3), Some(Extent::Everything), "of no officer");
        assert_eq!(extent(&[denial("n2", "k2", 9)], &ring, 9), Some(Extent::Everything), "of nobody");
        ring.lifted.push(other.digest());
        assert_eq!(extent(&[one, other], &ring, 1), Some(Extent::Loosening));
    }

    #[test]
    fn one_form_only() {
        let digest = Digest::of(b"");
        for order in [
            "deny key 0123456789ABCDEF".to_owned(),
            "deny feed a-b".into(),
            "deny origin RU".into(),
            format!("withdraw key 0123456789ABCDEF releases sha256:{digest}"),
            format!("waive manifest sha256:{digest} until 2026-12-01T00:00:00Z"),
            "clock 2026-12-01T00:00:00Z".into(),
            "clock 2026-12-01T00:00:00Z instead of 2026-12-01T00:00:01Z".into(),
        ] {
            let times = "issued 2026-11-26T09:00:00Z\nuntil 2026-11-28T09:00:00Z\n";
            let good = format!("{FORMAT}\nrelay r/import/1\n{order}\nofficer j.doe\n{times}reason lost\n");
            assert_eq!(Directive::parse(good.as_bytes()).unwrap().to_string(), good);
            for (from, to) in [
                (order.as_str(), "deny all"),
                (order.as_str(), "deny key 0123456789abcdef"),
                (order.as_str(), "deny key 123456789ABCDEF"),
                (order.as_str(), "deny origin Ru"),
                ("\n", "\r\n"),
                ("reason lost\n", "reason lost\nmore\n"),
                ("directive/2", "directive/3"),
                (times, ""),
                ("j.doe", "j doe"),
            ] {
                let bad = good.replacen(from, to, 1);
                assert_eq!(Directive::parse(bad.as_bytes()).unwrap_err().reason, Reason::StatementMalformed, "{bad}");
            }
            let former = good.replace(times, "").replace(FORMAT, FORMER);
            assert!(Directive::parse(former.as_bytes()).is_err());
            assert_eq!(Directive::parse_taken(former.as_bytes()).unwrap().order.to_string(), order);
        }
    }
}
