//! Officers: who signed a statement or directive, and whether they may.

use std::collections::{BTreeMap, BTreeSet};

use minisign_verify::PublicKey;

use crate::keyring::{Algorithm, Key, RawKey, id_text};
use crate::{Keyring, Right, Role, SignatureFile};
use base::{Reason, Refusal, Timestamp};

/// Proves that `bytes` are signed by the officer called `name`, whose key has this right now; gives that key.
/// Refusals: `signature-*`, `key-*`, `statement-signer`, `statement-right`.
pub fn signed_by<'a>(
    name: &str,
    right: Right,
    signed: (&[u8], &[u8]),
    keyring: &'a Keyring,
    now: Timestamp,
) -> Result<(&'a Key, RawKey), Refusal> {
    let found = signer(signed, keyring)?;
    check_officer(name, right, found, keyring, now)?;
    Ok(found)
}

/// Proves by which key of the keyring `bytes` are signed, whatever the state of that key. Refusals: `signature-*`.
pub fn signer<'a>((bytes, signature): (&[u8], &[u8]), keyring: &'a Keyring) -> Result<(&'a Key, RawKey), Refusal> {
    let file = SignatureFile::parse(signature)?;
    let (key, raw) = keyring.by_id(file.key_id()).ok_or_else(|| {
        let detail =
            format!("the signature is by key {}, which has no [[key]] entry in the keyring", id_text(file.key_id()));
        Refusal::new(Reason::SignatureUnknownKey, detail)
    })?;
    let public = PublicKey::from_base64(&key.public).map_err(|_| {
        Refusal::new(Reason::KeyringMalformed, format!("the keyring's public key of {} cannot be read", key.name))
    })?;
    file.verify(bytes, &public)?;
    Ok((key, raw))
}

/// Checks that this key is one of the officer called `name`, and has this right now. Refusals: `key-*`,
/// `statement-signer`, `statement-right`.
pub fn check_officer(
    name: &str,
    right: Right,
    (key, raw): (&Key, RawKey),
    keyring: &Keyring,
    now: Timestamp,
) -> Result<(), Refusal> {
    keyring.check_usable_for(right, key, raw, now)?;
    let refuse = |reason, detail: String| Err(Refusal::new(reason, detail));
    if key.role != Role::Officer {
        return refuse(
            Reason::StatementSigner,
            format!("the signature is by the key of {}, whose role is {}, not officer", key.name, key.role),
        );
    }
    if key.name != name {
        return refuse(
            Reason::StatementSigner,
            format!("the signed text names officer {name}, but the signature is by {}", key.name),
        );
    }
    if !key.has_right(right) {
        return refuse(Reason::StatementRight, format!("the key of {name} does not have the right to {right}"));
    }
    Ok(())
}

/// Keys of the officer called `name`, whatever their state. A person may have several.
pub fn keys_of<'a>(name: &str, keyring: &'a Keyring) -> impl Iterator<Item = (&'a Key, RawKey)> {
    let keys = keyring.of(Algorithm::MinisignEd25519);
    keys.filter(move |(key, _)| key.role == Role::Officer && key.name == name)
}

/// Number of officers who signed, of these names and raw keys in hex: persons and keys, both distinct. A person with
/// two keys is one officer, and so are two names that share a key.
///
/// That is the size of a largest matching of persons to keys (Kuhn's algorithm): each person who is counted has a key
/// by which nobody else is counted.
pub fn count_officers<'a>(signed: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut keys_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (officer, key) in signed {
        keys_of.entry(officer).or_default().insert(key);
    }
    let mut counted_by = BTreeMap::new();
    let mut count = 0;
    for officer in keys_of.keys().copied() {
        count += u64::from(assign(officer, &keys_of, &mut counted_by, &mut BTreeSet::new()));
    }
    count
}

/// Assigns a key to an officer, moving those who have one of the officer's keys to another of their own.
fn assign<'a>(
    officer: &'a str,
    keys_of: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    counted_by: &mut BTreeMap<&'a str, &'a str>,
    tried: &mut BTreeSet<&'a str>,
) -> bool {
    keys_of.get(officer).into_iter().flatten().any(|key| {
        if !tried.insert(key) {
            return false;
        }
        let holder = counted_by.get(key).copied();
        let is_free = holder.is_none_or(|holder| assign(holder, keys_of, counted_by, tried));
        if is_free {
            counted_by.insert(key, officer);
        }
        is_free
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_and_a_key_count_once() {
        let all = |pairs: &[(&'static str, &'static str)]| count_officers(pairs.iter().copied());
        assert_eq!(all(&[]), 0);
        assert_eq!(all(&[("a", "1"), ("b", "2")]), 2);
        assert_eq!(all(&[("a", "1"), ("a", "2")]), 1, "one person, two keys");
        assert_eq!(all(&[("a", "1"), ("b", "1")]), 1, "one key, two names");
        assert_eq!(all(&[("a", "1"), ("a", "2"), ("b", "1")]), 2, "b has the first key, a the second");
        assert_eq!(all(&[("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("c", "1")]), 2);
    }
}
