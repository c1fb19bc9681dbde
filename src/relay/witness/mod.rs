//! A memory of logs that is kept outside them: on an officer's machine, with a key of its own. It cosigns a
//! head only if that grew from the last one it signed, and remembers before it answers (C2SP tlog-witness).
//! Out of scope: how a head comes here; on the relay nothing calls this.
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

use std::path::{Path, PathBuf};

use base::lock::Lock;
use base::{Digest, Fault, Timestamp, durable};
use tlog::check::read_vkey;
use tlog::cosignature::Cosigner;
use tlog::note::{Checkpoint, Verifier};
use tlog::proof::grew;
use tlog::receipt::Growth;
use tlog::tree::root_of;

/// Most pieces of evidence of each kind that are kept of a log.
const EVIDENCE: usize = 16;

/// The memory, in its folder.
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

impl WitnessState {
    /// Makes an empty memory with a fresh key. Fault: the folder is there already.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self, Fault> {
        if folder.exists() {
            return Err(Fault::Config(format!("{} is there already", folder.display())));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(fits) {
            return Err(Fault::Config("a witness's name is a host and a path, such as desk.example/witness".into()));
        }
        let cosigner = Cosigner::generate(name)?;
        durable::create_dir(&folder.join("logs"))?;
        durable::replace(&folder.join("lock"), b"")?;
        durable::replace(&folder.join("vkey"), format!("{}\n", cosigner.witness().to_text()).as_bytes())?;
        durable::replace_secret(&folder.join("witness.key"), format!("{}\n", cosigner.to_text()).as_bytes())?;
        Ok(Self { folder: folder.to_owned(), cosigner })
    }

    /// Opens a memory.
    pub(crate) fn open(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join("witness.key");
        if !path.is_file() {
            return Err(Fault::Config(format!(
                "{} is not the folder of a witness: make one with `gaprelay log witness init`",
                folder.display()
            )));
        }
        let text = String::from_utf8(durable::read(&path, 4096)?).unwrap_or_default();
        let cosigner = Cosigner::parse(&text);
        let cosigner = cosigner.ok_or_else(|| Fault::damaged(path.to_string_lossy(), "the key cannot be read"))?;
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
            let wrong = "a log of this name is known with another key: a relay that was made anew needs a new name";
            return Err(Fault::Config(wrong.into()));
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
        head.map(Some).ok_or_else(|| Fault::damaged(path.to_string_lossy(), "it is not what this witness signed"))
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
            let (no, kind) =
                if head.size == size { (No::Forked(size), "fork-") } else { (No::Inconsistent, "against-") };
            keep(&path, kind, asked)?;
            return Ok(Err(no));
        }
        let line = self.cosigner.cosign(&head.to_text(), now);
        durable::sweep(&path)?;
        durable::replace(&path.join("checkpoint"), format!("{note}{line}").as_bytes())?;
        Ok(Ok(line))
    }
}

/// Keeps what the log has signed and yet is not its history: it proves the fork to others.
fn keep(path: &Path, kind: &str, asked: &str) -> Result<(), Fault> {
    let name = format!("{kind}{}", Digest::of(asked.as_bytes()));
    let kept = durable::names(path)?.iter().filter(|name| name.starts_with(kind)).count();
    if kept < EVIDENCE { durable::replace(&path.join(name), asked.as_bytes()) } else { Ok(()) }
}
