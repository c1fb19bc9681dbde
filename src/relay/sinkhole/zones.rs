//! Zones of the sinkhole: this site's zones and single names, from the config. Nothing is ever fetched, and nobody is
//! referred to another server.

use std::collections::BTreeMap;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, TXT};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_proto::serialize::txt::Parser;

use base::{Fault, quoted};
use config::dns::Dns;

/// Largest master file, in bytes.
const LARGEST: u64 = 16 << 20;
/// Lifetime of a single name's answer, in seconds.
const TTL: u32 = 60;
/// Most aliases (CNAME) followed.
const ALIASES: usize = 8;
/// Fault of a text that is sent in pieces, where the end of a piece lies within a character.
const LONG_TEXT: &str =
    "has a text longer than 255 bytes that is not plain ASCII: make it shorter, or write it in ASCII";

/// All that is answered.
#[derive(Debug, Default)]
pub struct Zones {
    own: Vec<Zone>,
    names: BTreeMap<LowerName, Vec<Record>>,
    /// By what follows the `*.`.
    below: BTreeMap<LowerName, Vec<Record>>,
}

#[derive(Debug)]
struct Zone {
    origin: LowerName,
    soa: Record,
    /// Every name there is, also those that exist only because something lies below them.
    records: BTreeMap<LowerName, Vec<Record>>,
}

/// The answer to a question.
#[derive(Debug)]
pub struct ZoneAnswer {
    /// Response code; `Refused` where the name is not one of ours.
    pub code: ResponseCode,
    /// The records asked for, with the aliases that lead to them.
    pub answers: Vec<Record>,
    /// The zone's SOA, where something does not exist (RFC 2308).
    pub authority: Option<Record>,
}

/// Records of one name.
enum Known<'a> {
    Here(&'a [Record], Option<&'a Record>),
    Absent(Option<&'a Record>),
    NotOurs,
}

impl Zones {
    /// Reads them. `root` is where relative paths begin. Fault: a master file that cannot be used.
    pub fn load(dns: &Dns, root: &Path) -> Result<Self, Fault> {
        let mut zones = Self::default();
        for given in &dns.names {
            let wrong = |why: &str| Fault::Config(format!("dns.name \"{}\" {why}", quoted(given.name.get_ref())));
            let text = given.name.get_ref();
            let (text, map) =
                text.strip_prefix("*.").map_or((text.as_str(), &mut zones.names), |below| (below, &mut zones.below));
            let name = absolute(text).ok_or_else(|| wrong("is not a name that DNS allows"))?;
            let mut data: Vec<RData> = given
                .addresses
                .iter()
                .map(|ip| match ip {
                    std::net::IpAddr::V4(ip) => RData::A(A(*ip)),
                    std::net::IpAddr::V6(ip) => RData::AAAA(AAAA(*ip)),
                })
                .collect();
            for text in &given.text {
                let pieces = text.as_bytes().chunks(255).map(|piece| String::from_utf8(piece.to_vec()));
                let pieces = pieces.collect::<Result<Vec<_>, _>>().map_err(|_| wrong(LONG_TEXT))?;
                data.push(RData::TXT(TXT::new(pieces)));
            }
            let records = data.into_iter().map(|data| Record::from_rdata(name.clone(), TTL, data)).collect();
            if map.insert(LowerName::new(&name), records).is_some() {
                return Err(wrong("stands twice: leave one of the two out"));
            }
        }
        for given in &dns.zones {
            let zone = Zone::load(given.name.get_ref(), &root.join(&given.file))?;
            if zones.own.iter().any(|other| other.origin == zone.origin) {
                let name = quoted(given.name.get_ref());
                return Err(Fault::Config(format!("dns.zone \"{name}\" stands twice: leave one of the two out")));
            }
            zones.own.push(zone);
        }
        // A zone inside another is found before it.
        zones.own.sort_by_key(|zone| std::cmp::Reverse(zone.origin.num_labels()));
        Ok(zones)
    }

