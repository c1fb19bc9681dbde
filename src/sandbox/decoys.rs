//! Decoys of the self-test: everything an escape could reach, planted for it, so that "stopped" cannot mean "nothing
//! there"; and the process that tries, with what it says.
//!
//! They lie in a folder that no other account can enter, where possible in one that no other account can fill. Each
//! process that tries begins inside its own part and names it by `.`, so that its user needs no right to the folders
//! above.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf, absolute};
use std::process::{Child, Stdio};

use super::Confinement;
use super::attempts::{self, AttemptTargets};
use super::rights::Rights;
use super::trial::{Layers, TrialLine, Tried, order};
use super::worker::{ourselves, start};
use base::Fault;
use base::durable::{self, TempDir};

/// Results of one process.
pub(crate) struct Ran {
    /// Confinement that it reported.
    pub held: Confinement,
    /// Fault of a layer that it should run with and that cannot be had; then nothing was tried.
    pub missing: Option<Fault>,
    /// Result of each attempt, by its number.
    pub tried: Vec<Tried>,
}

/// A process that is trying, with what was planted for it alone.
pub(crate) struct Trying {
    role: &'static str,
    child: Child,
    count: usize,
    victim: Child,
    _planted: (UnixListener, UnixDatagram, OwnedFd),
}

impl Drop for Trying {
    fn drop(&mut self) {
        // Where another could not be started, nobody waits for this one, and its decoys go now. It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // It waits for this, and ends.
        drop(self.victim.stdin.take());
        let _ = self.victim.wait();
    }
}

/// Decoys: sockets that live as long as this, and a folder for each run, all removed with it.
pub(crate) struct Decoys {
    folder: TempDir,
    tcp: TcpListener,
    tcp6: Option<TcpListener>,
    _udp: OwnedFd,
    udp_port: u16,
    _named: OwnedFd,
    name: String,
    _leaked: (UnixStream, UnixStream),
    leaked: i32,
}

impl Decoys {
    /// Plants it.
    pub(crate) fn plant() -> Result<Self, Fault> {
        let name = format!("gaprelay-selftest-{}", attempts::token()?);
        let folder = private_folder()?;
        let planted = |e: io::Error| Fault::Io {
            operation: "make the decoys of the self-test in",
            path: folder.path().to_owned(),
            source: e,
        };
        let udp = attempts::network::target_udp().map_err(planted)?;
        let named = attempts::network::target_named(&name).map_err(planted)?;
        let pair = UnixStream::pair().map_err(planted)?;
        rustix::io::fcntl_setfd(&pair.0, rustix::io::FdFlags::empty()).map_err(|e| planted(e.into()))?;
        Ok(Self {
            tcp: TcpListener::bind("127.0.0.1:0").map_err(planted)?,
            tcp6: TcpListener::bind("[::1]:0").ok(),
            udp_port: udp.1,
            _udp: udp.0,
            _named: named,
            name,
            leaked: pair.0.as_raw_fd(),
            _leaked: pair,
            folder,
        })
    }

