//! ClamAV's formats. Sources: the ClamAV manual, "Signatures" (docs.clamav.net/manual/Signatures), and the readers in
//! `libclamav/readdb.c` where the manual is silent; the CVD header as `cl_cvdparse(3)` reads it. In scope: what each
//! line of a text database is. Out of scope: whether an engine of some level compiles a subsignature.

use std::borrow::Cow;

use super::lines::{Grammar, TextLine};
use super::regex;
use super::seen::FirstBytes;
use crate::item::{Effect, Item};
use crate::kind::Kind;
use crate::notes::Notes;
use base::Reason;

const HASHES: &[&str] = &["hdb", "hdu", "hsb", "hsu", "mdb", "mdu", "msb", "msu", "imp"];
const BODIES: &[&str] = &["ndb", "ndu"];
const LOGICAL: &[&str] = &["ldb", "ldu"];
const ALLOW: &[&str] = &["fp", "sfp", "wdb", "ign", "ign2"];
const SETTINGS: &[&str] = &["cfg", "ftm", "crb", "pwdb"];

/// Longest line, in bytes; `CLI_DEFAULT_LSIG_BUFSIZE` of the engine, which cuts what is longer.
const LONGEST: usize = 32_768;

/// True if files of this ending are one of the text databases.
pub fn is_text_extension(extension: &str) -> bool {
    [HASHES, BODIES, LOGICAL, ALLOW, SETTINGS, &["cdb", "idb"]].iter().any(|all| all.contains(&extension))
}

/// The kind of the text databases of this ending, as a container has them.
pub fn kind_of(extension: &str) -> Option<Kind> {
    const ALL: [(&[&str], Kind); 7] = [
        (HASHES, Kind::ClamavHashes),
        (BODIES, Kind::ClamavBodies),
        (LOGICAL, Kind::ClamavLogical),
        (&["cdb"], Kind::ClamavContainers),
        (&["idb"], Kind::ClamavIcons),
        (ALLOW, Kind::ClamavAllow),
        (SETTINGS, Kind::ClamavSettings),
    ];
    ALL.iter().find(|(endings, _)| endings.contains(&extension)).map(|(_, kind)| *kind)
}

/// True if a file of this name and ending may stand in a container; bytecode is another matter.
pub fn may_stand(name: &str, extension: &str) -> bool {
    let others = ["info", "pdb", "gdb", "ioc", "yar", "yara"];
    name == "COPYING" || others.contains(&extension) || kind_of(extension).is_some()
}

