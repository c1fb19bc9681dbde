//! Supervisor of `gaprelay up`: keeps a keeper running, which settles on a timer, a server and, where the config has them, a
//! DNS sinkhole, the officers' pages and an export, each a confined process of its own. A process that ends is started
//! again. The supervisor itself reads no byte from the network or a medium.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use base::error::IoContext as _;
use base::{Error, Fault};
use config::Config;
use sandbox::worker::{our_id, ourselves, start_awaited, stop};
use terminal::Ended;

/// Shortest time between two self-tests.
const SHORTEST: Duration = Duration::from_secs(1);
/// Pause before a process that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Services that a config may ask for beside the keeper and the server.
#[derive(Clone, Copy)]
enum Service {
    Sinkhole,
    Review,
    Export,
}

impl Service {
    /// Services that this config asks for.
    fn configured(config: &Config) -> Vec<Self> {
        let asked = [
            (Self::Sinkhole, !config.dns.listen.is_empty()),
            (Self::Review, config.review.is_shown()),
            (Self::Export, config.export.is_some()),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(service, _)| service).collect()
    }

    fn command(self) -> &'static str {
        match self {
            Self::Sinkhole => "sinkhole",
            Self::Review => "review",
            Self::Export => "export",
        }
    }

    fn start(self, root: &Path) -> Result<Child, Fault> {
        let mut command = ourselves(root);
        match self {
            Self::Sinkhole | Self::Review => command.arg(self.command()),
            Self::Export => command.args(["log", "export", "--configured"]),
        };
        command.args(["--supervised", &our_id()]);
        start(command)
    }
}

/// Runs until SIGTERM or SIGINT. The server listens on `listen`, or where the config says if it is empty; a self-test
/// runs every `selftest_every`.
pub fn run(root: &Path, config: &Config, listen: &[SocketAddr], selftest_every: Duration) -> Result<Ended, Error> {
    let services = Service::configured(config);
    let failed = |source| Fault::Io { operation: "supervise", path: root.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        passed(start_selftest(root)?.wait().await.map_err(failed)?)?;
        settle_once(root).await?;
        let pause = selftest_every.max(SHORTEST);
        let mut timer = tokio::time::interval_at(tokio::time::Instant::now() + pause, pause);
        let mut selftest: Option<Child> = None;
        let mut keeper = start_keeper(root)?;
        let mut server = start_server(root, listen)?;
        let mut others = services
            .into_iter()
            .map(|service| Ok((service, service.start(root)?)))
            .collect::<Result<Vec<_>, Fault>>()?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = timer.tick(), if selftest.is_none() => selftest = Some(start_selftest(root)?),
                ended = end_of(&mut selftest) => {
                    selftest = None;
                    passed(ended.map_err(failed)?)?;
                }
                ended = keeper.wait() => {
                    pause_before_restart("keeper", ended.map_err(failed)?).await;
                    keeper = start_keeper(root)?;
                }
                ended = server.wait() => {
                    pause_before_restart("server", ended.map_err(failed)?).await;
                    server = start_server(root, listen)?;
                }
                (place, ended) = first_end(&mut others) => {
                    let Some((service, child)) = others.get_mut(place) else { continue };
                    pause_before_restart(service.command(), ended.map_err(failed)?).await;
                    *child = service.start(root)?;
                }
            }
        }
        for answering in std::iter::once(&mut server).chain(others.iter_mut().map(|(_, child)| child)) {
            stop(answering);
            answering.wait().await.map_err(failed)?;
        }
        keeper.kill().await.map_err(failed)?;
        // What the server saw last is in the log before we are gone.
        settle_once(root).await?;
        Ok(Ended::Well)
    })
}

fn start_server(root: &Path, listen: &[SocketAddr]) -> Result<Child, Fault> {
    let mut command = ourselves(root);
    command.args(["serve", "--supervised", &our_id()]);
    for address in listen {
        command.arg("--listen").arg(address.to_string());
    }
    start(command)
}

fn start_keeper(root: &Path) -> Result<Child, Fault> {
    let mut command = ourselves(root);
    command.args(["settle", "--supervised", &our_id()]);
    start(command)
}

/// The self-test of every role in its short form, which logs itself.
fn start_selftest(root: &Path) -> Result<Child, Fault> {
    let mut command = ourselves(root);
    command.args(["selftest", "--short"]).stdout(Stdio::null());
    start(command)
}

/// A self-test that fails stops everything: the other processes end with this one. Fault: it failed.
fn passed(ended: ExitStatus) -> Result<(), Fault> {
    if ended.success() { Ok(()) } else { Err(Fault::Escape(format!("the self-test ended with {ended}"))) }
}

/// Waits for a process to end; for ever if there is none.
async fn end_of(child: &mut Option<Child>) -> std::io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// Waits for the first of several processes to end; returns its place in `children`.
async fn first_end(children: &mut [(Service, Child)]) -> (usize, std::io::Result<ExitStatus>) {
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

/// Settles once: before agents are served, so that what is due is published, and at the end, so that what the server
/// recorded is in the log.
async fn settle_once(root: &Path) -> Result<(), Fault> {
    let mut command = ourselves(root);
    command.arg("settle").stdout(Stdio::null());
    // It has reported its own fault, and the next settle tries again.
    start(command)?.wait().await.map(drop).during("wait for", root)
}

fn start(mut command: std::process::Command) -> Result<Child, Fault> {
    command.stdin(Stdio::null());
    start_awaited(command)
}

async fn pause_before_restart(role: &str, status: ExitStatus) {
    terminal::note(format_args!("the {role} process ended ({status}); it is started again"));
    tokio::time::sleep(RESTART_PAUSE).await;
}
