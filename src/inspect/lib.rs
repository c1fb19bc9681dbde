//! What an artifact is, and whether it may pass: default deny. An artifact is cleared only if the
//! kind that the manifest declares is the kind that its bytes show and one that the feed may carry, and that kind's
//! inspector finds nothing in it that the feed does not permit. In scope: the kind, that a text is plain text, what
//! each rule, signature or indicator does in an engine, and which lines to leave out. Out of scope: single
//! lines of containers (`.cvd`, `.cdiff`), which their vendor signed as a whole; whether an engine of some version takes
//! a line.
//!
//! ```text
//! bytes ─► text ─► kind ─► the format's own file ─► flaws, by reason and line ─► verdict
//!                                               └─► items: what each line is, for the comparison of releases
//! ```

pub mod archive;
pub mod beside;
pub mod cdiff;
pub mod clamav;
pub mod cvd;
pub mod examination;
pub mod examiner;
pub mod flaw;
pub mod foreign;
pub mod item;
pub mod json;
pub mod keywords;
pub mod kind;
pub mod lines;
pub mod lists;
pub mod misp;
pub mod notes;
pub mod pattern;
pub mod policy;
pub mod rebuild;
pub mod regex;
pub mod rules;
pub mod sigma;
pub mod stix;
pub mod strip;
pub mod submission;
pub mod suricata;
pub mod tar;
pub mod text;
pub mod verdict;
pub mod whole;
pub mod yara;
pub mod zip;
pub mod zipping;

use md5::Digest as _;
use serde::{Deserialize, Serialize};

pub use cvd::Database;
pub use examination::Examination;
pub use kind::Kind;
pub use policy::{Action, Asked, Demand, Demands, Opaque, Policy, Terms};
pub use verdict::{Counts, Decision, Dropped, Stripped, Verdict};

use base::{Digest, Fault, Reason, Refusal};
use bundle::Artifact;
use flaw::{CONTENT, Cut, Flaw, MOST_IN_ALL};
use lines::Lines;
use notes::Notes;
use policy::Outcome;
use text::Text;

/// How many bytes from the beginning of an artifact its kind is told by.
pub const HEAD: usize = 64 << 10;

/// Takes the bytes of each artifact, and then its verdict: what is withheld must not be kept.
pub trait Keep {
    /// The next artifact begins.
    fn begin(&mut self, artifact: &Artifact) -> Result<(), Fault>;
    /// More of its bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// More of its items, as whole records.
    fn items(&mut self, records: &[u8]) -> Result<(), Fault>;
    /// It ended; `verdict` says whether its bytes may be kept. Where something is stripped, [`strip::strip`] puts what
    /// is left where [`Keep::stripped`] finds it.
    fn end(&mut self, verdict: &mut Verdict, cuts: &[Cut]) -> Result<(), Fault>;
    /// What is left of the artifact at `path` that is stripped: a file of its own.
    fn stripped(&self, path: &str) -> std::path::PathBuf;
}

/// What an artifact's bytes show: facts, and no decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The kind, or why they show none that may pass.
    pub kind: Result<Kind, Reason>,
    /// The first line at fault, counted from 1.
    pub line: Option<u64>,
    /// What a ClamAV database says of itself.
    pub database: Option<Database>,
    /// MD5 of a rule file, in hex.
    pub md5: Option<String>,
    /// Kinds of the files in an archive.
    #[serde(default)]
    pub members: Vec<Kind>,
    /// What its content does that may not pass. It travels by itself, a flaw a message.
    #[serde(skip)]
    pub flaws: Vec<Flaw>,
}

impl Finding {
    /// Whether an honest examiner could say so.
    pub fn is_plausible(&self) -> bool {
        let hex = |text: &String| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        self.md5.as_ref().is_none_or(hex)
            && (self.database.is_none() || self.kind == Ok(Kind::ClamavCvd))
            && (self.flaws.is_empty() || self.kind.is_ok())
            && self.flaws.iter().all(|flaw| flaw.member.as_ref().is_none_or(|member| member.len() <= 255))
            && self.flaws.len() <= MOST_IN_ALL
            && self.flaws.iter().all(|flaw| CONTENT.contains(&flaw.reason))
    }

