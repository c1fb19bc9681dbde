//! Evidence: what the server saw becomes entries of the access log, which is bound to the import log.

use super::append_once;
use crate::keeper::Keeper;
use crate::log::{Event, Log, journal};
use crate::state::Anchor;
use base::{Digest, Fault, durable};
use tlog::compare::began_with;
use tlog::note::Checkpoint;

/// Takes the server's journal into the access log. Gives how many attempts there were, and the log's head.
pub(super) fn collect(keeper: &Keeper) -> Result<(usize, Checkpoint), Fault> {
    let folder = keeper.state.access_log();
    durable::sweep(&folder)?;
    let mut access = Log::open(&folder)?;
    if keeper.check_clock().is_ok() {
        // It is later than all this relay has seen, so what is dated after it was dated by a clock that was turned back.
        access.turn_back(keeper.now);
    }
    let evidence = journal::drain(&folder, &mut access, keeper.now, keeper.config.serve.journal.0)?;
    Ok((evidence, access.head()))
}

/// Binds the access log to the import log: its head stands there, and an access log that is not what stood
/// there before is damage.
pub(super) fn anchor_access_log(keeper: &mut Keeper, head: &Checkpoint) -> Result<(), Fault> {
    let folder = keeper.state.access_log();
    let damaged = |what: String| Fault::damaged(folder.to_string_lossy(), what);
    let next = Anchor { size: head.size, root: Digest(head.root) };
    if let Some(before) = keeper.trust.anchored.as_ref().filter(|before| **before != next) {
        if before.size > head.size {
            return Err(damaged(format!(
                "it is shorter than the import log says: {} entries on record, {} left. Restore it from a backup: gaprelay help backup",
                before.size, head.size
            )));
        }
        if !began_with(&folder, head.size, (before.size, &before.root.0))? {
            return Err(damaged(format!(
                "its first {} entries differ from those that the import log has on record. Restore it from a backup: gaprelay help backup",
                before.size
            )));
        }
    }
    if head.size > 0 && keeper.trust.anchored.as_ref() != Some(&next) {
        append_once(keeper, vec![Event::Anchored { log: head.origin.clone(), size: next.size, root: next.root }])?;
        let mut trust = keeper.trust.clone();
        trust.anchored = Some(next);
        keeper.replace_trust(trust)?;
    }
    Ok(())
}
