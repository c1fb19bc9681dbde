//! The head that an append is about to sign, signed itself and written before the entries are: so entries beyond the
//! signed head are known to be the keeper's own. Whoever can write to the log's folder and has no key cannot have
//! entries promised.
//!
//! ```text
//! gaprelay-pending/1
//! <origin>                    as a checkpoint from here on; its first line is no origin, so it passes for none
//! <size>
//! <root>
//! ```

use std::path::Path;

use base::{Fault, durable};

use crate::note::{Checkpoint, NoteSigner, Verifier};

const FORMAT: &str = "gaprelay-pending/1\n";
/// Name below the log's folder.
pub(crate) const NAME: &str = "pending";

/// Writes the head that is about to be signed, durably. Only the holder of the state's lock may.
pub fn write(folder: &Path, signer: &NoteSigner, head: &Checkpoint) -> Result<(), Fault> {
    let note = signer.sign(&format!("{FORMAT}{}", head.to_text()));
    durable::replace(&folder.join(NAME), note.as_bytes())
}

/// Reads the head that the newest append was about to sign; `None` if there is none by this key.
pub fn read(folder: &Path, verifier: &Verifier) -> Result<Option<Checkpoint>, Fault> {
    let bytes = match durable::read(&folder.join(NAME), 65_536) {
        Err(Fault::Damaged { .. }) => return Ok(None),
        bytes => bytes?,
    };
    let head = str::from_utf8(&bytes).ok().and_then(|note| verifier.open(note)?.strip_prefix(FORMAT));
    Ok(head.and_then(Checkpoint::parse).filter(|head| head.origin == verifier.name()))
}
