//! Sockets that a service manager opened for us (`sd_listen_fds`(3)). Descriptors pass only where we
//! pass them: whatever else whoever started us left open is closed.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{AddressFamily, SocketType};

use super::args::{Command, Worker};
use base::{Fault, quoted, raw};

/// The name of those on which nothing is served (`FileDescriptorName=`).
const TRIPWIRES: &str = "tripwires";

/// What was passed. Where there is any, nothing else is listened on: a unit may well lie in a network
/// without interfaces.
#[derive(Default)]
pub struct Sockets {
    passed: Vec<(String, OwnedFd)>,
}

/// Sockets for look-ups: packets with their address, and connections.
pub type LookUps = (Vec<(SocketAddr, OwnedFd)>, Vec<TcpListener>);

impl Sockets {
    /// Takes what was passed to a command that listens, and closes everything else. To be called
    /// before anything is opened.
    pub fn take(command: &Command) -> Result<Self, Fault> {
        let passed = match command {
            Command::Serve(_) | Command::Sinkhole(_) | Command::Review(_) => raw::passed()?,
            Command::Up(_) if !raw::passed()?.is_empty() => {
                let units = "`up` takes no sockets from a service manager: pass them to `serve`, `sinkhole` and `review`, each a unit of its own";
                return Err(Fault::Config(units.into()));
            }
            // The keeper of an import, whose supervisor provides its examiners over these.
            Command::Import(import) if import.keeper.supervised.is_some() => {
                let pipes = raw::inherited(&import.keeper.pipes)?;
                return Ok(Self { passed: pipes.into_iter().map(|pipe| (String::new(), pipe)).collect() });
            }
            // The self-test does it later, to show what would be if we did not.
            Command::Worker { worker: Worker::Attempt { .. } } => return Ok(Self::default()),
            _ => Vec::new(),
        };
        raw::close_from(3 + u32::try_from(passed.len()).unwrap_or(0))?;
        Ok(Self { passed })
    }

    /// Whether none was passed.
    pub fn is_empty(&self) -> bool {
        self.passed.is_empty()
    }

    /// As they were passed by another process of ours.
    pub fn pipes(self) -> impl Iterator<Item = OwnedFd> {
        self.passed.into_iter().map(|(_, pipe)| pipe)
    }

    /// For agents, and for tripwires. Fault: one is no listening TCP socket.
    pub fn listeners(self) -> Result<(Vec<TcpListener>, Vec<TcpListener>), Fault> {
        let (mut agents, mut tripwires) = (Vec::new(), Vec::new());
        for (name, socket) in self.passed {
            if name == TRIPWIRES { &mut tripwires } else { &mut agents }.push(listener(&name, socket)?);
        }
        Ok((agents, tripwires))
    }

    /// For look-ups, by UDP and TCP. Fault: one is neither, or takes packets for every address.
    pub fn look_ups(self) -> Result<LookUps, Fault> {
        let (mut packets, mut listeners) = (Vec::new(), Vec::new());
        for (name, socket) in self.passed {
            if socket_type(&socket).is_ok_and(|kind| kind == SocketType::DGRAM) {
                let socket = UdpSocket::from(socket);
                let address = socket.local_addr().ok().filter(|address| !address.ip().is_unspecified());
                let each = "takes packets for every address: name each by itself (ListenDatagram=ADDRESS:53)";
                packets.push((address.ok_or_else(|| wrong(&name, each))?, socket.into()));
            } else {
                listeners.push(listener(&name, socket)?);
            }
        }
        Ok((packets, listeners))
    }

    /// For the pages. Fault: one is no listening socket, Unix or TCP.
    pub fn pages(self) -> Result<(Vec<UnixListener>, Vec<TcpListener>), Fault> {
        let (mut unix, mut tcp) = (Vec::new(), Vec::new());
        for (name, socket) in self.passed {
            if rustix::net::sockopt::socket_domain(&socket) == Ok(AddressFamily::UNIX) {
                if !listens(&socket) {
                    return Err(wrong(&name, "is no Unix socket that listens (ListenStream=/PATH, without Accept=)"));
                }
                unix.push(UnixListener::from(socket));
            } else {
                tcp.push(listener(&name, socket)?);
            }
        }
        Ok((unix, tcp))
    }
}

fn listens(socket: &OwnedFd) -> bool {
    socket_type(socket) == Ok(SocketType::STREAM) && socket_acceptconn(socket.as_fd()) == Ok(true)
}

fn listener(name: &str, socket: OwnedFd) -> Result<TcpListener, Fault> {
    let listens = listens(&socket);
    let listener = TcpListener::from(socket);
    if listens && listener.local_addr().is_ok() {
        Ok(listener)
    } else {
        Err(wrong(name, "is no TCP socket that listens (ListenStream=, without Accept=)"))
    }
}

fn wrong(name: &str, why: &str) -> Fault {
    Fault::Config(format!("the socket \"{}\" that the service manager passed {why}", quoted(name)))
}
