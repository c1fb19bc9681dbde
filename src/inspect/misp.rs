//! MISP events (MISP core format, draft-dulaunoy-misp-core-format; the attributes' types are its section 2.4). An
//! attribute is read at a time. Out of scope: galaxies, tags and reports, which describe; the list of all types: what
//! carries a file is told by its data.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Kind;
use super::item::{Effect, Item};
use super::json::{Fields, Json, Unread, line, offset, parse, value};
use super::notes::Notes;
use super::stix::embedded;
use crate::base::Reason;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    #[serde(rename = "Event", borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(rename = "Attribute", borrow, default)]
    attributes: Vec<&'a RawValue>,
}

/// Notes what is in an event.
pub fn read(text: &str, notes: &mut Notes) -> Result<(), Unread> {
    let file: File<'_> = parse(text, text)?;
    let Fields(fields) = parse(text, file.event.get())?;
    for (key, raw) in fields {
        match key.as_str() {
            "Attribute" => {
                let attributes: Vec<&RawValue> = parse(text, raw.get())?;
                attributes.into_iter().try_for_each(|raw| attribute(text, raw, notes))?;
            }
            "Object" => {
                let objects: Vec<&RawValue> = parse(text, raw.get())?;
                objects.into_iter().try_for_each(|raw| object(text, raw, notes))?;
            }
            _ => describe(text, raw, notes)?,
        }
    }
    Ok(())
}

/// What is not looked into for what it detects: it has no key twice, and carries no file.
fn describe(text: &str, raw: &RawValue, notes: &mut Notes) -> Result<(), Unread> {
    let carries = |key: &str, value: &Json| {
        key == "data" && *value != Json::Text(String::new()) && *value != Json::Other("null".into())
    };
    if value(text, raw)?.any(&carries) {
        notes.flaw(Reason::RuleCarriesFile, line(text, offset(text, raw.get())), None);
    }
    Ok(())
}

fn object(text: &str, raw: &RawValue, notes: &mut Notes) -> Result<(), Unread> {
    describe(text, raw, notes)?;
    let object: Object<'_> = parse(text, raw.get())?;
    object.attributes.into_iter().try_for_each(|raw| attribute(text, raw, notes))
}

fn attribute(text: &str, raw: &RawValue, notes: &mut Notes) -> Result<(), Unread> {
    let at = offset(text, raw.get());
    if notes.is_over(1) {
        return Ok(());
    }
    describe(text, raw, notes)?;
    let attribute = value(text, raw)?;
    let (kind, value) = (attribute.text("type"), attribute.text("value"));
    let reasons = match kind {
        "attachment" | "malware-sample" => vec![Reason::RuleCarriesFile],
        "yara" => embedded(Kind::YaraSource, value),
        "snort" => embedded(Kind::SuricataRules, value),
        "sigma" => embedded(Kind::SigmaYaml, value),
        "" => vec![Reason::RuleSyntax],
        _ => Vec::new(),
    };
    for reason in reasons {
        notes.flaw(reason, line(text, at), None);
    }
    let is_off = attribute.is_true("deleted") || attribute.get("to_ids") == Some(&Json::Other("false".into()));
    let effect = if is_off { Effect::Off } else { Effect::Detects };
    let key = format!("{kind}\0{value}");
    notes.item(Item::new("misp", key.as_bytes(), raw.get().as_bytes(), at as u64, effect));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(attribute: &str) -> Vec<Reason> {
        let text = format!(
            "{{\"Event\": {{\"info\":\"x\",\"Attribute\":[{{\"type\":\"md5\",\"value\":\"x\"}}],\n\"Object\":[{{\"Attribute\":[\n{attribute}]}}]}}}}"
        );
        let mut reasons: Vec<_> =
            super::super::flaws_of(Kind::MispJson, text.as_bytes()).iter().map(|flaw| flaw.reason).collect();
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
        ] {
            assert_eq!(flaws(&attribute), [reason], "{attribute}");
        }
    }
}
