//! The formats of content, in one table: how each kind is told, what reads it, and what the smallest part is that can
//! be left out of it. Runs in the examiner. A reader pulls its bytes from where they come, notes what may not pass and
//! what items there are, and decides nothing. In scope: what each rule, signature or indicator does in an engine. Out
//! of scope: single lines of containers (`.cvd`, `.cdiff`), which their vendor signed as a whole; whether an engine of
//! some version takes a line.

// What every format uses.
mod inspection;
pub mod lines;
mod recognise;
pub mod seen;
pub mod text;
pub mod whole;

// Rules, line by line and as a whole.
pub mod keywords;
pub mod regex;
pub mod rules;
pub mod sigma;
pub mod suricata;
pub mod yara;

// Engines' databases.
pub mod cdiff;
pub mod clamav;
pub mod cvd;

// Indicators.
pub mod embedded;
pub mod endpoints;
pub mod json;
pub mod lists;
pub mod misp;
pub mod pattern;
pub mod stix;

// What holds files of its own, and what is never content.
pub mod foreign;
pub mod rules_archive;
pub mod submission;

use std::io::{self, BufRead};

pub use inspection::inspect;
pub(crate) use inspection::inspect_within;
#[cfg(test)]
pub(crate) use inspection::{flaws_of, look};

use super::flaw::Unit;
use super::kind::Kind;
use super::notes::Notes;
use seen::FirstBytes;

