//! Subset of OCSF 1.5.0 that an export uses (<https://schema.ocsf.io/1.5.0>): seven classes, one flat object a line.
//!
//! | entry | class | activity |
//! |---|---|---|
//! | a medium is opened, read, refused | 1001 File System Activity | 12 Mount, 13 Unmount |
//! | an import starts, ends, fails; a self-test | 6007 Scan Activity | 1, 2, 3, 6 |
//! | a refusal, a refused request of an agent, a self-test with findings | 2004 Detection Finding | 1 Create |
//! | a file is withheld | 7002 File Remediation Activity | 1 Isolate |
//! | a file is stripped | 7002 File Remediation Activity | 2 Evict |
//! | a publication in a channel, or its refusal | 6002 Application Lifecycle | 8 Update, 99 |
//! | the relay is initialised, keyring or config replaced, an officer decides | 3004 Entity Management | 1 Create, 3 Update |
//! | the log itself: anchored, cosigned | 1008 Event Log Activity | 99 |

use serde::Serialize;
use serde_json::{Value, json};

use super::fields::{EventFields, sentence};
use super::{ExportEntry, Severity};
use crate::log::Event;
use crate::log::journal_line::{FORGED, is_of_keeper};
use base::quoted;
use serve::journal::Attempt;

/// OCSF version.
const OCSF: &str = "1.5.0";

/// Line in OCSF.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields, extend("allOf" = required_fields())))]
pub(crate) struct Ocsf<'a> {
    /// 1 System Activity, 2 Findings, 3 IAM, 6 Application Activity, 7 Remediation.
    pub category_uid: u32,
    /// Number of the class; see the table.
    pub class_uid: u32,
    /// Caption of the class.
    pub class_name: &'static str,
    /// Number of the activity in its class; 99 if the class has none, and then `activity_name` names it.
    pub activity_id: u32,
    /// Name of the activity.
    pub activity_name: &'static str,
    /// `class_uid` times 100, and `activity_id`.
    pub type_uid: u32,
    /// Time at which the entry was appended, in milliseconds since 1970.
    pub time: u64,
    /// Time of the first of several equal requests, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// Number of equal requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// 1 Informational, 2 Low, 3 Medium, 4 High, 5 Critical.
    pub severity_id: u32,
    /// Name of the severity.
    pub severity: &'static str,
    /// Sentence for the entry.
    pub message: String,
    /// 1 Success, 2 Failure; left out if the entry records no result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_id: Option<u32>,
    /// Stable reason code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<String>,
    /// Facts of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_detail: Option<String>,
    /// Source of the line.
    pub metadata: Metadata<'a>,
    /// Exact bytes of the entry, which are the leaf of the log's tree.
    pub raw_data: String,
    /// Values for which OCSF has no field.
    pub unmapped: Unmapped,
    /// 1001, 3004: operator or officer.
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
    /// 2004: finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding_info: Option<Value>,
    /// 2004: true if the finding should alert somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_alert: Option<bool>,
    /// 2004: agent, and its request.
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
    /// 7002: import that withheld or stripped the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_uid: Option<String>,
}

/// Source of a line.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub(crate) struct Metadata<'a> {
    /// OCSF version.
    pub version: &'static str,
    /// This program.
    pub product: Product<'a>,
    /// Origin of the log and number of the entry, such as `relay/import/1/417`; for a file, a slash and its place
    /// follow.
    pub uid: String,
    /// Number of the entry, counted from 0.
    pub sequence: u64,
    /// Origin of the log.
    pub log_name: &'a str,
    /// Kind of the entry.
    pub event_code: &'static str,
    /// Time at which the entry was appended (RFC 3339).
    pub original_time: String,
}

/// This program.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub(crate) struct Product<'a> {
    /// Name: gaprelay.
    pub name: &'static str,
    /// Vendor: gaprelay.
    pub vendor_name: &'static str,
    /// Version of the program that wrote the line.
    pub version: &'a str,
}

/// Values for which OCSF has no field.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub(crate) struct Unmapped {
    /// Number of entries under the signed head under which the entry was read.
    pub checkpoint_size: u64,
    /// Hash of the leaf (RFC 6962, section 2.1), in hex, which a proof proves.
    pub leaf_hash: String,
}

/// Class and activity, each with its number and its name.
struct ClassActivity(u32, &'static str, u32, &'static str);

