//! State folder of the relay. Only `init` makes it: a part that is missing is a fault.
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
//! progress/                    how far an import is; nothing is decided by it
//! log/import/ log/access/      the transparency logs
//! log/reserve/                 room for withdrawals on a disk that is full
//! lock                         held by the one process that changes anything
//! supervisor                   held by the one `up`
//! ```

pub(crate) mod compare;
mod foreign;
pub(crate) mod fsck;
pub(crate) mod gc;
pub(crate) mod history;
pub(crate) mod items;
pub(crate) mod keyrings;
pub(crate) mod logged;
pub(crate) mod lost_files;
pub(crate) mod migration;
pub(crate) mod names;
mod pins;
pub(crate) mod progress;
pub(crate) mod readers;
pub(crate) mod release;
pub(crate) mod reserve;
pub(crate) mod staging;
pub(crate) mod trust;
pub(crate) mod trust_replay;
mod waivers;

use std::ops::Deref;
use std::path::{Path, PathBuf};

pub use bundle::ReleaseId;
pub use serve::published::{LONGEST, Published};

pub use history::{ReleaseHistory, ShownSet, TakenStatement};
pub use pins::{Anchor, ConfigPin, KeyringPin};
pub use release::Release;
pub use serve::set::BytesPlace;
pub use staging::Staging;
pub use trust::{Stored, Trust};
pub use trust_replay::{TrustReplay, name_releases};

use crate::log::journal_line::SINKHOLE_NAME;
use crate::log::{Log, journal};
use base::lock::Lock;
use base::{Digest, Fault, durable};
use bundle::Keyring;
use config::Config;

/// Artifacts smaller than this, in bytes, live in their release's pack.
pub const SMALL: u64 = 256 << 10;

/// Paths of the state folder.
#[derive(Clone, Debug)]
pub struct State {
    published: Published,
}

/// Gives every holder of the state the paths and readers of what is published.
impl Deref for State {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.published
    }
}

/// Name of the slot: the file in the inbox to which the review pages append.
pub const SLOT: &str = "slot";

impl State {
    /// Opens the state at `root`. Fault: a part of it is missing, or a link stands in its place.
    pub fn open(root: &Path) -> Result<Self, Fault> {
        let state = Self { published: Published::new(root) };
        if !state.config_path().is_file() {
            return Err(if root.join("trust").exists() {
                state.without_config()
            } else {
                Fault::usage(
                    format!("{} is not a state folder of gaprelay: there is no config.toml in it", root.display()),
                    "Make a state folder with `gaprelay init`, or name another folder with `--state DIR`.",
                )
            });
        }
        for part in FOLDERS {
            check_folder(root, part)?;
        }
        Ok(state)
    }

    /// Makes the state folder. Fault: there is one already.
    pub fn create(root: &Path, config: &str, parsed: &Config, keyring: &[u8], ring: &Keyring) -> Result<Self, Fault> {
        let state = Self { published: Published::new(root) };
        if state.config_path().exists() || root.join("trust").exists() {
            return Err(if state.config_path().exists() {
                Fault::usage(
                    format!("{} already holds a state folder of gaprelay; nothing was changed", root.display()),
                    "Name another folder with `--state DIR`.",
                )
            } else {
                state.without_config()
            });
        }
        let group = parsed.state.group.as_deref().map(readers::group_number).transpose()?;
        durable::create_dir(root)?;
        // Before anything lies in it.
        readers::close(root, group)?;
        for part in FOLDERS {
            durable::create_dir(&root.join(part))?;
        }
        durable::make_private(&state.lock_path())?;
        let log = Log::create(&state.import_log(), &format!("{}/import/1", parsed.relay.get_ref()))?;
        Log::create(&state.access_log(), &format!("{}/access/1", parsed.relay.get_ref()))?;
        // Made now, so that owner and mode can be set before a server needs them.
        durable::make_private(&state.access_journal())?;
        durable::make_private(&state.sinkhole_journal())?;
        journal::create(&state.access_log())?;
        durable::make_private(&state.slot())?;
        durable::replace(&state.keyring_path(ring.version), keyring)?;
        let pin = ConfigPin { sha256: Digest::of(config.as_bytes()), entry: 0 };
        let trust = Trust::first(ring.version, Digest::of(keyring), Some(pin));
        trust.save(&state, &log)?;
        state.keep_reserve(&trust)?;
        // Last: a state whose making was interrupted has no config and is not taken for a state.
        durable::replace(&state.config_path(), config.as_bytes())?;
        Ok(state)
    }

    /// Fault of a folder that holds a part of a state but no config: a relay that lost it has log entries or releases,
    /// and an `init` that was interrupted has neither.
    fn without_config(&self) -> Fault {
        let root = self.root().display();
        let is_used = |folder: PathBuf| durable::names(&folder).is_ok_and(|names| !names.is_empty());
        if is_used(self.import_log().join("tile/entries")) || is_used(self.root().join("releases")) {
            Fault::usage(
                format!("{root} holds the state of a relay, but its config.toml is missing; nothing was changed"),
                "Remove nothing: restore config.toml from a backup (`gaprelay help backup`).",
            )
        } else {
            Fault::usage(
                format!(
                    "{root} holds a part of a state folder, without a config.toml: an earlier `gaprelay init` was interrupted"
                ),
                format!("Remove {root}, then run `gaprelay init` again."),
            )
        }
    }

