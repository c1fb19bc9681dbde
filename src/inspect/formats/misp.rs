//! MISP events (MISP core format, draft-dulaunoy-misp-core-format; the attributes' types are its section 2.4, and
//! `describeTypes.json` of MISP 2.5, in full). An attribute is read at a time. Out of scope: galaxies, tags and
//! reports, which describe. What carries a file is told by its data too.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Json, JsonText, ObjectFields, Unread};
use super::{embedded, pattern};
use crate::item::{Effect, Item};
use crate::notes::Notes;
use base::Reason;

/// Types whose values are looked for, or describe: text that no engine runs.
const TYPES: &[&str] = &[
    "AS",
    "aba-rtn",
    "anonymised",
    "authentihash",
    "azure-application-id",
    "bank-account-nr",
    "bic",
    "bin",
    "boolean",
    "btc",
    "campaign-id",
    "campaign-name",
    "cc-number",
    "cdhash",
    "chrome-extension-id",
    "comment",
    "community-id",
    "cookie",
    "cortex",
    "counter",
    "country-of-residence",
    "cpe",
    "dash",
    "date-of-birth",
    "datetime",
    "dkim",
    "dkim-signature",
    "dns-soa-email",
    "dom-hash",
    "domain",
    "domain|ip",
    "edge-extension-id",
    "email",
    "email-attachment",
    "email-body",
    "email-dst",
    "email-dst-display-name",
    "email-header",
    "email-message-id",
    "email-mime-boundary",
    "email-reply-to",
    "email-src",
    "email-src-display-name",
    "email-subject",
    "email-thread-index",
    "email-x-mailer",
    "eppn",
    "favicon-mmh3",
    "filename",
    "filename-pattern",
    "filename|authentihash",
    "filename|impfuzzy",
    "filename|imphash",
    "filename|md5",
    "filename|pehash",
    "filename|sha1",
    "filename|sha224",
    "filename|sha256",
    "filename|sha3-224",
    "filename|sha3-256",
    "filename|sha3-384",
    "filename|sha3-512",
    "filename|sha384",
    "filename|sha512",
    "filename|sha512/224",
    "filename|sha512/256",
    "filename|ssdeep",
    "filename|tlsh",
    "filename|vhash",
    "first-name",
    "float",
    "frequent-flyer-number",
    "full-name",
    "gender",
    "gene",
    "git-commit-id",
    "github-organisation",
    "github-repository",
    "github-username",
    "hassh-md5",
    "hasshserver-md5",
    "hex",
    "hostname",
    "hostname|port",
    "http-method",
    "iban",
    "identity-card-number",
    "impfuzzy",
    "imphash",
    "integer",
    "ip-dst",
    "ip-dst|port",
    "ip-src",
    "ip-src|port",
    "issue-date-of-the-visa",
    "ja3-fingerprint-md5",
    "jabber-id",
    "jarm-fingerprint",
    "kusto-query",
    "last-name",
    "link",
    "mac-address",
    "mac-eui-64",
    "malware-type",
    "md5",
    "middle-name",
    "mime-type",
    "mobile-application-id",
    "mutex",
    "named pipe",
    "nationality",
    "onion-address",
    "other",
    "passenger-name-record-locator-number",
    "passport-country",
    "passport-expiration",
    "passport-number",
    "pattern-in-file",
    "pattern-in-memory",
    "pattern-in-traffic",
    "payment-details",
    "pdb",
    "pehash",
    "pgp-private-key",
    "pgp-public-key",
    "phone-number",
    "place-of-birth",
    "place-port-of-clearance",
    "place-port-of-onward-foreign-destination",
    "place-port-of-original-embarkation",
    "port",
    "primary-residence",
    "process-state",
    "prtn",
    "redress-number",
    "regkey",
    "regkey|value",
    "sha1",
    "sha224",
    "sha256",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "sha384",
    "sha512",
    "sha512/224",
    "sha512/256",
    "size-in-bytes",
    "special-service-request",
    "ssdeep",
    "ssh-fingerprint",
    "target-email",
    "target-external",
    "target-location",
    "target-machine",
    "target-org",
    "target-user",
    "telfhash",
    "text",
    "threat-actor",
    "tlsh",
    "travel-details",
    "twitter-id",
    "uri",
    "url",
    "user-agent",
    "uuid",
    "vhash",
    "visa-number",
    "vulnerability",
    "weakness",
    "whois-creation-date",
    "whois-registrant-email",
    "whois-registrant-name",
    "whois-registrant-org",
    "whois-registrant-phone",
    "whois-registrar",
    "windows-scheduled-task",
    "windows-service-displayname",
    "windows-service-name",
    "x509-fingerprint-md5",
    "x509-fingerprint-sha1",
    "x509-fingerprint-sha256",
    "xmr",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MispFile<'a> {
    #[serde(rename = "Event", borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(rename = "Attribute", borrow, default)]
    attributes: Vec<&'a RawValue>,
}

