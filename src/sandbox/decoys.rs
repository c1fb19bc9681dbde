//! Decoys of the self-test: everything an escape could reach, planted for it, so that "stopped" cannot mean "nothing
//! there"; and the process that tries, with what it says.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::Confinement;
use super::attempts::{self, AttemptTargets};
use super::rights::Rights;
use super::trial::{Layers, TrialLine, Tried, order};
use super::worker::{ourselves, start};
use base::error::IoContext as _;
use base::{Fault, durable};

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
        // It waits for this, and ends.
        drop(self.victim.stdin.take());
        let _ = self.victim.wait();
    }
}

/// Decoys: sockets that live as long as this, and a folder for each run.
pub(crate) struct Decoys {
    folder: PathBuf,
    tcp: TcpListener,
    tcp6: Option<TcpListener>,
    _udp: OwnedFd,
    udp_port: u16,
    _named: OwnedFd,
    name: String,
    _leaked: (UnixStream, UnixStream),
    leaked: i32,
}

impl Drop for Decoys {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Decoys {
    /// Plants it.
    pub(crate) fn plant() -> Result<Self, Fault> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(Into::into).during("read randomness from", Path::new("the kernel"))?;
        let name = format!("gaprelay-selftest-{}", data_encoding::HEXLOWER.encode(&id));
        let folder = std::env::temp_dir().join(&name);
        durable::create_dir(&folder)?;
        let planted = |e: io::Error| Fault::Io {
            operation: "make the decoys of the self-test in",
            path: folder.clone(),
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
        let folder = self.folder.join(format!("{}-{}", role.name, layers.word()));
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
            folder: folder.clone(),
            name: self.name.clone(),
            victim: i32::try_from(victim.id()).unwrap_or(0),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            root: rustix::process::getuid().is_root(),
            leaked: self.leaked,
            journal: -1,
        };
        let (agent, accepted) = attempts::network::accepted().map_err(failed)?;
        let text = serde_json::to_string(&targets)
            .map_err(|_| Fault::Internal("the list of the self-test's decoys cannot be written"))?;
        let mut command = ourselves(state);
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
        // The one attempt that ends its process is the last.
        match (status.signal(), next) {
            (Some(signal), Some(number)) => {
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
                    Some(1..) => failed(io::Error::other(format!("its process failed ({status})"))),
                    _ => Fault::Escape(format!("the self-test of the {} ended early: {status}", self.role)),
                });
            }
        }
        Ok(ran)
    }
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
