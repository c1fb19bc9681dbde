//! The state folder. `init` makes it; nothing else ever does: what is missing is a fault.
//!
//! ```text
//! config.toml
//! keyring/<version>.toml       the keyring in force is the one that trust/trust.json names
//! trust/trust.json             what was accepted: the memory against rollback
//! spool/                       private copies of a medium's bytes; swept at every start
//! blobs/sha256/ab/<digest>     artifacts of 256 KiB and more
//! releases/<feed>/<version>/   manifest, signatures, verdicts, small artifacts in one pack
//! channels/<name>/             numbered sets, and `current`, which names the one that is served
//! tuf/                         the repository for TUF clients, and `current`, which names the tree that is served
//! tls/                         lists of revoked agents' certificates, kept by the site
//! inbox/                       statements handed in
//! progress/                    how far an import is; nobody decides by it
//! log/import/ log/access/      the transparency logs
//! lock
//! ```

pub mod compare;
pub mod fsck;
pub mod gc;
pub mod items;
pub mod keyrings;
pub mod progress;
pub mod release;
pub mod staging;
pub mod trust;
pub mod trust_replay;

use std::ops::Deref;
use std::path::{Path, PathBuf};

pub use bundle::ReleaseId;
pub use serve::published::{LONGEST, Published};

pub use release::Release;
pub use serve::set::Place;
pub use staging::Staging;
pub use trust::{Anchor, Trust};
pub use trust_replay::TrustReplay;

use crate::log::Log;
use base::lock::Lock;
use base::{Digest, Fault, durable};
use bundle::Keyring;
use config::Config;

/// Artifacts smaller than this, in bytes, live in their release's pack.
pub const SMALL: u64 = 256 << 10;

/// The state folder's paths.
#[derive(Clone, Debug)]
pub struct State {
    published: Published,
}

/// Whoever has the state may read what is published of it.
impl Deref for State {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.published
    }
}

/// Name of the slot in the inbox.
pub const SLOT: &str = "slot";

impl State {
    /// The state at `root`. Fault: a part of it is missing.
    pub fn open(root: &Path) -> Result<Self, Fault> {
        let state = Self { published: Published::new(root) };
        if !state.config_path().is_file() {
            return Err(Fault::Config(format!(
                "{} is no state folder of gaprelay: it has no config.toml. Make one with `gaprelay init`, or name it with --state",
                root.display()
            )));
        }
        for part in FOLDERS {
            if !root.join(part).is_dir() {
                return Err(Fault::damaged(root.join(part).to_string_lossy(), "the folder is missing"));
            }
        }
        Ok(state)
    }

    /// Makes the state. Fault: there is one already.
    pub fn create(root: &Path, config: &str, parsed: &Config, keyring: &[u8], ring: &Keyring) -> Result<Self, Fault> {
        let state = Self { published: Published::new(root) };
        if state.config_path().exists() || root.join("trust").exists() {
            let unfinished = if state.config_path().exists() { "" } else { ", cut while it was made: remove it first" };
            return Err(Fault::Config(format!("{} holds a state already{unfinished}", root.display())));
        }
        for part in FOLDERS {
            durable::create_dir(&root.join(part))?;
        }
        durable::replace(&state.lock_path(), b"")?;
        Log::create(&state.import_log(), &format!("{}/import/1", parsed.relay.get_ref()))?;
        Log::create(&state.access_log(), &format!("{}/access/1", parsed.relay.get_ref()))?;
        // Here already, so that its owner and mode can be set before a server needs it.
        durable::open_append(&state.access_journal())?;
        durable::open_append(&state.slot())?;
        durable::replace(&state.keyring_path(ring.version), keyring)?;
        Trust::first(ring.version, Digest::of(keyring)).save(&state)?;
        // Last: a state that was cut while it was made has no config and is not taken for one.
        durable::replace(&state.config_path(), config.as_bytes())?;
        Ok(state)
    }

    /// What servers read of it.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// Where the config lies.
    pub fn config_path(&self) -> PathBuf {
        self.root().join("config.toml")
    }

    /// Lists of revoked certificates, kept by the site.
    pub fn tls(&self) -> PathBuf {
        self.root().join("tls")
    }

    /// The spool.
    pub fn spool(&self) -> PathBuf {
        self.root().join("spool")
    }

    /// What the server saw, until the keeper has taken it.
    pub fn access_journal(&self) -> PathBuf {
        self.access_log().join(serve::journal::NAME)
    }

    /// The slot of the inbox: the pages append to it what is handed in there.
    pub fn slot(&self) -> PathBuf {
        self.inbox().join(SLOT)
    }

    /// Statements handed in.
    pub fn inbox(&self) -> PathBuf {
        self.root().join("inbox")
    }

    /// The access log.
    pub fn access_log(&self) -> PathBuf {
        self.root().join("log/access")
    }

    /// How far an import is.
    pub fn progress_path(&self) -> PathBuf {
        self.root().join("progress/import.json")
    }

    fn lock_path(&self) -> PathBuf {
        self.root().join("lock")
    }

    /// Becomes the one keeper, calling `wait` once if another must finish first.
    pub fn lock(&self, wait: impl FnOnce()) -> Result<Lock, Fault> {
        Lock::take(&self.lock_path(), wait)
    }

    /// Becomes the one keeper if nobody else is.
    pub fn try_lock(&self) -> Result<Option<Lock>, Fault> {
        Lock::try_take(&self.lock_path())
    }

    /// Reads the config.
    pub fn config(&self) -> Result<Config, Fault> {
        let bytes = durable::read(&self.config_path(), LONGEST)?;
        let text = String::from_utf8(bytes).map_err(|_| Fault::Config("config.toml is not UTF-8".into()))?;
        Config::parse_file(&text, Path::new("config.toml"))
    }
}

const FOLDERS: [&str; 12] = [
    "keyring",
    "trust",
    "spool",
    "blobs/sha256",
    "releases",
    "channels",
    "inbox",
    "log/import",
    "log/access",
    "progress",
    "tuf",
    "tls",
];
