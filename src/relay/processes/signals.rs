//! Signals by which a person or an init system asks for the end of a service, and waiting for that end.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};

use base::error::IoContext as _;
use base::{Error, Fault};
use sandbox::worker::stop;
use terminal::Ended;

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
