//! `gaprelay up`: one supervisor that settles on a timer and keeps a server running. The server is a
//! process of its own, without the keeper's rights to come: it only reads what is published and
//! appends to its journal. If it ends, it is started again.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::args::Serve;
use super::{Ended, approve, tui};
use crate::base::{Error, Fault, clock};
use crate::keeper::Keeper;
use crate::settle::{Settled, settle};
use crate::store::State;

/// Between two settles.
const SETTLE: Duration = Duration::from_secs(5);
/// Before a server that ended is started again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT.
pub fn run(root: &Path, args: &Serve) -> Result<Ended, Error> {
    // A state or config that is not sound is told at once, not by a server that keeps dying.
    State::open(root)?.config()?;
    settle_once(root);
    let failed = |source| Fault::Io { operation: "supervise", path: root.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let mut server = start(root, args).map_err(failed)?;
        let mut timer = tokio::time::interval(SETTLE);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = timer.tick() => settle_once(root),
                ended = server.wait() => {
                    let status = ended.map_err(failed)?;
                    tui::note(format_args!("the server ended ({status}); starting it again"));
                    tokio::time::sleep(AGAIN).await;
                    server = start(root, args).map_err(failed)?;
                }
            }
        }
        stop(&mut server).await.map_err(failed)?;
        // What the server saw last is in the log before we are gone.
        settle_once(root);
        Ok(Ended::Well)
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts a process: ourselves")]
fn start(root: &Path, args: &Serve) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("--state")
        .arg(root)
        .args(["serve", "--supervised", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for address in &args.listen {
        command.arg("--listen").arg(address.to_string());
    }
    // A Ctrl-C at the terminal reaches the supervisor alone, which stops the server in order.
    command.process_group(0).spawn()
}

async fn stop(server: &mut Child) -> std::io::Result<()> {
    if let Some(pid) = server.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    server.wait().await.map(drop)
}

/// A fault is told and tried again at the next tick; what is published keeps being served. While an
/// import or an approval is at work there is nothing to do here: it settles itself.
fn settle_once(root: &Path) {
    let opened = State::open(root).and_then(|state| Keeper::try_open(state, clock::now()));
    let settled = opened.and_then(|keeper| keeper.map_or(Ok(Settled::default()), |mut keeper| settle(&mut keeper)));
    match settled {
        // What is stuck was told when it got stuck; the log has it.
        Ok(settled) => approve::tell(&Settled { stuck: Vec::new(), evidence: 0, ..settled }),
        Err(fault) => {
            tui::note(format_args!("fault: {fault}"));
            tui::hint(fault.hint());
        }
    }
}
