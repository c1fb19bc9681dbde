//! Budget of what a confined process can cause to be stored, were it taken over: bytes of log entries, counted by the
//! keeper in a record of its own. What is beyond it is counted, and an entry tells how much.
//!
//! While the hour, the day and all time have room, each source (an agent's attempts of one label, say) is stored up to
//! its share of the hour. When they have none, the first entry of a source in an hour still has a reserve. So a flood
//! fills no disk, and hides neither what came before it, nor most that is beside it, nor what comes after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use base::{Digest, Fault, Timestamp, durable};

/// Most sources that are told apart within an hour; the others share one share.
const SOURCES: usize = 2048;
/// Source of those.
const OTHERS: &str = "others";
/// Characters of a digest by which a source is known.
const NAME: usize = 16;
/// Longest record that is read, in bytes.
const LONGEST: u64 = 256 << 10;

/// Limits, each in bytes of entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Of an hour.
    pub hour: u64,
    /// Of a day.
    pub day: u64,
    /// Of all time.
    pub all: u64,
    /// Of a source in an hour.
    pub share: u64,
    /// Of an hour beyond the others, for the first entry of each source.
    pub reserve: u64,
}

/// Record of what was spent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spent {
    /// Hour that is counted, since 1970.
    hour: u64,
    in_hour: u64,
    in_day: u64,
    in_all: u64,
    /// Of the reserve of this hour.
    reserve: u64,
    /// By source, in this hour.
    sources: BTreeMap<String, u64>,
    /// Number of things beyond the budget that no entry tells yet.
    beyond: u64,
    /// True if an entry of this hour told of some.
    is_told: bool,
}

impl Spent {
    /// Counts from here on for the hour of `now`. Gives the number of things beyond the budget that are still to be
    /// told of an earlier hour.
    pub(crate) fn begin(&mut self, now: Timestamp) -> Option<u64> {
        let hour = now.secs() / 3600;
        if hour == self.hour {
            return None;
        }
        if hour / 24 != self.hour / 24 {
            self.in_day = 0;
        }
        (self.hour, self.in_hour, self.reserve, self.is_told) = (hour, 0, 0, false);
        self.sources.clear();
        let beyond = std::mem::take(&mut self.beyond);
        (beyond > 0).then_some(beyond)
    }

    /// True if an entry of so many bytes, for this source, may be stored; else it is counted.
    pub(crate) fn allows(&mut self, budget: &Budget, source: &str, bytes: u64) -> bool {
        let mut name: String = Digest::of(source.as_bytes()).to_string().chars().take(NAME).collect();
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&name) {
            OTHERS.clone_into(&mut name);
        }
        let used = self.sources.get(&name).copied().unwrap_or_default();
        let has_room = self.in_hour + bytes <= budget.hour
            && self.in_day + bytes <= budget.day
            && self.in_all + bytes <= budget.all;
        let is_allowed =
            if has_room { used + bytes <= budget.share } else { used == 0 && self.reserve + bytes <= budget.reserve };
        if !is_allowed {
            self.beyond += 1;
            return false;
        }
        if has_room {
            self.in_hour += bytes;
            self.in_day += bytes;
        } else {
            self.reserve += bytes;
        }
        self.in_all += bytes;
        self.sources.insert(name, used + bytes);
        true
    }

    /// Counts something that is not looked at any further.
    pub(crate) fn count(&mut self) {
        self.beyond += 1;
    }

    /// Gives the number of things that an entry is to tell now: at once for the first of an hour, and those that follow
    /// when the hour is over.
    pub(crate) fn tell(&mut self) -> Option<u64> {
        if self.beyond == 0 || std::mem::replace(&mut self.is_told, true) {
            return None;
        }
        Some(std::mem::take(&mut self.beyond))
    }
}

/// Record beside the file that the process appends to.
pub(crate) struct SpentFile {
    path: PathBuf,
    /// Amounts that were spent, as they will be saved.
    pub(crate) spent: Spent,
    saved: Spent,
}

impl SpentFile {
    /// Reads the record of what was spent on lines of the file at `path`. One that is missing or cannot be read counts
    /// from nothing: it is the keeper's own, and decides on no evidence but that of a flood.
    pub(crate) fn beside(path: &Path) -> Self {
        let path = path.with_extension("spent");
        let known = durable::read(&path, LONGEST).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let spent: Spent = known.unwrap_or_default();
        Self { path, saved: spent.clone(), spent }
    }

    /// Writes the record, if anything was spent or counted since. Stopping before is safe: so much may be spent once
    /// more.
    pub(crate) fn save(&mut self) -> Result<(), Fault> {
        let is_used = self.spent.in_all > 0 || self.spent.beyond > 0;
        if is_used && self.spent != self.saved {
            durable::replace_json(&self.path, &self.spent)?;
            self.saved.clone_from(&self.spent);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { hour: 1000, day: 2000, all: 5000, share: 300, reserve: 100 };

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_secs(hour * 3600 + 1)
    }

    /// A flood of one source leaves room for others; one of many sources leaves the reserve of the next hour.
    #[test]
    fn a_flood_is_bounded_and_hides_nothing_after_it() {
        let mut spent = Spent::default();
        assert_eq!(spent.begin(at(48)), None);
        assert!(spent.allows(&BUDGET, "before", 10));
        assert_eq!((0..1000).filter(|_| spent.allows(&BUDGET, "flood", 10)).count(), 30, "its share");
        assert_eq!((spent.tell(), spent.tell()), (Some(970), None), "at once");
        assert!(spent.allows(&BUDGET, "needle", 10));
        let many = |spent: &mut Spent, name: &str| {
            (0..5000).filter(|n| spent.allows(&BUDGET, &format!("{name} {n}"), 10)).count()
        };
        assert_eq!(many(&mut spent, "a"), 68 + 10, "the rest of the hour, and the reserve");
        assert!(!spent.allows(&BUDGET, "needle", 10), "it had one");
        assert_eq!(spent.tell(), None, "of this hour some were told");
        // The next hour tells of the rest, and has room again.
        assert_eq!(spent.begin(at(49)), Some(4922 + 1));
        assert!(spent.allows(&BUDGET, "needle", 10));
        assert_eq!(many(&mut spent, "a"), 99 + 10);
        // The day has no more: the reserve is left.
        spent.begin(at(50));
        assert!(spent.allows(&BUDGET, "needle", 10) && !spent.allows(&BUDGET, "needle", 10));
        assert_eq!(many(&mut spent, "a"), 9);
        // At last only the reserve of each hour.
        for day in 3..10 {
            spent.begin(at(day * 24));
            many(&mut spent, "a");
            spent.begin(at(day * 24 + 1));
            many(&mut spent, "a");
        }
        spent.begin(at(24 * 20));
        assert!(spent.allows(&BUDGET, "needle", 10));
        assert_eq!(many(&mut spent, "a"), 9);
        assert!(spent.sources.len() <= SOURCES + 1);
    }
}
