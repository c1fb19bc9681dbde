//! `gaprelay up`: one supervisor that keeps a keeper, which settles on a timer, a server and, where the
//! config has them, a DNS sinkhole, the officers' pages and an export running, each a confined process of its
//! own. If one ends, it is started again. The supervisor itself reads nothing that anybody sends.

use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{Serve, Up};
use super::console;
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault};
use config::Config;
use sandbox::worker::{end_with, our_id, ourselves, start_awaited, stop};
use terminal::Ended;

/// Least time between two self-tests.
const LEAST: Duration = Duration::from_secs(1);
/// Before a process that ended is started again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the config may ask for beside a keeper and a server.
#[derive(Clone, Copy)]
enum Part {
    Sinkhole,
    Review,
    Export,
}

impl Part {
    /// Those that this config asks for.
    fn of(config: &Config) -> Vec<Self> {
        let asked = [
            (Self::Sinkhole, !config.dns.listen.is_empty()),
            (Self::Review, config.review.is_shown()),
            (Self::Export, config.export.is_some()),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(part, _)| part).collect()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Sinkhole => "sinkhole",
            Self::Review => "review",
            Self::Export => "export",
        }
    }

    fn start(self, root: &Path) -> Result<Child, Fault> {
        let mut command = ourselves(root);
        match self {
            Self::Sinkhole | Self::Review => command.arg(self.word()),
            Self::Export => command.args(["log", "export", "--configured"]),
        };
        command.args(["--supervised", &our_id()]);
        start(command)
    }
}

/// Runs until SIGTERM or SIGINT.
pub fn run(root: &Path, args: &Up) -> Result<Ended, Error> {
    if let Some(console) = args.serve.supervised {
        end_with(console, Signal::TERM)?;
    }
    // A state or config that is not sound is told at once, not by a server that keeps dying.
    let config = State::open(root)?.config()?;
    if args.kiosk {
        return console::kiosk(root, &config, args);
    }
    let parts = Part::of(&config);
    let failed = |source| Fault::Io { operation: "supervise", path: root.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        proven(start_proof(root)?.wait().await.map_err(failed)?)?;
        settle_once(root).await?;
        let pause = args.prove.0.max(LEAST);
        let mut timer = tokio::time::interval_at(tokio::time::Instant::now() + pause, pause);
        let mut proof: Option<Child> = None;
        let mut keeper = start_keeper(root)?;
        let mut server = start_server(root, &args.serve)?;
        let mut others =
            parts.into_iter().map(|part| Ok((part, part.start(root)?))).collect::<Result<Vec<_>, Fault>>()?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = timer.tick(), if proof.is_none() => proof = Some(start_proof(root)?),
                ended = end_of(&mut proof) => {
                    proof = None;
                    proven(ended.map_err(failed)?)?;
                }
                ended = keeper.wait() => {
                    again("keeper", ended.map_err(failed)?).await;
                    keeper = start_keeper(root)?;
                }
                ended = server.wait() => {
                    again("server", ended.map_err(failed)?).await;
                    server = start_server(root, &args.serve)?;
                }
                (place, ended) = first_end(&mut others) => {
                    let Some((part, child)) = others.get_mut(place) else { continue };
                    again(part.word(), ended.map_err(failed)?).await;
                    *child = part.start(root)?;
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

fn start_server(root: &Path, args: &Serve) -> Result<Child, Fault> {
    let mut command = ourselves(root);
    command.args(["serve", "--supervised", &our_id()]);
    for address in &args.listen {
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
fn start_proof(root: &Path) -> Result<Child, Fault> {
    let mut command = ourselves(root);
    command.args(["selftest", "--short"]).stdout(Stdio::null());
    start(command)
}

/// A finding stops everything: the others end when this process does.
fn proven(ended: ExitStatus) -> Result<(), Fault> {
    if ended.success() { Ok(()) } else { Err(Fault::Escape(format!("the self-test ended with {ended}"))) }
}

/// Waits for a process that may not be there.
async fn end_of(child: &mut Option<Child>) -> std::io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// Waits for the first of several to end; says which.
async fn first_end(children: &mut [(Part, Child)]) -> (usize, std::io::Result<ExitStatus>) {
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

/// What is due is published before agents are served, and what was recorded is in the log at the end.
async fn settle_once(root: &Path) -> Result<(), Fault> {
    let mut command = ourselves(root);
    command.arg("settle").stdout(Stdio::null());
    // Whatever it ended with it has told; it is tried again.
    start(command)?.wait().await.map(drop).during("wait for", root)
}

fn start(mut command: std::process::Command) -> Result<Child, Fault> {
    command.stdin(Stdio::null());
    start_awaited(command)
}

async fn again(role: &str, status: ExitStatus) {
    terminal::note(format_args!("the {role} ended ({status}); starting it again"));
    tokio::time::sleep(AGAIN).await;
}
