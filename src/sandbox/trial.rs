//! One trial of the self-test: a process with some of the layers, which tries everything and says what became of it.

use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use base::error::IoContext as _;
use base::{Fault, durable, raw};
use serde::{Deserialize, Serialize};

use super::attempts::{self, AttemptTargets, EscapeAttempt};
use super::rights::Rights;
use super::{Confinement, Grants, Layer, Terms, enter};

/// Result of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Tried {
    /// Succeeded.
    Done,
    /// Failed with this errno.
    Errno(i32),
    /// The kernel ended the process with this signal.
    Signal(i32),
}

/// Layers that a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layers {
    /// None: outside.
    None,
    /// One alone.
    Only(Layer),
    /// All, as in earnest.
    All,
}

impl Layers {
    /// Name of the layers.
    pub fn word(self) -> String {
        match self {
            Self::None => "none".into(),
            Self::Only(layer) => layer.to_string(),
            Self::All => "all".into(),
        }
    }

    /// The layers of this name.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "all" => Some(Self::All),
            _ => Layer::ALL.into_iter().find(|layer| layer.to_string() == word).map(Self::Only),
        }
    }
}

/// Report of a process that tries to get out.
#[derive(Serialize, Deserialize)]
pub enum TrialLine {
    /// Confinement of the process.
    Confinement(Confinement),
    /// A layer that it should take cannot be had: the layer's name, and the cause.
    Missing(String, String),
    /// Result of the attempt of this number.
    Tried(usize, Tried),
}

/// The numbers of the attempts, the one last that a filter answers by ending the process.
pub fn order() -> impl Iterator<Item = usize> {
    let gate = |attempt: &&EscapeAttempt| attempt.name.contains("int 0x80");
    let first = attempts::all().enumerate().filter(move |(_, attempt)| !gate(attempt));
    let last = attempts::all().enumerate().filter(move |(_, attempt)| gate(attempt));
    first.chain(last).map(|(number, _)| number)
}

/// Takes these layers in the role of `rights`, then tries everything and says what became of each.
pub fn run(rights: &Rights, layers: Layers, targets: &str, terms: &Terms) -> Result<(), Fault> {
    let wrong = || Fault::Internal("the list of the self-test's decoys cannot be read");
    let mut targets: AttemptTargets = serde_json::from_str(targets).map_err(|_| wrong())?;
    if matches!(layers, Layers::All | Layers::Only(Layer::Namespaces)) {
        // As every process of ours does when it starts; not before, so that one run has the leak.
        raw::close_from(3)?;
    }
    targets.token = attempts::token()?;
    let medium = std::fs::File::open(targets.medium()).map_err(|_| wrong())?;
    let state = targets.state();
    // As those roles do that append to one, each to its own.
    let journal = durable::open_append(&state.join(rights.appends.unwrap_or("log/access/journal")))?;
    targets.journal = journal.as_raw_fd();
    let grants = Grants { state: &state, medium: Some(medium.as_fd()) };
    let entered = match layers {
        Layers::None => Ok(Confinement::default()),
        Layers::All => enter(rights, &grants, terms),
        Layers::Only(layer) => enter(rights, &grants, &Terms { only: Some(layer), waived: vec![] }),
    };
    let held = match entered {
        // Nothing was tried, so nothing got out: whoever runs the test says which layer is missing, and why.
        Err(Fault::Unconfined { layer, why }) => return say(&TrialLine::Missing(layer, why)),
        entered => entered?,
    };
    // Where nothing stops a call, what it does must not befall the process that goes on trying.
    let forks = held.filter.is_none();
    say(&TrialLine::Confinement(held))?;
    for number in order() {
        let Some(attempt) = attempts::all().nth(number) else { continue };
        let tried = if forks {
            let ended = raw::in_child(|| code((attempt.run)(&targets)));
            match ended.during("start a child process of", Path::new("the self-test"))? {
                Ok(0) => Tried::Done,
                Ok(errno) => Tried::Errno(i32::from(errno)),
                Err(signal) => Tried::Signal(signal),
            }
        } else {
            match code((attempt.run)(&targets)) {
                0 => Tried::Done,
                errno => Tried::Errno(i32::from(errno)),
            }
        };
        say(&TrialLine::Tried(number, tried))?;
    }
    Ok(())
}

/// 0, or the errno; all of them are below 256.
fn code(done: std::io::Result<()>) -> u8 {
    match done {
        Ok(()) => 0,
        Err(e) => e.raw_os_error().and_then(|errno| u8::try_from(errno).ok()).unwrap_or(u8::MAX),
    }
}

fn say(line: &TrialLine) -> Result<(), Fault> {
    let failed = |_| Fault::Internal("the process that runs the self-test has ended");
    let mut text =
        serde_json::to_vec(line).map_err(|_| Fault::Internal("a result of the self-test cannot be written as JSON"))?;
    text.push(b'\n');
    // Not through a buffer: what follows may end this process.
    let mut out = std::io::stdout().lock();
    out.write_all(&text).and_then(|()| out.flush()).map_err(failed)
}
