//! Proof that the cage holds on this kernel, now: every attempt, in every role, with everything that
//! it is to reach planted for it. First without any layer, where it must succeed or does not apply
//! here; then with each layer alone, which shows what each is worth; then with all, where nothing
//! may succeed but what the role's row allows, and that must.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::attempts::{self, Attempt};
use super::ground::{Ground, Ran, Trying};
use super::{Held, Layer, Role};
use crate::base::Fault;

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Tried {
    /// It succeeded.
    Done,
    /// It failed with this errno.
    Errno(i32),
    /// The kernel ended the process with this signal.
    Signal(i32),
}

/// One attempt in one role.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Row {
    /// What was tried.
    pub attempt: &'static str,
    /// Whether the role's rights allow it.
    pub allowed: bool,
    /// Without any layer; absent in the short form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<Tried>,
    /// The layers that stop it alone.
    pub alone: Vec<Layer>,
    /// With the layers of this run.
    pub inside: Tried,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not allowed and was stopped.
    Stopped,
    /// It is allowed and succeeded.
    Works,
    /// It does not succeed outside either: this kernel or this user cannot do it.
    NotHere,
    /// It is not allowed and succeeded.
    Escape,
    /// It is allowed and was stopped.
    Broken,
}

impl Row {
    /// What it says.
    pub fn outcome(&self) -> Outcome {
        match (self.allowed, self.inside) {
            (true, Tried::Done) => Outcome::Works,
            (true, _) => Outcome::Broken,
            (false, Tried::Done) => Outcome::Escape,
            (false, _) if self.outside.is_some_and(|outside| outside != Tried::Done) => Outcome::NotHere,
            (false, _) => Outcome::Stopped,
        }
    }
}

/// One role's part.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Part {
    /// The role.
    pub role: Role,
    /// What it holds.
    pub held: Held,
    /// Each attempt.
    pub rows: Vec<Row>,
}

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Outside, with each layer alone, and with all.
    Full,
    /// With all layers only.
    Short,
    /// Outside, and with this layer only.
    Alone(Layer),
}

