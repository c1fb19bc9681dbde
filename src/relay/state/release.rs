//! Stored releases: `releases/<feed>/<version>/`.
//!
//! ```text
//! manifest.json, manifest.json….minisig   as they were received
//! verdicts.json                           one verdict for each artifact, by path
//! release.json                            operator, signers, decisions
//! pack, pack.json                         the small artifacts, and the offset of each
//! items, items.json                       a record of each rule, signature and indicator, for comparison
//! names.json                              the names of rules that another feed had first; only where there are some
//! digests.json                            digest of each of these but the pack: the release's record, by which the log names it
//! statements/                             officers' statements that count
//! ```
//!
//! What a decision rests on is read by its digest: that of the record is in the log, and at hand in the trust file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LONGEST, State, Trust};
use base::{Digest, Fault, Operator, Timestamp, durable};
use bundle::statement::Subject;
use bundle::{ReleaseId, Signer, Verified};
use inspect::{Counts, Verdict};

/// Format of `release.json`.
pub(crate) const FORMAT: &str = "gaprelay-release/1";

/// Content of `release.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Always `gaprelay-release/1`.
    pub format: String,
    /// Feed.
    pub feed: String,
    /// Version.
    pub version: u64,
    /// Label of the manifest, for people.
    pub label: String,
    /// Publisher, as the keyring knows it.
    pub publisher: String,
    /// Origin, as the keyring knows it.
    pub origin: String,
    /// Time when the bundle was made.
    pub issued: Timestamp,
    /// Time when the release expires.
    pub expires: Timestamp,
    /// Digest of `manifest.json`.
    pub manifest: Digest,
    /// Digest of `verdicts.json`.
    pub verdicts: Digest,
    /// Number of artifacts by decision.
    pub counts: Counts,
    /// Loss of detection for agents, against the release that was served at the time of import.
    pub loss: Loss,
    /// Number of items that keep something else from detecting.
    pub suppressions: u64,
    /// Number of names of rules and signatures that a feed which agents load too had first, with another content, by
    /// feed: at the time of import.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shared_names: BTreeMap<String, u64>,
    /// Signers of the bundle.
    pub signers: Vec<Signer>,
    /// Names of the signature files kept.
    pub signatures: Vec<String>,
    /// Operator who imported the release.
    pub operator: Operator,
    /// Time of the import.
    pub imported: Timestamp,
    /// Digest of the record; in the log.
    #[serde(skip)]
    record: Option<Digest>,
    /// Digests of the files, by name. Keeps other modules from making a release: only
    /// [`Staging::commit`](crate::state::Staging::commit) and a read do.
    #[serde(skip)]
    digests: Digests,
}

/// Digests of a release's files, by name.
pub(crate) type Digests = BTreeMap<String, Digest>;

/// Name of the file that holds them.
pub(super) const RECORD: &str = "digests.json";

/// Loss of detection for agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Number of items that were removed, switched off or stripped.
    pub lost: u64,
    /// Number of items that were served; of those in the release itself, where no other was served.
    pub of: u64,
    /// Number of files that were served, and that this release has not.
    #[serde(default, skip_serializing_if = "is_none")]
    pub files: u64,
    /// Number of files that were served, where some are missing.
    #[serde(default, skip_serializing_if = "is_none")]
    pub files_of: u64,
    /// Number of rules that stand more than once, of which an engine takes one.
    #[serde(default)]
    pub twice: u64,
    /// Number of ClamAV databases that are older than the served ones.
    #[serde(default)]
    pub older: u64,
    /// Earlier release that has exactly the same content, where that is not the served one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Loss {
    /// True when an officer must see the release: more than `percent` of the items or of the files are lost, there are
    /// duplicate rules, or the content goes back.
    pub fn is_above(self, percent: u64) -> bool {
        let is_more = |lost: u64, of: u64| lost.saturating_mul(100) > of.saturating_mul(percent);
        is_more(self.lost, self.of) || is_more(self.files, self.files_of) || self.twice > 0 || self.goes_back()
    }

    /// True when agents would go back to older content: that needs a downgrade ticket.
    pub fn goes_back(self) -> bool {
        self.older > 0 || self.again.is_some()
    }
}

/// Entry of `pack.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// Digest of the artifact.
    pub sha256: Digest,
    /// Offset of the artifact in the pack, in bytes.
    pub offset: u64,
    /// Length of the artifact, in bytes.
    pub size: u64,
}

