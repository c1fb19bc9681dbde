//! ClamAV's formats. Sources: the ClamAV manual, "Signatures" (docs.clamav.net/manual/Signatures),
//! and the CVD header as `cl_cvdparse(3)` reads it.

use super::kind::Seen;

const HASHES: &[&str] = &["hdb", "hdu", "hsb", "hsu", "mdb", "mdu", "msb", "msu", "imp"];
const BODIES: &[&str] = &["ndb", "ndu"];
const LOGICAL: &[&str] = &["ldb", "ldu"];

/// Whether files of this ending are one of the text databases.
pub fn is_text_extension(extension: &str) -> bool {
    HASHES.contains(&extension) || BODIES.contains(&extension) || LOGICAL.contains(&extension) || extension == "cdb"
}

/// A database container: a 512-byte header of `:`-separated fields.
pub fn is_cvd(seen: &Seen<'_>) -> bool {
    seen.extension == "cvd" && seen.head.len() >= 512 && cvd_version(seen.head).is_some()
}

/// The version in a database's header: `ClamAV-VDB:built:VERSION:signatures:level:md5:…`.
pub fn cvd_version(head: &[u8]) -> Option<u64> {
    let header = str::from_utf8(head.get(..512)?).ok()?;
    let mut fields = header.split(':');
    (fields.next() == Some("ClamAV-VDB")).then_some(())?;
    fields.nth(1)?.parse().ok()
}

/// An increment: `ClamAV-Diff:VERSION:SIZE:` and gzip.
pub fn is_cdiff(seen: &Seen<'_>) -> bool {
    seen.extension == "cdiff" && seen.head.starts_with(b"ClamAV-Diff:")
}

/// A detached signature of ClamAV 1.5 and later.
pub fn is_sign(seen: &Seen<'_>) -> bool {
    seen.extension == "sign" && seen.head.starts_with(b"#clamsign-")
}

/// `HASH:SIZE:NAME[:LEVELS]`; in section databases `SIZE:HASH:NAME`.
pub fn is_hashes(seen: &Seen<'_>) -> bool {
    fn line(line: &str) -> bool {
        let mut fields = line.split(':');
        let (Some(first), Some(second), Some(name)) = (fields.next(), fields.next(), fields.next()) else {
            return false;
        };
        let size = |f: &str| f == "*" || (!f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
        let hash = |f: &str| matches!(f.len(), 32 | 40 | 64) && f.bytes().all(|b| b.is_ascii_hexdigit());
        (hash(first) && size(second) || size(first) && hash(second)) && !name.is_empty()
    }
    HASHES.contains(&seen.extension) && seen.all_lines(comment, line)
}

/// `NAME:TARGET:OFFSET:HEX[:LEVELS]`.
pub fn is_bodies(seen: &Seen<'_>) -> bool {
    fn line(line: &str) -> bool {
        let fields: Vec<_> = line.split(':').collect();
        let [name, target, offset, hex, ..] = fields.as_slice() else { return false };
        !name.is_empty()
            && target.bytes().all(|b| b.is_ascii_digit())
            && !offset.is_empty()
            && hex.bytes().all(|b| b.is_ascii_hexdigit() || b"?*{}-()|!@[]BLWbzaw,&".contains(&b))
    }
    BODIES.contains(&seen.extension) && seen.all_lines(comment, line)
}

/// `NAME;TARGET;EXPRESSION;SUBSIGNATURE…`.
pub fn is_logical(seen: &Seen<'_>) -> bool {
    fn line(line: &str) -> bool {
        let fields: Vec<_> = line.split(';').collect();
        let [name, target, expression, _, ..] = fields.as_slice() else { return false };
        !name.is_empty()
            && (target.contains("Target:") || target.contains("Engine:"))
            && !expression.is_empty()
            && expression.bytes().all(|b| b.is_ascii_digit() || b"()&|=<>,".contains(&b))
    }
    LOGICAL.contains(&seen.extension) && seen.all_lines(comment, line)
}

/// `NAME:CONTAINER:…`, ten fields or more.
pub fn is_containers(seen: &Seen<'_>) -> bool {
    fn line(line: &str) -> bool {
        line.split(':').count() >= 10 && line.split(':').nth(1).is_some_and(|c| c == "*" || c.starts_with("CL_TYPE_"))
    }
    seen.extension == "cdb" && seen.all_lines(comment, line)
}

fn comment(line: &str) -> bool {
    line.starts_with('#')
}
