//! UDP forwarder: forwards DNS queries that come by UDP to the resolver, and its answers back. It is the only
//! process of ours that may send to an address, so it does nothing else: it never looks into what it
//! carries, and each query is answered at most once, to the address it came from, if that address
//! lies in the agents' networks. The resolver, which reads what anybody sends, has no such socket.
//!
//! Between the two goes a socket pair that keeps messages apart. A query travels as ticket (4 bytes),
//! address (16 bytes, IPv4 mapped), port (2 bytes), all big-endian, then the packet; an answer as
//! ticket, then the packet. Ticket 0 is not answered.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, recvfrom, send, sendto, socketpair,
};

use config::dns::Dns;

/// Largest packet carried, in bytes; what is longer is cut, and then cannot be read.
pub const LARGEST: usize = 4096;
/// Bytes before the packet of a query.
const HEAD: usize = 22;
/// Look-ups that may wait for their answer; older ones are forgotten.
const WAITING: usize = 4096;

/// A query as the resolver gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct ForwardedPacket<'a> {
    /// To be named by the answer; 0 if there is to be none.
    pub ticket: u32,
    /// Sender's address, as the packet says.
    pub from: SocketAddr,
    /// The packet.
    pub packet: &'a [u8],
}

/// The pair's two ends: the resolver's and the forwarder's.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Reads a message of the forwarder.
pub fn open(message: &[u8]) -> Option<ForwardedPacket<'_>> {
    let (ticket, rest) = message.split_first_chunk()?;
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let (port, packet) = rest.split_first_chunk()?;
    let ip = IpAddr::V6(Ipv6Addr::from(*address)).to_canonical();
    let from = SocketAddr::new(ip, u16::from_be_bytes(*port));
    Some(ForwardedPacket { ticket: u32::from_be_bytes(*ticket), from, packet })
}

fn seal(packet_in_hand: &ForwardedPacket<'_>) -> Vec<u8> {
    let address = match packet_in_hand.from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut message = Vec::with_capacity(HEAD + packet_in_hand.packet.len());
    message.extend_from_slice(&packet_in_hand.ticket.to_be_bytes());
    message.extend_from_slice(&address.octets());
    message.extend_from_slice(&packet_in_hand.from.port().to_be_bytes());
    message.extend_from_slice(packet_in_hand.packet);
    message
}

/// Clients that wait for an answer.
struct Waiting {
    next: u32,
    places: Vec<Option<(u32, SocketAddr)>>,
}

impl Waiting {
    fn new() -> Self {
        Self { next: 0, places: vec![None; WAITING] }
    }

    fn place(&mut self, ticket: u32) -> Option<&mut Option<(u32, SocketAddr)>> {
        self.places.get_mut(ticket as usize % WAITING)
    }

    /// The ticket of a query from there, counted from 1.
    fn enter(&mut self, from: SocketAddr) -> u32 {
        self.next = self.next.checked_add(1).unwrap_or(1);
        let ticket = self.next;
        if let Some(place) = self.place(ticket) {
            *place = Some((ticket, from));
        }
        ticket
    }

    /// Client of this ticket; at most once.
    fn leave(&mut self, ticket: u32) -> Option<SocketAddr> {
        let place = self.place(ticket)?;
        let (waits, from) = (*place)?;
        if waits != ticket {
            return None;
        }
        *place = None;
        Some(from)
    }
}

/// Forwards until the resolver is gone. `socket` is a bound UDP socket, `resolver` the forwarder's end of the pair.
pub fn run(socket: impl AsFd, resolver: impl AsFd, dns: &Dns) -> io::Result<()> {
    let mut waiting = Waiting::new();
    let mut packet_in_hand: Option<Vec<u8>> = None;
    let mut bytes = [0; LARGEST + 4];
    loop {
        // With a query in hand no other is taken: what there is no room for waits in the kernel, or is lost there.
        let (come, go) = if packet_in_hand.is_some() {
            (PollFlags::empty(), PollFlags::IN | PollFlags::OUT)
        } else {
            (PollFlags::IN, PollFlags::IN)
        };
        let mut ready = [PollFd::new(&socket, come), PollFd::new(&resolver, go)];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            done => done?,
        };
        let [come, go] = ready.map(|fd| fd.revents());
        if go.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            match recv(&resolver, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(()),
                Ok((length, _)) => deliver(&socket, bytes.get(..length).unwrap_or_default(), &mut waiting),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        if let Some(message) = packet_in_hand.take() {
            match send(&resolver, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => {}
                Err(Errno::AGAIN | Errno::INTR) => packet_in_hand = Some(message),
                Err(e) => return Err(e.into()),
            }
        } else if come.intersects(PollFlags::IN | PollFlags::ERR) {
            // What went wrong with one packet says nothing of the next.
            let Ok((_, length, from)) = recvfrom(&socket, &mut bytes[..LARGEST], RecvFlags::DONTWAIT) else { continue };
            let Some(from) = from.and_then(|from| SocketAddr::try_from(from).ok()) else { continue };
            let ticket = if dns.is_agent(from.ip()) && from.port() != 0 { waiting.enter(from) } else { 0 };
            packet_in_hand =
                Some(seal(&ForwardedPacket { ticket, from, packet: bytes.get(..length).unwrap_or_default() }));
        }
    }
}

/// Sends an answer to whoever waits for it; one that nobody waits for goes nowhere.
fn deliver(socket: impl AsFd, message: &[u8], waiting: &mut Waiting) {
    let Some((ticket, packet)) = message.split_first_chunk() else { return };
    if let Some(to) = waiting.leave(u32::from_be_bytes(*ticket)) {
        // An answer that does not arrive is asked for again.
        let _ = sendto(socket, packet, SendFlags::DONTWAIT, &to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_once_and_only_to_who_asked() {
        let mut waiting = Waiting::new();
        let (one, two) = ("10.0.0.1:5353".parse().unwrap(), "10.0.0.2:5353".parse().unwrap());
        let (first, second) = (waiting.enter(one), waiting.enter(two));
        assert_eq!(waiting.leave(second), Some(two));
        assert_eq!((waiting.leave(second), waiting.leave(0), waiting.leave(77)), (None, None, None));
        for _ in 0..WAITING - 1 {
            waiting.enter(two);
        }
        assert_eq!(waiting.leave(first), None, "forgotten, since so many came after it");
        waiting.next = u32::MAX;
        assert_eq!(waiting.enter(one), 1, "0 is no ticket");
    }

    #[test]
    fn messages_are_read_as_they_were_written() {
        for from in ["10.0.0.1:53", "[fd00::1]:5353"] {
            let packet_in_hand = ForwardedPacket { ticket: 7, from: from.parse().unwrap(), packet: b"packet" };
            assert_eq!(open(&seal(&packet_in_hand)).unwrap(), packet_in_hand);
        }
        assert!(open(&[0; HEAD - 1]).is_none() && open(&[0; HEAD]).is_some());
    }
}