    /// Paths and readers of what servers may see.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// Path of `config.toml`.
    pub fn config_path(&self) -> PathBuf {
        self.root().join("config.toml")
    }

    /// Folder of the lists of revoked certificates, kept by the site.
    pub fn tls(&self) -> PathBuf {
        self.root().join("tls")
    }

    /// Path of the trust file.
    pub fn trust_path(&self) -> PathBuf {
        self.root().join("trust/trust.json")
    }

    /// Folder of the spool.
    pub fn spool(&self) -> PathBuf {
        self.root().join("spool")
    }

    /// Journal of the server: what it saw, until the keeper has put it into the access log.
    pub fn access_journal(&self) -> PathBuf {
        self.access_log().join(serve::journal::NAME)
    }

    /// Journal of the sinkhole, likewise.
    pub fn sinkhole_journal(&self) -> PathBuf {
        self.access_log().join(SINKHOLE_NAME)
    }

    /// Slot of the inbox: the review pages append to it what is submitted there.
    pub fn slot(&self) -> PathBuf {
        self.inbox().join(SLOT)
    }

    /// Folder of submitted statements and cosignatures.
    pub fn inbox(&self) -> PathBuf {
        self.root().join("inbox")
    }

    /// Folder of the access log.
    pub fn access_log(&self) -> PathBuf {
        self.root().join("log/access")
    }

    /// File that says how far an import is.
    pub fn progress_path(&self) -> PathBuf {
        self.root().join("progress/import.json")
    }

    fn lock_path(&self) -> PathBuf {
        self.root().join("lock")
    }

    /// Closes the files that processes lock to all other accounts, where an earlier version made them; makes those that
    /// it did not make, so that they are there when the disk is full.
    pub(crate) fn close_locks(&self) {
        // Where they cannot be made now, who needs them says so.
        let _ = self.supervisor_lock();
        let _ = self.make_sinkhole_journal();
        for path in [self.lock_path(), self.access_journal(), self.sinkhole_journal(), self.slot()] {
            readers::close_locked(self.root(), &path);
        }
    }

    /// Makes the sinkhole's journal in a state of an earlier version, where server and sinkhole shared one.
    pub(crate) fn make_sinkhole_journal(&self) -> Result<(), Fault> {
        let path = self.sinkhole_journal();
        if path.symlink_metadata().is_ok() { Ok(()) } else { readers::make_lock(self.root(), &path) }
    }

    /// Path of the file that the supervisor locks, which is made if it is not there.
    pub(crate) fn supervisor_lock(&self) -> Result<PathBuf, Fault> {
        let path = self.root().join("supervisor");
        readers::make_lock(self.root(), &path)?;
        Ok(path)
    }

    /// Locks the state for the one keeper, calling `wait` once if another keeper must finish first.
    pub fn lock(&self, wait: impl FnOnce()) -> Result<Lock, Fault> {
        Lock::take(&self.lock_path(), wait)
    }

    /// Locks the state if no other keeper has it.
    pub fn try_lock(&self) -> Result<Option<Lock>, Fault> {
        Lock::try_take(&self.lock_path())
    }

    /// Reads the config.
    pub fn config(&self) -> Result<Config, Fault> {
        self.config_read().map(|(config, _)| config)
    }

    /// Reads the config, and gives the digest of its bytes.
    pub fn config_read(&self) -> Result<(Config, Digest), Fault> {
        let bytes = durable::read(&self.config_path(), LONGEST)?;
        let digest = Digest::of(&bytes);
        let next = "Save config.toml as UTF-8, then run `gaprelay check-config`.";
        let text = String::from_utf8(bytes).map_err(|_| Fault::usage("config.toml is not UTF-8 text", next))?;
        Ok((Config::parse_file(&text, Path::new("config.toml"))?, digest))
    }
}

/// Checks that a folder of the state is there. A link in its place, or above it, would lead what is written or removed
/// there to somewhere else: whoever can write to the state could so reach what they cannot.
fn check_folder(root: &Path, part: &str) -> Result<(), Fault> {
    let mut path = root.to_owned();
    for name in Path::new(part) {
        path.push(name);
        let what = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => continue,
            Ok(meta) if meta.is_symlink() => {
                "a link stands in the place of this folder of the state; nothing was changed. Find out who put it there, and put the folder back. To have it on another disk, mount that here"
            }
            _ => {
                "this folder of the state is missing; nothing was changed. Restore it from a backup: gaprelay help backup"
            }
        };
        return Err(Fault::damaged(path.to_string_lossy(), what));
    }
    Ok(())
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
