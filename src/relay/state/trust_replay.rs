//! Replay of the import log into the trust state, while the log is checked from its first entry on.

use super::Trust;
use crate::log::Entry;
use base::Digest;
use tlog::tree::{Edge, Hash};

/// Trust state of the entries replayed so far.
#[derive(Default)]
pub struct TrustReplay {
    /// Trust state; none before the entry `initialised`.
    pub trust: Option<Trust>,
    /// Number of entries that the trust state is made from, and the root of their tree. Later entries add nothing to it.
    pub head: (u64, Hash),
    /// Number of the first entry that this version of gaprelay cannot read.
    pub unread: Option<u64>,
}

impl TrustReplay {
    /// Replays the next entry; `edge` is that of the tree that ends with it.
    pub fn replay(&mut self, number: u64, bytes: &[u8], edge: &Edge) {
        let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else {
            self.unread = self.unread.or(Some(number));
            return;
        };
        self.trust = Trust::with_entry(self.trust.take(), number, &entry);
        if let Some(trust) = self.trust.as_mut().filter(|trust| trust.entries == number + 1) {
            self.head = (number + 1, edge.root());
            trust.root = Digest(edge.root());
        }
    }
}
