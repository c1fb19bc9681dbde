//! Service that a person started in a terminal. This process, which reads nothing that strangers made, keeps the
//! terminal and starts the service as its child. The service, which may be taken over, gets an empty standard input and
//! a pipe whose lines this process makes printable: it can neither read what is typed nor write to the screen.

use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::stderr::StderrRelay;
use base::error::IoContext as _;
use base::{Error, Fault};
use sandbox::worker::{ourselves_again, start_awaited, stop};
use terminal::Ended;
use terminal::relayed::{ServiceLines, Speaker};

/// Signals by which a person or an init system asks for the end; that of a closed terminal is one.
pub(crate) struct StopSignals([Signal; 3]);

impl StopSignals {
    /// Takes them from now on: none ends this process by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        let [terminate, interrupt, hangup] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self([terminate?, interrupt?, hangup?]))
    }

    /// Waits for one.
    pub(crate) async fn recv(&mut self) {
        let Self([terminate, interrupt, hangup]) = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }

    /// Waits for the end of a service, which each signal asks to stop in order.
    pub(crate) async fn wait_for(&mut self, child: &mut Child, name: &'static str) -> Result<Ended, Error> {
        let mut is_stopped = false;
        let ended = loop {
            tokio::select! {
                ended = child.wait() => break ended.during("wait for", Path::new(name))?,
                () = self.recv() => stop(child),
            }
            is_stopped = true;
        };
        match (ended.code().and_then(|code| u8::try_from(code).ok()), ended.signal()) {
            (Some(code), _) => Ok(Ended::As(code)),
            // One that may be stopped at any moment does not wait for the signal.
            (None, _) if is_stopped => Ok(Ended::Well),
            (None, signal) => Err(Fault::Killed { role: name, signal: signal.unwrap_or_default() }.into()),
        }
    }
}

/// True if this process holds a terminal, for input or for output.
pub(crate) fn holds_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// Starts the command of this process again, as the service of this name, and waits until it has ended. A signal to
/// this process stops the service in order; however this process ends, the service ends with it.
pub(crate) fn attend(name: &'static str) -> Result<Ended, Error> {
    let what = Path::new(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().during("wait for", what)?;
    let stderr = StderrRelay::default();
    let ended = runtime.block_on(async {
        let mut signals = StopSignals::listen().during("wait for", what)?;
        let mut command = ourselves_again();
        command.stdin(Stdio::null());
        if io::stdout().is_terminal() {
            command.stdout(Stdio::null());
        }
        stderr.attach(&mut command, Speaker::Service(Arc::new(ServiceLines::new(name))))?;
        signals.wait_for(&mut start_awaited(command)?, name).await
    });
    stderr.finish();
    ended
}
