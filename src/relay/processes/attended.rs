//! Service that a person started in a terminal. This process, which reads nothing that strangers made, keeps the terminal
//! and starts the service as its child. The service, which may be taken over, gets an empty standard input and a pipe
//! whose lines this process makes printable: it can neither read what is typed nor write to the screen.

use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::stderr::StderrRelay;
use base::error::IoContext as _;
use base::{Error, Fault};
use sandbox::worker::{ourselves_again, start_awaited, stop};
use terminal::Ended;
use terminal::relayed::{ServiceLines, Speaker};

/// True if this process holds a terminal.
pub(crate) fn is_at_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// Starts the command of this process again, as the service of this name, and waits until it has ended. A signal to this
/// process stops the service in order; however this process ends, the service ends with it.
pub(crate) fn attend(name: &'static str) -> Result<Ended, Error> {
    let what = Path::new(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().during("wait for", what)?;
    let stderr = StderrRelay::default();
    let (ended, is_stopped) = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).during("wait for", what)?;
        let mut terminate = signal(SignalKind::terminate()).during("wait for", what)?;
        let mut hangup = signal(SignalKind::hangup()).during("wait for", what)?;
        let mut command = ourselves_again();
        command.stdin(Stdio::null());
        if io::stdout().is_terminal() {
            command.stdout(Stdio::null());
        }
        stderr.attach(&mut command, Speaker::Service(Arc::new(ServiceLines::new(name))))?;
        let mut child = start_awaited(command)?;
        let mut is_stopped = false;
        loop {
            tokio::select! {
                ended = child.wait() => break ended.during("wait for", what).map(|ended| (ended, is_stopped)),
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            is_stopped = true;
            stop(&child);
        }
    })?;
    stderr.finish();
    match (ended.code().and_then(|code| u8::try_from(code).ok()), ended.signal()) {
        (Some(code), _) => Ok(Ended::As(code)),
        // One that may be stopped at any moment does not wait for the signal.
        (None, _) if is_stopped => Ok(Ended::Well),
        (None, signal) => Err(Fault::Killed { role: name, signal: signal.unwrap_or_default() }.into()),
    }
}