    /// The verdict on `artifact`, whose bytes show this, on these terms; and what to leave out, in order, where it is
    /// to be stripped. Refusal: the reason why the release is not to be taken at all.
    pub fn judge(self, artifact: &Artifact, terms: Terms<'_>) -> Result<(Verdict, Vec<Cut>), Refusal> {
        let opaque = if self.kind == Err(Reason::KindUnknown) { terms.opaque.rule(artifact.sha256) } else { None };
        let demanded = terms.demands.unfit(self.kind.ok(), &self.members, artifact.sha256);
        // A kind that is not one, not the declared one or not wanted comes before what the content does.
        let unfit = match self.kind {
            Err(_) if opaque.is_some() => demanded.map(|(reason, _)| (reason, None)),
            Err(reason) => Some((reason, self.line)),
            Ok(kind) if kind.name() != artifact.kind => Some((Reason::KindMismatch, None)),
            Ok(kind) if !terms.kinds.contains(&kind) => Some((Reason::KindNotAllowed, None)),
            // What may not come by itself may not come in an archive.
            Ok(_) if !self.members.iter().all(|kind| terms.kinds.contains(kind)) => {
                Some((Reason::KindNotAllowed, None))
            }
            Ok(_) => demanded.map(|(reason, _)| (reason, None)),
        };
        let kind = self.kind.ok();
        let outcome = match (unfit, kind) {
            (Some((reason, line)), _) if terms.decide(kind, reason).action == Action::Refuse => {
                return Err(terms.refusal(kind, reason, &artifact.path, line));
            }
            (Some((reason, line)), _) => Outcome::Withhold(reason, line, None),
            (None, Some(kind)) => terms.judge(kind, self.flaws, &artifact.path)?,
            (None, None) => Outcome::Clear,
        };
        let mut verdict = Verdict {
            decision: Decision::Cleared,
            path: artifact.path.clone(),
            size: artifact.size,
            sha256: artifact.sha256,
            declared: artifact.kind.clone(),
            shown: kind,
            reason: None,
            line: None,
            member: None,
            rule: None,
            stripped: None,
            database: self.database,
            md5: self.md5,
        };
        let mut cuts = Vec::new();
        match outcome {
            Outcome::Clear => {}
            Outcome::Withhold(reason, line, member) => {
                (verdict.decision, verdict.reason, verdict.line) = (Decision::Withheld, Some(reason), line);
                verdict.member = member;
            }
            Outcome::Strip(mut flaws) => {
                flaws.sort_by(|a, b| (&a.member, a.line, a.reason).cmp(&(&b.member, b.line, b.reason)));
                cuts = flaw::cuts(&flaws);
                if let Some(first) = flaws.first() {
                    (verdict.decision, verdict.reason) = (Decision::Stripped, Some(first.reason));
                    (verdict.line, verdict.member) = (Some(first.line), first.member.clone());
                }
                // What the new bytes are, is told by whoever makes them.
                let dropped = |flaw: Flaw| Dropped { line: flaw.line, reason: flaw.reason, member: flaw.member };
                let dropped = flaws.into_iter().map(dropped).collect();
                verdict.stripped = Some(Box::new(Stripped { size: 0, sha256: Digest([0; 32]), dropped }));
            }
        }
        let rule = verdict.reason.and_then(|reason| terms.decide(kind, reason).rule);
        let demand = demanded.filter(|(reason, _)| verdict.reason == Some(*reason)).map(|(_, rule)| rule);
        verdict.rule = demand.or(rule).or(opaque).map(str::to_owned);
        Ok((verdict, cuts))
    }
}

/// What has been seen of one artifact: its first bytes, whether all of it is plain text, and what its inspector says.
pub struct Look {
    path: String,
    head: Vec<u8>,
    text: Text,
    /// Rules and archives of them get an MD5 beside them, since that is what suricata-update asks for.
    md5: Option<md5::Md5>,
    inside: Inside,
    notes: Notes,
    /// Whether it is a file in an archive, in which there is no other.
    is_member: bool,
}

/// Who looks into the content.
enum Inside {
    /// Nobody yet: the beginning tells the kind.
    Unknown,
    /// Nobody: it is of no kind that is looked into.
    Nothing,
    Lines(Lines),
    Yara(yara::Reading),
    Json(json::Reading),
    Sigma(sigma::Reading),
    Archive(archive::Reading),
    Cdiff(cdiff::Reading),
    Cvd(Box<cvd::Reading>),
}

impl Inside {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::SuricataRules => Self::Lines(Lines::new(suricata::Suricata::default())),
            Kind::YaraSource => Self::Yara(yara::Reading::default()),
            Kind::ClamavHashes
            | Kind::ClamavBodies
            | Kind::ClamavLogical
            | Kind::ClamavContainers
            | Kind::ClamavIcons
            | Kind::ClamavAllow
            | Kind::ClamavSettings => Self::Lines(Lines::new(clamav::Database::new(kind))),
            Kind::Sha256List | Kind::Md5List | Kind::IpList | Kind::DomainList | Kind::UrlList => {
                Self::Lines(Lines::new(lists::List::new(kind)))
            }
            Kind::SigmaYaml => Self::Sigma(sigma::Reading::default()),
            Kind::StixJson | Kind::MispJson => Self::Json(json::Reading::new(kind)),
            Kind::SuricataConfig | Kind::SuricataThreshold | Kind::SidMap => {
                Self::Lines(Lines::new(rules::Config::new(kind)))
            }
            Kind::RulesArchive => Self::archive(),
            Kind::ClamavCvd => Self::cvd(),
            Kind::ClamavCdiff => Self::Cdiff(cdiff::Reading::default()),
            Kind::ClamavSign | Kind::GaprelayEndpoints | Kind::TufMetadata => Self::Nothing,
        }
    }

    fn take(&mut self, bytes: &[u8], notes: &mut Notes) {
        match self {
            Self::Unknown | Self::Nothing => {}
            Self::Lines(lines) => lines.take(bytes, notes),
            Self::Yara(reading) => reading.take(bytes),
            Self::Json(reading) => reading.take(bytes),
            Self::Sigma(reading) => reading.take(bytes),
            Self::Archive(reading) => reading.take(bytes, notes),
            Self::Cdiff(reading) => reading.take(bytes),
            Self::Cvd(reading) => reading.take(bytes, notes),
        }
    }

    fn finish(self, notes: &mut Notes) {
        match self {
            Self::Unknown | Self::Nothing => {}
            Self::Lines(lines) => lines.finish(notes),
            Self::Yara(reading) => reading.finish(notes),
            Self::Json(reading) => reading.finish(notes),
            Self::Sigma(reading) => reading.finish(notes),
            Self::Archive(reading) => reading.finish(notes),
            Self::Cdiff(reading) => reading.finish(notes),
            Self::Cvd(reading) => reading.finish(notes),
        }
    }
}

