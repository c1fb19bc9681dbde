//! The subset of OCSF 1.5.0 that we emit (<https://schema.ocsf.io/1.5.0>): seven classes, one flat object a line.
//!
//! | entry | class | activity |
//! |---|---|---|
//! | a medium is opened, read, refused | 1001 File System Activity | 12 Mount, 13 Unmount |
//! | an import begins, ends, fails; a self-test | 6007 Scan Activity | 1, 2, 3, 6 |
//! | a refusal, an agent's attempt, a self-test with findings | 2004 Detection Finding | 1 Create |
//! | an artifact is withheld | 7002 File Remediation Activity | 1 Isolate |
//! | an artifact is stripped | 7002 File Remediation Activity | 2 Evict |
//! | a channel is switched, or could not be | 6002 Application Lifecycle | 8 Update, 99 |
//! | the state is made, a keyring replaced, an officer decides | 3004 Entity Management | 1 Create, 3 Update |
//! | the log itself: anchored, cosigned | 1008 Event Log Activity | 99 |

use serde::Serialize;
use serde_json::{Value, json};

use super::fields::{Fields, sentence};
use super::{Severity, Told};
use crate::log::Event;
use base::quoted;
use serve::journal::Attempt;

/// The version of OCSF.
const OCSF: &str = "1.5.0";

/// One line.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields, extend("allOf" = needs())))]
pub struct Ocsf<'a> {
    /// 1 System Activity, 2 Findings, 3 IAM, 6 Application Activity, 7 Remediation.
    pub category_uid: u32,
    /// The class; see the table.
    pub class_uid: u32,
    /// Its caption.
    pub class_name: &'static str,
    /// What happened, by the class's numbers; 99 where it has none, and then by its name.
    pub activity_id: u32,
    /// The same in words.
    pub activity_name: &'static str,
    /// `class_uid` times 100, and `activity_id`.
    pub type_uid: u32,
    /// When the entry was appended, in milliseconds since 1970.
    pub time: u64,
    /// When the first of several alike was seen, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// How many alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// 1 Informational, 2 Low, 3 Medium, 4 High, 5 Critical.
    pub severity_id: u32,
    /// The same in words.
    pub severity: &'static str,
    /// The entry in a sentence.
    pub message: String,
    /// 1 Success, 2 Failure, where something was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_id: Option<u32>,
    /// The stable reason code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<String>,
    /// Its facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_detail: Option<String>,
    /// Where the line comes from.
    pub metadata: Metadata<'a>,
    /// The entry's exact bytes, which are the leaf of the log's tree.
    pub raw_data: String,
    /// What OCSF has no place for.
    pub unmapped: Unmapped,
    /// 1001, 3004: who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Value>,
    /// 1001: this relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Value>,
    /// 1001: the medium; 7002: the artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Value>,
    /// 6007: the import or the self-test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<Value>,
    /// 6007: artifacts with a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_files: Option<u64>,
    /// 6007: those cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_trusted_items: Option<u64>,
    /// 6007: those withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_skipped_items: Option<u64>,
    /// 2004: what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding_info: Option<Value>,
    /// 2004: whether somebody is to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_alert: Option<bool>,
    /// 2004: the agent, and what it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidences: Option<Vec<Value>>,
    /// 6002: the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<Value>,
    /// 3004: the release or the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<Value>,
    /// 1008: the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_name: Option<String>,
    /// 7002: the import that kept it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_uid: Option<String>,
}

/// Where a line comes from.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Metadata<'a> {
    /// Version of OCSF.
    pub version: &'static str,
    /// This program.
    pub product: Product<'a>,
    /// Origin of the log and number of the entry, such as `relay/import/1/417`; a slash and a number more for
    /// a file.
    pub uid: String,
    /// Number of the entry, counted from 0.
    pub sequence: u64,
    /// Origin of the log.
    pub log_name: &'a str,
    /// Kind of the entry.
    pub event_code: &'static str,
    /// When the entry was appended.
    pub original_time: String,
}

/// This program.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Product<'a> {
    /// gaprelay.
    pub name: &'static str,
    /// gaprelay.
    pub vendor_name: &'static str,
    /// Its version.
    pub version: &'a str,
}

/// What OCSF has no place for.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Unmapped {
    /// Entries under the signed head that the entry was read under.
    pub checkpoint_size: u64,
    /// Hash of the leaf (RFC 6962, section 2.1), in hex: what a proof is about.
    pub leaf_hash: String,
}

/// A class, and what happened in its words.
struct Class(u32, &'static str, u32, &'static str);

