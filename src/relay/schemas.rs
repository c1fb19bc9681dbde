//! Keeps `schemas/` equal to the types. `GAPRELAY_BLESS=1 cargo test schemas` writes it anew.

use std::fs;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

use crate::{cli, log, publish, report, state};
use base::Reason;
use inspect::Kind;

/// The top of the repository.
const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn schema<T: JsonSchema>() -> Value {
    serde_json::to_value(schema_for!(T)).unwrap()
}

/// Of a type that is only written: what may be left out need not be there.
fn written<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    serde_json::to_value(generator.into_root_schema_for::<T>()).unwrap()
}

/// A line of `log export --format json`: the entry as its bytes have it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a form that is written piece by piece")]
struct Plain {
    /// Origin of the log.
    log: String,
    /// Number of the entry, counted from 0.
    number: u64,
    /// Entries under the signed head that the entry was read under.
    size: u64,
    /// The entry.
    entry: log::Entry,
}

fn all() -> Vec<(&'static str, Value)> {
    let reason = |r: &Reason| json!({ "code": r.code(), "meaning": r.meaning(), "next": r.next() });
    let kind = |k: &Kind| json!({ "name": k.name(), "meaning": k.meaning() });
    vec![
        ("manifest", schema::<bundle::Manifest>()),
        ("keyring", schema::<bundle::Keyring>()),
        ("config", schema::<config::Config>()),
        ("log-entry", schema::<log::Entry>()),
        ("trust", schema::<state::Trust>()),
        ("release", schema::<state::Release>()),
        ("verdicts", schema::<Vec<inspect::Verdict>>()),
        ("pack", schema::<Vec<state::release::Packed>>()),
        ("items", schema::<Vec<state::items::Section>>()),
        ("statement-taken", schema::<publish::status::StatementRecord>()),
        ("progress", schema::<state::progress::Progress>()),
        ("set", schema::<serve::set::Set>()),
        ("tree", schema::<serve::tree::Tree>()),
        ("endpoints", schema::<Vec<guard::Endpoint>>()),
        ("json-import", written::<cli::json::ImportJson>()),
        ("json-settle", written::<cli::json::SettleJson>()),
        ("json-status", written::<report::status::Status>()),
        ("json-releases", written::<Vec<report::releases::ReleaseRow>>()),
        ("json-show", written::<report::releases::ReleaseDetails>()),
        ("json-log-show", written::<cli::json::LogLine>()),
        ("json-log-verify", written::<Vec<cli::json::LogVerifyJson>>()),
        ("json-log-verify-export", written::<crate::export::check::ExportCheckReport>()),
        ("export-json", schema::<Plain>()),
        ("ocsf", written::<crate::export::ocsf::Ocsf<'_>>()),
        ("json-log-verify-receipt", written::<cli::json::ReceiptJson>()),
        ("agents", schema::<log::pulls::Agents>()),
        ("json-agents", written::<Vec<report::agents::AgentRow>>()),
        ("json-refusals", written::<Vec<report::refusals::RefusalRow>>()),
        ("json-selftest", written::<cli::json::SelfTestJson<'_>>()),
        ("json-doctor", written::<cli::json::DoctorJson>()),
        ("json-keyring-show", written::<cli::keyring::KeyringJson>()),
        ("json-fsck", written::<cli::json::FsckJson>()),
        ("json-gc", written::<cli::json::GcJson>()),
        ("reasons", Reason::ALL.iter().map(reason).collect()),
        ("kinds", Kind::ALL.iter().map(kind).collect()),
    ]
}

#[test]
fn schemas_are_those_of_the_types() {
    let folder = Path::new(TOP).join("schemas");
    for (name, value) in all() {
        let path = folder.join(format!("{name}.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(&value).unwrap());
        if std::env::var_os("GAPRELAY_BLESS").is_some() {
            #[expect(clippy::disallowed_methods, reason = "a test that was asked to write")]
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "schemas/{name}.json differs from the types; GAPRELAY_BLESS=1 writes it anew");
        if value.get("$schema").is_some() {
            assert!(jsonschema::meta::is_valid(&value), "{name} is no schema");
        }
    }
}

#[test]
fn kinds_of_events_are_those_of_the_type() {
    let entry = schema::<log::Entry>();
    let variants = entry["$defs"]["Event"]["oneOf"].as_array().unwrap();
    let kinds: Vec<&str> = variants.iter().map(|v| v["properties"]["type"]["const"].as_str().unwrap()).collect();
    assert_eq!(kinds, log::Event::KINDS);
}

#[test]
fn samples_fit_their_schemas() {
    let check = |schema: &Value, sample: &Value, what: &str| {
        let validator = jsonschema::validator_for(schema).unwrap();
        let faults: Vec<_> = validator.iter_errors(sample).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{what}: {faults:?}");
    };
    let folder = Path::new(TOP);
    let good = fs::read(folder.join("tests/vectors/good/bundle/manifest.json")).unwrap();
    check(&schema::<bundle::Manifest>(), &serde_json::from_slice(&good).unwrap(), "manifest");
    let ring: Value = toml::from_str(&fs::read_to_string(folder.join("tests/vectors/keyring.toml")).unwrap()).unwrap();
    check(&schema::<bundle::Keyring>(), &ring, "keyring");
    let config: Value = toml::from_str(config::EXAMPLE).unwrap();
    check(&schema::<config::Config>(), &config, "config");
    // And each page's example: the first fenced block after a line that names its schema.
    for entry in fs::read_dir(folder.join("schemas")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("<!-- fits ") {
            let rest = text.get(at + 10..).unwrap();
            let name = rest.split(' ').next().unwrap();
            let block = rest.split("```").nth(1).unwrap();
            let (language, body) = block.split_once('\n').unwrap();
            let sample: Value =
                if language == "toml" { toml::from_str(body).unwrap() } else { serde_json::from_str(body).unwrap() };
            let (_, schema) = all().into_iter().find(|(n, _)| *n == name).unwrap();
            check(&schema, &sample, &format!("{} {name}", path.display()));
        }
    }
}