    /// The answer for `name`, all kinds of records for `ANY`.
    pub fn find(&self, name: &Name, kind: RecordType) -> ZoneAnswer {
        let mut found = ZoneAnswer { code: ResponseCode::NoError, answers: Vec::new(), authority: None };
        let mut name = name.clone();
        for _ in 0..ALIASES {
            match self.known(&LowerName::new(&name)) {
                Known::NotOurs if found.answers.is_empty() => found.code = ResponseCode::Refused,
                Known::NotOurs => {}
                Known::Absent(soa) => {
                    found.code = ResponseCode::NXDomain;
                    found.authority = soa.cloned();
                }
                Known::Here(records, soa) => {
                    let named = |record: &Record| {
                        let mut record = record.clone();
                        record.name.clone_from(&name);
                        record
                    };
                    let fits = |record: &&Record| record.record_type() == kind || kind == RecordType::ANY;
                    let before = found.answers.len();
                    found.answers.extend(records.iter().filter(fits).map(named));
                    if found.answers.len() > before {
                        return found;
                    }
                    let alias = records.iter().find_map(|record| match &record.data {
                        RData::CNAME(target) => Some((named(record), target.0.clone())),
                        _ => None,
                    });
                    if let Some((record, target)) = alias {
                        found.answers.push(record);
                        name = target;
                        continue;
                    }
                    found.authority = soa.cloned();
                }
            }
            return found;
        }
        found
    }

    fn known(&self, name: &LowerName) -> Known<'_> {
        let single =
            |records| if <[Record]>::is_empty(records) { Known::Absent(None) } else { Known::Here(records, None) };
        if let Some(records) = self.names.get(name) {
            return single(records);
        }
        if let Some(zone) = self.own.iter().find(|zone| zone.origin.zone_of(name)) {
            return zone.known(name);
        }
        let mut above = name.clone();
        while !above.is_root() {
            above = above.base_name();
            if let Some(records) = self.below.get(&above) {
                return single(records);
            }
        }
        Known::NotOurs
    }
}

impl Zone {
    fn load(name: &str, path: &Path) -> Result<Self, Fault> {
        let wrong = |why: String| {
            Fault::Config(format!(
                "dns.zone \"{}\", {}: {}",
                quoted(name),
                quoted(&path.to_string_lossy()),
                quoted(&why)
            ))
        };
        let origin = absolute(name).ok_or_else(|| wrong("the zone's name is not a name that DNS allows".into()))?;
        let unread = |e: std::io::Error| wrong(format!("the file cannot be read: {e}"));
        let size = std::fs::metadata(path).map_err(unread)?.len();
        if size > LARGEST {
            return Err(wrong(format!("the file is larger than {} MiB", LARGEST >> 20)));
        }
        let text = std::fs::read_to_string(path).map_err(unread)?;
        let parsed = Parser::new(text, None, Some(origin.clone()))
            .parse()
            .map_err(|e| wrong(format!("the file is not a master file: {e}")))?;
        let origin = LowerName::new(&origin);
        let mut records: BTreeMap<LowerName, Vec<Record>> = BTreeMap::new();
        let mut soa = None;
        for (key, set) in parsed.1 {
            if !origin.zone_of(&key.name) {
                return Err(wrong(format!("the name {} does not lie in the zone", key.name)));
            }
            if key.record_type == RecordType::NS && key.name != origin {
                return Err(wrong(format!(
                    "the name {} is delegated (NS record), and the sinkhole refers nobody to another server: remove that record",
                    key.name
                )));
            }
            let all: Vec<Record> = set.records_without_rrsigs().cloned().collect();
            if let Some(record) = all.first().filter(|_| key.record_type == RecordType::SOA && key.name == origin) {
                soa = Some(record.clone());
            }
            let mut above = key.name.clone();
            records.entry(key.name).or_default().extend(all);
            while above != origin {
                above = above.base_name();
                records.entry(above.clone()).or_default();
            }
        }
        let mut soa = soa.ok_or_else(|| wrong("the file has no SOA record for the zone's own name".into()))?;
        if let RData::SOA(data) = &soa.data {
            soa.ttl = soa.ttl.min(data.minimum);
        }
        Ok(Self { origin, soa, records })
    }

    /// By the closest name that exists and the `*` below it (RFC 4592).
    fn known(&self, name: &LowerName) -> Known<'_> {
        if let Some(records) = self.records.get(name) {
            return Known::Here(records, Some(&self.soa));
        }
        let mut child = name.clone();
        while child != self.origin && !child.is_root() {
            let above = child.base_name();
            if self.records.contains_key(&above) {
                let any = self.records.get(&child.into_wildcard());
                return any.map_or(Known::Absent(Some(&self.soa)), |records| Known::Here(records, Some(&self.soa)));
            }
            child = above;
        }
        Known::Absent(Some(&self.soa))
    }
}

