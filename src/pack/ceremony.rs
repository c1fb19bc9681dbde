//! From one keyring to the next on the connected side: drafted, compared, and put together from signatures that stock
//! minisign made on machines of their own. No root key is ever given to this program.

use std::path::{Path, PathBuf};

use super::ring::{self, fault, is_secret, key, public_key, threshold};
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Digest, Error, Limits, Reason, Refusal, Timestamp, durable, quoted};
use bundle::keyring::{Epoch, RawKey, Revoked};
use bundle::succession::{claimed_version, root_signers};
use bundle::{Envelope, Keyring, SignatureFile, Successor, signature, succeed};
use media::{Document, Medium};

/// Changes from the former keyring to the next; see the command line.
#[derive(Default)]
pub(crate) struct KeyringChanges {
    /// Keys to add, as fields.
    pub add: Vec<String>,
    /// Names of keys to leave out.
    pub remove: Vec<String>,
    /// Keys to revoke, by name or public key, each with the reason.
    pub revoke: Vec<(String, String)>,
    /// Root keys to add.
    pub add_root: Vec<String>,
    /// Root keys to leave out.
    pub remove_root: Vec<String>,
    /// The new root threshold.
    pub root_threshold: Option<u64>,
    /// Thresholds instead of all former ones, as fields.
    pub require: Vec<String>,
    /// Feeds to put back, each with the highest version that still counts.
    pub epoch: Vec<(String, u64)>,
    /// Denials to lift.
    pub lift: Vec<Digest>,
}

/// Next step where a keyring has no such key.
const SHOW: &str = "`gaprelay-pack keyring show FILE` lists the keys of a keyring by name and key id.";

/// Drafts the keyring that follows `former`. Refusals: `keyring-malformed`, `key-weak`.
pub(crate) fn draft(former: &Keyring, changes: &KeyringChanges, on: Timestamp) -> Result<Keyring, Error> {
    let mut next = Keyring { version: former.version + 1, ..former.clone() };
    for name in &changes.remove {
        let before = next.keys.len();
        next.keys.retain(|key| key.name != *name);
        if next.keys.len() == before {
            return Err(fault(&format!("--remove: the keyring has no key with the name \"{}\"", quoted(name)), SHOW));
        }
    }
    for (which, reason) in &changes.revoke {
        let named = next.keys.iter().find(|key| key.name == *which).map(|key| key.public.clone());
        let public = named.map_or_else(|| revoked_key(which), Ok)?;
        RawKey::parse(&public)?;
        next.revoked.push(Revoked { public, on, reason: reason.clone() });
    }
    next.keys.extend(changes.add.iter().map(|text| key(text)).collect::<Result<Vec<_>, _>>()?);
    let roots = |given: &[String]| given.iter().map(|root| public_key(root)).collect::<Result<Vec<_>, _>>();
    let gone = roots(&changes.remove_root)?;
    if let Some(unknown) = gone.iter().find(|root| !next.root.keys.contains(root)) {
        return Err(fault(&format!("--remove-root: {unknown} is not a root key of the keyring"), SHOW));
    }
    next.root.keys.retain(|root| !gone.contains(root));
    next.root.keys.extend(roots(&changes.add_root)?);
    next.root.threshold = changes.root_threshold.unwrap_or(next.root.threshold);
    if !changes.require.is_empty() {
        next.thresholds = changes.require.iter().map(|text| threshold(text)).collect::<Result<_, _>>()?;
    }
    for (feed, highest) in &changes.epoch {
        let number = next.epochs.iter().find(|epoch| epoch.feed == *feed).map_or(1, |epoch| epoch.number + 1);
        next.epochs.retain(|epoch| epoch.feed != *feed);
        next.epochs.push(Epoch { feed: feed.clone(), number, highest: *highest });
    }
    next.lifted.extend(&changes.lift);
    next.check()?;
    Ok(next)
}

/// Public key to revoke, which no key of the keyring has as its name. Fault: it is not a public key either.
fn revoked_key(text: &str) -> Result<String, Error> {
    if text.starts_with("RW") || is_secret(text) || Path::new(text).exists() {
        return public_key(text);
    }
    let detail = format!("--revoke: \"{}\" is neither the name of a key of the keyring nor a public key", quoted(text));
    Err(fault(&detail, SHOW))
}

/// A keyring and its signatures as a relay would read them from this folder.
pub(crate) fn read(folder: &Path) -> Result<Envelope, Error> {
    let mut surveyed = Medium::here(folder, &Limits { medium_depth: 0, ..Limits::default() })?.survey()?;
    let keyring = surveyed.bundles().iter().find(|bundle| bundle.document() == Document::Keyring).cloned();
    let keyring = keyring.ok_or_else(|| {
        let shown = quoted_os(folder);
        if folder.join("keyring.toml").is_file() {
            let next = "Have the root keys sign the keyring, then put the signatures beside it: \
                gaprelay-pack keyring assemble DIR --former FILE SIGNATURE…";
            fault(&format!("{shown} holds a keyring.toml, and no signature of it"), next)
        } else {
            fault(&format!("{shown} holds no keyring.toml"), "Give a folder that `gaprelay-pack keyring draft` made.")
        }
    })?;
    surveyed.envelope(&keyring)
}

