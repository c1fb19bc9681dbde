//! Why an archive header is not the expected one. Runs only when the bundle is already refused, so
//! a wrong guess here costs clarity, never safety.

use tar::Header;

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
    let stated = Header::from_byte_slice(block);
    let path = path(block);
    let shown = quoted(&path);
    if stated.cksum().ok() != Some(checksum(stated)) {
        return Refusal::new(
            Reason::EntryChecksum,
            format!("the header of \"{shown}\" does not match its own checksum"),
        );
    }
    let kind = stated.entry_type().as_byte();
    match kind {
        b'0' | 0 => {}
        b'x' | b'g' | b'L' | b'K' | b'S' | b'D' | b'M' | b'N' | b'V' | b'X' | b'A' => {
            let detail = format!("\"{shown}\" has the entry type '{}', an extension of tar", kind.escape_ascii());
            return Refusal::new(Reason::EntryExtension, detail);
        }
        _ => {
            let detail =
                format!("\"{shown}\" has the entry type '{}', which is not a regular file", kind.escape_ascii());
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
        Some(place) if place < index => Refusal::new(
            Reason::EntryOrder,
            format!("\"{shown}\" stands twice in the archive, or later than in the manifest"),
        ),
        Some(place) => {
            let size = carried.get(place).map_or(0, |a| a.size);
            match stated.entry_size() {
                Ok(stated) if stated != size => {
                    let detail = format!("\"{shown}\" has {stated} bytes, the manifest says {size}");
                    Refusal::new(Reason::EntrySize, detail)
                }
                _ => {
                    let at = header(&path, size)
                        .and_then(|good| good.iter().zip(block).position(|(good, is)| good != is))
                        .unwrap_or_default();
                    let detail = format!("the header of \"{shown}\" differs at byte {at} from the one form allowed");
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