impl<'a> Ocsf<'a> {
    /// Line of an entry.
    pub(crate) fn of(exported: &'a ExportEntry<'a>) -> Self {
        let fields = EventFields::of(exported);
        let ClassActivity(class_uid, class_name, activity_id, activity_name) = class_activity(exported);
        let (severity_id, severity) = severity(exported.severity());
        let (millis, message) = (exported.entry.time.secs() * 1000, sentence(exported));
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
                product: Product { name: "gaprelay", vendor_name: "gaprelay", version: exported.version },
                uid: exported.uid(),
                sequence: exported.number,
                log_name: exported.log,
                event_code: exported.kind(),
                original_time: exported.entry.time.to_string(),
            },
            raw_data: String::from_utf8_lossy(exported.bytes).into_owned(),
            unmapped: Unmapped { checkpoint_size: exported.size, leaf_hash: exported.leaf() },
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
        line.fill(exported, &fields);
        line
    }

    /// Fills in the fields that only this class has.
    fn fill(&mut self, exported: &ExportEntry<'_>, fields: &EventFields<'_>) {
        let user = |name: &str| json!({ "user": { "name": name, "type_id": 1 } });
        match self.class_uid {
            1001 => {
                self.actor = Some(fields.operator.map_or(json!({ "app_name": "gaprelay" }), |who| user(&who.user)));
                self.device = Some(json!({ "hostname": relay(exported), "name": relay(exported), "type_id": 1 }));
                let path = fields.path.unwrap_or("medium");
                let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
                self.file = Some(json!({ "name": name, "path": path, "type_id": 2, "drive_type_id": 1 }));
            }
            6007 => {
                let name = fields.object.clone().unwrap_or_else(|| exported.kind().into());
                // 5 Attached Media; 99 Other for the self-test.
                let kind = if matches!(exported.entry.event, Event::SelfTest(_)) { 99 } else { 5 };
                self.scan =
                    Some(json!({ "name": name, "uid": exported.uid(), "type_id": kind, "type": exported.kind() }));
                self.num_trusted_items = fields.counts.map(|counts| counts.cleared);
                self.num_skipped_items = fields.counts.map(|counts| counts.withheld);
                self.num_files = fields.counts.map(|counts| counts.cleared + counts.stripped + counts.withheld);
            }
            2004 => {
                let kind = fields.attempt.map_or_else(|| exported.kind().to_owned(), |attempt| attempt.label.clone());
                self.finding_info = Some(json!({
                    "uid": exported.uid(),
                    "title": title(exported, fields),
                    "desc": self.message,
                    "types": [fields.reason.map_or(kind, |reason| reason.to_string())],
                    "data_sources": [exported.log],
                }));
                self.is_alert = Some(exported.severity() >= Severity::Medium);
                self.evidences = fields.attempt.map(|attempt| vec![evidence(attempt)]);
            }
            7002 => {
                if let Some((_, verdict)) = exported.file {
                    let name = verdict.path.rsplit('/').next().unwrap_or(&verdict.path);
                    self.file = Some(json!({
                        "name": quoted(name).to_string(), "path": quoted(&verdict.path).to_string(), "type_id": 1, "size": verdict.size,
                        "hashes": [{ "algorithm_id": 3, "algorithm": "SHA-256", "value": verdict.sha256.to_string() }],
                    }));
                }
                self.command_uid = Some(format!("{}/{}", exported.log, exported.number));
            }
            6002 => {
                let channel = fields.object.clone().unwrap_or_else(|| "channel".into());
                self.app = Some(json!({ "name": channel, "vendor_name": "gaprelay" }));
            }
            3004 => {
                let name = fields.object.clone().unwrap_or_else(|| relay(exported).into());
                self.entity =
                    Some(json!({ "name": name, "uid": exported.uid(), "type_id": 99, "type": exported.kind() }));
                self.actor = fields.officer.map(user);
            }
            _ => self.log_name = Some(exported.log.to_owned()),
        }
    }
}

