//! Supervisor of `gaprelay up`: keeps a keeper running, which settles on a timer, a server and, where the config has
//! them, a DNS sinkhole, the officers' pages and an export, each a confined process of its own. A process that ends, or
//! cannot be started, is started again. The supervisor itself reads no byte from the network or a medium.
//!
//! One thing stops everything: a finding of the isolation self-test, which has an exit status of its own. That the test
//! could not run or could not be recorded is told each time; what is published is served all the same.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tracing::{error, info, warn};

use super::signals::StopSignals;
use super::stderr::StderrRelay;
use crate::state::State;
use base::error::ESCAPE;
use base::lock::Lock;
use base::{Error, Fault};
use config::Config;
use sandbox::worker::{our_id, ourselves, start_awaited, stop};
use terminal::Ended;
use terminal::diagnostics::LogArgs;
use terminal::relayed::{ServiceLines, Speaker};

/// Shortest time between two self-tests.
const SHORTEST: Duration = Duration::from_secs(1);
/// Pause before a process that ended, or could not be started, is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Longest time that the services wait for the self-test or the settling before them, which wait for whoever changes
/// the state.
const PATIENCE: Duration = Duration::from_mins(1);

/// Supervisor of all services on one state.
pub(crate) struct Supervisor<'a> {
    /// State folder.
    pub root: &'a Path,
    /// Diagnostics of the services.
    pub log: LogArgs,
    /// Options of the server.
    pub server: &'a [String],
    /// Time between two self-tests.
    pub selftest_every: Duration,
}

/// Processes that are kept running.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Keeper,
    Server,
    Sinkhole,
    Review,
    Export,
}

impl Service {
    /// Keeper, server, and those that this config asks for.
    fn configured(config: &Config) -> Vec<Self> {
        let asked = [
            (Self::Keeper, true),
            (Self::Server, true),
            (Self::Sinkhole, !config.dns.listen.is_empty()),
            (Self::Review, config.review.is_shown()),
            (Self::Export, config.export.is_some()),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(service, _)| service).collect()
    }

    /// Name in diagnostics.
    fn name(self) -> &'static str {
        match self {
            Self::Keeper => "keeper",
            Self::Server => "server",
            Self::Sinkhole => "sinkhole",
            Self::Review => "review",
            Self::Export => "export",
        }
    }
}

/// A service, and its process while there is one.
struct Running {
    service: Service,
    /// Lines of the service, which have one budget however often it is started.
    lines: Arc<ServiceLines>,
    child: Option<Child>,
}

impl Running {
    fn new(service: Service) -> Self {
        Self { service, lines: Arc::new(ServiceLines::new(service.name())), child: None }
    }
}

/// Standard error of what the supervisor starts.
struct Lines {
    relay: StderrRelay,
    selftest: Arc<ServiceLines>,
    settle: Arc<ServiceLines>,
}

