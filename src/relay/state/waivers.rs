//! Directives in the trust state. A waiver is kept for as long as it can do something: until its bundle came in, or its
//! time is over. The log keeps all of them, and a replay of it drops the same ones at the same entries.

use super::Trust;
use base::{Digest, Timestamp};
use bundle::ReleaseId;
use bundle::directive::{Order, TakenDirective};

impl Trust {
    /// Keeps a directive that counts from the entry of its time on, and drops the waivers that are over by then.
    pub fn add_directive(&mut self, given: TakenDirective) {
        self.drop_waivers(|_, until| until < given.taken);
        if !self.has_directive(&given.key, &given.text) {
            self.directives.push(given);
        }
    }

    /// Drops the waivers for a bundle that was accepted: it never comes in again.
    pub fn drop_waivers_of(&mut self, accepted: Digest) {
        self.drop_waivers(|manifest, _| manifest == accepted);
    }

    fn drop_waivers(&mut self, is_spent: impl Fn(Digest, Timestamp) -> bool) {
        let Self { directives, spent, .. } = self;
        directives.retain(|given| {
            let is_kept = match given.directive().map(|directive| directive.order) {
                Some(Order::Waive { manifest, until }) => !is_spent(manifest, until),
                _ => true,
            };
            if !is_kept {
                spent.insert(given.digest());
            }
            is_kept
        });
    }

    /// Release that the bundle with this manifest was accepted as.
    pub fn release_of(&self, manifest: Digest) -> Option<ReleaseId> {
        self.feeds.iter().find_map(|(feed, known)| {
            let (version, _) = known.accepted.iter().find(|(_, digest)| **digest == manifest)?;
            Some(ReleaseId { feed: feed.clone(), version: *version })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Entry, Event};

    fn order(order: &str, reason: &str) -> Event {
        let text = format!(
            "gaprelay-directive/2\nrelay r/import/1\n{order}\nofficer j.doe\nissued 2026-11-26T09:00:00Z\nuntil 2026-11-28T09:00:00Z\nreason {reason}\n"
        );
        let [order, officer, key_id, key, signature] = [order, "j.doe", "id", "key", "signature"].map(str::to_owned);
        Event::Directive { order, officer, key_id, key, text, signature, clock: None }
    }

    fn waive(manifest: &[u8], until: &str) -> Event {
        order(&format!("waive manifest sha256:{} until {until}", Digest::of(manifest)), "late")
    }

    fn imported(manifest: &[u8]) -> Event {
        Event::Imported {
            feed: "f".into(),
            version: 1,
            manifest: Digest::of(manifest),
            verdicts: Digest::of(b"verdicts"),
            counts: inspect::Counts::default(),
            signers: Vec::new(),
            record: Some(Digest::of(b"record")),
            after_interruption: false,
        }
    }

    /// Trust state after these events, each at its time.
    fn told(events: Vec<(&str, Event)>) -> Trust {
        let first =
            Event::Initialised { relay: "r".into(), keyring_version: 1, keyring: Digest::of(b"keyring"), config: None };
        let all = std::iter::once(("2026-11-26T08:00:00Z", first)).chain(events);
        let entries = all.map(|(time, event)| Entry { time: time.parse().unwrap(), event });
        (0..).zip(entries).fold(None, |trust, (number, entry)| Trust::with_entry(trust, number, &entry)).unwrap()
    }

    fn orders(trust: &Trust) -> Vec<String> {
        trust.directives.iter().map(|given| given.directive().unwrap().order.to_string()).collect()
    }

    #[test]
    fn a_waiver_goes_with_its_bundle_or_its_time() {
        let (one, two) = ("2026-11-27T09:00:00Z", "2099-01-01T00:00:00Z");
        let events = || {
            vec![
                (one, waive(b"a", two)),
                (one, waive(b"b", "2026-11-28T00:00:00Z")),
                (one, waive(b"c", two)),
                (one, imported(b"a")),
            ]
        };
        assert_eq!(orders(&told(events())).len(), 2);
        let later = [events(), vec![("2026-11-28T00:00:00Z", order("deny feed x", "y"))]].concat();
        assert_eq!(orders(&told(later)).len(), 3, "it counts until then");
        let later = [events(), vec![("2026-11-28T00:00:01Z", order("deny feed x", "y"))]].concat();
        let trust = told(later);
        assert_eq!(orders(&trust).len(), 2);
        assert!(orders(&trust)[0].contains(&Digest::of(b"c").to_string()), "{:?}", orders(&trust));
        assert_eq!(trust.release_of(Digest::of(b"a")).unwrap().to_string(), "f/1");
    }

    /// A trust file of an earlier version still has what a replay drops; and nothing else that the log does not say.
    #[test]
    fn a_file_of_an_earlier_version_agrees_with_the_log() {
        let time = "2026-11-27T09:00:00Z";
        let waived = vec![(time, waive(b"a", "2099-01-01T00:00:00Z"))];
        let mut former = told(waived.clone());
        let replay = told([waived, vec![(time, imported(b"a"))]].concat());
        let kept = std::mem::take(&mut former.directives);
        let mut known = Trust { spent: std::collections::BTreeSet::new(), ..replay.clone() };
        assert!(known.agrees_with(&replay, None));
        known.directives = kept.clone();
        assert!(known.agrees_with(&replay, None));
        known.directives[0].text = known.directives[0].text.replace("late", "forged");
        assert!(!known.agrees_with(&replay, None));
        known.directives = kept;
        assert!(!replay.agrees_with(&Trust { spent: std::collections::BTreeSet::new(), ..known }, None));
    }
}
