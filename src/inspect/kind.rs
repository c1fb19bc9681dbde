//! The kinds of content, and how each is told from the bytes.

use serde::{Deserialize, Serialize};

use super::text::State;
use super::{archive, clamav, foreign, json, lists, rules, submission};
use base::Reason;

macro_rules! kinds {
    ($($name:ident $code:literal $meaning:literal $recognise:expr;)*) => {
        /// A kind of content that may pass where a feed allows it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Kind { $(#[doc = $meaning] #[serde(rename = $code)] $name),* }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in manifests and in the config.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// What it is, and how it is told.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            fn fits(self, seen: &Seen<'_>) -> bool {
                let recognise: fn(&Seen<'_>) -> bool = match self { $(Self::$name => $recognise),* };
                recognise(seen)
            }
        }
    };
}

/// The first bytes of an artifact and its path's ending, as the formats look at them.
pub struct Seen<'a> {
    /// The path.
    pub path: &'a str,
    /// Its lower-case ending, without the dot.
    pub extension: &'a str,
    /// At most the first 64 KiB.
    pub head: &'a [u8],
    /// The whole lines among them, if the artifact is plain text.
    pub lines: Option<&'a [&'a str]>,
}

impl Seen<'_> {
    /// Whether the first line that is neither empty nor `comment` is `good`: what the others are, is for the format's
    /// inspector to say, with their numbers.
    pub fn first_line(&self, comment: fn(&str) -> bool, good: fn(&str) -> bool) -> bool {
        let mut lines = self.lines.unwrap_or_default().iter().filter(|l| !l.trim().is_empty() && !comment(l.trim()));
        lines.next().is_some_and(|line| good(line.trim()))
    }
}

kinds! {
    ClamavCvd "clamav-cvd" "ClamAV database container (.cvd): begins ClamAV-VDB:" clamav::is_cvd;
    ClamavCdiff "clamav-cdiff" "ClamAV database increment (.cdiff): begins ClamAV-Diff:" clamav::is_cdiff;
    ClamavSign "clamav-sign" "Detached signature of a ClamAV 1.5 database (.sign): begins #clamsign-" clamav::is_sign;
    ClamavHashes "clamav-hashes" "ClamAV hash signatures (.hdb .hsb .mdb .msb .imp): HASH:SIZE:NAME lines" clamav::is_hashes;
    ClamavBodies "clamav-bodies" "ClamAV body signatures (.ndb): NAME:TARGET:OFFSET:HEX lines" clamav::is_bodies;
    ClamavLogical "clamav-logical" "ClamAV logical signatures (.ldb): NAME;TARGET;EXPRESSION;SUBSIGNATURES lines" clamav::is_logical;
    ClamavContainers "clamav-containers" "ClamAV container metadata signatures (.cdb)" clamav::is_containers;
    ClamavIcons "clamav-icons" "ClamAV icon signatures (.idb): NAME:GROUP:GROUP:HASH lines" clamav::is_icons;
    ClamavAllow "clamav-allow" "ClamAV allow lists and ignored signatures (.fp .sfp .wdb .ign .ign2): pass only where rule-weakens-detection is permitted" clamav::is_allow;
    ClamavSettings "clamav-settings" "ClamAV engine switches, file types, certificates and passwords (.cfg .ftm .crb .pwdb): pass only where rule-weakens-detection is permitted" clamav::is_settings;
    SuricataRules "suricata-rules" "Suricata or Snort rules (.rules): ACTION HEADER (OPTIONS) lines" rules::is_suricata;
    SuricataConfig "suricata-config" "Suricata or Snort classifications and references (.config .conf): config classification and config reference lines" rules::is_config;
    SuricataThreshold "suricata-threshold" "Suricata or Snort thresholds and suppressions (.config .conf): pass only where rule-weakens-detection is permitted" rules::is_threshold;
    SidMap "sid-map" "Names of rules by their ids (.map): SID || MESSAGE || REFERENCE lines" rules::is_map;
    RulesArchive "rules-archive" "Rules in an archive (.tar.gz .tgz .zip); each file in it must be of a kind that the feed may carry" archive::is_archive;
    YaraSource "yara-source" "YARA rules in source form (.yar .yara)" rules::is_yara;
    SigmaYaml "sigma-yaml" "A Sigma rule (.yml .yaml): title, logsource and detection" rules::is_sigma;
    StixJson "stix-json" "A STIX 2 bundle (.json)" json::is_stix;
    MispJson "misp-json" "A MISP event (.json)" json::is_misp;
    Sha256List "sha256-list" "One SHA-256 a line, hex (.txt .list .csv .sha256)" lists::is_sha256;
    Md5List "md5-list" "One MD5 a line, hex (.txt .list .csv .md5)" lists::is_md5;
    IpList "ip-list" "One address or CIDR block a line (.txt .list .ipset .netset)" lists::is_ip;
    DomainList "domain-list" "One domain name a line (.txt .list)" lists::is_domain;
    TufMetadata "tuf-metadata" "TUF metadata that was signed offline (.json): root, targets and the roles of feeds" json::is_tuf;
    GaprelayEndpoints "gaprelay-endpoints" "A list of vendors' endpoints for this relay (.json), shorter than 64 KiB" json::is_endpoints;
    UrlList "url-list" "One http or https URL a line (.txt .list)" lists::is_url;
}