/// A database container: a 512-byte header of `:`-separated fields.
pub fn is_cvd(seen: &FirstBytes<'_>) -> bool {
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
pub fn is_cdiff(seen: &FirstBytes<'_>) -> bool {
    seen.extension == "cdiff" && seen.head.starts_with(b"ClamAV-Diff:")
}

/// A detached signature of ClamAV 1.5 and later.
pub fn is_sign(seen: &FirstBytes<'_>) -> bool {
    seen.extension == "sign" && seen.head.starts_with(b"#clamsign-")
}

/// `HASH:SIZE:NAME[:LEVELS]`; in section databases `SIZE:HASH:NAME`.
pub fn is_hashes(seen: &FirstBytes<'_>) -> bool {
    HASHES.contains(&seen.extension) && seen.first_line(comment, |line| hashes(line).is_some())
}

/// `NAME:TARGET:OFFSET:HEX[:LEVELS]`.
pub fn is_bodies(seen: &FirstBytes<'_>) -> bool {
    BODIES.contains(&seen.extension) && seen.first_line(comment, |line| bodies(line).is_some())
}

/// `NAME;TARGET;EXPRESSION;SUBSIGNATURE…`.
pub fn is_logical(seen: &FirstBytes<'_>) -> bool {
    LOGICAL.contains(&seen.extension) && seen.first_line(comment, |line| logical(line).is_some())
}

/// `NAME:CONTAINER:…`, ten fields or more.
pub fn is_containers(seen: &FirstBytes<'_>) -> bool {
    seen.extension == "cdb" && seen.first_line(comment, |line| containers(line).is_some())
}

/// `NAME:GROUP:GROUP:HASH`.
pub fn is_icons(seen: &FirstBytes<'_>) -> bool {
    seen.extension == "idb" && seen.first_line(comment, |line| icons(line).is_some())
}

/// Hashes, names and pages of which nothing is to be said.
pub fn is_allow(seen: &FirstBytes<'_>) -> bool {
    ALLOW.contains(&seen.extension) && seen.first_line(comment, |line| allow(line).is_some())
}

/// Switches of the engine, file types, trusted certificates, passwords of archives.
pub fn is_settings(seen: &FirstBytes<'_>) -> bool {
    SETTINGS.contains(&seen.extension) && seen.first_line(comment, |line| settings(line).is_some())
}

fn comment(line: &str) -> bool {
    line.starts_with('#')
}

/// The lines of one of the text databases.
pub struct DatabaseLines(Kind);

impl DatabaseLines {
    /// Of this kind.
    pub fn new(kind: Kind) -> Self {
        Self(kind)
    }
}

impl Grammar for DatabaseLines {
    fn longest(&self) -> usize {
        LONGEST
    }

    fn line(&mut self, line: &TextLine<'_>, notes: &mut Notes<'_>) {
        if comment(line.text) {
            return;
        }
        if self.0 == Kind::ClamavHashes {
            // There are millions of them: no copy is made.
            match hashes(line.text).filter(|_| !line.is_padded) {
                Some(entry) => notes.item(entry.item(line)),
                None => line.flaw(Reason::RuleSyntax, notes),
            }
            return;
        }
        let key = match self.0 {
            Kind::ClamavBodies => bodies(line.text).map(Cow::from),
            Kind::ClamavLogical => logical(line.text).map(Cow::from),
            Kind::ClamavContainers => containers(line.text).map(Cow::from),
            Kind::ClamavIcons => icons(line.text).map(Cow::from),
            Kind::ClamavAllow => allow(line.text).map(Cow::from),
            _ => settings(line.text).map(Cow::from),
        };
        let Some(key) = key.filter(|_| !line.is_padded) else { return line.flaw(Reason::RuleSyntax, notes) };
        let suppresses = matches!(self.0, Kind::ClamavAllow | Kind::ClamavSettings);
        let effect = if suppresses { Effect::Suppresses } else { Effect::Detects };
        if suppresses {
            line.flaw(Reason::RuleWeakensDetection, notes);
        }
        if self.0 == Kind::ClamavLogical && patterns(line.text).any(regex::explodes) {
            line.flaw(Reason::RuleCostly, notes);
        }
        // What names it stands first.
        let content = line.text.get(key.len()..).unwrap_or_default();
        notes.item(Item::new(self.0.name(), key.as_bytes(), content.as_bytes(), line.span.from, effect));
    }
}

/// True if each byte passes; without an early end, so that the compiler compares many at a time.
fn each(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_such(byte))
}

fn is_number(text: &str) -> bool {
    (1..=10).contains(&text.len()) && each(text, |b| b.is_ascii_digit())
}

/// Signatures' names: what a console shows, and logs carry.
fn is_name(text: &str) -> bool {
    (1..=512).contains(&text.len()) && each(text, |b| b.is_ascii_graphic())
}

fn is_hash(text: &str) -> bool {
    matches!(text.len(), 32 | 40 | 64) && each(text, |b| b.is_ascii_hexdigit())
}

/// At most two levels of functionality, `MIN:MAX`.
fn are_levels(text: &str) -> bool {
    text.split(':').count() <= 2 && text.split(':').all(|level| level.is_empty() || is_number(level))
}

/// An entry of a database of hashes.
struct HashEntry<'a> {
    /// The hash, and the size that stands on its other side, as written.
    first: &'a str,
    second: &'a str,
    /// Levels of functionality, with the colon before them.
    levels: &'a str,
}