/// Runs the self-test of these roles. `state` is where the real state lies, whose config says which
/// layers this site does without. Fault: it could not be run.
pub fn run(state: &Path, roles: &[Role], form: Form) -> Result<Vec<Part>, Fault> {
    let ground = Ground::plant()?;
    let all: Vec<&Attempt> = attempts::all().collect();
    let start = |role: Role, layers: Layers| ground.start(state, role, layers, all.len());
    let outside = match form {
        Form::Short => None,
        _ => Some(start(Role::Keeper, Layers::None)?),
    };
    // All at once: what they say fits into their pipes until it is read.
    let mut trying = Vec::new();
    for role in roles {
        let alone = match form {
            Form::Full => {
                Layer::ALL.iter().map(|layer| start(*role, Layers::Only(*layer))).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        let inside = match form {
            Form::Alone(layer) => start(*role, Layers::Only(layer))?,
            _ => start(*role, Layers::All)?,
        };
        trying.push((role, alone, inside));
    }
    let outside = outside.map(|trying| trying.finish().map(|ran| ran.tried)).transpose()?;
    let mut parts = Vec::new();
    for (role, alone, inside) in trying {
        let alone: Vec<Ran> = alone.into_iter().map(Trying::finish).collect::<Result<_, _>>()?;
        let inside = inside.finish()?;
        let rows = all.iter().zip(&inside.tried).enumerate().map(|(number, (attempt, inside))| Row {
            attempt: attempt.name,
            allowed: attempt.is_allowed(*role),
            outside: outside.as_ref().and_then(|outside| outside.get(number).copied()),
            alone: Layer::ALL
                .iter()
                .zip(&alone)
                .filter(|(_, ran): &(&Layer, &Ran)| !ran.missing && ran.tried.get(number) != Some(&Tried::Done))
                .map(|(layer, _)| *layer)
                .collect(),
            inside: *inside,
        });
        parts.push(Part { role: *role, rows: rows.collect(), held: inside.held.clone() });
    }
    Ok(parts)
}

/// What is not as it should be, in words.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The attempts that got through, and the work that did not.
    pub faults: Vec<String>,
    /// Attempts that got through where a layer is missing which the config does without.
    pub exposed: Vec<String>,
}

impl Findings {
    /// Those of these parts.
    pub fn of(parts: &[Part]) -> Self {
        let mut found = Self::default();
        for part in parts {
            let held = &part.held;
            let whole = held.namespaces && held.landlock_abi.is_some() && held.filter.is_some();
            for row in &part.rows {
                let what = format!("{}: {}", part.role, row.attempt);
                match row.outcome() {
                    Outcome::Escape if whole => found.faults.push(what),
                    Outcome::Escape => found.exposed.push(what),
                    Outcome::Broken => found.faults.push(format!("{what}, which is its work")),
                    Outcome::Stopped | Outcome::Works | Outcome::NotHere => {}
                }
            }
        }
        found
    }
}

/// Which layers a run takes.
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
    /// Its name.
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

/// What a process that tries says of it.
#[derive(Serialize, Deserialize)]
pub enum Line {
    /// What it holds.
    Held(Held),
    /// The layer it should hold alone cannot be had.
    Missing,
    /// What became of the attempt of this number.
    Tried(usize, Tried),
}

/// The numbers of the attempts, the one last that a filter answers by ending the process.
pub fn order() -> impl Iterator<Item = usize> {
    let gate = |attempt: &&Attempt| attempt.name.contains("int 0x80");
    let first = attempts::all().enumerate().filter(move |(_, attempt)| !gate(attempt));
    let last = attempts::all().enumerate().filter(move |(_, attempt)| gate(attempt));
    first.chain(last).map(|(number, _)| number)
}

/// The process that tries. It was started for nothing else.
pub mod child {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    use super::super::attempts::{self, Targets};
    use super::super::{Grants, Layer, Role, Terms, enter};
    use super::{Layers, Line, Tried, order};
    use crate::base::{Fault, raw};

    /// Takes these layers as `role`, then tries everything and says what became of each.
    pub fn run(role: Role, layers: Layers, targets: &str, terms: &Terms) -> Result<(), Fault> {
        let wrong = || Fault::Internal("the targets cannot be read");
        let targets: Targets = serde_json::from_str(targets).map_err(|_| wrong())?;
        if matches!(layers, Layers::All | Layers::Only(Layer::Namespaces)) {
            // As every process of ours does when it starts; not before, so that one run has the leak.
            raw::close_from(3)?;
        }
        let medium = std::fs::File::open(targets.medium()).map_err(|_| wrong())?;
        let state = targets.state();
        let grants = Grants { state: &state, medium: Some(medium.as_fd()) };
        let held = match layers {
            Layers::None => super::Held::default(),
            Layers::All => enter(role, &grants, terms)?,
            Layers::Only(layer) => match enter(role, &grants, &Terms { only: Some(layer), waived: vec![] }) {
                Err(Fault::Unconfined { .. }) => return say(&Line::Missing),
                held => held?,
            },
        };
        // Where nothing stops a call, what it does must not befall the process that goes on trying.
        let forks = held.filter.is_none();
        say(&Line::Held(held))?;
        for number in order() {
            let Some(attempt) = attempts::all().nth(number) else { continue };
            let tried = if forks {
                let ended = raw::in_child(|| code((attempt.run)(&targets)));
                match ended.map_err(|_| Fault::Internal("the self-test cannot fork"))? {
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
            say(&Line::Tried(number, tried))?;
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

    fn say(line: &Line) -> Result<(), Fault> {
        let failed = |_| Fault::Internal("the self-test lost whom it tells");
        let mut text = serde_json::to_vec(line).map_err(|_| Fault::Internal("a line cannot be written"))?;
        text.push(b'\n');
        // Not through a buffer: what follows may end this process.
        let mut out = std::io::stdout().lock();
        out.write_all(&text).and_then(|()| out.flush()).map_err(failed)
    }
}