impl Kind {
    /// Whether an engine only compares what is in it with what it sees: digests, names, addresses, sequences of bytes.
    /// Nothing in it decides, follows a flow, or takes an expression's time.
    pub fn is_inert(self) -> bool {
        let lists = [Self::Sha256List, Self::Md5List, Self::IpList, Self::DomainList, Self::UrlList];
        lists.contains(&self) || matches!(self, Self::ClamavHashes | Self::ClamavBodies)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The one kind the bytes show, or why they show none that may pass.
/// Reasons: `content-empty`, `kind-executable`, `kind-script`, `kind-archive`, `kind-document`,
/// `kind-compiled`, `text-control`, `text-encoding`, `kind-unknown`.
/// `rule-submits` for a text of no kind that sets an engine to send something; with the line, if there is one.
pub fn recognise(path: &str, head: &[u8], state: State) -> Result<Kind, (Reason, Option<u64>)> {
    let extension = extension(path);
    if head.is_empty() {
        return Err((Reason::ContentEmpty, None));
    }
    if let Some(reason) = foreign::recognise(&extension, head).filter(|_| !is_archive(path, head)) {
        return Err((reason, None));
    }
    let whole = if head.len() < crate::HEAD {
        head
    } else {
        head.get(..head.iter().rposition(|b| *b == b'\n').unwrap_or(0)).unwrap_or_default()
    };
    let text = str::from_utf8(whole).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    // The kinds are tried as if the text were plain, so that a text kind with one bad character is
    // named for that character and not called unknown.
    let seen = Seen { path, extension: &extension, head, lines: Some(&lines) };
    let found = Kind::ALL.iter().copied().find(|kind| kind.fits(&seen));
    let binary = matches!(found, Some(Kind::ClamavCvd | Kind::ClamavCdiff | Kind::RulesArchive));
    let reason = match (found, state) {
        (Some(kind), _) if binary => return Ok(kind),
        (Some(kind), State::Plain) => return Ok(kind),
        (Some(_), State::Control) => Reason::TextControl,
        (_, State::NotUtf8) if is_text_extension(&extension) => Reason::TextEncoding,
        (_, State::Control) if is_text_extension(&extension) => Reason::TextControl,
        (None, State::Plain) => match submission::line_that_submits(&lines) {
            Some(line) => return Err((Reason::RuleSubmits, Some(line))),
            None => Reason::KindUnknown,
        },
        _ => Reason::KindUnknown,
    };
    Err((reason, None))
}

/// A tar in gzip or a zip, by the path's ending and the first bytes.
pub fn is_archive(path: &str, head: &[u8]) -> bool {
    let lower = path.to_ascii_lowercase();
    let is_tar = [".tar.gz", ".tgz"].iter().any(|ending| lower.ends_with(ending)) && head.starts_with(b"\x1f\x8b");
    is_tar || extension(path) == "zip" && head.starts_with(b"PK\x03\x04")
}

/// The path's ending, lower case, without the dot.
pub fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default()
}

fn is_text_extension(extension: &str) -> bool {
    const TEXT: &[&str] =
        &["rules", "yar", "yara", "yml", "yaml", "json", "txt", "list", "csv", "sign", "config", "conf", "map"];
    TEXT.contains(&extension) || clamav::is_text_extension(extension)
}
