//! Ways to send something out of the process.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, Protocol, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, ipproto, listen, recvmsg,
    sendmsg, sendmsg_addr, sendto, socket, socketpair,
};

use super::{AttemptTargets, EscapeAttempt, attempt, numbers, wrong};
use base::raw::{self, Arg};

/// In the order of the table.
pub const ATTEMPTS: &[EscapeAttempt] = &[
    attempt("TCP connect", |t| tcp(t, None)),
    attempt("TCP connect, IPv6", tcp6),
    attempt("MPTCP connect", |t| tcp(t, Some(ipproto::MPTCP))),
    attempt("TCP Fast Open, sendto with an address", fast_open),
    attempt("UDP sendto", udp),
    attempt("UDP connect and send", udp_connected),
    attempt("UDP sendmsg with an address", udp_message),
    attempt("UDP-Lite sendto", udp_lite),
    attempt("unix socket by its path", |t| unix(t, SocketType::STREAM, "stream")),
    attempt("unix datagram socket by its path", |t| unix(t, SocketType::DGRAM, "datagram")),
    attempt("unix socket by its abstract name", unix_abstract),
    attempt("unix socket pair", |_| pair().map(drop)),
    attempt("descriptors sent through a socket (SCM_RIGHTS)", send_rights),
    attempt("descriptors taken from a socket (SCM_RIGHTS)", receive_rights),
    attempt("vsock socket to the host", |_| family(libc::AF_VSOCK, SocketType::STREAM)),
    attempt("netlink socket", |_| family(libc::AF_NETLINK, SocketType::RAW)),
    attempt("packet socket", |_| family(libc::AF_PACKET, SocketType::RAW)),
    attempt("raw IP socket", |_| raw_ip(SocketType::RAW)),
    attempt("ping socket", |_| raw_ip(SocketType::DGRAM)),
    attempt("kernel crypto socket (AF_ALG)", |_| family(libc::AF_ALG, SocketType::SEQPACKET)),
    attempt("SCTP socket", |_| protocol(libc::IPPROTO_SCTP, SocketType::STREAM)),
    attempt("a socket of any other family", any_family),
    attempt("bind and listen on a new TCP port", listen_tcp),
    attempt("bind a new UDP port", bind_udp),
    attempt("bind a new unix socket", bind_unix),
    attempt("accepted socket disconnected and connected elsewhere", reconnect),
    attempt("end a listening socket for all who have it (shutdown)", |_| {
        // Of no socket, so that none is ended where the call is let in.
        match numbers(libc::SYS_shutdown, [-1, i64::from(libc::SHUT_RDWR)]) {
            Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(()),
            other => other.map(drop),
        }
    }),
    attempt("io_uring", io_uring),
    attempt("write to a connected socket that was left open", leaked),
    attempt("descriptor taken from another process (pidfd_getfd)", take_descriptor),
    attempt("accept and answer on the connection it was given", answer),
    attempt("send to an address on the socket it was given", answer_to),
];

/// A socket that takes datagrams, and its port.
pub fn target_udp() -> io::Result<(OwnedFd, u16)> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    bind(&socket, &local(0))?;
    let address = SocketAddrV4::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((socket, address.port()))
}

/// A socket that listens under an abstract name.
pub fn target_named(name: &str) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    listen(&socket, 64)?;
    Ok(socket)
}

/// An agent's end of a connection, and the end that a listener accepted.
pub fn accepted() -> io::Result<(OwnedFd, OwnedFd)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let agent = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    connect(&agent, &listener.local_addr()?)?;
    Ok((agent, listener.accept()?.0.into()))
}

fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

fn tcp(targets: &AttemptTargets, protocol: Option<Protocol>) -> io::Result<()> {
    Ok(connect(socket(AddressFamily::INET, SocketType::STREAM, protocol)?, &local(targets.tcp))?)
}

fn tcp6(targets: &AttemptTargets) -> io::Result<()> {
    let to = SocketAddrV6::new(Ipv6Addr::LOCALHOST, targets.tcp6.unwrap_or(0), 0, 0);
    Ok(connect(socket(AddressFamily::INET6, SocketType::STREAM, None)?, &to)?)
}

fn fast_open(targets: &AttemptTargets) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let fast = SendFlags::from_bits_retain(u32::try_from(libc::MSG_FASTOPEN).unwrap_or(0));
    sendto(&socket, b"x", fast, &local(targets.tcp))?;
    Ok(())
}

fn udp(targets: &AttemptTargets) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    sendto(&socket, b"x", SendFlags::empty(), &local(targets.udp))?;
    Ok(())
}

fn udp_connected(targets: &AttemptTargets) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    connect(&socket, &local(targets.udp))?;
    rustix::net::send(&socket, b"x", SendFlags::empty())?;
    Ok(())
}

fn udp_message(targets: &AttemptTargets) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let to = SocketAddrAny::from(local(targets.udp));
    let bytes = [io::IoSlice::new(b"x")];
    sendmsg_addr(&socket, &to, &bytes, &mut SendAncillaryBuffer::default(), SendFlags::empty())?;
    Ok(())
}

fn udp_lite(targets: &AttemptTargets) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::UDPLITE))?;
    sendto(&socket, b"x", SendFlags::empty(), &local(targets.udp))?;
    Ok(())
}

fn unix(targets: &AttemptTargets, kind: SocketType, name: &str) -> io::Result<()> {
    let to = SocketAddrUnix::new(targets.folder.join(name))?;
    Ok(connect(socket(AddressFamily::UNIX, kind, None)?, &to)?)
}