impl<'a> Ocsf<'a> {
    /// The line of an entry.
    pub fn of(told: &'a Told<'a>) -> Self {
        let fields = Fields::of(told);
        let Class(class_uid, class_name, activity_id, activity_name) = class(told);
        let (severity_id, severity) = severity(told.severity());
        let (millis, message) = (told.entry.time.secs() * 1000, sentence(told));
        let mut line = Self {
            category_uid: class_uid / 1000,
            class_uid,
            class_name,
            activity_id,
            activity_name,
            type_uid: class_uid * 100 + activity_id,
            time: millis,
            start_time: fields.attempt.map(|attempt| attempt.at.secs() * 1000),
            count: fields.attempt.map(|attempt| attempt.count),
            severity_id,
            severity,
            status_id: fields.success.filter(|_| class_uid != 2004).map(|success| if success { 1 } else { 2 }),
            status_code: fields.reason.map(|reason| reason.to_string()),
            status_detail: fields.detail.map(str::to_owned),
            metadata: Metadata {
                version: OCSF,
                product: Product { name: "gaprelay", vendor_name: "gaprelay", version: told.version },
                uid: told.uid(),
                sequence: told.number,
                log_name: told.log,
                event_code: told.kind(),
                original_time: told.entry.time.to_string(),
            },
            raw_data: String::from_utf8_lossy(told.bytes).into_owned(),
            unmapped: Unmapped { checkpoint_size: told.size, leaf_hash: told.leaf() },
            actor: None,
            device: None,
            file: None,
            scan: None,
            num_files: None,
            num_trusted_items: None,
            num_skipped_items: None,
            finding_info: None,
            is_alert: None,
            evidences: None,
            app: None,
            entity: None,
            log_name: None,
            command_uid: None,
            message,
        };
        line.fill(told, &fields);
        line
    }

    /// What its class has beside the rest.
    fn fill(&mut self, told: &Told<'_>, fields: &Fields<'_>) {
        let user = |name: &str| json!({ "user": { "name": name, "type_id": 1 } });
        match self.class_uid {
            1001 => {
                self.actor = Some(fields.operator.map_or(json!({ "app_name": "gaprelay" }), |who| user(&who.user)));
                self.device = Some(json!({ "hostname": relay(told), "name": relay(told), "type_id": 1 }));
                let path = fields.path.unwrap_or("medium");
                let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
                self.file = Some(json!({ "name": name, "path": path, "type_id": 2, "drive_type_id": 1 }));
            }
            6007 => {
                let name = fields.object.clone().unwrap_or_else(|| told.kind().into());
                // 5 Attached Media; 99 Other for the self-test.
                let kind = if matches!(told.entry.event, Event::SelfTest(_)) { 99 } else { 5 };
                self.scan = Some(json!({ "name": name, "uid": told.uid(), "type_id": kind, "type": told.kind() }));
                self.num_trusted_items = fields.counts.map(|counts| counts.cleared);
                self.num_skipped_items = fields.counts.map(|counts| counts.withheld);
                self.num_files = fields.counts.map(|counts| counts.cleared + counts.stripped + counts.withheld);
            }
            2004 => {
                let kind = fields.attempt.map_or_else(|| told.kind().to_owned(), |attempt| attempt.label.clone());
                self.finding_info = Some(json!({
                    "uid": told.uid(),
                    "title": title(told, fields),
                    "desc": self.message,
                    "types": [fields.reason.map_or(kind, |reason| reason.to_string())],
                    "data_sources": [told.log],
                }));
                self.is_alert = Some(told.severity() >= Severity::Medium);
                self.evidences = fields.attempt.map(|attempt| vec![evidence(attempt)]);
            }
            7002 => {
                if let Some((_, verdict)) = told.file {
                    let name = verdict.path.rsplit('/').next().unwrap_or(&verdict.path);
                    self.file = Some(json!({
                        "name": quoted(name).to_string(), "path": quoted(&verdict.path).to_string(), "type_id": 1, "size": verdict.size,
                        "hashes": [{ "algorithm_id": 3, "algorithm": "SHA-256", "value": verdict.sha256.to_string() }],
                    }));
                }
                self.command_uid = Some(format!("{}/{}", told.log, told.number));
            }
            6002 => {
                let channel = fields.object.clone().unwrap_or_else(|| "channel".into());
                self.app = Some(json!({ "name": channel, "vendor_name": "gaprelay" }));
            }
            3004 => {
                let name = fields.object.clone().unwrap_or_else(|| relay(told).into());
                self.entity = Some(json!({ "name": name, "uid": told.uid(), "type_id": 99, "type": told.kind() }));
                self.actor = fields.officer.map(user);
            }
            _ => self.log_name = Some(told.log.to_owned()),
        }
    }
}