/// Verdict of the relay on each of these, in the order of their versions; the first refusal ends it, and names
/// the root keys that have signed.
pub(crate) fn check(folders: &[PathBuf], former: &Keyring) -> Result<Vec<(Successor, Vec<String>)>, Error> {
    let limits = Limits::default();
    let mut found = folders.iter().map(|folder| read(folder)).collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|envelope| claimed_version(envelope, &limits));
    let mut chain: Vec<(Successor, Vec<String>)> = Vec::new();
    for envelope in found {
        let before = chain.last().map_or(former, |(successor, _)| successor.keyring());
        let have = root_signers(&envelope, before, &limits)?;
        let next = succeed(envelope, before, &limits).map_err(|refusal| {
            let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
            let version = before.version;
            let detail = format!("{}; signed by these root keys of keyring {version}: {have}", refusal.detail);
            Refusal::new(refusal.reason, detail)
        })?;
        let changes = differences(before, next.keyring());
        chain.push((next, changes));
    }
    Ok(chain)
}

/// Puts signatures beside a keyring, each under the id of its key; gives those ids. A signature that is by no root key
/// of this keyring or the former, or that does not hold, is refused, and then nothing is put there.
pub(crate) fn assemble(folder: &Path, former: &Keyring, signatures: &[PathBuf]) -> Result<Vec<String>, Error> {
    let document = folder.join("keyring.toml");
    let bytes = std::fs::read(&document).during("read", &document)?;
    let (next, _) = ring::read(folder)?;
    let mut good = Vec::new();
    for path in signatures {
        let text = durable::read(path, signature::LONGEST as u64)?;
        let named = |refusal: Refusal| Refusal::new(refusal.reason, format!("{}: {}", quoted_os(path), refusal.detail));
        let id = SignatureFile::parse(&text).map_err(named)?.key_id();
        let envelope =
            Envelope { document: bytes.clone(), signatures: vec![(path.display().to_string(), text.clone())] };
        let limits = Limits::default();
        let by = [former, &next].map(|ring| root_signers(&envelope, ring, &limits));
        let [old, new] = by;
        let ids: Vec<String> = old?.into_iter().chain(new?).collect();
        let Some(by) = ids.first() else {
            let id = bundle::keyring::id_text(id);
            let (old, new) = (former.version, next.version);
            let detail = format!(
                "{} is a signature by the key {id}, which is not a root key of keyring {old} or {new}",
                quoted_os(path)
            );
            return Err(Error::refused(Reason::SignatureUnknownKey, detail));
        };
        good.push((by.clone(), text));
    }
    for (id, text) in &good {
        durable::replace_output(&folder.join(format!("keyring.toml.{id}.minisig")), text)?;
    }
    Ok(good.into_iter().map(|(id, _)| id).collect())
}

/// Differences of a keyring from the one before, in lines.
pub(crate) fn differences(old: &Keyring, new: &Keyring) -> Vec<String> {
    let mut lines = Vec::new();
    let id = |public: &str| RawKey::parse(public).map_or_else(|_| "?".to_owned(), |raw| raw.id_text());
    for (word, these, others) in [("added", new, old), ("taken out", old, new)] {
        for root in these.root.keys.iter().filter(|root| !others.root.keys.contains(root)) {
            lines.push(format!("root key {} {word}", id(root)));
        }
        for key in these.keys.iter().filter(|key| others.keys.iter().all(|other| other.public != key.public)) {
            let origin = key.origin.as_ref().map_or(String::new(), |origin| format!(", origin {origin}"));
            let feeds = key.feeds.join(" ");
            lines.push(format!("{} {} ({}{origin}, feeds {feeds}) {word}", key.role, key.name, id(&key.public)));
        }
        let texts = |ring: &Keyring| ring.thresholds.iter().map(row).collect::<Vec<_>>();
        let theirs = texts(others);
        lines.extend(texts(these).into_iter().filter(|row| !theirs.contains(row)).map(|row| format!("{row}: {word}")));
    }
    for key in &new.keys {
        if old.keys.iter().any(|other| other.public == key.public && toml_of(other) != toml_of(key)) {
            lines.push(format!("{} {} ({}) changed", key.role, key.name, id(&key.public)));
        }
    }
    if old.root.threshold != new.root.threshold {
        lines.push(format!("root threshold {} instead of {}", new.root.threshold, old.root.threshold));
    }
    let is_new = |row: &&Revoked| RawKey::parse(&row.public).is_ok_and(|raw| old.revocation(raw).is_none());
    lines.extend(
        new.revoked.iter().filter(is_new).map(|row| format!("{} revoked: {}", id(&row.public), quoted(&row.reason))),
    );
    for epoch in new.epochs.iter().filter(|epoch| !old.epochs.contains(epoch)) {
        let (feed, number, highest) = (&epoch.feed, epoch.number, epoch.highest);
        lines.push(format!("feed {feed} begins epoch {number}: versions above {highest} are void"));
    }
    let lifted = new.lifted.iter().filter(|digest| !old.lifted.contains(digest));
    lines.extend(lifted.map(|digest| format!("denial {digest} lifted")));
    lines
}

fn row(row: &bundle::keyring::Threshold) -> String {
    format!("{} {} signatures for {}", row.signers, row.role, row.feeds.join(" "))
}

/// Next step where a value is not of the form asked for.
const PAIR: &str = "Write both parts with an equals sign between them; in quotes, if there are blanks in it.";

fn toml_of(key: &bundle::keyring::Key) -> String {
    toml::to_string(key).unwrap_or_default()
}

/// Value of `option`, which is of this form with one equals sign, taken apart.
pub(crate) fn pair(option: &str, form: &str, text: &str) -> Result<(String, String), Error> {
    let parts = text.split_once('=').map(|(one, other)| (one.to_owned(), other.to_owned()));
    parts
        .filter(|(one, other)| !one.is_empty() && !other.is_empty())
        .ok_or_else(|| fault(&format!("{option}: \"{}\" is not of the form {form}", quoted(text)), PAIR))
}