/// A name of the config, from the root.
fn absolute(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    (!name.is_root() && !name.is_wildcard()).then_some(name)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of the tests")]
mod tests {
    use super::*;

    const FILE: &str = "$TTL 300\n@ IN SOA ns.site.example. admin.site.example. 1 3600 600 86400 60\n@ IN NS ns\nns IN A 10.0.0.1\n\
        www IN CNAME relay\nrelay IN A 10.0.0.2\nrelay IN AAAA fd00::2\na.b.c IN A 10.0.0.3\n*.lab IN A 10.0.0.4\n\
        out IN CNAME www.elsewhere.example.\nround IN CNAME round\n";

    fn zones() -> Zones {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("site.zone"), FILE).unwrap();
        let dns: Dns = toml::from_str(
            "zone = [{ name = \"site.example\", file = \"site.zone\" }]\n[[name]]\nname = \"Database.ClamAV.net\"\naddresses = [\"10.0.0.2\"]\n\
             [[name]]\nname = \"*.vendor.example\"\n[[name]]\nname = \"current.example\"\ntext = [\"0:1:2\"]\n",
        )
        .unwrap();
        Zones::load(&dns, folder.path()).unwrap()
    }

    fn ask(name: &str, kind: RecordType) -> (ResponseCode, Vec<String>, bool) {
        let found = zones().find(&Name::from_ascii(name).unwrap(), kind);
        let answers = found.answers.iter().map(|r| format!("{} {}", r.name, r.data)).collect();
        (found.code, answers, found.authority.is_some())
    }

    #[test]
    fn answers() {
        use RecordType::{A, AAAA, ANY, TXT};
        use ResponseCode::{NXDomain, NoError, Refused};
        let yes = |name: &str, kind, answers: &[&str]| {
            assert_eq!(ask(name, kind), (NoError, answers.iter().map(ToString::to_string).collect(), false), "{name}");
        };
        yes("relay.site.example.", A, &["relay.site.example. 10.0.0.2"]);
        yes("RELAY.site.example.", AAAA, &["RELAY.site.example. fd00::2"]);
        yes("www.site.example.", A, &["www.site.example. relay.site.example.", "relay.site.example. 10.0.0.2"]);
        yes("x.lab.site.example.", A, &["x.lab.site.example. 10.0.0.4"]);
        yes("database.clamav.net.", A, &["database.clamav.net. 10.0.0.2"]);
        yes("current.example.", TXT, &["current.example. 0:1:2"]);
        // Where an alias leads outside, nobody is asked: the alias is all there is to say.
        yes("out.site.example.", A, &["out.site.example. www.elsewhere.example."]);
        assert_eq!(ask("relay.site.example.", ANY).1.len(), 2);
        assert_eq!(ask("round.site.example.", A).1.len(), ALIASES);
        // What exists without such a record, also where something lies only below it.
        for name in ["relay.site.example.", "b.c.site.example.", "c.site.example."] {
            assert_eq!(ask(name, TXT), (NoError, vec![], true), "{name}");
        }
        assert_eq!(ask("database.clamav.net.", TXT), (NoError, vec![], false));
        assert_eq!(ask("none.site.example.", A), (NXDomain, vec![], true));
        assert_eq!(ask("x.y.vendor.example.", A), (NXDomain, vec![], false));
        for name in ["vendor.example.", "example.", "www.elsewhere.example.", "com.", "."] {
            assert_eq!(ask(name, A), (Refused, vec![], false), "{name}");
        }
    }

    #[test]
    fn a_file_that_refers_elsewhere_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let load = |text: &str| {
            std::fs::write(folder.path().join("z"), text).unwrap();
            Zone::load("site.example", &folder.path().join("z")).map(drop).map_err(|e| e.to_string())
        };
        load(FILE).unwrap();
        for (text, why) in [
            (format!("{FILE}sub IN NS ns.elsewhere.example.\n"), "delegated"),
            (format!("{FILE}www.other.example. IN A 10.0.0.1\n"), "does not lie in the zone"),
            ("@ IN A 10.0.0.1\n".into(), ""),
            ("$TTL 60\n@ IN A 10.0.0.1\n".into(), "no SOA"),
            (format!("{FILE}x IN A 300.1.1.1\n"), ""),
        ] {
            let error = load(&text).unwrap_err();
            assert!(error.contains(why) && error.contains("site.example"), "{error}");
        }
    }
}
