//! `gaprelay review`: web pages for officers.

use std::fs::Permissions;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use tracing::warn;

use super::args::ReviewArgs;
use super::selftest;
use crate::processes::sockets::Sockets;
use crate::review::listener::ReviewListeners;
use crate::review::readers::PageReaders;
use crate::review::run as show;
use crate::rights::ProcessRole;
use crate::state::State;
use base::error::IoContext as _;
use base::lock::Lock;
use base::{Error, Fault, durable};
use config::Config;
use sandbox::worker::end_with;
use serve::tls::{Clients, Tls};
use terminal::Ended;

/// Serves the pages until the process is stopped.
pub(crate) fn run(state: &State, args: &ReviewArgs, sockets: Sockets) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        end_with(supervisor, Signal::KILL)?;
    }
    let config = state.config()?;
    let socket = args.socket.clone().or_else(|| config.review.socket.as_ref().map(|path| state.root().join(path)));
    let readers = PageReaders::look_up(&config.review)?;
    if config.review.readers.is_empty() {
        warn!(
            "the config names no reader, so the pages show nothing to anybody: add [[review.reader]] with user or \
             certificate, and role"
        );
    }
    let proof = selftest::before(state.root(), &[ProcessRole::Review], &config)?;
    let tls = tls(state, &config.review)?;
    let (unix, tcp, lock) = if sockets.is_empty() {
        let listens: &[SocketAddr] = if args.socket.is_some() { &[] } else { &config.review.listen };
        let tcp = listens.iter().map(bind_tcp).collect::<Result<_, _>>()?;
        let lock = socket.as_deref().map(lock_socket).transpose()?;
        (socket.iter().map(|path| bind(path)).collect::<Result<_, _>>()?, tcp, lock)
    } else {
        let (unix, tcp) = sockets.pages()?;
        (unix, tcp, None)
    };
    if unix.is_empty() && tcp.is_empty() {
        let wrong = "the pages have no socket and no address: set review.socket or review.listen in config.toml";
        return Err(Fault::Config(wrong.into()).into());
    }
    let with_tls = |listener| Some((listener, Arc::clone(tls.as_ref()?)));
    let without = || {
        Fault::Config("the service manager passed a TCP socket for the pages, which needs TLS: set review.tls_certificate, review.tls_key and review.client_authorities in config.toml".into())
    };
    let tls = tcp.into_iter().map(|listener| with_tls(listener).ok_or_else(without)).collect::<Result<_, _>>()?;
    let listeners = ReviewListeners { unix, tls };
    std::env::set_current_dir(state.root()).during("enter", state.root())?;
    let inside = State::open(Path::new("."))?;
    show(&inside, &config, readers, listeners, proof)?;
    // Until here the socket was this process's own.
    drop(lock);
    Ok(Ended::Well)
}

/// TLS settings of the pages, if the config has them.
fn tls(state: &State, review: &config::review::ReviewConfig) -> Result<Option<Arc<Tls>>, Fault> {
    let (Some(certificate), Some(key), Some(authorities)) =
        (&review.tls_certificate, &review.tls_key, &review.client_authorities)
    else {
        return Ok(None);
    };
    Tls::read(&state.tls(), (certificate, key), Clients::Required(authorities), review.client_revocations.as_deref())
        .map(Some)
}

/// Checks that the pages could listen on their addresses and their socket now.
pub(super) fn check_addresses(root: &Path, config: &Config) -> Result<(), Fault> {
    config.review.listen.iter().map(bind_tcp).collect::<Result<Vec<_>, _>>()?;
    config.review.socket.iter().try_for_each(|path| lock_socket(&root.join(path)).map(drop))
}

fn bind_tcp(address: &SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).during("listen on", Path::new(&address.to_string()))
}

/// Takes the Unix socket at this path for this process, by a lock on a file beside it that no other account can open.
/// Fault: another process has it. Neither another name of the same path nor a socket of this name in another account's
/// own file system has any part in this.
fn lock_socket(path: &Path) -> Result<Lock, Fault> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    durable::make_private(&beside)?;
    let taken = || io::Error::from(io::ErrorKind::AddrInUse);
    Lock::try_take(&beside)?.ok_or_else(taken).during("listen on", path)
}

/// Binds a Unix socket, whose lock this process holds, to which every account of this host may connect; the kernel
/// tells which account does. A socket that is left from before is replaced; any other file at that path is not.
fn bind(path: &Path) -> Result<UnixListener, Fault> {
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        std::fs::remove_file(path).during("replace", path)?;
    }
    let listener = UnixListener::bind(path).during("listen on", path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).during("give all accounts access to", path)?;
    Ok(listener)
}
