//! Confinement of a process: it can do its work and nothing else, even after its code was taken over. Three layers,
//! none of which trusts another:
//!
//! 1. `namespaces`: no network, no user, no privilege;
//! 2. `landlock`: no file but those of its row in [`rights`], no TCP port;
//! 3. [`seccomp`]: no system call but those of its column in [`calls`].
//!
//! `attempts`, `decoys`, `trial` and [`selftest`]: every way out, really tried inside the confinement.
//!
//! Runs in every process, which takes all three layers before it reads the first foreign byte; none can be given back.
//! A layer that this kernel does not offer is a fault, unless the config names it with a reason. Out of scope: which
//! role has which rights (`relay/rights`).

#![forbid(unsafe_code)]

// The three layers, and a role's row of rights.
pub mod calls;
pub(crate) mod landlock;
pub(crate) mod namespaces;
pub mod rights;
pub mod seccomp;

// Proof that they hold.
pub mod attempts;
pub(crate) mod decoys;
pub mod report;
pub mod selftest;
pub mod trial;

// Processes of ours, and proof while they run.
pub mod worker;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::Path;

use serde::{Deserialize, Serialize};

use base::{Digest, Fault};
use rights::Rights;
use seccomp::SyscallFilter;

/// One of the three layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Empty network, own user, no privileges, limits.
    Namespaces,
    /// Files and TCP ports.
    Landlock,
    /// System calls.
    Seccomp,
}

impl Layer {
    /// All of them, in the order in which they are taken.
    pub const ALL: [Self; 3] = [Self::Namespaces, Self::Landlock, Self::Seccomp];
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        })
    }
}

/// Grants of one process, beside its role's rights.
#[derive(Clone, Copy)]
pub struct Grants<'a> {
    /// State folder, as this process names it.
    pub state: &'a Path,
    /// The medium's root, open.
    pub medium: Option<BorrowedFd<'a>>,
}

/// Terms of the confinement: layers that are taken, and layers that may be missing.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Only this one: for the self-test.
    pub only: Option<Layer>,
    /// Layers whose absence the config accepts.
    pub waived: Vec<Layer>,
}

/// A layer that the config does without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The layer.
    pub layer: Layer,
    /// Why the site accepts it.
    pub reason: String,
}

/// Confinement that a process got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// True if the empty network, the user and the limits are in force.
    pub namespaces: bool,
    /// Version of Landlock's interface in this kernel; none where that layer is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock_abi: Option<u32>,
    /// SHA-256 of the system call filter; none where that layer is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Digest>,
    /// Weaknesses that this kernel or host leaves, with their reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weaker: Vec<String>,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let landlock = self.landlock_abi.map_or("no landlock".into(), |abi| format!("landlock {abi}"));
        let filter = self.filter.map(|digest| digest.to_string());
        let filter =
            filter.as_deref().and_then(|d| d.get(..12)).map_or("no seccomp".into(), |d| format!("seccomp {d}"));
        let namespaces = if self.namespaces { "namespaces" } else { "no namespaces" };
        write!(f, "confined: {namespaces}, {landlock}, {filter}")?;
        self.weaker.iter().try_for_each(|weaker| write!(f, "; {weaker}"))
    }
}

/// A process that has all layers but the last, so that it may still start its threads.
#[must_use]
pub struct PartlyConfined {
    terms: Terms,
    filter: SyscallFilter,
    held: Confinement,
}

/// Takes all layers. No thread may run yet.
pub fn enter(rights: &Rights, grants: &Grants<'_>, terms: &Terms) -> Result<Confinement, Fault> {
    begin(rights, grants, terms)?.finish()
}

/// Takes the first two layers, which bind this thread and all that it starts. No other may run yet.
pub fn begin(rights: &Rights, grants: &Grants<'_>, terms: &Terms) -> Result<PartlyConfined, Fault> {
    if !is_single_threaded() {
        return Err(Fault::Internal("a process has started threads before its confinement"));
    }
    let filter = SyscallFilter::of(rights)?;
    let mut held = Confinement::default();
    if let Some(weaker) = terms.take(Layer::Namespaces, &mut held, || namespaces::enter(rights, grants))? {
        held.namespaces = true;
        held.weaker.extend(weaker);
    }
    held.landlock_abi = terms.take(Layer::Landlock, &mut held, || landlock::enter(rights, grants))?;
    Ok(PartlyConfined { terms: terms.clone(), filter, held })
}

impl PartlyConfined {
    /// Takes the last layer, for all threads.
    pub fn finish(mut self) -> Result<Confinement, Fault> {
        let filter = &self.filter;
        self.held.filter =
            self.terms.take(Layer::Seccomp, &mut self.held, || filter.apply().map(|()| filter.digest))?;
        Ok(self.held)
    }
}

impl Terms {
    fn take<T>(
        &self,
        layer: Layer,
        held: &mut Confinement,
        enter: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        if self.only.is_some_and(|only| only != layer) {
            return Ok(None);
        }
        match enter() {
            Ok(got) => Ok(Some(got)),
            Err(fault @ Fault::Unconfined { .. }) if self.waived.contains(&layer) => {
                held.weaker.push(format!("{fault}, which the config accepts"));
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// A few attempts by this very process, which has taken all layers: a proof on the living. Fault: one
/// was let in.
pub fn probe() -> Result<(), Fault> {
    match attempts::probe() {
        None => Ok(()),
        Some(name) => Err(Fault::Escape(format!("nothing stops the system call {name} in this process"))),
    }
}

/// The fault that `layer` cannot be had.
fn missing(layer: Layer, why: &str) -> Fault {
    Fault::Unconfined { layer: layer.to_string(), why: why.to_owned() }
}

/// True if a filter of system calls is in force for this process: before ours, that of a container or a systemd unit.
fn is_filtered() -> bool {
    use rustix::thread::{SecureComputingMode, secure_computing_mode};
    secure_computing_mode().is_ok_and(|mode| mode == SecureComputingMode::Filter)
}

/// True if this process has one thread only.
fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}
