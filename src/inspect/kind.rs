//! The kinds of content.

use serde::{Deserialize, Serialize};

/// Number of bytes from the beginning of an artifact by which its kind is recognised.
pub(crate) const HEAD: usize = 64 << 10;

macro_rules! kinds {
    ($($name:ident $code:literal $meaning:literal;)*) => {
        /// A kind of content that may pass where a feed allows it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Kind { $(#[doc = $meaning] #[serde(rename = $code)] $name),* }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Name in manifests and in the config.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// Description, and the sign by which it is recognised.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

kinds! {
    ClamavCvd "clamav-cvd" "ClamAV database container (.cvd): begins with ClamAV-VDB:";
    ClamavCdiff "clamav-cdiff" "ClamAV database increment (.cdiff): begins with ClamAV-Diff:";
    ClamavSign "clamav-sign" "Detached signature of a ClamAV 1.5 database (.sign): begins with #clamsign-";
    ClamavHashes "clamav-hashes" "ClamAV hash signatures (.hdb .hsb .mdb .msb .imp): HASH:SIZE:NAME lines";
    ClamavBodies "clamav-bodies" "ClamAV body signatures (.ndb): NAME:TARGET:OFFSET:HEX lines";
    ClamavLogical "clamav-logical" "ClamAV logical signatures (.ldb): NAME;TARGET;EXPRESSION;SUBSIGNATURES lines";
    ClamavContainers "clamav-containers" "ClamAV container metadata signatures (.cdb)";
    ClamavIcons "clamav-icons" "ClamAV icon signatures (.idb): NAME:GROUP:GROUP:HASH lines";
    ClamavAllow "clamav-allow" "ClamAV allow lists and ignored signatures (.fp .sfp .wdb .ign .ign2): pass only where rule-weakens-detection is permitted";
    ClamavSettings "clamav-settings" "ClamAV engine switches, file types, certificates and passwords (.cfg .ftm .crb .pwdb): pass only where rule-weakens-detection is permitted";
    SuricataRules "suricata-rules" "Suricata or Snort rules (.rules): ACTION HEADER (OPTIONS) lines";
    SuricataConfig "suricata-config" "Suricata or Snort classifications and references (.config .conf): config classification and config reference lines";
    SuricataThreshold "suricata-threshold" "Suricata or Snort thresholds and suppressions (.config .conf): pass only where rule-weakens-detection is permitted";
    SidMap "sid-map" "Names of rules by their ids (.map): SID || MESSAGE || REFERENCE lines";
    RulesArchive "rules-archive" "Rules in an archive (.tar.gz .tgz .zip); each file in it must be of a kind that the feed may carry";
    YaraSource "yara-source" "YARA rules in source form (.yar .yara)";
    SigmaYaml "sigma-yaml" "A Sigma rule (.yml .yaml): title, logsource and detection";
    StixJson "stix-json" "A STIX 2 bundle (.json)";
    MispJson "misp-json" "A MISP event (.json)";
    Sha256List "sha256-list" "One SHA-256 a line, hex (.txt .list .csv .sha256)";
    Md5List "md5-list" "One MD5 a line, hex (.txt .list .csv .md5)";
    IpList "ip-list" "One address or CIDR block a line (.txt .list .ipset .netset)";
    DomainList "domain-list" "One domain name a line (.txt .list)";
    TufMetadata "tuf-metadata" "TUF metadata that was signed offline (.json): root, targets and the roles of feeds";
    GaprelayEndpoints "gaprelay-endpoints" "A list of vendors' endpoints for this relay (.json), shorter than 64 KiB";
    UrlList "url-list" "One http or https URL a line (.txt .list)";
}

impl Kind {
    /// True if an engine only compares its content with what it sees: digests, names, addresses, sequences of bytes.
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
