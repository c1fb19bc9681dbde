//! Sockets that a service manager opened for us (`sd_listen_fds`(3)). Every other descriptor that the process which
//! started us left open is closed.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{AddressFamily, SocketType};

use base::{Fault, quoted, raw};

/// Name of sockets on which nothing is served and every connection is evidence (`FileDescriptorName=`).
const TRIPWIRES: &str = "tripwires";

/// Descriptors that a process expects of the one that started it.
#[derive(Clone, Copy)]
pub(crate) enum Expected<'a> {
    /// None: every one is closed.
    Nothing,
    /// None, and it is a fault where a service manager passes sockets.
    NoSockets,
    /// Sockets of a service manager, or none.
    Sockets,
    /// The pipes of these numbers, of a supervisor of ours.
    Pipes(&'a [u32]),
    /// Whatever is open stays open: the self-test closes it later, to show what would be if we did not.
    Anything,
}

/// Sockets that were passed, with their names. If there is one, the relay listens on no other: the unit may well have a
/// network namespace without interfaces.
#[derive(Default)]
pub(crate) struct Sockets {
    passed: Vec<(String, OwnedFd)>,
}

/// Sockets for DNS queries: UDP sockets with their address, and TCP listeners.
pub(crate) type LookUps = (Vec<(SocketAddr, OwnedFd)>, Vec<TcpListener>);

impl Sockets {
    /// Takes the descriptors that this process expects, and closes every other one. To be called before anything is
    /// opened. Fault: a service manager passes sockets to `up`.
    pub(crate) fn take(expected: Expected<'_>) -> Result<Self, Fault> {
        let passed = match expected {
            Expected::Sockets => raw::passed()?,
            Expected::NoSockets if !raw::passed()?.is_empty() => {
                let units = "`up` cannot use sockets of a service manager: run `serve`, `sinkhole` and `review` each as a unit of its own, and pass the sockets to those";
                return Err(Fault::Config(units.into()));
            }
            Expected::Pipes(numbers) => {
                let pipes = raw::inherited(numbers)?;
                return Ok(Self { passed: pipes.into_iter().map(|pipe| (String::new(), pipe)).collect() });
            }
            Expected::Anything => return Ok(Self::default()),
            Expected::Nothing | Expected::NoSockets => Vec::new(),
        };
        raw::close_from(3 + u32::try_from(passed.len()).unwrap_or(0))?;
        Ok(Self { passed })
    }

    /// True when no socket was passed.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed.is_empty()
    }

    /// Pipes, in the order in which our supervisor passed them.
    pub(crate) fn pipes(self) -> Vec<OwnedFd> {
        self.passed.into_iter().map(|(_, pipe)| pipe).collect()
    }

    /// Listeners for agents, and tripwires. Fault: a socket is not a listening TCP socket.
    pub(crate) fn listeners(self) -> Result<(Vec<TcpListener>, Vec<TcpListener>), Fault> {
        let (mut agents, mut tripwires) = (Vec::new(), Vec::new());
        for (name, socket) in self.passed {
            if name == TRIPWIRES { &mut tripwires } else { &mut agents }.push(listener(&name, socket)?);
        }
        Ok((agents, tripwires))
    }

    /// Sockets for DNS queries, by UDP and TCP. Fault: one is neither, or takes packets for every address.
    pub(crate) fn look_ups(self) -> Result<LookUps, Fault> {
        let (mut packets, mut listeners) = (Vec::new(), Vec::new());
        for (name, socket) in self.passed {
            if socket_type(&socket).is_ok_and(|kind| kind == SocketType::DGRAM) {
                let socket = UdpSocket::from(socket);
                let no_address = |_| wrong(&name, "is not a UDP socket (write ListenDatagram=ADDRESS:53)");
                let address = socket.local_addr().map_err(no_address)?;
                if address.ip().is_unspecified() {
                    let each =
                        "takes packets for every address: name each address by itself (ListenDatagram=ADDRESS:53)";
                    return Err(wrong(&name, each));
                }
                packets.push((address, socket.into()));
            } else {
                listeners.push(listener(&name, socket)?);
            }
        }
        Ok((packets, listeners))
    }

    /// Listeners for the officers' pages. Fault: a socket is not a listening one, Unix or TCP.
    pub(crate) fn pages(self) -> Result<(Vec<UnixListener>, Vec<TcpListener>), Fault> {
        let (mut unix, mut tcp) = (Vec::new(), Vec::new());
        for (name, socket) in self.passed {
            if rustix::net::sockopt::socket_domain(&socket) == Ok(AddressFamily::UNIX) {
                if !listens(&socket) {
                    return Err(wrong(
                        &name,
                        "is not a listening Unix socket (write ListenStream=/PATH, without Accept=)",
                    ));
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
        Err(wrong(name, "is not a listening TCP socket (write ListenStream=, without Accept=)"))
    }
}

fn wrong(name: &str, why: &str) -> Fault {
    Fault::Config(format!("the socket \"{}\" that the service manager passed {why}", quoted(name)))
}
