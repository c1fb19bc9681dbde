//! Paths of tiles and entry bundles (C2SP tlog-tiles, "Paths"), and the form of a bundle.
//!
//! ```text
//! tile/<level>/<index>           256 hashes         tile/<level>/<index>.p/<width>   fewer
//! tile/entries/<index>           256 entries        tile/entries/<index>.p/<width>   fewer
//! ```
//!
//! An index is written in groups of three digits, all but the last prefixed with `x`: 1234067 is
//! `x001/x234/067`. A bundle is, for each entry, its length in two bytes, big endian, and its bytes.

use super::tree::{Hash, WIDTH};

/// Longest entry, in bytes.
pub const LONGEST_ENTRY: usize = u16::MAX as usize;
/// Longest bundle or tile, in bytes.
pub const LONGEST: u64 = (WIDTH * (LONGEST_ENTRY + 2)) as u64;

/// Path of a tile below the log's folder; `width` below 256 gives the partial one.
pub fn tile_path(level: usize, index: u64, width: usize) -> String {
    path(&level.to_string(), index, width)
}

/// Path of an entry bundle below the log's folder.
pub fn bundle_path(index: u64, width: usize) -> String {
    path("entries", index, width)
}

fn path(level: &str, index: u64, width: usize) -> String {
    let mut groups = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        groups = format!("x{:03}/{groups}", rest % 1000);
        rest /= 1000;
    }
    let partial = if width < WIDTH { format!(".p/{width}") } else { String::new() };
    format!("tile/{level}/{groups}{partial}")
}

/// True if `path` is one that [`tile_path`] or [`bundle_path`] gives: nothing else is ever served.
pub fn is_path(path: &str) -> bool {
    Place::parse(path).is_some()
}

/// Place of a tile or an entry bundle in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Level of a hash tile; none for an entry bundle.
    pub level: Option<usize>,
    /// Counted from 0 within the level.
    pub index: u64,
    /// Number of hashes or entries: 256, or fewer in a partial one.
    pub width: usize,
}

impl Place {
    /// Reads a path below the log's folder; `None` if it is not exactly one that [`Self::path`] gives.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = match level.as_bytes() {
            b"entries" => None,
            [digit @ b'0'..=b'7'] => Some(usize::from(digit - b'0')),
            _ => return None,
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, width_of(width)?),
            None => (rest, WIDTH),
        };
        let mut index = 0_u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let number = u64::from(digits.parse::<u16>().ok().filter(|_| digits.len() == 3)?);
            index = index.checked_mul(1000)?.checked_add(number)?;
        }
        let place = Self { level, index, width };
        (place.path() == path).then_some(place)
    }

    /// Place of the first file that a folder below the log's can hold; `None` if it can hold none.
    pub fn first_in(folder: &str) -> Option<Self> {
        let first = if folder.strip_suffix(".p").is_some() { "1" } else { "000" };
        Self::parse(&format!("{folder}/{first}"))
    }

    /// Path below the log's folder.
    pub fn path(&self) -> String {
        match self.level {
            Some(level) => tile_path(level, self.index, self.width),
            None => bundle_path(self.index, self.width),
        }
    }

    /// Number of hashes or entries that a log of `size` has on this level.
    pub fn level_size(&self, size: u64) -> u64 {
        size >> (8 * self.level.unwrap_or_default())
    }

    /// Number of hashes or entries of the level, up to the end of this place.
    pub fn end(&self) -> u64 {
        self.index.saturating_mul(WIDTH as u64).saturating_add(self.width as u64)
    }
}

/// Width that is the name of a partial tile or bundle, exactly as [`tile_path`] writes it.
pub fn width_of(name: &str) -> Option<usize> {
    name.parse::<u8>().ok().filter(|width| *width > 0 && width.to_string() == name).map(usize::from)
}

/// Appends an entry to a bundle's bytes; `None` if it is longer than 65535 bytes.
pub fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
    let length = u16::try_from(entry.len()).ok()?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Some(())
}

/// The entries of a bundle; `None` if a byte is missing or left over.
pub fn entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bundle = rest;
    }
    bundle.is_empty().then_some(entries)
}

/// The hashes of a tile's bytes; `None` if they are not whole.
pub fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_specification() {
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(bundle_path(273, 112), "tile/entries/273.p/112");
        for good in ["tile/0/x001/x234/067", "tile/entries/273.p/112", "tile/2/000.p/1"] {
            assert!(is_path(good), "{good}");
            assert_eq!(Place::parse(good).unwrap().path(), good);
        }
        for bad in [
            "tile/0/1",
            "tile/0/../067",
            "tile/9/000",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/x000",
            "tile/entries/",
            "checkpoint",
            "tile/0/000.p/",
            "tile/0//000",
            "tile/0/x000/067",
            "tile/0/+67",
            "tile/0/000.p/+5",
            "tile/00/000",
        ] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    #[expect(clippy::large_stack_arrays, reason = "a test's longest entry")]
    fn bundles_leave_nothing_over() {
        let mut bundle = Vec::new();
        for entry in [b"one".as_slice(), b"", &[7; 65535]] {
            push(&mut bundle, entry).unwrap();
        }
        assert_eq!(push(&mut bundle, &[0; 65536]), None);
        assert_eq!(entries(&bundle).unwrap().len(), 3);
        for cut in [1, 2, 4, bundle.len() - 1] {
            assert_eq!(entries(&bundle[..cut]), None, "{cut}");
        }
    }
}
