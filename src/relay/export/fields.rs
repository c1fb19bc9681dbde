//! Fields of an entry that all formats share.

use super::ExportEntry;
use crate::log::Event;
use base::{Operator, Reason};
use inspect::Counts;
use sandbox::report::SelfTest;
use serve::journal::Attempt;

/// Fields that collectors look for; `None` where an entry has no such field.
#[derive(Default)]
pub(crate) struct EventFields<'a> {
    /// Reason code of a refusal or a withheld file.
    pub reason: Option<Reason>,
    /// Facts of a refusal, escaped.
    pub detail: Option<&'a str>,
    /// Operator who imports.
    pub operator: Option<&'a Operator>,
    /// Officer who decides.
    pub officer: Option<&'a str>,
    /// Decision (approve, refuse, withdraw, downgrade), or the order of a directive.
    pub decision: Option<&'a str>,
    /// Object: the release as FEED/VERSION, the bundle's folder, or the channel.
    pub object: Option<String>,
    /// Path of the medium or of a file.
    pub path: Option<&'a str>,
    /// Number of files with each verdict.
    pub counts: Option<Counts>,
    /// Refused request of an agent.
    pub attempt: Option<&'a Attempt>,
    /// True if the operation succeeded; `None` if the entry records no result.
    pub success: Option<bool>,
}

impl<'a> EventFields<'a> {
    /// Reads the fields of an entry.
    pub(crate) fn of(exported: &ExportEntry<'a>) -> Self {
        let none = Self::default();
        if let Some((_, verdict)) = exported.file {
            return Self { reason: verdict.reason, path: Some(&verdict.path), success: Some(true), ..none };
        }
        match &exported.entry.event {
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
            Event::Collected { releases } => Self { object: Some(releases.join(" ")), success: Some(true), ..none },
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
            Event::AlreadyHere { feed, version, .. } | Event::Recorded { feed, version, .. } => {
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
            Event::ConfigChanged { .. } => Self { object: Some("config.toml".into()), success: Some(true), ..none },
            Event::SelfTest(SelfTest { by: None, findings, .. }) => Self { success: Some(findings.is_empty()), ..none },
            // What a process says of itself is no success of a test, and a failure all the same.
            Event::SelfTest(SelfTest { by: Some(by), findings, .. }) => Self {
                object: Some(format!("{by}, of itself")),
                success: (!findings.is_empty()).then_some(false),
                ..none
            },
            Event::Attempt(attempt) => Self { attempt: Some(attempt), ..none },
            Event::MediumRead { .. } | Event::Interrupted { .. } | Event::Cosigned { .. } | Event::Anchored { .. } => {
                none
            }
        }
    }
}

/// Message of a line: the sentence for the entry, or for the file.
pub(crate) fn sentence(exported: &ExportEntry<'_>) -> String {
    match exported.file {
        Some((_, verdict)) => {
            let path = base::quoted(&verdict.path);
            match &exported.entry.event {
                Event::Imported { feed, version, .. } => {
                    format!("{feed}/{version}: file {path} {} [{}]", verdict.decision.word(), verdict.why())
                }
                _ => format!("file {path} {} [{}]", verdict.decision.word(), verdict.why()),
            }
        }
        None => crate::report::event_text(&exported.entry.event),
    }
}