impl HashEntry<'_> {
    /// Digest for comparison of the content detected and the engines that detect it; the name does not count.
    fn item(&self, line: &TextLine<'_>) -> Item {
        let space = Kind::ClamavHashes.name();
        let item = |first: &str, second: &str| {
            let values = [first.as_bytes(), second.as_bytes(), self.levels.as_bytes()];
            Item::values(space, &values, line.span.from, Effect::Detects)
        };
        if !each(self.first, |b| !b.is_ascii_uppercase()) || !each(self.second, |b| !b.is_ascii_uppercase()) {
            return item(&self.first.to_ascii_lowercase(), &self.second.to_ascii_lowercase());
        }
        item(self.first, self.second)
    }
}

/// Parts before and behind the first colon.
fn cut(line: &str) -> Option<(&str, &str)> {
    let at = memchr::memchr(b':', line.as_bytes())?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// An entry of a database of hashes; `None`: it is none.
fn hashes(line: &str) -> Option<HashEntry<'_>> {
    let (first, rest) = cut(line)?;
    let (second, rest) = cut(rest)?;
    let (name, levels) = rest.split_at_checked(memchr::memchr(b':', rest.as_bytes()).unwrap_or(rest.len()))?;
    let size = |text: &str| text == "*" || is_number(text);
    let is_entry = is_hash(first) && size(second) || size(first) && is_hash(second);
    let are_levels = levels.strip_prefix(':').is_none_or(are_levels);
    (is_entry && is_name(name) && are_levels).then_some(HashEntry { first, second, levels })
}

fn bodies(line: &str) -> Option<&str> {
    let (name, rest) = cut(line)?;
    let (target, rest) = cut(rest)?;
    let (offset, rest) = cut(rest)?;
    let (hex, levels) = cut(rest).map_or((rest, None), |(hex, levels)| (hex, Some(levels)));
    let are_levels = levels.is_none_or(are_levels);
    let good = is_name(name) && is_number(target) && is_offset(offset) && is_body(hex) && are_levels;
    good.then_some(name)
}

/// `*`, `n`, `EOF-n`, `EP+n`, `Sx+n`, `SL+n`, `SEx`, `VI`, each perhaps with `,shift`.
fn is_offset(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"*+-,$".contains(&b))
}

/// Hexadecimal with wild cards, gaps, alternatives and word marks.
fn is_body(text: &str) -> bool {
    let is_letter = |b: u8| {
        b.is_ascii_hexdigit()
            || matches!(
                b,
                b'?' | b'*'
                    | b'{'
                    | b'}'
                    | b'-'
                    | b'('
                    | b')'
                    | b'|'
                    | b'!'
                    | b'@'
                    | b'['
                    | b']'
                    | b'L'
                    | b'W'
                    | b'w'
                    | b'i'
                    | b','
                    | b'&'
            )
    };
    !text.is_empty() && each(text, is_letter)
}

fn logical(line: &str) -> Option<String> {
    let mut fields = line.splitn(4, ';');
    let (name, target, expression, rest) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_target = |part: &str| {
        let known = [
            "Target",
            "Engine",
            "FileSize",
            "EntryPoint",
            "NumberOfSections",
            "Container",
            "Intermediates",
            "IconGroup1",
            "IconGroup2",
            "HandlerType",
        ];
        part.split_once(':').is_some_and(|(name, value)| known.contains(&name) && is_name(value))
    };
    let is_expression =
        !expression.is_empty() && expression.bytes().all(|b| b.is_ascii_digit() || b"()&|=<>,".contains(&b));
    let printable = rest.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let good = is_name(name) && target.split(',').all(is_target) && is_expression && !rest.is_empty() && printable;
    // What a bytecode would be triggered by is a program's header, and not a signature of its own.
    good.then(|| name.to_owned())
}

/// The regular expressions among a logical signature's subsignatures: `TRIGGER/EXPRESSION/FLAGS`.
fn patterns(line: &str) -> impl Iterator<Item = &str> {
    line.split(';').skip(3).filter_map(|part| {
        let (trigger, rest) = part.split_once('/')?;
        let is_trigger = trigger.bytes().all(|b| b.is_ascii_alphanumeric() || b"()&|=<>,:*+-".contains(&b));
        rest.rsplit_once('/').map(|(pattern, _)| pattern).filter(|_| is_trigger)
    })
}

fn containers(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, container, ..] = fields.as_slice() else { return None };
    let printable = line.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let good =
        (10..=14).contains(&fields.len()) && is_name(name) && (*container == "*" || container.starts_with("CL_TYPE_"));
    (good && printable).then(|| (*name).to_owned())
}