impl Supervisor<'_> {
    /// Runs the services until SIGTERM or SIGINT. `free` checks first that their addresses are. Faults: those of
    /// `free`; another supervisor has the state; a self-test found a way out.
    pub(crate) fn run(&self, config: &Config, free: impl FnOnce() -> Result<(), Fault>) -> Result<Ended, Error> {
        let failed = |source| Fault::Io { operation: "supervise the services of", path: self.root.to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let _only = self.lock()?;
        // A service that cannot listen would be started again for ever.
        free()?;
        let lines = |name| Arc::new(ServiceLines::new(name));
        let stderr = Lines {
            relay: StderrRelay::default(),
            selftest: lines("self-test"),
            settle: lines(Service::Keeper.name()),
        };
        let ended = runtime.block_on(self.keep_running(config, &stderr));
        // Whatever still ran was killed; what it said last comes before this process's own last line.
        stderr.relay.finish();
        ended
    }

    async fn keep_running(&self, config: &Config, stderr: &Lines) -> Result<Ended, Error> {
        let failed = |source| Fault::Io { operation: "supervise the services of", path: self.root.to_owned(), source };
        let mut signals = StopSignals::listen().map_err(failed)?;
        let mut selftest = self.start_selftest(stderr);
        if selftest.is_some() {
            match timeout(PATIENCE, end_of(&mut selftest)).await {
                Ok(ended) => {
                    selftest = None;
                    judge(ended)?;
                }
                Err(_) => not_ended(),
            }
        }
        self.settle_once(stderr).await;
        let pause = self.selftest_every.max(SHORTEST);
        let mut timer = interval_at(Instant::now() + pause, pause);
        let mut services: Vec<_> = Service::configured(config).into_iter().map(Running::new).collect();
        self.start_missing(&mut services, stderr);
        let mut again = pin!(sleep(RESTART_PAUSE));
        loop {
            let is_missing = services.iter().any(|running| running.child.is_none());
            tokio::select! {
                () = signals.recv() => break,
                _ = timer.tick() => match selftest {
                    Some(_) => not_ended(),
                    None => selftest = self.start_selftest(stderr),
                },
                ended = end_of(&mut selftest), if selftest.is_some() => {
                    selftest = None;
                    judge(ended)?;
                }
                () = &mut again, if is_missing => {
                    self.start_missing(&mut services, stderr);
                    again.as_mut().reset(Instant::now() + RESTART_PAUSE);
                }
                (place, ended) = first_end(&mut services) => {
                    let Some(running) = services.get_mut(place) else { continue };
                    running.child = None;
                    let name = running.service.name();
                    if ended.as_ref().is_ok_and(|status| status.code() == Some(ESCAPE.into())) {
                        return Err(Fault::Escape(format!("the {name} found at its start that it can do what it must not; its lines above say what")).into());
                    }
                    let status = ended.map_or_else(|e| e.to_string(), |status| status.to_string());
                    warn!(service = name, status, "the {name} process ended ({status}); it is started again");
                    again.as_mut().reset(Instant::now() + RESTART_PAUSE);
                }
            }
        }
        info!("stopping: downloads under way may finish");
        self.stop(services).await;
        // So that what the server recorded last is in the log before this process ends.
        self.settle_once(stderr).await;
        Ok(Ended::Well)
    }

    /// Stops the services: the keeper last, so that it takes in what the others recorded.
    async fn stop(&self, services: Vec<Running>) {
        let (keepers, others): (Vec<_>, Vec<_>) =
            services.into_iter().partition(|running| running.service == Service::Keeper);
        for mut child in others.into_iter().filter_map(|running| running.child) {
            stop(&child);
            // One that cannot be waited for is gone, or ends with this process.
            let _ = child.wait().await;
        }
        for mut child in keepers.into_iter().filter_map(|running| running.child) {
            let _ = child.kill().await;
        }
    }

    /// Takes the state for this supervisor alone. Fault: another one has it.
    fn lock(&self) -> Result<Lock, Fault> {
        let path = State::open(self.root)?.supervisor_lock()?;
        Lock::try_take(&path)?.ok_or_else(|| {
            let holder = Lock::holder(&path).map_or(String::new(), |process| format!(" (process {process})"));
            let detail = format!("another `gaprelay up`{holder} runs on {}", self.root.display());
            Fault::usage(detail, "Use that one, or stop it first; a relay needs a single supervisor.")
        })
    }

    /// Starts each service that does not run. One that cannot be started is told, and stays missing.
    fn start_missing(&self, services: &mut [Running], stderr: &Lines) {
        for running in services.iter_mut().filter(|running| running.child.is_none()) {
            match self.start(running, stderr) {
                Ok(child) => running.child = Some(child),
                Err(fault) => {
                    let name = running.service.name();
                    error!(service = name, fault = %fault, "the {name} cannot be started: {fault}; it is tried again");
                }
            }
        }
    }

    fn start(&self, running: &Running, stderr: &Lines) -> Result<Child, Fault> {
        let mut command = self.command(stderr, &running.lines)?;
        match running.service {
            Service::Keeper => command.arg("settle"),
            Service::Server => command.arg("serve").args(self.server),
            Service::Sinkhole => command.arg("sinkhole"),
            Service::Review => command.arg("review"),
            Service::Export => command.args(["log", "export", "--configured"]),
        };
        if running.service != Service::Export {
            command.stdout(Stdio::null());
        }
        command.args(["--supervised", &our_id()]);
        start_awaited(command)
    }

    /// Starts the self-test of every role in its short form, which records its own result. That it cannot be started is
    /// told.
    fn start_selftest(&self, stderr: &Lines) -> Option<Child> {
        let started = self.command(stderr, &stderr.selftest).and_then(|mut command| {
            command.args(["selftest", "--short"]).stdout(Stdio::null());
            start_awaited(command)
        });
        started.inspect_err(not_tested).ok()
    }

    /// Settles once: before agents are served, so that what is due is published, and at the end, so that what the
    /// server recorded is in the log. It tells its own faults, and the next settle tries again.
    async fn settle_once(&self, stderr: &Lines) {
        let started = self.command(stderr, &stderr.settle).and_then(|mut command| {
            command.arg("settle").stdout(Stdio::null());
            start_awaited(command)
        });
        match started {
            Ok(mut child) => {
                if timeout(PATIENCE, child.wait()).await.is_err() {
                    warn!(
                        "settling did not end within a minute and was stopped: it may wait for another process that changes this \
                         state folder; the next settle goes on from there"
                    );
                    let _ = child.kill().await;
                }
            }
            Err(fault) => error!(fault = %fault, "settling cannot be started: {fault}; the next settle tries again"),
        }
    }

    /// Command line of a process of ours, which gets nothing of the terminal but, for an export to it, standard output.
    fn command(&self, stderr: &Lines, lines: &Arc<ServiceLines>) -> Result<Command, Fault> {
        let mut command = ourselves(self.root);
        command.args(self.log.to_args()).stdin(Stdio::null());
        stderr.relay.attach(&mut command, Speaker::Service(Arc::clone(lines)))?;
        Ok(command)
    }
}

