//! The ustar header (POSIX.1-1988, IEEE Std 1003.1 `pax`, "ustar Interchange Format") in the one
//! form allowed: regular file, mode 0644, owner and time zero, no names. GNU tar writes the same
//! bytes with `--format=ustar --owner=0 --group=0 --numeric-owner --mode=0644 --mtime=@0`.

use tar::{EntryType, Header};

use crate::paths::ustar_split;

/// A tar block, in bytes.
pub const BLOCK: usize = 512;
/// A tar record: the archive's length is a multiple of it, as GNU tar pads by default.
pub const RECORD: u64 = 10_240;

/// The header block of a file; `None` if path or size do not fit one.
pub fn header(path: &str, size: u64) -> Option<[u8; BLOCK]> {
    let (prefix, name) = ustar_split(path)?;
    if size >= 1 << 33 {
        return None;
    }
    let mut header = Header::new_ustar();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(0);
    header.set_entry_type(EntryType::Regular);
    header.set_device_major(0).ok()?;
    header.set_device_minor(0).ok()?;
    let fields = header.as_ustar_mut()?;
    fields.name.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    fields.prefix.get_mut(..prefix.len())?.copy_from_slice(prefix.as_bytes());
    let sum = checksum(&header);
    // Six digits, NUL, space, as POSIX and GNU tar have it; the library writes seven digits and NUL.
    header.as_ustar_mut()?.cksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(*header.as_bytes())
}

/// Header checksum: the sum of all bytes, with the checksum field taken as spaces.
pub fn checksum(header: &Header) -> u32 {
    let mut made = header.clone();
    made.set_cksum();
    // What was just written can be read.
    made.cksum().unwrap_or_default()
}

/// Zeros between a file's bytes and the next block.
pub fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// Length of the archive of files of these sizes.
pub fn archive_size(sizes: impl Iterator<Item = u64>) -> u64 {
    let files = files_size(sizes);
    files + end_after(files)
}

/// Length of the zeros at its end.
pub fn end_size(sizes: impl Iterator<Item = u64>) -> u64 {
    end_after(files_size(sizes))
}

/// Length of the zeros behind so many bytes of files: two blocks, and up to a whole record.
pub fn end_after(files: u64) -> u64 {
    (files + 2 * BLOCK as u64).next_multiple_of(RECORD) - files
}

fn files_size(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.map(|size| BLOCK as u64 + size + padding(size)).sum()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use crate::payload::ustar::*;

    /// Signatures cover these bytes: manifests pin the digest of the payload that they are in. Written by GNU tar 1.34
    /// with the options named at the top; all bytes that are not named here are zero.
    #[test]
    fn golden_header() {
        let always: &[(usize, &str)] = &[
            (100, "3030303036343400"),         // mode
            (108, "3030303030303000"),         // owner
            (116, "3030303030303000"),         // group
            (136, "303030303030303030303000"), // time
            (156, "30"),                       // regular file
            (257, "7573746172003030"),         // magic, version
            (329, "3030303030303000"),         // device, major
            (337, "3030303030303000"),         // device, minor
        ];
        let golden = |own: &[(usize, &str)]| {
            let mut block = [0; BLOCK];
            for (at, hex) in always.iter().chain(own) {
                let bytes = HEXLOWER.decode(hex.as_bytes()).unwrap();
                block[*at..*at + bytes.len()].copy_from_slice(&bytes);
            }
            block
        };
        let site = golden(&[
            (0, "72756c65732f736974652e686462"), // rules/site.hdb
            (124, "303030303030303030353700"),   // 47 bytes
            (148, "3031313736340020"),           // checksum: six digits, NUL, space
        ]);
        assert_eq!(header("rules/site.hdb", 47), Some(site));
        let (d, n) = ("64".repeat(60), "6e".repeat(90));
        let long = golden(&[(0, &n), (124, "303030303030303030303000"), (148, "3034363233310020"), (345, &d)]);
        assert_eq!(header(&format!("{}/{}", "d".repeat(60), "n".repeat(90)), 0), Some(long));
    }

    #[test]
    fn sizes() {
        assert_eq!(archive_size([].into_iter()), RECORD);
        assert_eq!(archive_size([1, 512].into_iter()), RECORD);
        assert_eq!(end_size([1, 512].into_iter()), RECORD - 4 * 512);
        assert_eq!(header(&"n".repeat(101), 1), None);
        assert_eq!(header("a", 1 << 33), None);
    }
}