impl Release {
    /// Subject of an officer's statement: this release with the changes that it makes, and what an approval would take
    /// from agents, where it says so.
    pub fn subject(&self, changes: Digest, effect: Option<String>) -> Subject {
        Subject { release: self.id(), manifest: self.manifest, verdicts: self.verdicts, changes, effect }
    }

    /// Makes the release of a verified bundle, with the digest of its verdicts, their counts, and its operator.
    pub(super) fn new(
        verified: &Verified,
        verdicts: Digest,
        counts: Counts,
        loss: Loss,
        suppressions: u64,
        operator: Operator,
        imported: Timestamp,
    ) -> Self {
        let manifest = verified.manifest();
        Self {
            format: FORMAT.into(),
            feed: manifest.feed.clone(),
            version: manifest.version,
            label: manifest.label.clone(),
            publisher: manifest.publisher.clone(),
            origin: manifest.origin.clone(),
            issued: manifest.issued,
            expires: manifest.expires,
            manifest: verified.digest(),
            verdicts,
            counts,
            loss,
            suppressions,
            shared_names: BTreeMap::new(),
            signers: verified.signers().to_vec(),
            signatures: verified.envelope().signatures.iter().map(|(name, _)| name.clone()).collect(),
            operator,
            imported,
            record: None,
            digests: Digests::new(),
        }
    }

    /// Digest of the record, by which the log names the release with all its files.
    pub fn record(&self) -> Result<Digest, Fault> {
        self.record.ok_or(Fault::Internal("a release has no record yet"))
    }

    /// The release once its record is on the disk.
    pub(super) fn recorded(self, record: Digest, digests: Digests) -> Self {
        Self { record: Some(record), digests, ..self }
    }

    /// Digest of a file of the release.
    pub(crate) fn digest_of(&self, file: &str) -> Result<Digest, Fault> {
        self.digests.get(file).copied().ok_or_else(|| {
            let what = format!("it does not list {file}");
            Fault::damaged(format!("the record of release {}", self.id()), what)
        })
    }

    /// Names of the files that the record lists.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&String, &Digest)> {
        self.digests.iter()
    }

    /// Id of the release: feed and version.
    pub fn id(&self) -> ReleaseId {
        ReleaseId { feed: self.feed.clone(), version: self.version }
    }
}

impl State {
    /// Reads a release that is kept, and proves by the digest of its record that it is the one that the log names.
    pub fn release(&self, trust: &Trust, id: &ReleaseId) -> Result<Release, Fault> {
        let folder = self.release_path(id);
        let unknown =
            || Fault::damaged(folder.to_string_lossy(), "the import log tells of no such release that is kept");
        let record = trust.history(id).and_then(|history| history.record).ok_or_else(unknown)?;
        let digests: Digests = durable::read_json(&folder.join(RECORD), record)?;
        let path = folder.join("release.json");
        let missing = || Fault::damaged(folder.join(RECORD).to_string_lossy(), "it does not list release.json");
        let release: Release = durable::read_json(&path, *digests.get("release.json").ok_or_else(missing)?)?;
        let is_this = release.format == FORMAT && release.id() == *id;
        if is_this && trust.accepted_manifest(&id.feed, id.version) == Some(release.manifest) {
            return Ok(release.recorded(record, digests));
        }
        let what = format!("it is not the record of release {id} in the format {FORMAT}, as it was accepted");
        Err(Fault::damaged(path.to_string_lossy(), what))
    }

    /// Reads the verdicts of a release and proves by their digest that they are those it was accepted with.
    pub fn verdicts(&self, release: &Release) -> Result<Vec<Verdict>, Fault> {
        let path = self.release_path(&release.id()).join("verdicts.json");
        durable::read_json(&path, release.verdicts)
    }

    /// Reads the places of the small artifacts in the pack of a release.
    pub fn pack_index(&self, release: &Release) -> Result<BTreeMap<Digest, Packed>, Fault> {
        let path = self.release_path(&release.id()).join("pack.json");
        let index: Vec<Packed> = durable::read_json(&path, release.digest_of("pack.json")?)?;
        Ok(index.into_iter().map(|packed| (packed.sha256, packed)).collect())
    }
}

/// Reads a JSON file of the state.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<T, Fault> {
    let bytes = durable::read(path, LONGEST)?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Fault::damaged(path.to_string_lossy(), format!("it is not valid JSON of the expected form ({e})")))
}
