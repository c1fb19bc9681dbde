//! STIX bundles (OASIS STIX 2.1; 2.0 where it differs in form alone). An object is read at a time. Its
//! patterns are read by [`super::pattern`]. Out of scope: relationships, and properties that begin with `x_`, which are
//! inert.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Json, JsonText, Unread};
use super::{embedded, pattern, regex};
use crate::item::{Effect, Item};
use crate::notes::Notes;
use base::Reason;

/// Objects that describe (STIX 2.1, sections 4, 5 and 7).
const DESCRIBE: &[&str] = &[
    "attack-pattern",
    "campaign",
    "course-of-action",
    "extension-definition",
    "grouping",
    "identity",
    "incident",
    "infrastructure",
    "intrusion-set",
    "language-content",
    "location",
    "malware",
    "malware-analysis",
    "marking-definition",
    "note",
    "observed-data",
    "opinion",
    "relationship",
    "report",
    "sighting",
    "threat-actor",
    "tool",
    "vulnerability",
];

/// Objects that an engine may look for (sections 4.7 and 6).
const DETECT: &[&str] = &[
    "artifact",
    "autonomous-system",
    "directory",
    "domain-name",
    "email-addr",
    "email-message",
    "file",
    "indicator",
    "ipv4-addr",
    "ipv6-addr",
    "mac-addr",
    "mutex",
    "network-traffic",
    "process",
    "software",
    "url",
    "user-account",
    "windows-registry-key",
    "x509-certificate",
];

/// Extensions that the standard itself defines (section 6).
const EXTENSIONS: &[&str] = &[
    "archive-ext",
    "http-request-ext",
    "icmp-ext",
    "ntfs-ext",
    "pdf-ext",
    "raster-image-ext",
    "socket-ext",
    "tcp-ext",
    "unix-account-ext",
    "windows-pebinary-ext",
    "windows-process-ext",
    "windows-service-ext",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StixBundle<'a> {
    r#type: &'a str,
    #[expect(dead_code, reason = "known, and nothing depends on it")]
    id: String,
    #[expect(dead_code, reason = "known, and nothing depends on it")]
    spec_version: Option<String>,
    #[serde(borrow, default)]
    objects: Vec<&'a RawValue>,
}

/// Notes what is in a bundle.
pub fn read(text: &mut JsonText<'_>, notes: &mut Notes<'_>) -> Result<(), Unread> {
    let bundle: StixBundle<'_> = text.parse(text.text)?;
    if bundle.r#type != "bundle" {
        return Err((Reason::RuleSyntax, 1));
    }
    for raw in &bundle.objects {
        if notes.is_over(1) {
            return Ok(());
        }
        let object = text.value(raw)?;
        for reason in reasons(&object) {
            text.flaw(reason, raw.get(), notes);
        }
        let kind = object.text("type");
        if DETECT.contains(&kind) {
            let effect = if object.is_true("revoked") { Effect::Off } else { Effect::Detects };
            let at = text.span(raw.get()).from;
            notes.item(Item::new("stix", object.text("id").as_bytes(), raw.get().as_bytes(), at, effect));
        }
    }
    Ok(())
}

