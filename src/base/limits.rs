//! Limits on everything that is taken in. Each limit has its own reason code; the config's `[limits]` table sets them
//! and is documented here.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// A number of bytes, written `16 MiB`, `2 GiB` or plain `4096` (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub u64);

const UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not a size such as \"16 MiB\", \"2 GiB\" or \"4096\"";
        let (number, unit) =
            UNITS.iter().find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, unit))).ok_or(wrong)?;
        let number: u64 = number.trim_end().parse().map_err(|_| wrong)?;
        number.checked_mul(*unit).map(Self).ok_or(wrong)
    }
}

impl TryFrom<String> for Bytes {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        let (name, unit) =
            UNITS.iter().find(|(_, unit)| bytes.0 >= *unit && bytes.0.is_multiple_of(*unit)).unwrap_or(&("", 1));
        format!("{} {name}", bytes.0 / unit).trim_end().to_owned()
    }
}

/// A size for the eye, rounded: `60.3 MiB`.
pub fn human(bytes: u64) -> impl fmt::Display {
    struct Human(u64);
    impl fmt::Display for Human {
        #[expect(clippy::cast_precision_loss, reason = "rounded to a tenth for the eye")]
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match UNITS.iter().find(|(_, unit)| self.0 >= *unit && *unit > 1) {
                Some((name, unit)) => write!(f, "{:.1} {name}", self.0 as f64 / *unit as f64),
                None => write!(f, "{} B", self.0),
            }
        }
    }
    Human(bytes)
}

/// Limits of one import. Every limit can be set in `[limits]`; each has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest `manifest.json`. Default 16 MiB; more is refused as `manifest-too-large`.
    pub manifest: Bytes,
    /// Most signature files beside one manifest. Default 16; more: `signature-too-many`.
    pub signatures: u64,
    /// Longest `payload.tar.gz`. Default 8 GiB; more: `payload-too-large`.
    pub payload: Bytes,
    /// Most artifacts in one manifest. Default 100000; more: `artifact-count-limit`.
    pub artifacts: u64,
    /// Longest single artifact. Default 4 GiB, at most 8 GiB less one byte, which is all that a
    /// ustar header can say; more: `artifact-too-large`.
    pub artifact: Bytes,
    /// Most bytes in all artifacts of one bundle together. Default 32 GiB; more: `unpacked-too-large`.
    pub unpacked: Bytes,
    /// Most unpacked bytes for one byte of payload. Default 200; more: `ratio-limit`. Bundles that
    /// unpack to less than 16 MiB are not judged by it.
    pub ratio: u64,
    /// Most processor time for looking into the files of one bundle, without what it is given for its length: a second
    /// for each MiB of its payload and its manifest. Default 10s; more: `bundle-time-limit`.
    pub inspection: Span,
    /// Longest artifact path in bytes. Default 200, at most 255; longer: `path-too-long`.
    pub path: u64,
    /// Most folders above an artifact. Default 8; more: `path-too-deep`.
    pub depth: u64,
    /// Most files and folders looked at on one medium. Default 100000; more: `medium-entry-limit`.
    pub medium_entries: u64,
    /// Most folders below each other on one medium. Default 16; bundles below that are not looked for.
    pub medium_depth: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: Bytes(16 << 20),
            signatures: 16,
            payload: Bytes(8 << 30),
            artifacts: 100_000,
            artifact: Bytes(4 << 30),
            unpacked: Bytes(32 << 30),
            ratio: 200,
            inspection: Span(Duration::from_secs(10)),
            path: 200,
            depth: 8,
            medium_entries: 100_000,
            medium_depth: 16,
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^[0-9]+( ?(KiB|MiB|GiB|TiB))?$",
            "description": "a number of bytes, units are powers of 1024"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_written() {
        assert_eq!("16 MiB".parse(), Ok(Bytes(16 << 20)));
        assert_eq!("4096".parse(), Ok(Bytes(4096)));
        assert_eq!(String::from(Bytes(3 << 30)), "3 GiB");
        for bad in ["", "MiB", "-1", "1 MB", "99999999999999 TiB", "1.5 GiB"] {
            assert!(bad.parse::<Bytes>().is_err_and(|e| e.contains("size")), "{bad}");
        }
        assert_eq!(human(63_211_008).to_string(), "60.3 MiB");
    }
}
