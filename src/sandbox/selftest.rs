//! Self-test of the confinement on this kernel, now: every attempt, in every role, with everything that
//! it is to reach planted for it. First without any layer, where it must succeed or does not apply
//! here; then with each layer alone, which shows what each is worth; then with all, where nothing
//! may succeed but what the role's row allows, and that must.

use std::path::Path;

use serde::Serialize;

use super::attempts::{self, EscapeAttempt};
use super::decoys::{Decoys, Ran, Trying};
use super::rights::Rights;
use super::trial::{Layers, Tried};
use super::{Confinement, Layer};
use base::Fault;

/// One attempt in one role.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Row {
    /// Description of the attempt.
    pub attempt: &'static str,
    /// True if the role's rights allow it.
    pub allowed: bool,
    /// Without any layer; absent in the short form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<Tried>,
    /// The layers that stop it alone.
    pub alone: Vec<Layer>,
    /// With the layers of this run.
    pub inside: Tried,
}

/// End of a finding about an act that was stopped and that the process needs for its own work.
pub const WORK: &str = ", which is its work";

/// Result of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Not allowed, and stopped.
    Stopped,
    /// Allowed, and succeeded.
    Works,
    /// Not possible outside either: this kernel or this user cannot do it.
    NotHere,
    /// Not allowed, and succeeded.
    Escape,
    /// Allowed, and stopped.
    Broken,
}

impl Row {
    /// Words for the result.
    pub fn outcome(&self) -> AttemptOutcome {
        match (self.allowed, self.inside) {
            (true, Tried::Done) => AttemptOutcome::Works,
            (true, _) => AttemptOutcome::Broken,
            (false, Tried::Done) => AttemptOutcome::Escape,
            (false, _) if self.outside.is_some_and(|outside| outside != Tried::Done) => AttemptOutcome::NotHere,
            (false, _) => AttemptOutcome::Stopped,
        }
    }
}

/// One role's part.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RoleReport {
    /// The role's name.
    pub role: &'static str,
    /// Rights in words.
    #[serde(skip)]
    pub may: &'static str,
    /// Confinement that it reported.
    pub held: Confinement,
    /// Each attempt.
    pub rows: Vec<Row>,
}

/// Extent of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTestExtent {
    /// Outside, with each layer alone, and with all.
    Full,
    /// With all layers only.
    Short,
    /// Outside, and with this layer only.
    Alone(Layer),
}

/// Runs the self-test of these roles. `state` is where the real state lies, whose config says which
/// layers this site does without. Fault: it could not be run.
pub fn run(state: &Path, roles: &[&'static Rights], form: SelfTestExtent) -> Result<Vec<RoleReport>, Fault> {
    let decoys = Decoys::plant()?;
    let all: Vec<&EscapeAttempt> = attempts::all().collect();
    let start = |role: &'static Rights, layers: Layers| decoys.start(state, role, layers, all.len());
    // Outside no role is another.
    let outside = match (form, roles.first()) {
        (SelfTestExtent::Short, _) | (_, None) => None,
        (_, Some(role)) => Some(start(role, Layers::None)?),
    };
    // All at once: what they say fits into their pipes until it is read.
    let mut trying = Vec::new();
    for role in roles {
        let alone = match form {
            SelfTestExtent::Full => {
                Layer::ALL.iter().map(|layer| start(role, Layers::Only(*layer))).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        let inside = match form {
            SelfTestExtent::Alone(layer) => start(role, Layers::Only(layer))?,
            _ => start(role, Layers::All)?,
        };
        trying.push((role, alone, inside));
    }
    let outside = outside.map(|trying| trying.finish().map(|ran| ran.tried)).transpose()?;
    let mut parts = Vec::new();
    for (role, alone, inside) in trying {
        let alone: Vec<Ran> = alone.into_iter().map(Trying::finish).collect::<Result<_, _>>()?;
        let inside = inside.finish()?;
        if let Some(fault) = inside.missing {
            return Err(fault);
        }
        let rows = all.iter().zip(&inside.tried).enumerate().map(|(number, (attempt, inside))| Row {
            attempt: attempt.name,
            allowed: role.work.contains(&attempt.name),
            outside: outside.as_ref().and_then(|outside| outside.get(number).copied()),
            alone: Layer::ALL
                .iter()
                .zip(&alone)
                .filter(|(_, ran): &(&Layer, &Ran)| {
                    ran.missing.is_none() && ran.tried.get(number) != Some(&Tried::Done)
                })
                .map(|(layer, _)| *layer)
                .collect(),
            inside: *inside,
        });
        parts.push(RoleReport { role: role.name, may: role.may, rows: rows.collect(), held: inside.held.clone() });
    }
    Ok(parts)
}

/// Faults in words.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The attempts that got through, and the work that did not.
    pub faults: Vec<String>,
    /// Attempts that got through where a layer is missing which the config does without.
    pub exposed: Vec<String>,
}

impl Findings {
    /// Faults of these roles.
    pub fn of(parts: &[RoleReport]) -> Self {
        let mut found = Self::default();
        for part in parts {
            let held = &part.held;
            let whole = held.namespaces && held.landlock_abi.is_some() && held.filter.is_some();
            for row in &part.rows {
                let what = format!("{}: {}", part.role, row.attempt);
                match row.outcome() {
                    AttemptOutcome::Escape if whole => found.faults.push(what),
                    AttemptOutcome::Escape => found.exposed.push(what),
                    AttemptOutcome::Broken => found.faults.push(format!("{what}{WORK}")),
                    AttemptOutcome::Stopped | AttemptOutcome::Works | AttemptOutcome::NotHere => {}
                }
            }
        }
        found
    }
}
