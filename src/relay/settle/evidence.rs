//! Evidence: what the server and the sinkhole saw becomes entries of the access log, which is bound to the import log.

use std::path::Path;

use super::append_once;
use crate::keeper::Keeper;
use crate::log::{Event, Log, journal};
use crate::state::Anchor;
use base::{Digest, Fault, durable};
use tlog::compare::began_with;
use tlog::note::Checkpoint;

/// Takes the journals into the access log, which must be the one that the import log has on record, and binds it to the
/// import log: its head stands there. Gives how many attempts there were. Stopping is safe: what was not taken is still
/// in its journal, and the log goes on from what is bound. A journal that cannot be opened keeps no other from being
/// taken.
pub(super) fn collect(keeper: &mut Keeper) -> Result<usize, Fault> {
    let folder = keeper.state.access_log();
    durable::sweep(&folder)?;
    let mut access = Log::open(&folder)?;
    // Evidence that went into another log would be gone with that.
    check_anchor(keeper, &folder, &access.head())?;
    if keeper.check_clock().is_ok() {
        // It is later than all this relay has seen, so what is dated after it was dated by a clock that was turned
        // back.
        access.turn_back(keeper.now);
    }
    let drained = journal::drain(&folder, &mut access, keeper.now, keeper.config.serve.journal.0)?;
    let head = access.head();
    let next = Anchor { size: head.size, root: Digest(head.root) };
    if head.size > 0 && keeper.trust.anchored.as_ref() != Some(&next) {
        append_once(keeper, vec![Event::Anchored { log: head.origin.clone(), size: next.size, root: next.root }])?;
        let mut trust = keeper.trust.clone();
        trust.anchored = Some(next);
        keeper.replace_trust(trust)?;
    }
    let mut faults = drained.faults.into_iter();
    let first = faults.next();
    keeper.put_off.extend(faults);
    first.map_or(Ok(drained.attempts), Err)
}

/// Checks that the access log with this head grew from what the import log has on record. Fault: it is another one, or
/// shorter.
fn check_anchor(keeper: &Keeper, folder: &Path, head: &Checkpoint) -> Result<(), Fault> {
    let Some(before) = &keeper.trust.anchored else { return Ok(()) };
    let damaged = |what: String| Fault::damaged(folder.to_string_lossy(), what);
    if before.size > head.size {
        return Err(damaged(format!(
            "it is shorter than the import log says: {} entries on record, {} left. Restore it from a backup: gaprelay help backup",
            before.size, head.size
        )));
    }
    let is_same = (before.size, before.root) == (head.size, Digest(head.root));
    if !is_same && !began_with(folder, head.size, (before.size, &before.root.0))? {
        return Err(damaged(format!(
            "its first {} entries differ from those that the import log has on record. Restore it from a backup: gaprelay help backup",
            before.size
        )));
    }
    Ok(())
}
