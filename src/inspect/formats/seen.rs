//! Name and first bytes of an artifact, by which its kind is recognised.

/// The first bytes of an artifact and its path's ending, as the formats look at them.
pub struct FirstBytes<'a> {
    /// The path.
    pub path: &'a str,
    /// Lower-case ending, without the dot.
    pub extension: &'a str,
    /// At most the first 64 KiB.
    pub head: &'a [u8],
    /// The whole lines among them, if the artifact is plain text.
    pub lines: Option<&'a [&'a str]>,
}

impl FirstBytes<'_> {
    /// True if the first line that is neither empty nor `comment` is `good`: the format's inspector judges the
    /// other lines, and gives their numbers.
    pub fn first_line(&self, comment: fn(&str) -> bool, good: fn(&str) -> bool) -> bool {
        let mut lines = self.lines.unwrap_or_default().iter().filter(|l| !l.trim().is_empty() && !comment(l.trim()));
        lines.next().is_some_and(|line| good(line.trim()))
    }
}

/// The path's ending, lower case, without the dot.
pub fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default()
}

/// A tar in gzip or a zip, by the path's ending and the first bytes.
pub fn is_archive(path: &str, head: &[u8]) -> bool {
    let lower = path.to_ascii_lowercase();
    let is_tar = [".tar.gz", ".tgz"].iter().any(|ending| lower.ends_with(ending)) && head.starts_with(b"\x1f\x8b");
    is_tar || extension(path) == "zip" && head.starts_with(b"PK\x03\x04")
}
