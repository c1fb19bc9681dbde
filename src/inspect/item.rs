//! The items of an artifact: a rule, a signature, an indicator each. An item has a key, by which it is found again in
//! another version, and its content, by which it is told whether it changed. Both are digests, so an item is a record
//! of one length, which those who compare releases read without any of the formats' parsers.
//!
//! ```text
//! key (16 bytes) · content (16) · offset (8, little endian) · effect (1)
//! ```

use base::Digest;
use base::digest::Hasher;

/// Length of a record, in bytes.
pub const RECORD: usize = 41;

/// Most items of one artifact: their records take 1.3 GB.
pub const MOST: u64 = 32_000_000;

/// In the effect's byte: something narrows when or whether it speaks.
const LIMITED: u8 = 0x80;

/// Effect of an item in an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Written down and not in force: a rule behind a comment sign.
    Off,
    /// Detects.
    Detects,
    /// Detects, and stops or changes what it detects.
    Acts,
    /// Keeps something else from detecting.
    Suppresses,
}

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Digest of what names it.
    pub key: [u8; 16],
    /// Digest of what it says.
    pub content: [u8; 16],
    /// Offset of its beginning in the artifact, in bytes.
    pub offset: u64,
    /// Effect.
    pub effect: Effect,
    /// True if something in it narrows when or whether it speaks: a threshold, `noalert`, `private`.
    pub is_limited: bool,
}

impl Item {
    /// The item that `key` names among those of its `space` (what it is: no key of one is one of another).
    pub fn new(space: &str, key: &[u8], content: &[u8], offset: u64, effect: Effect) -> Self {
        Self { key: half(space, &[key]), content: half(space, &[content]), offset, effect, is_limited: false }
    }

    /// The item that is nothing but its value.
    pub fn value(space: &str, value: &[u8], offset: u64, effect: Effect) -> Self {
        Self::values(space, &[value], offset, effect)
    }

    /// The item that is nothing but these values, one behind the other.
    pub fn values(space: &str, values: &[&[u8]], offset: u64, effect: Effect) -> Self {
        let key = half(space, values);
        Self { key, content: key, offset, effect, is_limited: false }
    }

    /// As a record.
    pub fn to_record(self) -> [u8; RECORD] {
        let effect = self.effect as u8 | if self.is_limited { LIMITED } else { 0 };
        let mut record = [effect; RECORD];
        let mut put = |from: usize, part: &[u8]| {
            if let Some(to) = record.get_mut(from..from + part.len()) {
                to.copy_from_slice(part);
            }
        };
        put(0, &self.key);
        put(16, &self.content);
        put(32, &self.offset.to_le_bytes());
        record
    }

    /// From a record; `None`: it is none.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let (key, rest) = record.split_first_chunk()?;
        let (content, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let [effect] = *rest else { return None };
        let known = match effect & !LIMITED {
            0 => Effect::Off,
            1 => Effect::Detects,
            2 => Effect::Acts,
            3 => Effect::Suppresses,
            _ => return None,
        };
        let offset = u64::from_le_bytes(*offset);
        Some(Self { key: *key, content: *content, offset, effect: known, is_limited: effect & LIMITED != 0 })
    }
}

/// The first half of a digest, which nobody can find a second text for.
fn half(space: &str, texts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Hasher::new();
    hasher.update(space.as_bytes());
    for text in texts {
        hasher.update(b"\0");
        hasher.update(text);
    }
    let Digest(whole) = hasher.finish();
    whole.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_its_item() {
        for effect in [Effect::Off, Effect::Detects, Effect::Acts, Effect::Suppresses] {
            for is_limited in [false, true] {
                let item = Item { is_limited, ..Item::new("rule", b"1:7", b"alert", (1 << 40) + 7, effect) };
                assert_eq!(Item::parse(&item.to_record()), Some(item));
            }
        }
        assert_ne!(Item::new("a", b"k", b"", 0, Effect::Off).key, Item::new("b", b"k", b"", 0, Effect::Off).key);
        assert_eq!(Item::parse(&[0; RECORD - 1]), None);
        assert_eq!(Item::parse(&[9; RECORD]), None);
    }
}
