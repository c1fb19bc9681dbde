//! Artifact paths: what an agent may safely be told to write. Relative, `/`-separated, no part
//! empty or dots, no character that means something to a shell, a terminal, Windows or a reader's
//! eye, and no two that fold to one.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization as _;

use base::{Limits, Reason, Refusal, quoted};

/// Checks that an artifact may have `path`. Refusals: `path-*`.
pub fn check(path: &str, limits: &Limits) -> Result<(), Refusal> {
    let refuse = |reason, what: &str| Err(Refusal::new(reason, format!("\"{}\" {what}", quoted(path))));
    if path.len() as u64 > limits.path {
        let what = format!("has {} bytes; the limit of a path is {}", path.len(), limits.path);
        return refuse(Reason::PathTooLong, &what);
    }
    if !fits_ustar(path) {
        return refuse(
            Reason::PathTooLong,
            "does not fit a ustar header: 100 bytes for the file name, 155 for its folders",
        );
    }
    if path.chars().any(|c| c == '\\' || c == ':' || c.is_control() || is_invisible(c)) {
        return refuse(
            Reason::PathCharacter,
            "has a backslash, a colon, a control character or an invisible character",
        );
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse(Reason::PathEscapes, "is empty, is absolute, or has an empty, . or .. part");
    }
    // Windows drops a dot or space at the end of a name: `a.` is `a` there.
    if path.split('/').any(|part| part.ends_with(['.', ' ']) || part.starts_with(' ')) {
        return refuse(Reason::PathCharacter, "has a part that begins with a space or ends with a dot or space");
    }
    if path.matches('/').count() as u64 > limits.depth {
        return refuse(Reason::PathTooDeep, &format!("has more folders than the limit of {}", limits.depth));
    }
    let cld = path.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("cld"));
    if path.starts_with("-/") {
        return refuse(Reason::PathReserved, "begins with -/, which is reserved for the relay's own files");
    }
    if cld {
        return refuse(Reason::PathReserved, "ends in .cld: freshclam would take this file instead of newer ones");
    }
    Ok(())
}

/// Checks that no two of these sorted paths are one path, or file and folder, to an agent that folds case or normalises
/// Unicode. Refusals: `path-collision`, `path-file-and-folder`.
pub fn check_together<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut files: BTreeMap<String, &str> = BTreeMap::new();
    for path in paths {
        if let Some(other) = files.insert(folded(path), path) {
            let detail = format!("\"{}\" and \"{}\" are the same path to some agents", quoted(other), quoted(path));
            return Err(Refusal::new(Reason::PathCollision, detail));
        }
    }
    // `a`, `a-b`, `a/c`: the file and what lies under it need not be neighbours, so look each folder up.
    for (fold, path) in &files {
        for (slash, _) in fold.match_indices('/') {
            if let Some(file) = fold.get(..slash).and_then(|folder| files.get(folder)) {
                let detail = format!("\"{}\" is a file, and a folder of \"{}\"", quoted(file), quoted(path));
                return Err(Refusal::new(Reason::PathFileAndFolder, detail));
            }
        }
    }
    Ok(())
}

/// Case folded and in NFC, so that equal results may be one file name on some system.
pub fn folded(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    caseless::default_case_fold_str(&path.nfd().collect::<String>()).nfkc().collect()
}

/// Endings of files that vouch for another one's bytes.
const COMPANIONS: &[&str] = &[".asc", ".md5", ".minisig", ".sha256", ".sig", ".sign"];

/// File for whose bytes the file at `path` vouches, by its name.
pub fn companion_of(path: &str) -> Option<&str> {
    COMPANIONS.iter().find_map(|ending| path.strip_suffix(ending))
}

/// Database of which the file at `path` is a signature or an increment, by its name.
pub fn database_of(path: &str) -> Option<String> {
    let rest = [".cvd.sign", ".cdiff", ".cdiff.sign"].iter().find_map(|ending| path.strip_suffix(ending))?;
    rest.rsplit_once('-').map(|(name, _)| format!("{name}.cvd"))
}

/// The two fields a ustar header has for a path (POSIX.1-1988): prefix of at most 155 bytes and
/// name of at most 100, split at a `/`. The prefix is used only where the path needs it, and the
/// split is the last that fits the prefix, as GNU tar writes it.
pub fn ustar_split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let cut = path.char_indices().filter(|(i, c)| *c == '/' && *i <= 155).map(|(i, _)| i).next_back()?;
    let (prefix, name) = (path.get(..cut)?, path.get(cut + 1..)?);
    (name.len() <= 100 && !name.is_empty()).then_some((prefix, name))
}

fn fits_ustar(path: &str) -> bool {
    ustar_split(path).is_some()
}

/// Characters that take no room, turn the writing direction or imitate a space.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{00a0}' | '\u{1680}' | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' | '\u{e000}'..='\u{f8ff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(path: &str) -> Option<Reason> {
        check(path, &Limits::default()).err().map(|r| r.reason)
    }

    #[test]
    fn forms() {
        for good in ["daily.cvd", "a/b c+d%;[x].rules", "é/ü.yar", "-a/b"] {
            assert_eq!(reason(good), None, "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "./a", "a/../b", ".."] {
            assert_eq!(reason(bad), Some(Reason::PathEscapes), "{bad}");
        }
        for bad in ["a\\b", "C:x", "a\0", "a\x1b[31m", "a\u{202e}b", "a\u{200b}", "a.", "b ", "\u{7f}"] {
            assert_eq!(reason(bad), Some(Reason::PathCharacter), "{bad:?}");
        }
        assert_eq!(reason("a/".repeat(9).trim_end_matches('/')), None);
        assert_eq!(reason(&format!("{}b", "a/".repeat(9))), Some(Reason::PathTooDeep));
        assert_eq!(reason(&"a".repeat(101)), Some(Reason::PathTooLong));
        assert_eq!(reason(&"ab/".repeat(80)), Some(Reason::PathTooLong));
        assert_eq!(reason("-/x"), Some(Reason::PathReserved));
        assert_eq!(reason("main.CLD"), Some(Reason::PathReserved));
    }

    #[test]
    fn together() {
        let reason = |paths: &[&str]| check_together(paths.iter().copied()).err().map(|r| r.reason);
        assert_eq!(reason(&["a", "b/c", "b/d"]), None);
        assert_eq!(reason(&["A.cvd", "a.cvd"]), Some(Reason::PathCollision));
        assert_eq!(reason(&["e\u{301}", "\u{e9}"]), Some(Reason::PathCollision));
        assert_eq!(reason(&["Straße", "strasse"]), Some(Reason::PathCollision));
        assert_eq!(reason(&["a", "a-b", "a/c"]), Some(Reason::PathFileAndFolder));
        assert_eq!(reason(&["A", "a/c"]), Some(Reason::PathFileAndFolder));
    }

    #[test]
    fn split_as_tar_does() {
        assert_eq!(ustar_split("a/b"), Some(("", "a/b")));
        let long = format!("{}/{}", "p".repeat(60), "n".repeat(80));
        assert_eq!(ustar_split(&long), Some(("p".repeat(60).as_str(), "n".repeat(80).as_str())));
        assert_eq!(ustar_split(&"n".repeat(101)), None);
    }
}
