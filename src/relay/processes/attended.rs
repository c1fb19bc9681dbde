//! Service that a person started in a terminal. This process, which reads nothing that strangers made, keeps the
//! terminal and starts the service as its child. The service, which may be taken over, gets an empty standard input and
//! a pipe whose lines this process makes printable: it can neither read what is typed nor write to the screen.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use super::signals::StopSignals;
use super::stderr::StderrRelay;
use base::Error;
use base::error::IoContext as _;
use sandbox::worker::{ourselves_again, start_awaited};
use terminal::Ended;
use terminal::relayed::{ServiceLines, Speaker};

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
