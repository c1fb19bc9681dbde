//! Witness: keeps the newest head of each log that it knows, on an officer's machine, with a key of its own. It cosigns
//! a head only if that grew from the last one it signed, and stores it before it answers (C2SP tlog-witness). Out of
//! scope: the transport of heads; on the relay nothing calls this.
//!
//! ```text
//! witness.key                  the secret key, mode 0600
//! vkey                         the public key
//! logs/<digest>/vkey           the public key of a log that it knows
//! logs/<digest>/checkpoint     the newest head that it cosigned
//! logs/<digest>/fork-…         another head of the same size, signed by the log: evidence
//! logs/<digest>/against-…      a signed head that was not shown to have grown from that: evidence, or a broken proof
//! ```
//!
//! The folder is one: a key restored without its memory, or with an old one, could be made to sign a fork.

pub(crate) mod call;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base::lock::Lock;
use base::{Digest, Fault, Timestamp, durable, quoted};
use tlog::check::read_vkey;
use tlog::cosignature::Cosigner;
use tlog::note::{Checkpoint, Verifier};
use tlog::proof::grew;
use tlog::receipt::Growth;
use tlog::tree::root_of;

/// Most pieces of evidence of each kind that are kept of a log: one for each head that the log has signed, a few
/// hundred bytes each, so that what anyone can send again with a broken proof takes no other's place.
const EVIDENCE: usize = 10_000;

/// Names of heads of the size that was signed last, with another root.
const FORK: &str = "fork-";
/// Names of larger heads that were not shown to have grown from the one that was signed last.
const AGAINST: &str = "against-";

/// Witness with its key and its records, in its folder.
pub(crate) struct WitnessState {
    folder: PathBuf,
    cosigner: Cosigner,
}

/// Why a witness does not sign, with the status of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// The request cannot be read, or begins after its own end (400).
    Malformed,
    /// The log is not known here (404).
    UnknownLog,
    /// The log's key has not signed it (403).
    Unsigned,
    /// The request does not begin at the head that was signed last, which has this size (409).
    Conflict(u64),
    /// The request has the size of the head that was signed last, and another root: a fork (409).
    Forked(u64),
    /// The log did not grow from the head that was signed last (422).
    Inconsistent,
}

/// Closes a witness's folder to other accounts: who may open the file that is locked may hold the lock, and nothing
/// would be signed any more. Who does not own the folder cannot.
fn close(folder: &Path) {
    let _ = std::fs::set_permissions(folder, Permissions::from_mode(0o700));
}

impl WitnessState {
    /// Makes an empty memory with a fresh key. Fault: the folder is there already.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self, Fault> {
        if folder.exists() {
            let next = "Name a folder that does not exist yet: a new witness never replaces an old one.";
            return Err(Fault::usage(format!("{} exists already; nothing was changed", folder.display()), next));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(fits) {
            let next =
                "Give a host and a path, such as desk.example/witness: 1 to 100 letters, digits and . _ - / only.";
            return Err(Fault::usage(format!("\"{}\" cannot be the name of a witness", quoted(name)), next));
        }
        let cosigner = Cosigner::generate(name)?;
        durable::create_dir(&folder.join("logs"))?;
        close(folder);
        durable::make_private(&folder.join("lock"))?;
        durable::replace(&folder.join("vkey"), format!("{}\n", cosigner.witness().to_text()).as_bytes())?;
        durable::replace_secret(&folder.join("witness.key"), format!("{}\n", cosigner.to_text()).as_bytes())?;
        Ok(Self { folder: folder.to_owned(), cosigner })
    }

    /// Opens a memory.
    pub(crate) fn open(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join("witness.key");
        if !path.is_file() {
            return Err(Fault::usage(
                format!("{} is not the folder of a witness: there is no witness.key in it", folder.display()),
                "Name the folder of the witness, or make a new witness: gaprelay log witness init DIR --name NAME",
            ));
        }
        let text = String::from_utf8(durable::read(&path, 4096)?).unwrap_or_default();
        let cosigner = Cosigner::parse(&text);
        close(folder);
        let wrong = "it is not the secret key of a witness. Make a new witness, with a new key: gaprelay help backup";
        let cosigner = cosigner.ok_or_else(|| Fault::damaged(path.to_string_lossy(), wrong))?;
        Ok(Self { folder: folder.to_owned(), cosigner })
    }

    /// The same memory, seen from inside its folder, with the key that is in the process already.
    #[must_use]
    pub(crate) fn inside(self) -> Self {
        Self { folder: PathBuf::from("."), cosigner: self.cosigner }
    }

    /// Public key of the witness.
    pub(crate) fn vkey(&self) -> String {
        self.cosigner.witness().to_text()
    }

    fn log(&self, origin: &str) -> PathBuf {
        self.folder.join("logs").join(Digest::of(origin.as_bytes()).to_string())
    }