fn class_activity(exported: &ExportEntry<'_>) -> ClassActivity {
    const MEDIUM: &str = "File System Activity";
    const SCAN: &str = "Scan Activity";
    const FINDING: ClassActivity = ClassActivity(2004, "Detection Finding", 1, "Create");
    const LIFE: &str = "Application Lifecycle";
    const ENTITY: &str = "Entity Management";
    const LOG: &str = "Event Log Activity";
    const REMEDIATION: &str = "File Remediation Activity";
    match exported.file {
        Some((_, verdict)) if verdict.stripped.is_some() => return ClassActivity(7002, REMEDIATION, 2, "Evict"),
        Some(_) => return ClassActivity(7002, REMEDIATION, 1, "Isolate"),
        None => {}
    }
    match &exported.entry.event {
        Event::MediumOpened { .. } | Event::MediumRefused { .. } => ClassActivity(1001, MEDIUM, 12, "Mount"),
        Event::MediumRead { .. } => ClassActivity(1001, MEDIUM, 13, "Unmount"),
        Event::ImportStarted { .. } => ClassActivity(6007, SCAN, 1, "Started"),
        Event::Imported { .. } | Event::AlreadyHere { .. } => ClassActivity(6007, SCAN, 2, "Completed"),
        Event::Interrupted { .. } => ClassActivity(6007, SCAN, 3, "Cancelled"),
        Event::ImportFailed { .. } => ClassActivity(6007, SCAN, 6, "Error"),
        Event::SelfTest(result) if result.findings.is_empty() => ClassActivity(6007, SCAN, 2, "Completed"),
        Event::ImportRefused { .. }
        | Event::StatementRefused { .. }
        | Event::CosignatureRefused { .. }
        | Event::SelfTest(_)
        | Event::Attempt(_) => FINDING,
        Event::PublishStarted { .. } => ClassActivity(6002, LIFE, 99, "Update started"),
        Event::Published { .. } | Event::PublishRefused { .. } => ClassActivity(6002, LIFE, 8, "Update"),
        Event::Initialised { .. } => ClassActivity(3004, ENTITY, 1, "Create"),
        Event::Statement { .. }
        | Event::Directive { .. }
        | Event::Repaired { .. }
        | Event::KeyringReplaced { .. }
        | Event::ConfigChanged { .. } => ClassActivity(3004, ENTITY, 3, "Update"),
        Event::Recorded { .. } => ClassActivity(1008, LOG, 99, "Recorded"),
        Event::Collected { .. } => ClassActivity(3004, ENTITY, 4, "Delete"),
        Event::Cosigned { .. } => ClassActivity(1008, LOG, 99, "Cosigned"),
        Event::Anchored { .. } => ClassActivity(1008, LOG, 99, "Anchored"),
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

fn relay<'a>(exported: &ExportEntry<'a>) -> &'a str {
    exported.log.split('/').next().unwrap_or_default()
}

fn title(exported: &ExportEntry<'_>, fields: &EventFields<'_>) -> String {
    match (&exported.entry.event, fields.reason) {
        (_, Some(reason)) => reason.meaning().to_owned(),
        (Event::Attempt(Attempt { label, .. }), _) if label == FORGED => {
            "A process of the relay wrote a line into its journal that it never writes: it may have been taken over"
                .into()
        }
        (Event::Attempt(Attempt { label, .. }), _) if is_of_keeper(label) => {
            "Lines in the journal of a process of the relay are not in the log".into()
        }
        (Event::Attempt(attempt), _) if attempt.submission => {
            "An agent tried to send something out of the network".into()
        }
        (Event::Attempt(_), _) => "An agent asked for something that this relay does not offer".into(),
        (Event::SelfTest(_), _) => {
            "The isolation self-test failed: a process can do something that must be impossible".into()
        }
        _ => exported.kind().into(),
    }
}

/// Agent and its request. All text of the agent was escaped when it was recorded.
fn evidence(attempt: &Attempt) -> Value {
    let mut agent = match attempt.agent.parse::<std::net::IpAddr>() {
        Ok(address) => json!({ "ip": address.to_string(), "port": attempt.port }),
        Err(_) => json!({ "name": if attempt.agent.is_empty() { "unknown" } else { &attempt.agent } }),
    };
    if let (Some(certificate), Some(agent)) = (&attempt.certificate, agent.as_object_mut()) {
        agent.insert("uid".into(), certificate.clone().into());
    }
    let mut asked = json!({
        "label": attempt.label, "method": attempt.method, "target": attempt.target, "host": attempt.host, "sni": attempt.sni,
        "user_agent": attempt.user_agent, "declared_length": attempt.declared_length,
        "declared_type": attempt.declared_type, "status": attempt.status, "bytes_received": attempt.bytes_received,
    });
    if let (Some(claimed), Some(asked)) = (&attempt.claimed_certificate, asked.as_object_mut()) {
        asked.insert("claimed_certificate".into(), json!(claimed));
    }
    if let (Some(by), Some(asked)) = (&attempt.by, asked.as_object_mut()) {
        asked.insert("recorded_by".into(), by.clone().into());
    }
    let listener = attempt.listener.parse::<std::net::SocketAddr>();
    let mut evidence = json!({ "src_endpoint": agent, "data": asked });
    if let (Ok(listener), Some(evidence)) = (listener, evidence.as_object_mut()) {
        evidence.insert("dst_endpoint".into(), json!({ "ip": listener.ip().to_string(), "port": listener.port() }));
    }
    evidence
}

/// Fields that each class must have, for the schema.
#[cfg(test)]
fn required_fields() -> Value {
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