/// What an artifact of this kind with these bytes has that may not pass: for content inside of other content.
fn flaws_of(kind: Kind, bytes: &[u8]) -> Vec<Flaw> {
    let (mut inside, mut notes) = (Inside::of(kind), Notes::default());
    inside.take(bytes, &mut notes);
    inside.finish(&mut notes);
    notes.into_flaws().into_vec()
}

impl beside::Work for Look {
    fn take(&mut self, bytes: &[u8], items: &mut Vec<u8>) {
        Self::take(self, bytes);
        self.append_items(items);
    }
}

impl Look {
    /// Nothing seen yet of the artifact at `path`.
    pub fn new(path: &str) -> Self {
        let md5 = matches!(kind::extension(path).as_str(), "rules" | "gz" | "tgz" | "zip").then(md5::Md5::new);
        let notes = Notes::default();
        let (path, head, text) = (path.to_owned(), Vec::new(), Text::default());
        Self { path, head, text, md5, inside: Inside::Unknown, notes, is_member: false }
    }

    /// Nothing seen yet of a file in an archive.
    fn member(name: &str) -> Self {
        Self { is_member: true, ..Self::new(name) }
    }

    /// Hands the items since this was asked last to others' notes.
    fn hand_items(&mut self, to: &mut Notes) {
        to.absorb_items(&mut self.notes);
    }

    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8]) {
        self.text.take(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        let room = HEAD - self.head.len();
        let (head, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(head);
        if self.head.len() == HEAD && matches!(self.inside, Inside::Unknown) {
            self.begin();
        } else if room > 0 {
            // Still in the head, which its inspector gets as a whole.
            return;
        }
        self.inside.take(rest, &mut self.notes);
    }

    /// Appends the records of the items since this was asked last; asked after each piece, they take no room.
    pub fn append_items(&mut self, to: &mut Vec<u8>) {
        self.notes.append_items(to);
    }

    /// The kind its bytes show, or why they show none that may pass.
    pub fn kind(&self) -> Result<Kind, Reason> {
        kind::recognise(&self.path, &self.head, self.text.state()).map_err(|(reason, _)| reason)
    }

    /// What all of the bytes show. The items that it brings can be had before with [`Look::finish`].
    pub fn finding(mut self) -> Finding {
        self.finish();
        let kind = kind::recognise(&self.path, &self.head, self.text.state());
        let members = self.notes.kinds.iter().copied().collect();
        let database = self.notes.database.filter(|_| kind == Ok(Kind::ClamavCvd));
        let flaws = if kind.is_ok() { self.notes.into_flaws().into_vec() } else { Vec::new() };
        Finding {
            flaws,
            members,
            database,
            line: match kind {
                Err((Reason::TextControl | Reason::TextEncoding, _)) => self.text.fault_line(),
                Err((_, line)) => line,
                Ok(_) => None,
            },
            md5: self.md5.map(|md5| data_encoding::HEXLOWER.encode(&md5.finalize())),
            kind: kind.map_err(|(reason, _)| reason),
        }
    }

    /// All bytes were taken: what the inspector still holds back becomes notes.
    pub fn finish(&mut self) {
        if matches!(self.inside, Inside::Unknown) {
            self.begin();
        }
        std::mem::replace(&mut self.inside, Inside::Nothing).finish(&mut self.notes);
    }

    /// The head is whole: from now on the kind's inspector reads along. What makes it another kind later, a character
    /// that no text has, keeps the artifact back, and the notes count for nothing.
    fn begin(&mut self) {
        let kind = self.kind().ok().filter(|kind| !self.is_member || *kind != Kind::RulesArchive);
        self.inside = kind.map_or(Inside::Nothing, Inside::of);
        self.inside.take(&self.head, &mut self.notes);
    }
}