fn reasons(object: &Json) -> Vec<Reason> {
    let kind = object.text("type");
    let mut reasons = Vec::new();
    if !DESCRIBE.contains(&kind) && !DETECT.contains(&kind) {
        reasons.push(Reason::RuleModule);
    }
    if object.text("id").is_empty() {
        reasons.push(Reason::RuleSyntax);
    }
    // The bytes of a file, or the key to them; in an object of 2.0 they may stand deeper.
    if object.any(&|key, _| matches!(key, "payload_bin" | "decryption_key")) {
        reasons.push(Reason::RuleCarriesFile);
    }
    let unknown = |value: &Json| match value {
        Json::Object(fields) => fields.iter().any(|(name, _)| !EXTENSIONS.contains(&name.as_str())),
        _ => true,
    };
    if object.any(&|key, value| key == "extensions" && unknown(value)) {
        reasons.push(Reason::RuleModule);
    }
    if kind == "indicator" {
        let pattern = object.text("pattern");
        // 2.0 has no type of pattern: it is STIX's own.
        match object.text("pattern_type") {
            "stix" | "" if pattern::is_pattern(pattern) => {}
            "snort" | "suricata" => reasons.extend(embedded::suricata(pattern)),
            "yara" => reasons.extend(embedded::yara(pattern)),
            "sigma" => reasons.extend(embedded::sigma(pattern)),
            "pcre" if regex::explodes(pattern) => reasons.push(Reason::RuleCostly),
            "pcre" => {}
            "stix" | "" => reasons.push(Reason::RuleSyntax),
            _ => reasons.push(Reason::RuleModule),
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn flaws(text: &str) -> Vec<(Reason, u64)> {
        crate::formats::flaws_of(Kind::StixJson, text.as_bytes()).iter().map(|flaw| (flaw.reason, flaw.line)).collect()
    }

    fn bundle(object: &str) -> String {
        format!(
            "{{\"type\": \"bundle\", \"id\": \"bundle--1\", \"objects\": [\n{{\"type\":\"identity\",\"id\":\"identity--1\"}},\n{object}\n]}}\n"
        )
    }

    #[test]
    fn each_trick_has_its_line() {
        let indicator = |kind: &str, pattern: &str| {
            bundle(&format!(
                "{{\"type\":\"indicator\",\"id\":\"indicator--1\",\"pattern_type\":\"{kind}\",\"pattern\":\"{pattern}\"}}"
            ))
        };
        assert_eq!(flaws(&indicator("stix", "[file:name = 'x']")), []);
        assert_eq!(flaws(&indicator("snort", "alert ip any any -> any any (sid:1;)")), []);
        for (text, reason) in [
            (indicator("snort", "pass ip any any -> any any (sid:1;)"), Reason::RuleWeakensDetection),
            (indicator("yara", "include \\\"/etc/passwd\\\"\\nrule a { condition: true }"), Reason::RuleUsesFiles),
            (indicator("sigma", "title: x"), Reason::RuleSyntax),
            (indicator("pcre", "(a+)+"), Reason::RuleCostly),
            (indicator("stix", "file:name = 'x'"), Reason::RuleSyntax),
            (indicator("stix", "[file:name = 'x'] OR exec"), Reason::RuleSyntax),
            (indicator("eql", "process"), Reason::RuleModule),
            (bundle("{\"type\":\"artifact\",\"id\":\"a--1\",\"payload_bin\":\"TVo=\"}"), Reason::RuleCarriesFile),
            (
                bundle(
                    "{\"type\":\"observed-data\",\"id\":\"o--1\",\"objects\":{\"0\":{\"type\":\"artifact\",\"payload_bin\":\"TVo=\"}}}",
                ),
                Reason::RuleCarriesFile,
            ),
            (bundle("{\"type\":\"x-beacon\",\"id\":\"x--1\"}"), Reason::RuleModule),
            (
                bundle("{\"type\":\"file\",\"id\":\"f--1\",\"extensions\":{\"extension-definition--1\":{}}}"),
                Reason::RuleModule,
            ),
            (bundle("{\"type\":\"file\",\"id\":\"f--1\",\"id\":\"f--2\"}"), Reason::RuleDuplicate),
            (bundle("{\"type\":\"file\",\"id\":\"f--1\",\"\\u0069d\":\"f--2\"}"), Reason::RuleDuplicate),
            (bundle("{\"type\":\"file\"}"), Reason::RuleSyntax),
        ] {
            assert_eq!(flaws(&text), [(reason, 3)], "{text}");
        }
        assert_eq!(
            flaws(&indicator("stix", "[x:y = 1]").replace("\"objects\"", "\"more\":1,\"objects\"")),
            [(Reason::RuleSyntax, 1)]
        );
        let deep = bundle(&format!("{{\"type\":\"file\",\"id\":{}", "[".repeat(100_000)));
        assert_eq!(flaws(&deep), [(Reason::RuleSyntax, 4)]);
        let large = bundle(&format!("{{\"type\":\"file\",\"id\":\"f--1\",\"x\":[{}1]}}", "1,".repeat(5 << 20)));
        assert_eq!(flaws(&large), [(Reason::RuleTooLong, 3)]);
    }
}