fn unix_abstract(targets: &AttemptTargets) -> io::Result<()> {
    let to = SocketAddrUnix::new_abstract_name(targets.name.as_bytes())?;
    Ok(connect(socket(AddressFamily::UNIX, SocketType::STREAM, None)?, &to)?)
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::empty(), None)?)
}

fn send_rights(_: &AttemptTargets) -> io::Result<()> {
    // Without a pair the call alone is tried, on a descriptor that is none: it must not get so far.
    let Ok((one, _other)) = pair() else { return bad_descriptor(libc::SYS_sendmsg) };
    let passed = [rustix::fd::AsFd::as_fd(&one)];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    buffer.push(SendAncillaryMessage::ScmRights(&passed));
    sendmsg(&one, &[io::IoSlice::new(b"x")], &mut buffer, SendFlags::empty())?;
    Ok(())
}

fn receive_rights(_: &AttemptTargets) -> io::Result<()> {
    let Ok((one, other)) = pair() else { return bad_descriptor(libc::SYS_recvmsg) };
    rustix::net::send(&one, b"x", SendFlags::empty())?;
    let mut bytes = [0; 1];
    let mut into = [io::IoSliceMut::new(&mut bytes)];
    recvmsg(&other, &mut into, &mut RecvAncillaryBuffer::default(), RecvFlags::empty())?;
    Ok(())
}

/// The call with a descriptor that is none: `EBADF` means that the kernel let it in.
fn bad_descriptor(call: libc::c_long) -> io::Result<()> {
    match numbers(call, [-1, 0, 0]) {
        Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(()),
        other => other.map(drop),
    }
}

fn family(family: i32, kind: SocketType) -> io::Result<()> {
    let family = AddressFamily::from_raw(u16::try_from(family).unwrap_or(0));
    socket(family, kind, None).map(drop).map_err(Into::into)
}

fn protocol(number: i32, kind: SocketType) -> io::Result<()> {
    let protocol = u32::try_from(number).ok().and_then(std::num::NonZeroU32::new).map(Protocol::from_raw);
    socket(AddressFamily::INET, kind, protocol).map(drop).map_err(Into::into)
}

fn raw_ip(kind: SocketType) -> io::Result<()> {
    protocol(libc::IPPROTO_ICMP, kind)
}

/// Every family there may be, beside those tried by name.
fn any_family(_: &AttemptTargets) -> io::Result<()> {
    let tried = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK];
    let kinds = [SocketType::STREAM, SocketType::DGRAM, SocketType::RAW, SocketType::SEQPACKET];
    let mut worst = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
    for number in (1..64).filter(|number| !tried.contains(number)) {
        for kind in kinds {
            match family(number, kind) {
                Ok(()) => return Ok(()),
                Err(e) if e.raw_os_error() == Some(libc::EPERM) => worst = e,
                Err(_) => {}
            }
        }
    }
    Err(worst)
}

fn listen_tcp(_: &AttemptTargets) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &local(0))?;
    Ok(listen(&socket, 1)?)
}

fn bind_udp(_: &AttemptTargets) -> io::Result<()> {
    Ok(bind(socket(AddressFamily::INET, SocketType::DGRAM, None)?, &local(0))?)
}

fn bind_unix(targets: &AttemptTargets) -> io::Result<()> {
    let at = targets.fresh(&targets.folder.join("open"));
    Ok(bind(socket(AddressFamily::UNIX, SocketType::STREAM, None)?, &SocketAddrUnix::new(at)?)?)
}

/// The process's standard input is a connection that a listener accepted. The namespace of a socket is
/// the one it was made in: an empty network does not stop this, the two other layers must.
fn reconnect(targets: &AttemptTargets) -> io::Result<()> {
    let accepted = io::stdin();
    rustix::net::getpeername(&accepted)?;
    rustix::net::connect_unspec(&accepted)?;
    Ok(connect(&accepted, &local(targets.tcp))?)
}

fn answer(_: &AttemptTargets) -> io::Result<()> {
    rustix::net::send(io::stdin(), b"x", SendFlags::empty())?;
    // Nobody waits on a listener here; that the call is let in is what counts.
    match accept_with(io::stdin(), SocketFlags::CLOEXEC) {
        Err(rustix::io::Errno::INVAL) => Ok(()),
        other => other.map(drop).map_err(Into::into),
    }
}

fn answer_to(targets: &AttemptTargets) -> io::Result<()> {
    sendto(io::stdin(), b"x", SendFlags::empty(), &local(targets.udp))?;
    Ok(())
}

fn io_uring(_: &AttemptTargets) -> io::Result<()> {
    let mut parameters = [0_u8; 120];
    let none = || Arg::Number(0);
    raw::call(libc::SYS_io_uring_setup, [Arg::Number(4), Arg::Bytes(&mut parameters), none(), none(), none(), none()])
        .map(drop)
}

fn leaked(targets: &AttemptTargets) -> io::Result<()> {
    let mut byte = *b"x";
    let none = || Arg::Number(0);
    let number = Arg::Number(i64::from(targets.leaked));
    let wrote = raw::call(libc::SYS_write, [number, Arg::Bytes(&mut byte), Arg::Number(1), none(), none(), none()])?;
    if wrote == 1 { Ok(()) } else { Err(wrong()) }
}

fn take_descriptor(targets: &AttemptTargets) -> io::Result<()> {
    let process = numbers(libc::SYS_pidfd_open, [i64::from(targets.victim), 0])?;
    numbers(libc::SYS_pidfd_getfd, [process, 0, 0]).map(drop)
}