    /// Remembers a log from here on. Fault: another key is known for its name.
    pub(crate) fn know(&self, key: &Verifier) -> Result<(), Fault> {
        let path = self.log(key.name()).join("vkey");
        let text = format!("{}\n", key.to_text());
        if path.exists() && durable::read(&path, 4096)? != text.as_bytes() {
            return Err(Fault::usage(
                format!("the log {} is known with another key; nothing was changed", quoted(key.name())),
                "Ask the officers of the relay why the key changed. A relay that was made anew needs a new name.",
            ));
        }
        durable::create_dir(&self.log(key.name()))?;
        durable::replace(&path, text.as_bytes())
    }

    /// Each log that it knows, with the newest head it signed.
    pub(crate) fn logs(&self) -> Result<Vec<(Verifier, Option<Checkpoint>)>, Fault> {
        let folder = self.folder.join("logs");
        let mut logs = Vec::new();
        for name in durable::names(&folder)? {
            let path = folder.join(name);
            let key = read_vkey(&path)?;
            let head = self.remembered(&key)?;
            logs.push((key, head));
        }
        Ok(logs)
    }

    fn remembered(&self, key: &Verifier) -> Result<Option<Checkpoint>, Fault> {
        let path = self.log(key.name()).join("checkpoint");
        if !path.exists() {
            return Ok(None);
        }
        let note = String::from_utf8(durable::read(&path, 65_536)?).unwrap_or_default();
        // A memory that was changed remembers nothing; it must not pass for an empty one.
        let ours = self.cosigner.witness().cosigned(&note).is_some();
        let head = key.head(&note).filter(|_| ours);
        let wrong = "it is not what this witness signed. Make a new witness, with a new key: gaprelay help backup";
        head.map(Some).ok_or_else(|| Fault::damaged(path.to_string_lossy(), wrong))
    }

    /// Judges a head; if it grew from what is remembered, remembers it, durably, and only then gives the
    /// signature line.
    pub(crate) fn answer(&self, asked: &str, now: Timestamp) -> Result<Result<String, No>, Fault> {
        let Some(growth) = Growth::parse(asked) else { return Ok(Err(No::Malformed)) };
        let origin = growth.note.lines().next().unwrap_or_default();
        let path = self.log(origin);
        if !path.join("vkey").is_file() {
            return Ok(Err(No::UnknownLog));
        }
        let key = read_vkey(&path)?;
        // Of all that stands under the head, the log's own signature alone is looked at and kept.
        let Some(note) = key.alone(&growth.note) else { return Ok(Err(No::Unsigned)) };
        let Some(head) = key.head(&note) else { return Ok(Err(No::Unsigned)) };
        if growth.old > head.size {
            return Ok(Err(No::Malformed));
        }
        // One answer at a time: what is remembered must not change between the look and the signature.
        let _lock = Lock::take(&self.folder.join("lock"), || ())?;
        let before = self.remembered(&key)?;
        let (size, root) = before.map_or((0, root_of(&[])), |head| (head.size, head.root));
        if growth.old != size {
            return Ok(Err(No::Conflict(size)));
        }
        if !grew(size, &root, head.size, &head.root, &growth.proof) {
            // Anyone can break a proof; two heads of one size are signed by the log alone. So neither kind takes
            // the other's place.
            let (no, kind) = if head.size == size { (No::Forked(size), FORK) } else { (No::Inconsistent, AGAINST) };
            keep(&path, kind, &head, &note)?;
            return Ok(Err(no));
        }
        let line = self.cosigner.cosign(&head.to_text(), now);
        durable::sweep(&path)?;
        durable::replace(&path.join("checkpoint"), format!("{note}{line}").as_bytes())?;
        // Shown to have grown now: with that proof, it is evidence of nothing.
        durable::remove(&path.join(evidence(AGAINST, &head)))?;
        Ok(Ok(line))
    }
}

/// Name of the evidence that a head is: one for each distinct head.
fn evidence(kind: &str, head: &Checkpoint) -> String {
    format!("{kind}{}", Digest::of(head.to_text().as_bytes()))
}

/// Keeps a head that the log has signed, and that is not its history: with the head that was signed before it proves
/// the fork to others.
fn keep(path: &Path, kind: &str, head: &Checkpoint, note: &str) -> Result<(), Fault> {
    let path_of = path.join(evidence(kind, head));
    let kept = durable::names(path)?.iter().filter(|name| name.starts_with(kind)).count();
    if path_of.exists() || kept >= EVIDENCE {
        return Ok(());
    }
    // Both heads: this witness goes on from the other.
    let before = path.join("checkpoint");
    let before = if before.exists() { durable::read(&before, 65_536)? } else { Vec::new() };
    durable::replace(&path_of, &[note.as_bytes(), b"\n", &before].concat())
}
