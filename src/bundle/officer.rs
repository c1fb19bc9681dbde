//! Officers: who signed a statement or directive, and whether they may.

use minisign_verify::PublicKey;

use crate::keyring::{Key, RawKey, id_text};
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
    let (key, raw) = keyring.by_id(file.key_id()).ok_or_else(|| {
        let detail =
            format!("the signature is by key {}, which has no [[key]] entry in the keyring", id_text(file.key_id()));
        Refusal::new(Reason::SignatureUnknownKey, detail)
    })?;
    keyring.check_usable(key, raw, now)?;
    let public = PublicKey::from_base64(&key.public).map_err(|_| {
        Refusal::new(Reason::KeyringMalformed, format!("the keyring's public key of {} cannot be read", key.name))
    })?;
    file.verify(bytes, &public)?;
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
    Ok((key, raw))
}
