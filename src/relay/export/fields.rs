//! What a line says of an entry beside its sentence, gathered once for all formats.

use super::Told;
use crate::log::Event;
use base::{Operator, Reason};
use inspect::Counts;
use serve::journal::Attempt;

/// The parts of an entry that collectors look for; what an entry does not have is left out.
#[derive(Default)]
pub struct Fields<'a> {
    /// Why something was refused or withheld.
    pub reason: Option<Reason>,
    /// The facts of a refusal, escaped.
    pub detail: Option<&'a str>,
    /// Who imports.
    pub operator: Option<&'a Operator>,
    /// Who decides.
    pub officer: Option<&'a str>,
    /// approve, refuse or withdraw; what a directive orders.
    pub decision: Option<&'a str>,
    /// The release, as FEED/VERSION, the bundle's folder, or the channel.
    pub object: Option<String>,
    /// A path: of the medium, or of a file.
    pub path: Option<&'a str>,
    /// How many of which verdict.
    pub counts: Option<Counts>,
    /// What an agent attempted.
    pub attempt: Option<&'a Attempt>,
    /// Whether what was tried succeeded, where it was tried.
    pub success: Option<bool>,
}

impl<'a> Fields<'a> {
    /// Those of `told`.
    pub fn of(told: &Told<'a>) -> Self {
        let none = Self::default();
        if let Some((_, verdict)) = told.file {
            return Self { reason: verdict.reason, path: Some(&verdict.path), success: Some(true), ..none };
        }
        match &told.entry.event {
            Event::MediumOpened { medium, operator, .. } => {
                Self { operator: Some(operator), path: Some(medium), success: Some(true), ..none }
            }
            Event::ImportStarted { bundle, operator, .. } => {
                Self { operator: Some(operator), object: Some(bundle.clone()), ..none }
            }
            Event::Imported { feed, version, counts, .. } => {
                let object = Some(format!("{feed}/{version}"));
                Self { object, counts: Some(*counts), success: Some(true), ..none }
            }
            Event::KeyringReplaced { version, .. } => {
                Self { object: Some(format!("keyring {version}")), success: Some(true), ..none }
            }
            Event::Directive { officer, order, .. } => Self {
                officer: Some(officer),
                decision: Some(order),
                object: Some("directive".into()),
                success: Some(true),
                ..none
            },
            Event::AlreadyHere { feed, version, .. } => {
                Self { object: Some(format!("{feed}/{version}")), success: Some(true), ..none }
            }
            Event::MediumRefused { reason, detail }
            | Event::ImportRefused { reason, detail, .. }
            | Event::StatementRefused { reason, detail, .. }
            | Event::CosignatureRefused { reason, detail } => {
                Self { reason: Some(*reason), detail: Some(detail), success: Some(false), ..none }
            }
            Event::PublishRefused { channel, reason, detail } => Self {
                reason: Some(*reason),
                detail: Some(detail),
                object: Some(channel.clone()),
                success: Some(false),
                ..none
            },
            Event::ImportFailed { fault } => Self { detail: Some(fault), success: Some(false), ..none },
            Event::Statement { feed, version, decision, officer, .. } => Self {
                officer: Some(officer),
                decision: Some(decision),
                object: Some(format!("{feed}/{version}")),
                success: Some(true),
                ..none
            },
            Event::Repaired { officers, .. } => Self {
                officer: officers.first().map(|repairer| repairer.officer.as_str()),
                object: Some("trust".into()),
                success: Some(true),
                ..none
            },
            Event::PublishStarted { channel, .. } => Self { object: Some(channel.clone()), ..none },
            Event::Published { channel, .. } => Self { object: Some(channel.clone()), success: Some(true), ..none },
            Event::Initialised { relay, .. } => Self { object: Some(relay.clone()), success: Some(true), ..none },
            Event::SelfTest(result) => Self { success: Some(result.findings.is_empty()), ..none },
            Event::Attempt(attempt) => Self { attempt: Some(attempt), ..none },
            Event::MediumRead { .. } | Event::Interrupted { .. } | Event::Cosigned { .. } | Event::Anchored { .. } => {
                none
            }
        }
    }
}

/// The sentence that a line has: the entry's, or the file's.
pub fn sentence(told: &Told<'_>) -> String {
    match told.file {
        Some((_, verdict)) => {
            let path = base::quoted(&verdict.path);
            match &told.entry.event {
                Event::Imported { feed, version, .. } => {
                    format!("{feed}/{version}: {} {path} [{}]", verdict.decision.word(), verdict.why())
                }
                _ => format!("{} {path} [{}]", verdict.decision.word(), verdict.why()),
            }
        }
        None => crate::report::words(&told.entry.event),
    }
}
