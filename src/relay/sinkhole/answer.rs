//! One look-up: what is answered, and what is worth a record. The bytes may come from anybody.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use super::zones::Zones;
use base::quoted;
use guard::{FOREIGN_LOOK_UP, Guard, Label};

/// Largest answer by UDP, in bytes: it arrives in one packet everywhere (DNS flag day 2020).
pub const LARGEST_UDP: u16 = 1232;
/// A label of hexadecimal digits so long is a digest, or a part of one: MD5 has 32, SHA-1 40.
const DIGEST: usize = 32;
/// A longer label of any letters carries data: names that people give are shorter.
const LONG_LABEL: usize = 40;
/// So does a longer name.
const LONG_NAME: usize = 120;

/// Transport of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In one packet.
    Udp,
    /// In a connection.
    Tcp,
}

/// Result of a query.
#[derive(Debug, Default)]
pub struct Looked {
    /// The answer's bytes; none for what is not to be answered at all.
    pub answer: Option<Vec<u8>>,
    /// Record of the query, if it is worth one.
    pub noted: Option<Noted>,
}

/// Record of a query.
#[derive(Debug)]
pub struct Noted {
    /// Label of the attempt.
    pub label: Label,
    /// `DNS` and the kind of record, or what it was instead.
    pub asked: String,
    /// The name, escaped.
    pub name: String,
}

/// Answers from `zones` alone.
pub fn answer(bytes: &[u8], way: Way, zones: &Zones, guard: &Guard) -> Looked {
    // An answer is never answered: two servers could go on for ever.
    let (Some(id), true) = (id_of(bytes), bytes.get(2).is_some_and(|flags| flags & 0x80 == 0)) else {
        return Looked { answer: None, noted: Some(noted("dns-refused", false, "DNS answer", "")) };
    };
    let Ok(message) = Message::from_vec(bytes) else {
        let malformed = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
        return Looked {
            answer: malformed.to_vec().ok(),
            noted: Some(noted("dns-refused", false, "DNS malformed", "")),
        };
    };
    let mut reply = Message::new(id, MessageType::Response, message.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&message.metadata);
    reply.queries.clone_from(&message.queries);
    if message.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        reply.set_edns(edns);
    }
    let (code, noted) = judge(&message, &mut reply, zones, guard);
    reply.metadata.response_code = code;
    Looked { answer: encode(&reply, way, message.max_payload()), noted }
}

/// Fills the reply and gives its code.
fn judge(message: &Message, reply: &mut Message, zones: &Zones, guard: &Guard) -> (ResponseCode, Option<Noted>) {
    if message.metadata.op_code != OpCode::Query {
        let asked = format!("DNS {}", message.metadata.op_code);
        return (ResponseCode::NotImp, Some(noted("dns-refused", false, &asked, &first_name(message))));
    }
    if message.version() > 0 {
        return (ResponseCode::BADVERS, None);
    }
    let [query] = message.queries.as_slice() else {
        return (ResponseCode::FormErr, Some(noted("dns-refused", false, "DNS malformed", &first_name(message))));
    };
    let kind = query.query_type();
    let asked = format!("DNS {kind}");
    let name = name_of(query);
    let transfer = matches!(kind, RecordType::AXFR | RecordType::IXFR);
    if transfer || !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
        return (ResponseCode::Refused, Some(noted("dns-refused", false, &asked, &name)));
    }
    let found = zones.find(query.name(), kind);
    reply.metadata.authoritative = found.code != ResponseCode::Refused;
    reply.answers = found.answers;
    reply.authorities = found.authority.into_iter().collect();
    let label = label(&name, guard, found.code == ResponseCode::Refused);
    (found.code, label.map(|label| Noted { label, asked, name: quoted(&name).to_string() }))
}

/// Attempt that a query shows. Of the names that are answered only those that submission clients ask for
/// are worth a record: a site that leads updates here means it.
fn label(name: &str, guard: &Guard, refused: bool) -> Option<Label> {
    match guard.host(name) {
        Some(label) => (refused || label.submission).then_some(label),
        None if !refused => None,
        None if carries_digest(name) => Some(Label::new("dns-hash", true)),
        None if carries_data(name) => Some(Label::new("dns-data", true)),
        None => Some(Label::new(FOREIGN_LOOK_UP, false)),
    }
}

fn carries_digest(name: &str) -> bool {
    name.split('.').any(|label| label.len() >= DIGEST && label.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn carries_data(name: &str) -> bool {
    name.len() > LONG_NAME || name.split('.').any(|label| label.len() > LONG_LABEL)
}

/// In lower case, without the last dot.
fn name_of(query: &Query) -> String {
    let name = query.name().to_ascii().to_ascii_lowercase();
    name.strip_suffix('.').map(str::to_owned).unwrap_or(name)
}

fn first_name(message: &Message) -> String {
    message.queries.first().map(name_of).unwrap_or_default()
}

fn noted(label: &str, submission: bool, asked: &str, name: &str) -> Noted {
    Noted { label: Label::new(label, submission), asked: asked.into(), name: quoted(name).to_string() }
}

fn id_of(bytes: &[u8]) -> Option<u16> {
    // A header has twelve bytes (RFC 1035, section 4.1.1).
    bytes.get(..12)?.first_chunk().map(|id| u16::from_be_bytes(*id))
}

/// As bytes; without its records, and told so, where it would not arrive by UDP (RFC 2181, section 9).
fn encode(reply: &Message, way: Way, payload: u16) -> Option<Vec<u8>> {
    let bytes = reply.to_vec().ok()?;
    let most = match way {
        Way::Udp => usize::from(payload.min(LARGEST_UDP)),
        Way::Tcp => usize::from(u16::MAX),
    };
    if bytes.len() <= most { Some(bytes) } else { reply.truncate().to_vec().ok() }
}