/// One kind of content.
pub struct ContentFormat {
    /// The kind.
    pub kind: Kind,
    /// Recogniser: true if a name and first bytes are of this kind; if several are, the first in the table counts.
    pub recognise: fn(&FirstBytes<'_>) -> bool,
    /// Reader.
    pub reader: FormatReader,
    /// The smallest part that can be left out of it.
    pub unit: Unit,
    /// Patterns of its files' names.
    pub names: &'static str,
    /// Example: a line, or the beginning of a file.
    pub looks: &'static str,
    /// Programs that load it.
    pub engine: &'static str,
}

/// Reader of a format.
#[derive(Clone, Copy)]
pub enum FormatReader {
    /// Not at all: it is taken or not by what it is.
    Nothing,
    /// By a reader that notes what is in it. Errors: the source's.
    Reads(fn(&mut dyn BufRead, &mut Notes<'_>) -> io::Result<()>),
    /// File by file, each by its own format.
    Files,
}

impl FormatReader {
    fn of(kind: Kind) -> Self {
        format(kind).map_or(Self::Nothing, |format| format.reader)
    }
}

/// The row of a kind.
pub fn format(kind: Kind) -> Option<&'static ContentFormat> {
    FORMATS.iter().find(|format| format.kind == kind)
}

/// A row of the table: kind, recogniser, reader, unit; names, looks, engine.
macro_rules! formats {
    ($($kind:ident $recognise:path, $reader:expr, $unit:ident; $names:literal $looks:literal $engine:literal)*) => {
        /// Every kind there is, in the order in which they are tried.
        pub const FORMATS: &[ContentFormat] = &[$(ContentFormat {
            kind: Kind::$kind,
            recognise: $recognise,
            reader: $reader,
            unit: Unit::$unit,
            names: $names,
            looks: $looks,
            engine: $engine,
        }),*];
    };
}

/// A format of lines.
macro_rules! lines {
    ($grammar:expr) => {
        FormatReader::Reads(|source, notes| lines::read(source, &mut $grammar, notes))
    };
}

formats! {
    ClamavCvd clamav::is_cvd, FormatReader::Reads(cvd::read), Whole;
        "*.cvd" "ClamAV-VDB:26 Nov 2026 08-26 +0000:27412:…" "ClamAV"
    ClamavCdiff clamav::is_cdiff, FormatReader::Reads(cdiff::read), Whole;
        "*.cdiff" "ClamAV-Diff:27412:118344:…" "ClamAV (freshclam)"
    ClamavSign clamav::is_sign, FormatReader::Nothing, Whole;
        "*.sign" "#clamsign-1.0" "ClamAV 1.5 and later"
    ClamavHashes clamav::is_hashes, lines!(clamav::DatabaseLines::new(Kind::ClamavHashes)), Line;
        "*.hdb *.hdu *.hsb *.hsu *.mdb *.mdu *.msb *.msu *.imp" "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature" "ClamAV"
    ClamavBodies clamav::is_bodies, lines!(clamav::DatabaseLines::new(Kind::ClamavBodies)), Line;
        "*.ndb *.ndu" "Win.Trojan.Example-1:1:*:4d5a90{-20}6162" "ClamAV"
    ClamavLogical clamav::is_logical, lines!(clamav::DatabaseLines::new(Kind::ClamavLogical)), Line;
        "*.ldb *.ldu" "Win.Trojan.Example-2;Engine:51-255,Target:1;0&1;6162;6364" "ClamAV"
    ClamavContainers clamav::is_containers, lines!(clamav::DatabaseLines::new(Kind::ClamavContainers)), Line;
        "*.cdb" "Zip.Example-3:CL_TYPE_ZIP:*:a\\.exe$:*:*:1:1:*:*" "ClamAV"
    ClamavIcons clamav::is_icons, lines!(clamav::DatabaseLines::new(Kind::ClamavIcons)), Line;
        "*.idb" "ICON:GROUP1:GROUP2:HASH" "ClamAV"
    ClamavAllow clamav::is_allow, lines!(clamav::DatabaseLines::new(Kind::ClamavAllow)), Line;
        "*.fp *.sfp *.wdb *.ign *.ign2" "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature" "ClamAV"
    ClamavSettings clamav::is_settings, lines!(clamav::DatabaseLines::new(Kind::ClamavSettings)), Line;
        "*.cfg *.ftm *.crb *.pwdb" "PE:0x0:1:255" "ClamAV"
    SuricataRules rules::is_suricata, lines!(suricata::Suricata::default()), Line;
        "*.rules" "alert tcp any any -> any any (msg:\"an example\"; sid:1000001; rev:1;)" "Suricata, Snort"
    SuricataConfig rules::is_config, lines!(rules::ConfigLines::new(Kind::SuricataConfig)), Line;
        "*.config *.conf" "config classification: bad-unknown,Potentially Bad Traffic,2" "Suricata, Snort"
    SuricataThreshold rules::is_threshold, lines!(rules::ConfigLines::new(Kind::SuricataThreshold)), Line;
        "*.config *.conf" "suppress gen_id 1, sig_id 2009557, track by_src, ip 10.0.0.0/8" "Suricata, Snort"
    SidMap rules::is_map, lines!(rules::ConfigLines::new(Kind::SidMap)), Line;
        "*.map" "1000001 || an example || url,www.example.com" "consoles that show alerts of Suricata or Snort"
    RulesArchive rules_archive::is_archive, FormatReader::Files, Member;
        "*.tar.gz *.tgz *.zip" "rules/emerging-dns.rules, rules/classification.config, …" "suricata-update"
    YaraSource rules::is_yara, FormatReader::Reads(yara::read), Rule;
        "*.yar *.yara" "rule example { strings: $a = \"text\" condition: $a }" "YARA, YARA-X, ClamAV"
    SigmaYaml rules::is_sigma, FormatReader::Reads(sigma::read), Whole;
        "*.yml *.yaml" "title: An example, then logsource: and detection:" "Sigma backends"
    StixJson json::is_stix, FormatReader::Reads(|source, notes| json::read(source, stix::read, notes)), Object;
        "*.json" "{\"type\": \"bundle\", \"id\": \"bundle--…\", \"objects\": […]}" "STIX 2 consumers"
    MispJson json::is_misp, FormatReader::Reads(|source, notes| json::read(source, misp::read, notes)), Object;
        "*.json" "{\"Event\": {\"info\": \"…\", \"Attribute\": […]}}" "MISP"
    Sha256List lists::is_sha256, lines!(lists::List::new(Kind::Sha256List)), Line;
        "*.txt *.list *.csv *.sha256" "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f" "any scanner of files"
    Md5List lists::is_md5, lines!(lists::List::new(Kind::Md5List)), Line;
        "*.txt *.list *.csv *.md5" "44d88612fea8a8f36de82e1278abb02f" "any scanner of files"
    IpList lists::is_ip, lines!(lists::List::new(Kind::IpList)), Line;
        "*.txt *.list *.ipset *.netset" "192.0.2.0/24" "firewalls, Suricata"
    DomainList lists::is_domain, lines!(lists::List::new(Kind::DomainList)), Line;
        "*.txt *.list" "malware.example.com" "resolvers, proxies, Suricata"
    TufMetadata json::is_tuf, FormatReader::Nothing, Whole;
        "*.json" "{\"signatures\": […], \"signed\": {\"_type\": \"root\", …}}" "TUF clients"
    GaprelayEndpoints json::is_endpoints, FormatReader::Reads(endpoints::read), Whole;
        "*.json" "[{\"label\": \"clamav-submit\", \"submission\": true, \"hosts\": […], \"paths\": […], …}]" "this relay"
    UrlList lists::is_url, lines!(lists::List::new(Kind::UrlList)), Line;
        "*.txt *.list" "http://malware.example.com/a.exe" "proxies"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_row() {
        let rows: Vec<Kind> = FORMATS.iter().map(|format| format.kind).collect();
        assert_eq!(rows, Kind::ALL);
    }

    /// Examples of the table are of their kind, and no reader finds a fault in them but the one that the kind is about.
    #[test]
    fn what_the_table_shows_is_of_its_kind() {
        use base::Reason;
        for format in FORMATS.iter().filter(|format| format.unit == Unit::Line && format.kind != Kind::ClamavIcons) {
            for name in format.names.split(' ') {
                let path = name.replace('*', "x");
                let text = format!("{}\n", format.looks);
                let found = inspect(&path, &mut text.as_bytes(), &mut |_| {}).unwrap();
                assert_eq!(found.kind, Ok(format.kind), "{path}");
                assert!(found.flaws.iter().all(|flaw| flaw.reason == Reason::RuleWeakensDetection), "{path}");
            }
        }
    }
}
