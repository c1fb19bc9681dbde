//! Indicators in JSON, told apart by the keys near the beginning, and read strictly (RFC 8259, with no key twice).
//! Sources: STIX 2.1, section 3.2; MISP core format, section 2.2. What the objects mean is in `stix.rs` and `misp.rs`.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::seen::FirstBytes;
use super::whole::{self, Counter};
use crate::cut::ByteSpan;
use crate::flaw::FlawPart;
use crate::notes::Notes;
use base::Reason;
use guard;

/// Longest file, in bytes: it is held whole, its objects one at a time.
const LONGEST: usize = 64 << 20;
/// Largest object, in bytes.
const LARGEST: usize = 8 << 20;

/// An object that says it is a bundle.
pub fn is_stix(seen: &FirstBytes<'_>) -> bool {
    is_object(seen) && squeezed(seen).contains("\"type\":\"bundle\"")
}

/// An object that holds an event.
pub fn is_misp(seen: &FirstBytes<'_>) -> bool {
    is_object(seen) && squeezed(seen).starts_with("{\"Event\":{")
}

/// An object of a signed part and its signatures, of a type that is signed offline.
pub fn is_tuf(seen: &FirstBytes<'_>) -> bool {
    let begins = squeezed(seen);
    let is_enveloped = begins.starts_with("{\"signatures\":[") || begins.starts_with("{\"signed\":{");
    is_object(seen) && is_enveloped && begins.contains("\"keyid\":\"")
}

/// A whole list of endpoints, in every field as the relay would use it.
pub fn is_endpoints(seen: &FirstBytes<'_>) -> bool {
    seen.extension == "json" && guard::list::parse(seen.head).is_ok()
}

fn is_object(seen: &FirstBytes<'_>) -> bool {
    seen.extension == "json" && seen.head.trim_ascii_start().starts_with(b"{")
}

/// The beginning without white space. A one-line file has no whole line in a cut head, so the
/// bytes are looked at, not the lines.
fn squeezed(seen: &FirstBytes<'_>) -> String {
    let head = seen.head.get(..4096).unwrap_or(seen.head);
    String::from_utf8_lossy(head).chars().filter(|c| !c.is_whitespace()).collect()
}

/// Reader of a format's whole text.
type JsonFormat = fn(&mut JsonText<'_>, &mut Notes<'_>) -> Result<(), Unread>;

/// Reads a file of this format.
pub fn read(source: &mut dyn BufRead, format: JsonFormat, notes: &mut Notes<'_>) -> io::Result<()> {
    let Some(bytes) = whole::read(source, LONGEST, notes)? else { return Ok(()) };
    // What is no UTF-8 has been told of as such.
    let mut text = JsonText::new(str::from_utf8(&bytes).unwrap_or_default());
    if let Err((reason, line)) = format(&mut text, notes) {
        notes.flaw(reason, line, FlawPart::Whole);
    }
    Ok(())
}

/// Why a text cannot be read, and the line.
pub type Unread = (Reason, u64);

/// A whole text, whose lines are counted on as its objects come.
pub struct JsonText<'a> {
    /// All of it.
    pub text: &'a str,
    lines: Counter<'a>,
}

impl<'a> JsonText<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, lines: Counter::new(text.as_bytes()) }
    }

    /// Span of a part of the text.
    pub fn span(&self, part: &str) -> ByteSpan {
        let from = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        ByteSpan { from: from as u64, size: part.len() as u64 }
    }

    /// The line in which a part of the text begins.
    pub fn line(&mut self, part: &str) -> u64 {
        let from = self.span(part).from;
        self.lines.line(usize::try_from(from).unwrap_or(usize::MAX))
    }

    /// Notes that this part of the text may not pass.
    pub fn flaw(&mut self, reason: Reason, part: &str, notes: &mut Notes<'_>) {
        notes.flaw(reason, self.line(part), FlawPart::Object(self.span(part)));
    }

    /// Reads a part of the text as a value. Refused: one of more than 8 MiB, since a tree is many times as large.
    pub fn value(&mut self, part: &RawValue) -> Result<Json, Unread> {
        let part = part.get();
        if part.len() > LARGEST {
            return Err((Reason::RuleTooLong, self.line(part)));
        }
        self.parse(part)
    }

    /// Reads a part of the text as a type.
    pub fn parse<'b, T: Deserialize<'b>>(&mut self, part: &'b str) -> Result<T, Unread> {
        serde_json::from_str(part).map_err(|e| {
            let reason = if e.to_string().starts_with(TWICE) { Reason::RuleDuplicate } else { Reason::RuleSyntax };
            (reason, self.line(part) + (e.line() as u64).saturating_sub(1))
        })
    }
}

/// Beginning of the error for a key that stands twice; serde says the same of a type's fields.
const TWICE: &str = "duplicate field";

/// A value, in which no key stands twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`, a number, or true or false, which mean nothing to us: as text.
    Other(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of a key; empty where it has none.
    pub fn text(&self, key: &str) -> &str {
        if let Some(Self::Text(text)) = self.get(key) { text } else { "" }
    }

    /// True if the key is `true`.
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some(&Self::Other("true".into()))
    }

    /// The list of a key; empty where it has none.
    pub fn list(&self, key: &str) -> &[Self] {
        if let Some(Self::List(list)) = self.get(key) { list } else { &[] }
    }

    /// True if `wanted` is true of any key and its value, however deep.
    pub fn any(&self, wanted: &dyn Fn(&str, &Self) -> bool) -> bool {
        match self {
            Self::Other(_) | Self::Text(_) => false,
            Self::List(list) => list.iter().any(|value| value.any(wanted)),
            Self::Object(fields) => fields.iter().any(|(key, value)| wanted(key, value) || value.any(wanted)),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct StrictValue;
        impl<'de> Visitor<'de> for StrictValue {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Other("null".into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = from.next_element()? {
                    list.push(value);
                }
                Ok(Json::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
                let (mut fields, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = from.next_entry::<String, Json>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(TWICE));
                    }
                    fields.push((key, value));
                }
                Ok(Json::Object(fields))
            }
        }
        from.deserialize_any(StrictValue)
    }
}

/// The fields of an object, unread; no key stands twice.
pub struct ObjectFields<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for ObjectFields<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct StrictMap;
        impl<'de> Visitor<'de> for StrictMap {
            type Value = ObjectFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<ObjectFields<'de>, A::Error> {
                let (mut fields, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = from.next_entry::<String, &'de RawValue>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(TWICE));
                    }
                    fields.push((key, value));
                }
                Ok(ObjectFields(fields))
            }
        }
        from.deserialize_map(StrictMap)
    }
}
