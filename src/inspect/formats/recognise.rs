//! The kind of an artifact, told by its name, its first bytes and whether all of it is plain text.

use super::seen::{FirstBytes, extension, is_archive};
use super::text::TextState;
use super::{FORMATS, clamav, foreign, submission};
use crate::kind::{HEAD, Kind};
use base::Reason;

/// The one kind the bytes show, or why they show none that may pass.
/// Reasons: `content-empty`, `kind-executable`, `kind-script`, `kind-archive`, `kind-document`,
/// `kind-compiled`, `text-control`, `text-encoding`, `kind-unknown`.
/// `rule-submits` for a text of no kind that sets an engine to send something; with the line, if there is one.
pub(super) fn recognise(path: &str, head: &[u8], state: TextState) -> Result<Kind, (Reason, Option<u64>)> {
    let extension = extension(path);
    if head.is_empty() {
        return Err((Reason::ContentEmpty, None));
    }
    if let Some(reason) = foreign::recognise(&extension, head).filter(|_| !is_archive(path, head)) {
        return Err((reason, None));
    }
    let whole = if head.len() < HEAD {
        head
    } else {
        head.get(..head.iter().rposition(|b| *b == b'\n').unwrap_or(0)).unwrap_or_default()
    };
    let text = str::from_utf8(whole).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    // The kinds are tried as if the text were plain, so that a text kind with one bad character is
    // named for that character and not called unknown.
    let seen = FirstBytes { path, extension: &extension, head, lines: Some(&lines) };
    let found = FORMATS.iter().find(|format| (format.recognise)(&seen)).map(|format| format.kind);
    let binary = matches!(found, Some(Kind::ClamavCvd | Kind::ClamavCdiff | Kind::RulesArchive));
    let reason = match (found, state) {
        (Some(kind), _) if binary => return Ok(kind),
        (Some(kind), TextState::Plain) => return Ok(kind),
        (Some(_), TextState::Control) => Reason::TextControl,
        (_, TextState::NotUtf8) if is_text_extension(&extension) => Reason::TextEncoding,
        (_, TextState::Control) if is_text_extension(&extension) => Reason::TextControl,
        (None, TextState::Plain) => match submission::line_that_submits(&lines) {
            Some(line) => return Err((Reason::RuleSubmits, Some(line))),
            None => Reason::KindUnknown,
        },
        _ => Reason::KindUnknown,
    };
    Err((reason, None))
}

fn is_text_extension(extension: &str) -> bool {
    const TEXT: &[&str] =
        &["rules", "yar", "yara", "yml", "yaml", "json", "txt", "list", "csv", "sign", "config", "conf", "map"];
    TEXT.contains(&extension) || clamav::is_text_extension(extension)
}
