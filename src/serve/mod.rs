//! The published sets, over HTTP/1.1 and 1.0, plain or TLS. GET and HEAD of what an index in memory
//! holds; everything else is refused, its body never read, and recorded as evidence. A request's
//! path never reaches the file system, and nothing here opens a connection.

pub mod audience;
pub mod connection;
pub mod evidence;
pub mod freshness;
pub mod index;
pub mod listener;
pub mod metrics;
pub mod own;
pub mod pulls;
pub mod range;
pub mod request;
pub mod response;
pub mod room;
pub mod tap;
pub mod tls;
pub mod tripwire;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;

use crate::audit::entry::SelfTest;
use crate::audit::journal::Journal;
use crate::base::Fault;
use crate::config::Config;
use crate::sandbox::{self, Grants, Role};
use crate::store::State;
use evidence::Evidence;
use index::Index;
use pulls::Pulls;
use room::Room;
use tls::Tls;

/// All that a request is answered from.
pub struct Service {
    /// The published sets.
    pub index: ArcSwap<Index>,
    /// Names the relay is called by, lower case, without ports.
    pub names: Arc<[String]>,
    /// Takes the record of what was refused.
    pub evidence: Evidence,
    /// Takes who pulls what.
    pub pulls: Pulls,
    /// Where the log lies, which is served too.
    pub state: State,
    /// Who is connected.
    pub room: Arc<Room>,
    /// What was counted.
    pub counts: Counts,
}

/// What `/-/metrics` shows.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections turned away for want of room.
    pub turned_away: AtomicU64,
    /// Requests answered.
    pub requests: AtomicU64,
    /// Requests refused.
    pub refused: AtomicU64,
    /// Answers 404.
    pub missing: AtomicU64,
    /// Bytes of bodies handed to the network.
    pub bytes: AtomicU64,
    /// Times a published set could not be loaded.
    pub load_faults: AtomicU64,
}

/// What this process was given to accept on; nothing else is ever bound.
pub struct Listeners {
    /// Where agents are served.
    pub agents: Vec<TcpListener>,
    /// Where nothing is served and every knock is recorded.
    pub tripwires: Vec<TcpListener>,
}

/// Confines this process for good, then serves until a stop is asked for (SIGTERM, SIGINT); then lets downloads finish.
pub fn serve(
    state: &State,
    config: &Config,
    listeners: Listeners,
    tls: Option<&Arc<Tls>>,
    proof: SelfTest,
    told: &mut dyn FnMut(&str),
) -> Result<(), Fault> {
    // What only this process may still open: the journal, to append to it.
    let journal = |most| Journal::open(&state.access_journal(), most);
    // Who pulls what must leave room for who tries to send something.
    let (attempts, pulls) = (journal(config.serve.journal.0)?, journal(config.serve.journal.0 / 2)?);
    // From here on nothing but the published sets can be opened, and no thread can shed the cage.
    let halfway = sandbox::begin(Role::Server, &Grants { state: state.root(), medium: None }, &config.terms())?;
    let (index, faults) = Index::load(state, config, crate::base::clock::now())?;
    for fault in &faults {
        told(&format!("fault: {fault}; its channel is not served, the others are"));
    }
    let service = Arc::new(Service {
        index: ArcSwap::from_pointee(index),
        names: config.serve.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        evidence: Evidence::start(attempts, proof)?,
        pulls: Pulls::new(pulls)?,
        state: state.clone(),
        room: Room::new(config.serve.connections, config.serve.connections_per_address),
        counts: Counts::default(),
    });
    index::follow(Arc::clone(&service), config.clone(), tls.cloned())?;
    pulls::follow(Arc::clone(&service))?;
    listener::run(&service, config, tls, listeners, halfway, told)?;
    service.evidence.flush();
    service.pulls.tell(true);
    Ok(())
}