/// Judges the end of a self-test. Fault: it found a way out. Any other end, by a full disk, a damaged log or a signal
/// say, found nothing, and is told.
fn judge(ended: io::Result<ExitStatus>) -> Result<(), Fault> {
    let ended = match ended {
        Ok(ended) if ended.code() == Some(0) => return Ok(()),
        Ok(ended) if ended.code() == Some(ESCAPE.into()) => {
            return Err(Fault::Escape("the lines above say why".into()));
        }
        Ok(ended) => io::Error::other(format!("its process ended ({ended}); the lines above say why")),
        Err(e) => e,
    };
    not_tested(&Fault::Io { operation: "finish", path: "the isolation self-test".into(), source: ended });
    Ok(())
}

/// Tells that a self-test could not run or could not be recorded.
fn not_tested(fault: &Fault) {
    error!(fault = %fault, "{fault}. The services go on, and the test is tried again; remove the cause");
}

/// Tells that a self-test still runs when the next one is due, or the services are.
fn not_ended() {
    error!("the isolation self-test has not ended yet: it may wait for another process that changes this state folder");
}

/// Waits for a process to end; for ever if there is none.
async fn end_of(child: &mut Option<Child>) -> io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// Waits for the first of several processes to end; returns its place in `services`.
async fn first_end(services: &mut [Running]) -> (usize, io::Result<ExitStatus>) {
    std::future::poll_fn(|cx| {
        for (place, running) in services.iter_mut().enumerate() {
            let Some(child) = &mut running.child else { continue };
            if let Poll::Ready(ended) = pin!(child.wait()).poll(cx) {
                return Poll::Ready((place, ended));
            }
        }
        Poll::Pending
    })
    .await
}
