//! What the import log tells of the trust state, gathered while the log is checked from its first entry on.

use super::Trust;
use crate::log::Entry;
use tlog::tree::{Edge, Hash};

/// What was told so far.
#[derive(Default)]
pub struct TrustReplay {
    /// The trust state; none before the relay's own beginning.
    pub trust: Option<Trust>,
    /// The number of entries that it is made from, and the root of their tree. What stands behind them adds nothing.
    pub head: (u64, Hash),
    /// The first entry that this version cannot read.
    pub unread: Option<u64>,
}

impl TrustReplay {
    /// Takes the next entry, and the edge of the tree that ends with it.
    pub fn replay(&mut self, number: u64, bytes: &[u8], edge: &Edge) {
        let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else {
            self.unread = self.unread.or(Some(number));
            return;
        };
        self.trust = Trust::with_entry(self.trust.take(), number, &entry);
        if self.trust.as_ref().is_some_and(|trust| trust.entries == number + 1) {
            self.head = (number + 1, edge.root());
        }
    }
}
