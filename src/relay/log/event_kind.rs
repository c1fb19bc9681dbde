//! Kinds of event: the value of `type` in an entry of a log.

use super::Event;

impl Event {
    /// All kinds of event, in the order of their definition.
    pub const KINDS: [&str; 26] = [
        "initialised",
        "config-changed",
        "medium-opened",
        "medium-read",
        "medium-refused",
        "import-started",
        "imported",
        "recorded",
        "collected",
        "keyring-replaced",
        "already-here",
        "import-refused",
        "import-failed",
        "statement",
        "directive",
        "repaired",
        "statement-refused",
        "publish-started",
        "published",
        "publish-refused",
        "interrupted",
        "cosigned",
        "cosignature-refused",
        "anchored",
        "self-test",
        "attempt",
    ];

    /// Text that stands in the bytes of each entry of this kind, and of few others.
    pub fn needle(kind: &str) -> String {
        format!(r#""type":"{kind}""#)
    }

    /// Kind of the event: the value of `type` in its entry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Initialised { .. } => "initialised",
            Self::ConfigChanged { .. } => "config-changed",
            Self::MediumOpened { .. } => "medium-opened",
            Self::MediumRead { .. } => "medium-read",
            Self::MediumRefused { .. } => "medium-refused",
            Self::ImportStarted { .. } => "import-started",
            Self::Imported { .. } => "imported",
            Self::Recorded { .. } => "recorded",
            Self::Collected { .. } => "collected",
            Self::KeyringReplaced { .. } => "keyring-replaced",
            Self::AlreadyHere { .. } => "already-here",
            Self::ImportRefused { .. } => "import-refused",
            Self::ImportFailed { .. } => "import-failed",
            Self::Statement { .. } => "statement",
            Self::Directive { .. } => "directive",
            Self::Repaired { .. } => "repaired",
            Self::StatementRefused { .. } => "statement-refused",
            Self::PublishStarted { .. } => "publish-started",
            Self::Published { .. } => "published",
            Self::PublishRefused { .. } => "publish-refused",
            Self::Interrupted { .. } => "interrupted",
            Self::Cosigned { .. } => "cosigned",
            Self::CosignatureRefused { .. } => "cosignature-refused",
            Self::Anchored { .. } => "anchored",
            Self::SelfTest(_) => "self-test",
            Self::Attempt(_) => "attempt",
        }
    }
}