fn class(told: &Told<'_>) -> Class {
    const MEDIUM: &str = "File System Activity";
    const SCAN: &str = "Scan Activity";
    const FINDING: Class = Class(2004, "Detection Finding", 1, "Create");
    const LIFE: &str = "Application Lifecycle";
    const ENTITY: &str = "Entity Management";
    const LOG: &str = "Event Log Activity";
    const REMEDIATION: &str = "File Remediation Activity";
    match told.file {
        Some((_, verdict)) if verdict.stripped.is_some() => return Class(7002, REMEDIATION, 2, "Evict"),
        Some(_) => return Class(7002, REMEDIATION, 1, "Isolate"),
        None => {}
    }
    match &told.entry.event {
        Event::MediumOpened { .. } | Event::MediumRefused { .. } => Class(1001, MEDIUM, 12, "Mount"),
        Event::MediumRead { .. } => Class(1001, MEDIUM, 13, "Unmount"),
        Event::ImportStarted { .. } => Class(6007, SCAN, 1, "Started"),
        Event::Imported { .. } | Event::AlreadyHere { .. } => Class(6007, SCAN, 2, "Completed"),
        Event::Interrupted { .. } => Class(6007, SCAN, 3, "Cancelled"),
        Event::ImportFailed { .. } => Class(6007, SCAN, 6, "Error"),
        Event::SelfTest(result) if result.findings.is_empty() => Class(6007, SCAN, 2, "Completed"),
        Event::ImportRefused { .. }
        | Event::StatementRefused { .. }
        | Event::CosignatureRefused { .. }
        | Event::SelfTest(_)
        | Event::Attempt(_) => FINDING,
        Event::PublishStarted { .. } => Class(6002, LIFE, 99, "Update started"),
        Event::Published { .. } | Event::PublishRefused { .. } => Class(6002, LIFE, 8, "Update"),
        Event::Initialised { .. } => Class(3004, ENTITY, 1, "Create"),
        Event::Statement { .. } | Event::Directive { .. } | Event::Repaired { .. } | Event::KeyringReplaced { .. } => {
            Class(3004, ENTITY, 3, "Update")
        }
        Event::Cosigned { .. } => Class(1008, LOG, 99, "Cosigned"),
        Event::Anchored { .. } => Class(1008, LOG, 99, "Anchored"),
    }
}

fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn relay<'a>(told: &Told<'a>) -> &'a str {
    told.log.split('/').next().unwrap_or_default()
}

fn title(told: &Told<'_>, fields: &Fields<'_>) -> String {
    match (&told.entry.event, fields.reason) {
        (_, Some(reason)) => reason.meaning().to_owned(),
        (Event::Attempt(attempt), _) if attempt.submission => "An agent tried to send something out".into(),
        (Event::Attempt(_), _) => "An agent asked for what this relay does not give".into(),
        (Event::SelfTest(_), _) => "The confinement of a process does not hold".into(),
        _ => told.kind().into(),
    }
}

/// The agent and its request. What it wrote was escaped when it was recorded.
fn evidence(attempt: &Attempt) -> Value {
    let mut agent = match attempt.agent.parse::<std::net::IpAddr>() {
        Ok(address) => json!({ "ip": address.to_string(), "port": attempt.port }),
        Err(_) => json!({ "name": if attempt.agent.is_empty() { "unknown" } else { &attempt.agent } }),
    };
    if let (Some(certificate), Some(agent)) = (&attempt.certificate, agent.as_object_mut()) {
        agent.insert("uid".into(), certificate.clone().into());
    }
    let asked = json!({
        "label": attempt.label, "method": attempt.method, "target": attempt.target, "host": attempt.host, "sni": attempt.sni,
        "user_agent": attempt.user_agent, "declared_length": attempt.declared_length,
        "declared_type": attempt.declared_type, "status": attempt.status, "bytes_received": attempt.bytes_received,
    });
    let listener = attempt.listener.parse::<std::net::SocketAddr>();
    let mut evidence = json!({ "src_endpoint": agent, "data": asked });
    if let (Ok(listener), Some(evidence)) = (listener, evidence.as_object_mut()) {
        evidence.insert("dst_endpoint".into(), json!({ "ip": listener.ip().to_string(), "port": listener.port() }));
    }
    evidence
}

/// What each class must have, for the schema.
#[cfg(test)]
fn needs() -> Value {
    let need = |class: u32, names: &[&str]| json!({ "if": { "properties": { "class_uid": { "const": class } } }, "then": { "required": names } });
    json!([
        { "properties": { "class_uid": { "enum": [1001, 1008, 2004, 3004, 6002, 6007, 7002] } } },
        need(1001, &["actor", "device", "file"]),
        need(1008, &["log_name"]),
        need(2004, &["finding_info", "is_alert"]),
        need(3004, &["entity"]),
        need(6002, &["app"]),
        need(6007, &["scan"]),
        need(7002, &["file", "command_uid"]),
    ])
}