    /// Starts one process with these layers, which tries everything; several may try at once.
    pub(crate) fn start(
        &self,
        state: &Path,
        role: &'static Rights,
        layers: Layers,
        count: usize,
    ) -> Result<Trying, Fault> {
        let folder = self.folder.path().join(format!("{}-{}", role.name, layers.word()));
        let failed = |e: io::Error| Fault::Io {
            operation: "make the decoys of the self-test in",
            path: folder.clone(),
            source: e,
        };
        let sockets = plant_files(&folder).map_err(failed)?;
        let victim = start(
            ourselves(Path::new("/"))
                .args(["worker", "wait"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        let port = |listener: &TcpListener| listener.local_addr().map(|a| a.port());
        let targets = AttemptTargets {
            tcp: port(&self.tcp).map_err(failed)?,
            tcp6: self.tcp6.as_ref().map(port).transpose().map_err(failed)?,
            udp: self.udp_port,
            folder: PathBuf::from("."),
            name: self.name.clone(),
            victim: i32::try_from(victim.id()).unwrap_or(0),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            root: rustix::process::getuid().is_root(),
            leaked: self.leaked,
            journal: -1,
            token: String::new(),
        };
        let (agent, accepted) = attempts::network::accepted().map_err(failed)?;
        let text = serde_json::to_string(&targets)
            .map_err(|_| Fault::Internal("the list of the self-test's decoys cannot be written"))?;
        let mut command = ourselves(&absolute(state).map_err(failed)?);
        command.current_dir(&folder);
        command.args(["worker", "attempt", "--role", role.name, "--layers", &layers.word(), "--targets", &text]);
        let child = start(command.stdin(accepted).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        Ok(Trying { role: role.name, child, count, victim, _planted: (sockets.0, sockets.1, agent) })
    }
}

impl Trying {
    /// Waits until it has tried everything.
    pub(crate) fn finish(mut self) -> Result<Ran, Fault> {
        let own = PathBuf::from(format!("the self-test of the {}", self.role));
        let failed = |e: io::Error| Fault::Io { operation: "finish", path: own.clone(), source: e };
        let mut ran =
            Ran { held: Confinement::default(), missing: None, tried: vec![Tried::Errno(libc::ECANCELED); self.count] };
        let mut next = order().next();
        if let Some(out) = self.child.stdout.take() {
            for line in BufReader::new(out).lines() {
                let line = line.map_err(failed)?;
                match serde_json::from_str(&line).map_err(|e| failed(e.into()))? {
                    TrialLine::Confinement(held) => ran.held = held,
                    TrialLine::Missing(layer, why) => ran.missing = Some(Fault::Unconfined { layer, why }),
                    TrialLine::Tried(number, tried) => {
                        if let Some(place) = ran.tried.get_mut(number) {
                            *place = tried;
                        }
                        next = order().skip_while(|n| *n != number).nth(1);
                    }
                }
            }
        }
        let status = self.child.wait().map_err(failed)?;
        // The one attempt that ends its process is the last: a signal before that one, or after it, came from
        // elsewhere.
        match (status.signal(), next) {
            (Some(signal), Some(number)) if order().last() == Some(number) => {
                if let Some(place) = ran.tried.get_mut(number) {
                    *place = Tried::Signal(signal);
                }
            }
            (None, None) if status.success() => {}
            _ if ran.missing.is_some() => {}
            _ => {
                // What it told; of several that ended alike, the first speaks.
                if let Some(mut told) = self.child.stderr.take() {
                    let _ = io::copy(&mut told, &mut io::stderr());
                }
                // One that failed has told why; one that ended otherwise may be another program by now.
                return Err(match status.code() {
                    Some(0) => Fault::Escape(format!("the self-test of the {} ended early: {status}", self.role)),
                    _ => failed(io::Error::other(format!("its process failed ({status})"))),
                });
            }
        }
        Ok(ran)
    }
}

/// Makes the folder of all decoys, mode 0700: in a place that no other account can write to, if there is one that this
/// process can; else where temporary files are.
fn private_folder() -> Result<TempDir, Fault> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let root = rustix::process::geteuid().is_root().then(|| PathBuf::from("/run"));
    // As systemd.exec(5), hier(7) and the XDG base directories have them: each a file system in memory, as a rule.
    let places = [named("RUNTIME_DIRECTORY"), root, named("XDG_RUNTIME_DIR")];
    let mut closed = places.into_iter().flatten().filter(|place| is_closed(place));
    let folder = closed.find_map(|place| durable::temporary_folder_in(&place).ok());
    folder.map_or_else(durable::temporary_folder, Ok)
}

/// True if a folder is ours and no other account can write to it.
fn is_closed(folder: &Path) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir() && meta.uid() == ours && meta.mode() & 0o022 == 0)
}

/// A folder with everything in it that a role may or may not touch.
fn plant_files(folder: &Path) -> io::Result<(UnixListener, UnixDatagram)> {
    let write = |name: &str, mode: u32| {
        let path = folder.join(name);
        durable::replace_derived(&path, b"planted").map_err(|e| io::Error::other(e.to_string()))?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    let folders = ["open/mount", "medium/empty", "state/spool", "state/blobs", "state/channels", "state/releases"];
    let more = ["state/inbox", "state/keyring", "state/trust", "state/log/import", "state/log/access", "state/logs"];
    for name in folders.iter().chain(&more).chain(&["state/progress", "state/tuf", "state/tls"]) {
        durable::create_dir(&folder.join(name)).map_err(|e| io::Error::other(e.to_string()))?;
        // Whatever the umask of who started this.
        for path in Path::new(name).ancestors() {
            fs::set_permissions(folder.join(path), Permissions::from_mode(0o755))?;
        }
    }
    fs::set_permissions(folder.join("open"), Permissions::from_mode(0o1777))?;
    // As a state folder is.
    fs::set_permissions(folder.join("state"), Permissions::from_mode(0o750))?;
    for name in ["secret", "state/log/import.key"] {
        write(name, 0o600)?;
    }
    let files = ["medium/file", "medium/spare-1", "medium/spare-2", "state/config.toml", "state/inbox/file"];
    let more = ["state/spool/file", "state/channels/file", "state/trust/file", "state/log/import/file"];
    for name in files.iter().chain(&more).chain(&[
        "state/log/access/file",
        "state/log/access/journal",
        "state/log/access/journal-sinkhole",
        "state/inbox/slot",
        "state/logs/file",
        "state/lock",
        "state/progress/file",
    ]) {
        write(name, 0o644)?;
    }
    let sockets = (UnixListener::bind(folder.join("stream"))?, UnixDatagram::bind(folder.join("datagram"))?);
    for name in ["stream", "datagram"] {
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o777))?;
    }
    Ok(sockets)
}
