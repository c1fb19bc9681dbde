//! Connections on which nothing is served: those that come to a tripwire, where whoever knocks looks for a vendor, a
//! proxy or a server that this relay is not; and those for which no seat is free. What comes first is looked at and
//! recorded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Server;
use super::first_bytes::{FirstBytesTap, Watched};
use super::peer::Peer;
use super::recognition::{Ending, UnansweredRecorder, is_enough};

/// Connections of this kind at one time, in all and of one holder.
pub(crate) const SEATS: usize = 512;
pub(crate) const SEATS_EACH: usize = 32;
/// Time limit for the first bytes: in some protocols the client waits for us to begin.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// The same for the rest of a beginning that is cut, and for those that are turned away.
const SHORT_TIME_LIMIT: Duration = Duration::from_secs(1);
/// Most bytes read.
const MOST: u64 = 1 << 20;

/// Answer to one connection too many: not 429, which makes freshclam sleep.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n\
    Retry-After: 30\r\nConnection: close\r\n\r\nToo many connections, try later on\n";

/// Takes what a client says first, and records it.
pub(crate) async fn run(service: Arc<Server>, stream: TcpStream, agent: SocketAddr, (ending, is_tls): (Ending, bool)) {
    let Ok(listener) = stream.local_addr() else { return };
    let peer = Peer { agent, listener, sni: None, certificate: None, claimed: None };
    // The seat is not at work, whatever comes: it can be given up at any time.
    let watched = Arc::new(Watched::begin(Arc::default()));
    let mut stream = FirstBytesTap::taking_all(stream, Arc::clone(&watched));
    let recorder = UnansweredRecorder { service: &service, peer: &peer, watched: &watched, ending, is_tls };
    let limit = if ending == Ending::Tripwire { TIME_LIMIT } else { SHORT_TIME_LIMIT };
    // Whoever says nothing has knocked all the same.
    listen(&mut stream, &watched, limit).await;
    drop(recorder);
    if ending == Ending::TurnedAway && !is_tls {
        let _ = tokio::time::timeout(SHORT_TIME_LIMIT, stream.write_all(BUSY)).await;
    }
}

/// Reads the rest of a beginning, for a moment, until it shows what it is.
pub(crate) async fn listen_on<S: AsyncRead + Unpin>(stream: &mut FirstBytesTap<S>, watched: &Watched) {
    listen(stream, watched, SHORT_TIME_LIMIT).await;
}

async fn listen<S: AsyncRead + Unpin>(stream: &mut FirstBytesTap<S>, watched: &Watched, limit: Duration) {
    // On the heap: an array would be a part of the connection for as long as it lives.
    let mut sink = vec![0; 4096];
    let listening = async {
        while watched.received() < MOST && !watched.shows(is_enough) {
            let Ok(1..) = stream.read(&mut sink).await else { return };
        }
    };
    let _ = tokio::time::timeout(limit, listening).await;
}
