//! Why an archive header is not the expected one. Runs only when the bundle is already refused, so
//! a wrong guess here costs clarity, never safety.

use super::ustar::{BLOCK, checksum, header};
use crate::Artifact;
use base::{Reason, Refusal, quoted};

/// Names what is wrong with `block`, which stands where `carried[index]`'s header should, or after
/// the last one.
pub fn wrong_header(block: &[u8; BLOCK], carried: &[&Artifact], index: usize) -> Refusal {
    if *block == [0; BLOCK] {
        let missing = carried.get(index).map(|a| a.path.as_str()).unwrap_or_default();
        return Refusal::new(Reason::EntryMissing, format!("the archive ends before \"{}\"", quoted(missing)));
    }
    let path = path(block);
    let shown = quoted(&path);
    if octal(block, 148, 8) != Some(u64::from(checksum(block))) {
        return Refusal::new(Reason::EntryChecksum, format!("the header of \"{shown}\" is damaged"));
    }
    let kind = block.get(156).copied().unwrap_or_default();
    match kind {
        b'0' | 0 => {}
        b'x' | b'g' | b'L' | b'K' | b'S' | b'D' | b'M' | b'N' | b'V' | b'X' | b'A' => {
            let detail = format!("\"{shown}\" has type '{}'", kind.escape_ascii());
            return Refusal::new(Reason::EntryExtension, detail);
        }
        _ => {
            let detail = format!("\"{shown}\" has type '{}', not a regular file", kind.escape_ascii());
            return Refusal::new(Reason::EntryType, detail);
        }
    }
    let place = carried.iter().position(|a| a.path == path);
    match place {
        None => Refusal::new(Reason::EntryUnlisted, format!("\"{shown}\" is not in the manifest")),
        Some(place) if place > index => {
            let expected = carried.get(index).map(|a| a.path.as_str()).unwrap_or_default();
            let detail = format!("\"{shown}\" stands where \"{}\" should", quoted(expected));
            Refusal::new(Reason::EntryMissing, detail)
        }
        Some(place) if place < index => {
            Refusal::new(Reason::EntryOrder, format!("\"{shown}\" comes again or too late"))
        }
        Some(place) => {
            let size = carried.get(place).map_or(0, |a| a.size);
            match octal(block, 124, 12) {
                Some(stated) if stated != size => {
                    let detail = format!("\"{shown}\" has {stated} bytes, the manifest says {size}");
                    Refusal::new(Reason::EntrySize, detail)
                }
                _ => {
                    let at = header(&path, size)
                        .and_then(|good| good.iter().zip(block).position(|(good, is)| good != is))
                        .unwrap_or_default();
                    let detail = format!("the header of \"{shown}\" differs at byte {at}");
                    Refusal::new(Reason::EntryNotCanonical, detail)
                }
            }
        }
    }
}

fn path(block: &[u8; BLOCK]) -> String {
    let field = |at: usize, length: usize| {
        let bytes = block.get(at..at + length).unwrap_or_default();
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
    };
    let (prefix, name) = (field(345, 155), field(0, 100));

    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// A numeric field: octal digits, then NUL or space.
fn octal(block: &[u8; BLOCK], at: usize, length: usize) -> Option<u64> {
    let text = str::from_utf8(block.get(at..at + length)?).ok()?;
    u64::from_str_radix(text.trim_end_matches(['\0', ' ']).trim_start(), 8).ok()
}
