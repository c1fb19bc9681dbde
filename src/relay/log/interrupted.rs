//! Interrupted work: intents of the import log without an outcome, after the relay was cut.

use std::collections::BTreeSet;
use std::path::Path;

use super::Event;
use crate::log::reading::each_between;
use base::Fault;

/// Finds the medium that was being read when the relay was interrupted. Keyrings are put in force in that time, and
/// what officers hand in is judged, so that such entries may stand between.
pub(crate) fn interrupted_medium(folder: &Path, size: u64) -> Result<Option<u64>, Fault> {
    let mut end = size;
    let (mut closed, mut next) = (BTreeSet::new(), None);
    while end > 0 {
        let begin = end.saturating_sub(32);
        let mut entries = Vec::new();
        each_between(folder, (begin, end), size, |number, _, entry| {
            entries.push((number, entry.event));
            Ok(())
        })?;
        for (number, event) in entries.into_iter().rev() {
            match &event {
                // An import that failed directly after this entry is its outcome: the medium could not be searched.
                Event::MediumOpened { .. } if matches!(next, Some(Event::ImportFailed { .. })) => return Ok(None),
                Event::MediumOpened { .. } => return Ok(Some(number).filter(|number| !closed.contains(number))),
                Event::Interrupted { intent } => _ = closed.insert(*intent),
                Event::ImportStarted { .. }
                | Event::KeyringReplaced { .. }
                | Event::ImportRefused { .. }
                | Event::ImportFailed { .. }
                | Event::Statement { .. }
                | Event::StatementRefused { .. }
                | Event::Directive { .. }
                | Event::Cosigned { .. }
                | Event::CosignatureRefused { .. }
                | Event::PublishStarted { .. }
                | Event::Published { .. } => {}
                _ => return Ok(None),
            }
            next = Some(event);
        }
        end = begin;
    }
    Ok(None)
}
