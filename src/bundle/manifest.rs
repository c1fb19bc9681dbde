//! `manifest.json`: what the signers put their names to. See `schemas/manifest.md`.

use serde::{Deserialize, Serialize};

use super::keyring::is_country;
use super::paths;
use base::name::{self, is_name};
use base::{Digest, Limits, Reason, Refusal, Timestamp, quoted};

/// The format this version reads and writes.
pub const FORMAT: &str = "gaprelay-bundle/1";
/// Versions and sizes stay below 2^53, so that every JSON reader sees the same number.
pub const LARGEST: u64 = 1 << 53;
/// A ustar header holds sizes up to eleven octal digits.
pub const LARGEST_ARTIFACT: u64 = (1 << 33) - 1;

/// A bundle's signed list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `gaprelay-bundle/1`.
    pub format: String,
    /// The publisher's stream this belongs to: 1 to 64 of `a-z 0-9 . _ -`.
    pub feed: String,
    /// Strictly rising within the feed: 1 to 2^53 - 1.
    pub version: u64,
    /// For people; at most 100 printable characters.
    pub label: String,
    /// Publisher of the content; must be the publisher of a signing key.
    pub publisher: String,
    /// The publisher's country, ISO 3166-1 alpha-2; must be the origin of that key.
    pub origin: String,
    /// When it was made.
    pub issued: Timestamp,
    /// When it must no longer be imported.
    pub expires: Timestamp,
    /// `payload.tar.gz`.
    pub payload: Payload,
    /// The artifacts, sorted by the bytes of their paths.
    pub artifacts: Vec<Artifact>,
}

/// `payload.tar.gz` as it lies beside the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
}

/// One file of the bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Relative path, `/`-separated, at most 255 bytes.
    pub path: String,
    /// Length in bytes, less than 8 GiB.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
    /// Kind of content, for instance `clamav-cvd`; see `gaprelay kinds`.
    pub kind: String,
    /// `false` in a thin bundle for an artifact that is not in the payload, since the relay holds it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub carried: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_yes(carried: &bool) -> bool {
    *carried
}

impl Manifest {
    /// Reads and checks the bytes, which must have been verified before.
    /// Refusals: `manifest-*`, `artifact*`, `path-*`, `unpacked-too-large`, `ratio-limit`, `payload-too-large`.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| {
            // serde_json gives one category for all data errors; its wording tells them apart,
            // and the vectors hold us to it.
            let text = e.to_string();
            let reason = if text.starts_with("duplicate field") {
                Reason::ManifestDuplicateKey
            } else if text.starts_with("unknown field") {
                Reason::ManifestUnknownField
            } else {
                Reason::ManifestSyntax
            };
            Refusal::new(reason, format!("the manifest cannot be read: {}", quoted(&text)))
        })?;
        manifest.check(limits)?;
        Ok(manifest)
    }

    /// The trusted comment that each signature of this manifest must carry.
    pub fn trusted_comment(&self) -> String {
        format!("{FORMAT} feed={} version={}", self.feed, self.version)
    }

    /// Bytes in the artifacts that the payload carries.
    pub fn carried_bytes(&self) -> u64 {
        self.carried().map(|a| a.size).sum()
    }

    /// The artifacts that the payload carries, in its order.
    pub fn carried(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().filter(|artifact| artifact.carried)
    }

    /// Checks that every value is in its range and the list is one that can be kept.
    pub fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        let refuse = |reason, what: String| Err(Refusal::new(reason, what));
        if self.format != FORMAT {
            let what = format!("the manifest's format is \"{}\", not {FORMAT}", quoted(&self.format));
            return refuse(Reason::ManifestFormat, what);
        }
        for (field, value) in [("feed", &self.feed), ("publisher", &self.publisher)] {
            if !is_name(value) {
                let what = format!("{field} \"{}\" is not a name: {}", quoted(value), name::RULE);
                return refuse(Reason::ManifestValue, what);
            }
        }
        if self.version == 0 || self.version >= LARGEST {
            return refuse(Reason::ManifestValue, format!("version {} is not between 1 and 2^53 - 1", self.version));
        }
        let printable = |c: char| !c.is_control() && !paths::is_invisible(c);
        if self.label.chars().count() > 100 || !self.label.chars().all(printable) {
            return refuse(
                Reason::ManifestValue,
                "the manifest's label is longer than 100 characters or not printable".into(),
            );
        }
        if !is_country(&self.origin) {
            let what = format!("origin \"{}\" is not two capital letters", quoted(&self.origin));
            return refuse(Reason::ManifestValue, what);
        }
        if self.expires <= self.issued {
            let what =
                format!("the manifest says that the bundle was issued {} and expires {}", self.issued, self.expires);
            return refuse(Reason::ManifestDates, what);
        }
        if self.payload.size > limits.payload.0 {
            let what = format!("the payload has {} bytes; the limit is {}", self.payload.size, limits.payload.0);
            return refuse(Reason::PayloadTooLarge, what);
        }
        self.check_artifacts(limits)
    }

    fn check_artifacts(&self, limits: &Limits) -> Result<(), Refusal> {
        let refuse = |reason, what: String| Err(Refusal::new(reason, what));
        if self.artifacts.is_empty() {
            return refuse(Reason::ManifestValue, "the manifest lists no artifact".into());
        }
        if self.artifacts.len() as u64 > limits.artifacts {
            let what =
                format!("the manifest lists {} artifacts; the limit is {}", self.artifacts.len(), limits.artifacts);
            return refuse(Reason::ArtifactCountLimit, what);
        }
        let mut total: u64 = 0;
        for artifact in &self.artifacts {
            let path = quoted(&artifact.path);
            paths::check(&artifact.path, limits)?;
            let most = limits.artifact.0.min(LARGEST_ARTIFACT);
            if artifact.size > most {
                let what = format!("\"{path}\" has {} bytes; the limit is {most}", artifact.size);
                return refuse(Reason::ArtifactTooLarge, what);
            }
            if !is_name(&artifact.kind) {
                return refuse(Reason::ManifestValue, format!("the kind of \"{path}\" is not a name: {}", name::RULE));
            }
            total = total.saturating_add(artifact.size);
        }
        if total > limits.unpacked.0 {
            let what = format!("the artifacts have {total} bytes together; the limit is {}", limits.unpacked.0);
            return refuse(Reason::UnpackedTooLarge, what);
        }
        let carried = self.carried_bytes();
        if carried > 16 << 20 && carried / limits.ratio.max(1) > self.payload.size {
            let what = format!(
                "the payload has {} bytes and unpacks to {carried}, more than {} times as many",
                self.payload.size, limits.ratio
            );
            return refuse(Reason::RatioLimit, what);
        }
        for (first, second) in self.artifacts.iter().zip(self.artifacts.iter().skip(1)) {
            let (one, next) = (quoted(&first.path), quoted(&second.path));
            match first.path.as_bytes().cmp(second.path.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => {
                    return refuse(Reason::ArtifactDuplicate, format!("\"{one}\" stands twice in the manifest"));
                }
                std::cmp::Ordering::Greater => {
                    let what = format!("\"{one}\" stands before \"{next}\" in the manifest");
                    return refuse(Reason::ArtifactsUnsorted, what);
                }
            }
        }
        paths::check_together(self.artifacts.iter().map(|a| a.path.as_str()))
    }
}
