//! Supervisor of `gaprelay up`: keeps a keeper running, which settles on a timer, a server and, where the config has them, a
//! DNS sinkhole, the officers' pages and an export, each a confined process of its own. A process that ends is started
//! again. The supervisor itself reads no byte from the network or a medium.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::stderr::StderrRelay;
use crate::state::State;
use base::error::IoContext as _;
use base::lock::Lock;
use base::{Error, Fault};
use config::Config;
use sandbox::worker::{our_id, ourselves, start_awaited, stop};
use terminal::Ended;
use terminal::diagnostics::LogArgs;
use terminal::relayed::Speaker;

/// Shortest time between two self-tests.
const SHORTEST: Duration = Duration::from_secs(1);
/// Exit status of a self-test that found a way out, among other faults.
const FAILED: i32 = 1;
/// Pause before a process that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

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

impl Supervisor<'_> {
    /// Runs the services until SIGTERM or SIGINT. `free` checks first that their addresses are. Faults: those of `free`;
    /// another supervisor has the state; a self-test failed; a process could not be started.
    pub(crate) fn run(&self, config: &Config, free: impl FnOnce() -> Result<(), Fault>) -> Result<Ended, Error> {
        let failed = |source| Fault::Io { operation: "supervise the services of", path: self.root.to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let _only = self.lock()?;
        // A service that cannot listen would be started again for ever.
        free()?;
        let stderr = StderrRelay::default();
        let ended = runtime.block_on(self.keep_running(config, &stderr));
        // Whatever still ran was killed; what it said last comes before this process's own last line.
        stderr.finish();
        ended
    }

    async fn keep_running(&self, config: &Config, stderr: &StderrRelay) -> Result<Ended, Error> {
        let failed = |source| Fault::Io { operation: "supervise the services of", path: self.root.to_owned(), source };
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        passed(self.start_selftest(stderr)?.wait().await.map_err(failed)?)?;
        self.settle_once(stderr).await?;
        let pause = self.selftest_every.max(SHORTEST);
        let mut timer = tokio::time::interval_at(tokio::time::Instant::now() + pause, pause);
        let mut selftest: Option<Child> = None;
        let start = |service| Ok((service, self.start(service, stderr)?));
        let mut services = Service::configured(config).into_iter().map(start).collect::<Result<Vec<_>, Fault>>()?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = timer.tick(), if selftest.is_none() => selftest = Some(self.start_selftest(stderr)?),
                ended = end_of(&mut selftest) => {
                    selftest = None;
                    passed(ended.map_err(failed)?)?;
                }
                (place, ended) = first_end(&mut services) => {
                    let Some((service, child)) = services.get_mut(place) else { continue };
                    let (service_name, status) = (service.name(), ended.map_err(failed)?);
                    warn!(
                        service = service_name,
                        status = %status,
                        "the {service_name} process ended ({status}); it is started again"
                    );
                    tokio::time::sleep(RESTART_PAUSE).await;
                    *child = self.start(*service, stderr)?;
                }
            }
        }
        info!("stopping: downloads under way may finish");
        let (keepers, others): (Vec<_>, Vec<_>) =
            services.into_iter().partition(|(service, _)| *service == Service::Keeper);
        for (_, mut child) in others {
            stop(&child);
            child.wait().await.map_err(failed)?;
        }
        for (_, mut child) in keepers {
            child.kill().await.map_err(failed)?;
        }
        // So that what the server recorded last is in the log before this process ends.
        self.settle_once(stderr).await?;
        Ok(Ended::Well)
    }

    /// Takes the state for this supervisor alone. Fault: another one has it.
    fn lock(&self) -> Result<Lock, Fault> {
        let place = State::open(self.root)?.supervisor_lock();
        Lock::try_take(&place)?.ok_or_else(|| {
            let holder = Lock::holder(&place).map_or(String::new(), |process| format!(" (process {process})"));
            let detail = format!("another `gaprelay up`{holder} runs on {}", self.root.display());
            Fault::usage(detail, "Use that one, or stop it first; a relay needs a single supervisor.")
        })
    }

    fn start(&self, service: Service, stderr: &StderrRelay) -> Result<Child, Fault> {
        let mut command = self.command(stderr)?;
        match service {
            Service::Keeper => command.arg("settle"),
            Service::Server => command.arg("serve").args(self.server),
            Service::Sinkhole => command.arg("sinkhole"),
            Service::Review => command.arg("review"),
            Service::Export => command.args(["log", "export", "--configured"]),
        };
        if service != Service::Export {
            command.stdout(Stdio::null());
        }
        command.args(["--supervised", &our_id()]);
        start_awaited(command)
    }

    /// Starts the self-test of every role in its short form, which records its own result.
    fn start_selftest(&self, stderr: &StderrRelay) -> Result<Child, Fault> {
        let mut command = self.command(stderr)?;
        command.args(["selftest", "--short"]).stdout(Stdio::null());
        start_awaited(command)
    }

    /// Settles once: before agents are served, so that what is due is published, and at the end, so that what the server
    /// recorded is in the log.
    async fn settle_once(&self, stderr: &StderrRelay) -> Result<(), Fault> {
        let mut command = self.command(stderr)?;
        command.arg("settle").stdout(Stdio::null());
        // It has reported its own fault, and the next settle tries again.
        start_awaited(command)?.wait().await.map(drop).during("wait for", self.root)
    }

    /// Command line of a process of ours, which gets nothing of the terminal but, for an export to it, standard output.
    fn command(&self, stderr: &StderrRelay) -> Result<Command, Fault> {
        let mut command = ourselves(self.root);
        command.args(self.log.to_args()).stdin(Stdio::null());
        stderr.attach(&mut command, Speaker::Service)?;
        Ok(command)
    }
}

/// Stops everything if a self-test failed or could not run: the other processes end with this one.
fn passed(ended: ExitStatus) -> Result<(), Fault> {
    match ended.code() {
        Some(0) => Ok(()),
        Some(FAILED) => Err(Fault::Escape("the lines above say why".into())),
        // A wrong config, a damaged state or a signal: nothing was found.
        _ => {
            let source = io::Error::other(format!("its process ended ({ended}); the lines above say why"));
            Err(Fault::Io { operation: "run", path: "the isolation self-test".into(), source })
        }
    }
}

/// Waits for a process to end; for ever if there is none.
async fn end_of(child: &mut Option<Child>) -> io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// Waits for the first of several processes to end; returns its place in `children`.
async fn first_end(children: &mut [(Service, Child)]) -> (usize, io::Result<ExitStatus>) {
    std::future::poll_fn(|cx| {
        for (place, (_, child)) in children.iter_mut().enumerate() {
            if let Poll::Ready(ended) = pin!(child.wait()).poll(cx) {
                return Poll::Ready((place, ended));
            }
        }
        Poll::Pending
    })
    .await
}