/// Notes what is in an event.
pub fn read(text: &mut JsonText<'_>, notes: &mut Notes<'_>) -> Result<(), Unread> {
    let file: MispFile<'_> = text.parse(text.text)?;
    let ObjectFields(fields) = text.parse(file.event.get())?;
    for (key, raw) in fields {
        match key.as_str() {
            "Attribute" => {
                let attributes: Vec<&RawValue> = text.parse(raw.get())?;
                attributes.into_iter().try_for_each(|raw| attribute(text, raw, notes))?;
            }
            "Object" => {
                let objects: Vec<&RawValue> = text.parse(raw.get())?;
                objects.into_iter().try_for_each(|raw| object(text, raw, notes))?;
            }
            _ => describe(text, raw, notes)?,
        }
    }
    Ok(())
}

/// Values that are not inspected for what they detect: they have no key twice, and carry no file.
fn describe(text: &mut JsonText<'_>, raw: &RawValue, notes: &mut Notes<'_>) -> Result<(), Unread> {
    let carries = |key: &str, value: &Json| {
        key == "data" && *value != Json::Text(String::new()) && *value != Json::Other("null".into())
    };
    if text.value(raw)?.any(&carries) {
        text.flaw(Reason::RuleCarriesFile, raw.get(), notes);
    }
    Ok(())
}

fn object(text: &mut JsonText<'_>, raw: &RawValue, notes: &mut Notes<'_>) -> Result<(), Unread> {
    describe(text, raw, notes)?;
    let object: Object<'_> = text.parse(raw.get())?;
    object.attributes.into_iter().try_for_each(|raw| attribute(text, raw, notes))
}

fn attribute(text: &mut JsonText<'_>, raw: &RawValue, notes: &mut Notes<'_>) -> Result<(), Unread> {
    if notes.is_over(1) {
        return Ok(());
    }
    describe(text, raw, notes)?;
    let attribute = text.value(raw)?;
    let (kind, value) = (attribute.text("type"), attribute.text("value"));
    let reasons = match kind {
        "attachment" | "malware-sample" => vec![Reason::RuleCarriesFile],
        "yara" => embedded::yara(value),
        "snort" | "suricata" => embedded::suricata(value),
        "sigma" => embedded::sigma(value),
        "stix2-pattern" if pattern::is_pattern(value) => Vec::new(),
        "" | "stix2-pattern" => vec![Reason::RuleSyntax],
        // Scripts for a sensor; and types of a site's own.
        _ if !TYPES.contains(&kind) => vec![Reason::RuleKeyword],
        _ => Vec::new(),
    };
    for reason in reasons {
        text.flaw(reason, raw.get(), notes);
    }
    let is_off = attribute.is_true("deleted") || attribute.get("to_ids") == Some(&Json::Other("false".into()));
    let effect = if is_off { Effect::Off } else { Effect::Detects };
    let key = format!("{kind}\0{value}");
    notes.item(Item::new("misp", key.as_bytes(), raw.get().as_bytes(), text.span(raw.get()).from, effect));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn flaws(attribute: &str) -> Vec<Reason> {
        let text = format!(
            "{{\"Event\": {{\"info\":\"x\",\"Attribute\":[{{\"type\":\"md5\",\"value\":\"x\"}}],\n\"Object\":[{{\"Attribute\":[\n{attribute}]}}]}}}}"
        );
        let mut reasons: Vec<_> =
            crate::formats::flaws_of(Kind::MispJson, text.as_bytes()).iter().map(|flaw| flaw.reason).collect();
        reasons.dedup();
        reasons
    }

    #[test]
    fn each_trick_has_its_reason() {
        let attribute =
            |kind: &str, value: &str| format!("{{\"type\":\"{kind}\",\"value\":\"{value}\",\"to_ids\":true}}");
        assert_eq!(flaws(&attribute("sha256", "00")), []);
        assert_eq!(flaws(&attribute("snort", "alert ip any any -> any any (sid:1;)")), []);
        for (attribute, reason) in [
            (attribute("attachment", "x.exe"), Reason::RuleCarriesFile),
            (attribute("filename", "x\",\"data\":\"TVo="), Reason::RuleCarriesFile),
            (attribute("snort", "config ip any any -> any any (sid:1;)"), Reason::RuleWeakensDetection),
            (attribute("yara", "global rule off { condition: false }"), Reason::RuleWeakensDetection),
            (attribute("md5", "x\",\"type\":\"sha1"), Reason::RuleDuplicate),
            ("{\"value\":\"x\"}".into(), Reason::RuleSyntax),
            (attribute("stix2-pattern", "file:name = 'x'"), Reason::RuleSyntax),
            (attribute("suricata", "alert ip any any -> any any (lua:x; sid:1;)"), Reason::RuleRunsCode),
            (attribute("zeek", "event zeek_init() { system(x); }"), Reason::RuleKeyword),
            (attribute("x-own", "1"), Reason::RuleKeyword),
        ] {
            assert_eq!(flaws(&attribute), [reason], "{attribute}");
        }
    }
}
