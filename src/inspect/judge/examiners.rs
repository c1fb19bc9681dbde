//! Sources of examiners: processes or threads.

use crate::examiner;
use base::ipc::channel::RequestChannel;
use base::{Fault, Limits};

/// Provides examiners, one at a time. Content can take one over, and what it had seen would tell it what to say next:
/// so each bundle gets one of its own, and what an examiner has made gets another.
pub trait Examiners: Send {
    /// An examiner that has seen nothing yet. The one before it is gone when this returns, with all that it knew.
    fn fresh(&mut self) -> Result<RequestChannel, Fault>;

    /// Ends the newest one, whatever it is doing, and even if it does nothing. When this returns nobody reads what is
    /// still fed to it.
    fn end(&mut self);

    /// Nothing is fed to the newest one any more, and another one will be wanted: it may get ready.
    fn prepare(&mut self) {}
}

/// Threads of this process: for the connected side, where there is nothing to keep apart.
pub struct Threads {
    limits: Limits,
}

impl Threads {
    /// Under these limits.
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone() }
    }
}

impl Examiners for Threads {
    fn fresh(&mut self) -> Result<RequestChannel, Fault> {
        let limits = self.limits.clone();
        RequestChannel::here(move |asks, answers| examiner::run(&limits, asks, answers))
    }

    /// Ends when nobody sends a request any more.
    fn end(&mut self) {}
}