fn icons(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, one, other, hash] = fields.as_slice() else { return None };
    let is_hash = (32..=256).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit());
    (is_name(name) && is_name(one) && is_name(other) && is_hash).then(|| (*name).to_owned())
}

/// A hash as in the databases; a rule of `.wdb`; a name of `.ign2`; `DATABASE:LINE:NAME` of `.ign`.
fn allow(line: &str) -> Option<String> {
    if let Some(entry) = hashes(line) {
        return Some(format!("{}:{}", entry.first, entry.second).to_ascii_lowercase());
    }
    let printable = line.bytes().all(|b| b.is_ascii_graphic());
    (printable && line.split(':').count() <= 6).then(|| line.to_owned())
}

fn settings(line: &str) -> Option<String> {
    let printable = line.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    (printable && line.contains([':', ';'])).then(|| line.split([':', ';']).next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::lines;

    fn flaws(kind: Kind, text: &str) -> Vec<(Reason, u64)> {
        let mut notes = Notes::default();
        lines::read(&mut text.as_bytes(), &mut DatabaseLines::new(kind), &mut notes).unwrap();
        notes.into_flaws().into_iter().map(|flaw| (flaw.reason, flaw.line)).collect()
    }

    /// Lines of the manual, and what is none.
    #[test]
    fn each_database_has_its_lines() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        for (kind, good) in [
            (Kind::ClamavHashes, format!("{md5}:68:Eicar-Test\n45056:{md5}:Win.X-1:73\n{md5}:*:Any.Size:73:255")),
            (Kind::ClamavBodies, "Exploit.HTML.x-1:3:*:3c6f{-20}(aa|bb)??*:90\n{HEX}a.b:0:EP+0,20:6162".into()),
            (
                Kind::ClamavLogical,
                "Sig1;Engine:51-255,Target:0;(0&1)|2=0;6162::i;EP+0:6364;0/a[bc]+;x/i\nS;Target:1;0;0/^x+y/".into(),
            ),
            (Kind::ClamavContainers, "Zip.x:CL_TYPE_ZIP:*:a\\.exe$:*:*:1:1:*:*".into()),
            (Kind::ClamavIcons, format!("ICON:GROUP1:GROUP2:{md5}{md5}{md5}abcd")),
        ] {
            assert_eq!(flaws(kind, &format!("# comment\n\n{good}\n")), [], "{good}");
        }
        for (kind, bad) in [
            (Kind::ClamavHashes, format!("{md5}:68")),
            (Kind::ClamavHashes, format!("{md5}:68:a name")),
            (Kind::ClamavHashes, format!("{md5}:68:a:73:255:1")),
            (Kind::ClamavHashes, format!("{}:68:a", md5.replace('d', "g"))),
            (Kind::ClamavBodies, "a:0:*:zz".into()),
            (Kind::ClamavBodies, "a:0:*:".into()),
            (Kind::ClamavBodies, " a:0:*:6162".into()),
            (Kind::ClamavBodies, "a:0:*:6162 ".into()),
            (Kind::ClamavLogical, "a;Target:0;0".into()),
            (Kind::ClamavLogical, "a;Run:x;0;61".into()),
            (Kind::ClamavContainers, "a:*:b".into()),
        ] {
            assert_eq!(flaws(kind, &format!("# comment\n{bad}\n")), [(Reason::RuleSyntax, 2)], "{bad}");
        }
        assert_eq!(flaws(Kind::ClamavLogical, "S;Target:1;0;0/^(x+)+y/\n"), [(Reason::RuleCostly, 1)]);
        for (kind, line) in [
            (Kind::ClamavAllow, format!("{md5}:68:Eicar")),
            (Kind::ClamavAllow, "Eicar-Test-Signature".into()),
            (Kind::ClamavAllow, "M:a.example:b.example".into()),
            (Kind::ClamavSettings, "PE:0x0:1:255".into()),
        ] {
            assert_eq!(flaws(kind, &line), [(Reason::RuleWeakensDetection, 1)], "{line}");
        }
    }
}
