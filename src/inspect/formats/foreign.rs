//! Bytes that are never content: programs, scripts, archives, documents, compiled rules. Told by
//! their first bytes (the `magic` numbers of file(1)) or, for scripts, by what they begin with or
//! how they are called.

use base::Reason;

const MAGIC: &[(&[u8], Reason)] = &[
    (b"\x7fELF", Reason::KindExecutable),
    (b"MZ", Reason::KindExecutable),
    (b"\xfe\xed\xfa\xce", Reason::KindExecutable),
    (b"\xfe\xed\xfa\xcf", Reason::KindExecutable),
    (b"\xce\xfa\xed\xfe", Reason::KindExecutable),
    (b"\xcf\xfa\xed\xfe", Reason::KindExecutable),
    (b"\xca\xfe\xba\xbe", Reason::KindExecutable),
    (b"\0asm", Reason::KindExecutable),
    (b"dex\n", Reason::KindExecutable),
    (b"!<arch>\n", Reason::KindExecutable),
    (b"#!", Reason::KindScript),
    (b"<?php", Reason::KindScript),
    (b"\x1bLua", Reason::KindCompiled),
    (b"YARA\0", Reason::KindCompiled),
    (b"YARA-X", Reason::KindCompiled),
    (b"YARA", Reason::KindCompiled),
    (b"ClamBC", Reason::KindCompiled),
    (b"PK\x03\x04", Reason::KindArchive),
    (b"PK\x05\x06", Reason::KindArchive),
    (b"PK\x07\x08", Reason::KindArchive),
    (b"\x1f\x8b", Reason::KindArchive),
    (b"\x1f\x9d", Reason::KindArchive),
    (b"BZh", Reason::KindArchive),
    (b"\xfd7zXZ\0", Reason::KindArchive),
    (b"7z\xbc\xaf\x27\x1c", Reason::KindArchive),
    (b"Rar!\x1a\x07", Reason::KindArchive),
    (b"\x28\xb5\x2f\xfd", Reason::KindArchive),
    (b"\x04\x22\x4d\x18", Reason::KindArchive),
    (b"LZIP", Reason::KindArchive),
    (b"MSCF", Reason::KindArchive),
    (b"xar!", Reason::KindArchive),
    (b"070701", Reason::KindArchive),
    (b"070707", Reason::KindArchive),
    (b"hsqs", Reason::KindArchive),
    (b"%PDF", Reason::KindDocument),
    (b"{\\rtf", Reason::KindDocument),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Reason::KindDocument),
    (b"\x89PNG", Reason::KindDocument),
    (b"\xff\xd8\xff", Reason::KindDocument),
    (b"GIF8", Reason::KindDocument),
];

const SCRIPTS: &[&str] = &[
    "sh", "bash", "py", "pyc", "pl", "rb", "js", "mjs", "vbs", "vbe", "bat", "cmd", "ps1", "psm1", "lua", "php", "wsf",
    "hta", "jar", "class", "tcl", "awk",
];

/// Why these bytes never pass, if that can be told.
pub fn recognise(extension: &str, head: &[u8]) -> Option<Reason> {
    if let Some((_, reason)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*reason);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Reason::KindArchive);
    }
    if extension == "cbc" {
        return Some(Reason::KindCompiled);
    }
    if SCRIPTS.contains(&extension) {
        return Some(Reason::KindScript);
    }
    let start = head.trim_ascii_start();
    let begins = |word: &[u8]| start.get(..word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word));
    if begins(b"<script") || begins(b"@echo off") {
        return Some(Reason::KindScript);
    }
    // A captive portal's or proxy's error page, saved under a content's name.
    if begins(b"<!doctype html") || begins(b"<html") || begins(b"<svg") {
        return Some(Reason::KindDocument);
    }
    None
}
