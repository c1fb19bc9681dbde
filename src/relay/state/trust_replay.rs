//! Replay of the import log into the trust state, while the log is checked from its first entry on.

use super::Trust;
use crate::log::{Entry, Event};
use base::Digest;
use tlog::tree::{Edge, Hash};

/// Trust state of the entries replayed so far, beside what the trust file says.
#[derive(Default)]
pub struct TrustReplay {
    /// Trust state; none before the entry `initialised`.
    pub trust: Option<Trust>,
    /// Number of entries that the trust state is made from, and the root of their tree. Later entries add nothing to
    /// it.
    pub head: (u64, Hash),
    /// Number of the first entry that this version of gaprelay cannot read.
    pub unread: Option<u64>,
    /// Trust state of the file, with what the log tells behind it; none where nothing is compared.
    pub known: Option<Trust>,
    /// Releases in the set that the entry before announced.
    announced: Vec<String>,
    /// Digest of the manifest or keyring that the last entry says is being imported.
    pub open: Option<Digest>,
}

/// Names the releases of a set that was published, where the outcome does not: in earlier versions the intent alone
/// did. `announced` are those of the entry before, and then of this one.
pub fn name_releases(entry: &mut Entry, announced: &mut Vec<String>) {
    let before = std::mem::take(announced);
    match &mut entry.event {
        Event::PublishStarted { releases, .. } => announced.clone_from(releases),
        Event::Published { releases, .. } if releases.is_empty() => *releases = before,
        _ => {}
    }
}

impl TrustReplay {
    /// Replay beside the trust state of the file.
    pub fn beside(known: Option<Trust>) -> Self {
        Self { known, ..Self::default() }
    }

    /// Replays the next entry; `edge` is that of the tree that ends with it.
    pub fn replay(&mut self, number: u64, bytes: &[u8], edge: &Edge) {
        let Ok(mut entry) = serde_json::from_slice::<Entry>(bytes) else {
            self.unread = self.unread.or(Some(number));
            return;
        };
        name_releases(&mut entry, &mut self.announced);
        self.open = match &entry.event {
            Event::ImportStarted { manifest, .. } => *manifest,
            _ => None,
        };
        self.trust = Trust::with_entry(self.trust.take(), number, &entry);
        if let Some(trust) = self.trust.as_mut().filter(|trust| trust.entries == number + 1) {
            self.head = (number + 1, edge.root());
            trust.root = Digest(edge.root());
        }
        if self.known.as_ref().is_some_and(|known| known.entries <= number) {
            self.known = Trust::with_entry(self.known.take(), number, &entry);
        }
    }

    /// True unless the trust file and the log say different things.
    pub fn agrees(&self) -> bool {
        let (Some(known), Some(trust)) = (&self.known, &self.trust) else { return true };
        known.agrees_with(trust, self.open)
    }
}
