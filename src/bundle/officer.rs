//! Officers: who signed a statement or directive, and whether they may.

use minisign_verify::PublicKey;

use crate::keyring::{Key, RawKey};
use crate::{Keyring, Right, Role, SignatureFile};
use base::{Reason, Refusal, Timestamp};

/// Proves that `bytes` are signed by the officer called `name`, whose key has this right now; gives that key.
/// Refusals: `signature-*`, `key-*`, `statement-signer`, `statement-right`.
pub fn signed_by<'a>(
    name: &str,
    right: Right,
    (bytes, signature): (&[u8], &[u8]),
    keyring: &'a Keyring,
    now: Timestamp,
) -> Result<(&'a Key, RawKey), Refusal> {
    let file = SignatureFile::parse(signature)?;
    let (key, raw) = keyring
        .by_id(file.key_id())
        .ok_or_else(|| Refusal::new(Reason::SignatureUnknownKey, "the signature is by no key of the keyring"))?;
    keyring.check_usable(key, raw, now)?;
    let public = PublicKey::from_base64(&key.public)
        .map_err(|_| Refusal::new(Reason::KeyringMalformed, "the officer's key cannot be read"))?;
    file.verify(bytes, &public)?;
    let refuse = |reason, detail: String| Err(Refusal::new(reason, detail));
    if key.role != Role::Officer {
        return refuse(Reason::StatementSigner, format!("the key of {} has role {}, not officer", key.name, key.role));
    }
    if key.name != name {
        return refuse(Reason::StatementSigner, format!("it names {name} and is signed by {}", key.name));
    }
    if !key.has_right(right) {
        return refuse(Reason::StatementRight, format!("{name} has not the right to {right}"));
    }
    Ok((key, raw))
}
