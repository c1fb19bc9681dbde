//! HTTP server for agents: the published sets, over HTTP/1.1 and 1.0, plain or TLS. GET and HEAD of what an index in
//! memory holds; everything else is refused, its body never read, and recorded as evidence. A request's path never
//! reaches the file system.
//!
//! Runs in the server, which may accept connections, read published sets and append to a journal. It cannot open a
//! connection, write any other file, start a process or read a key.

#![forbid(unsafe_code)]

// What is published, and to whom it is served.
pub(crate) mod audience;
pub(crate) mod content;
pub(crate) mod follow;
pub mod freshness;
pub mod index;
pub mod plan;
pub mod pointer;
pub mod published;
pub mod set;
pub(crate) mod settings;
pub mod tree;

// Connections: who may come in, and how.
pub(crate) mod checked_stream;
pub(crate) mod connection;
pub mod first_bytes;
pub mod listener;
pub mod peer;
pub mod seats;
pub mod tls;
pub(crate) mod unserved;

// Requests and answers.
pub(crate) mod metrics;
pub(crate) mod own;
pub mod range;
pub mod request;
pub(crate) mod response;

// What is written down.
pub mod evidence;
pub mod journal;
pub(crate) mod minute;
pub(crate) mod pulls;
pub(crate) mod recognition;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::ArcSwap;

use base::{Fault, Timestamp};
use sandbox::PartlyConfined;
use sandbox::report::SelfTest;

pub use plan::ServePlan;
pub use settings::Settings;

use evidence::Evidence;
use index::Index;
use journal::Journal;
use published::Published;
use pulls::Pulls;
use seats::{SeatHolder, Seats};
use tls::Tls;

/// All that a request is answered from.
pub struct Server {
    /// The published sets.
    pub index: ArcSwap<Index>,
    /// Names the relay is called by, lower case, without ports.
    pub names: Arc<[String]>,
    /// Takes the record of what was refused.
    pub evidence: Evidence,
    /// Takes who pulls what.
    pub pulls: Pulls,
    /// Folder of the import log, which is served too.
    pub published: Published,
    /// Tells how far an import is, where one runs.
    pub import: ImportProgress,
    /// True if a file of the index was removed or replaced, so that it has to be loaded anew.
    pub is_outdated: AtomicBool,
    /// Seats of the connections that are served.
    pub seats: Arc<Seats<SeatHolder>>,
    /// Most of them that one agent may have.
    pub seats_each: usize,
    /// Seats of the connections that are not: on tripwires, and beyond the limits.
    pub unserved: Arc<Seats<SeatHolder>>,
    /// Counters.
    pub counts: ServerCounts,
}

/// Counters that `/-/metrics` shows.
#[derive(Debug, Default)]
pub struct ServerCounts {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections turned away because there were too many.
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
    /// Answers that ended early, or were not given, because their file could not be read.
    pub unreadable: AtomicU64,
}

/// Progress of the present step of an import.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepProgress {
    /// Bytes of the step that are done.
    pub done: u64,
    /// Bytes of the step.
    pub all: u64,
}

/// Tells how far an import is at a moment; nothing where none runs. For the metrics.
pub type ImportProgress = Box<dyn Fn(Timestamp) -> Option<StepProgress> + Send + Sync>;

/// Resources that only the supervisor can give a server.
pub struct ServerResources {
    /// Sockets that it accepts on.
    pub listeners: Listeners,
    /// TLS, where the listeners speak it.
    pub tls: Option<Arc<Tls>>,
    /// Result of the self-test before it began, if that could run.
    pub proof: Option<SelfTest>,
    /// Tells how far an import is.
    pub import: ImportProgress,
}

/// Listening sockets of this process; nothing else is ever bound.
pub struct Listeners {
    /// Sockets on which agents are served.
    pub agents: Vec<TcpListener>,
    /// Sockets on which nothing is served and every connection is recorded.
    pub tripwires: Vec<TcpListener>,
}

/// Confines this process for good by `confine`, then serves until a stop is asked for (SIGTERM, SIGINT); then lets
/// downloads finish. `journal` is where it writes down what it saw.
pub fn serve(
    published: &Published,
    plan: &ServePlan,
    journal: &Path,
    given: ServerResources,
    confine: impl FnOnce() -> Result<PartlyConfined, Fault>,
) -> Result<(), Fault> {
    let settings = &plan.settings;
    let count = |most| usize::try_from(most).unwrap_or(usize::MAX);
    // What only this process may still open: the journal, to append to it. Who pulls what must leave room for who tries
    // to send something.
    let open = |most| Journal::open(journal, most);
    let (attempts, pulls) = (open(settings.journal.0)?, open(settings.journal.0 / 2)?);
    // From here on nothing but the published sets can be opened, and no thread can shed the confinement.
    let confined = confine()?;
    let (index, faults) = Index::load(published, plan, base::clock::now(), None)?;
    follow::tell(&faults, &[]);
    let service = Arc::new(Server {
        index: ArcSwap::from_pointee(index),
        names: settings.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        evidence: Evidence::start(attempts, given.proof)?,
        pulls: Pulls::new(pulls),
        published: published.clone(),
        import: given.import,
        is_outdated: AtomicBool::new(false),
        seats: Seats::new(count(settings.connections)),
        seats_each: count(settings.connections_per_address),
        unserved: Seats::new(unserved::SEATS),
        counts: ServerCounts::default(),
    });
    follow::follow(Arc::clone(&service), plan.clone(), given.tls.clone())?;
    pulls::follow(Arc::clone(&service))?;
    listener::run(&service, settings, given.tls.as_ref(), given.listeners, confined)?;
    service.evidence.flush();
    service.pulls.tell(true);
    Ok(())
}
