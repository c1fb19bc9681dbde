//! Releases as they are kept: `releases/<feed>/<version>/`.
//!
//! ```text
//! manifest.json, manifest.json….minisig   as they came
//! verdicts.json                           one verdict for each artifact, by path
//! release.json                            who brought it, who signed it, what was decided
//! pack, pack.json                         the small artifacts, and where each begins
//! items, items.json                       what each rule, signature and indicator is, for comparison
//! statements/                             officers' statements on it that count
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{LONGEST, SMALL, State, Trust};
use base::{Digest, Fault, Operator, Refusal, Timestamp, durable};
use bundle::statement::{Decision, Statement, Ticket};
use bundle::{ReleaseId, Signer, Verified};
use inspect::{Counts, Verdict};

/// The format of `release.json`.
pub const FORMAT: &str = "gaprelay-release/1";

/// `release.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::manual_non_exhaustive, reason = "made in this module alone, not in this crate alone")]
pub struct Release {
    /// Always `gaprelay-release/1`.
    pub format: String,
    /// Feed.
    pub feed: String,
    /// Version.
    pub version: u64,
    /// The manifest's label, for people.
    pub label: String,
    /// Publisher, as the keyring knows it.
    pub publisher: String,
    /// Origin, as the keyring knows it.
    pub origin: String,
    /// When the bundle was made.
    pub issued: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// Digest of `manifest.json`.
    pub manifest: Digest,
    /// Digest of `verdicts.json`.
    pub verdicts: Digest,
    /// How many of which.
    pub counts: Counts,
    /// What agents lost by it when it was imported, against what was served then.
    pub loss: Loss,
    /// How many of its items keep something else from detecting.
    pub suppressions: u64,
    /// Who signed.
    pub signers: Vec<Signer>,
    /// Names of the signature files kept.
    pub signatures: Vec<String>,
    /// Who imported it.
    pub operator: Operator,
    /// When.
    pub imported: Timestamp,
    /// A release is made by [`Staging::commit`](crate::state::Staging::commit), or read from the state, and in no other way.
    #[serde(skip)]
    _made: (),
}

/// What agents would lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// So many items were removed, switched off or stripped.
    pub lost: u64,
    /// Of so many that were served; of those in the release itself, where none was.
    pub of: u64,
    /// So many rules stand more than once, of which an engine takes one.
    #[serde(default)]
    pub twice: u64,
    /// So many ClamAV databases are older than the served ones.
    #[serde(default)]
    pub older: u64,
    /// The earlier release that has exactly the same content, where that is not the served one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
}

impl Loss {
    /// Whether an officer must see it: more than this share, in percent, is lost, or something is that no share tells.
    pub fn is_above(self, percent: u64) -> bool {
        self.lost.saturating_mul(100) > self.of.saturating_mul(percent) || self.twice > 0 || self.goes_back()
    }

    /// Whether agents would go back to older content: that needs a downgrade ticket.
    pub fn goes_back(self) -> bool {
        self.older > 0 || self.again.is_some()
    }
}

/// One line of `pack.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// Digest of the artifact.
    pub sha256: Digest,
    /// Where it begins in the pack.
    pub offset: u64,
    /// Its length.
    pub size: u64,
}

impl Release {
    /// An officer's statement about it as it stands, and what it changes. Refusal: `statement-malformed`.
    pub fn statement(
        &self,
        changes: Digest,
        (decision, ticket): (Decision, Option<Ticket>),
        officer: &str,
        reason: &str,
    ) -> Result<Statement, Refusal> {
        let (officer, reason) = (officer.to_owned(), reason.to_owned());
        let (release, manifest, verdicts) = (self.id(), self.manifest, self.verdicts);
        Statement { release, manifest, verdicts, changes, decision, ticket, officer, reason }.checked()
    }

    /// What a bundle became: with the digest of its verdicts, what they come to, and who brought it in.
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
            signers: verified.signers().to_vec(),
            signatures: verified.envelope().signatures.iter().map(|(name, _)| name.clone()).collect(),
            operator,
            imported,
            _made: (),
        }
    }

    /// Feed and version.
    pub fn id(&self) -> ReleaseId {
        ReleaseId { feed: self.feed.clone(), version: self.version }
    }
}

impl State {
    /// The releases that were accepted and are still kept, by feed and version.
    pub fn releases(&self, trust: &Trust) -> Result<Vec<ReleaseId>, Fault> {
        let mut ids = Vec::new();
        for (feed, trust) in &trust.feeds {
            for version in trust.accepted.keys() {
                let id = ReleaseId { feed: feed.clone(), version: *version };
                if self.release_path(&id).is_dir() {
                    ids.push(id);
                }
            }
        }
        Ok(ids)
    }

    /// Reads `release.json`.
    pub fn release(&self, id: &ReleaseId) -> Result<Release, Fault> {
        let path = self.release_path(id).join("release.json");
        let release: Release = read_json(&path)?;
        if release.format == FORMAT && release.id() == *id {
            return Ok(release);
        }
        Err(Fault::damaged(path.to_string_lossy(), "it is of another release or format"))
    }

    /// Reads a release's verdicts and proves them to be those it was accepted with.
    pub fn verdicts(&self, release: &Release) -> Result<Vec<Verdict>, Fault> {
        let path = self.release_path(&release.id()).join("verdicts.json");
        durable::read_json(&path, release.verdicts)
    }

    /// Digests of all that other publishers than this one have signed, of the releases that are kept.
    pub fn signed_by_others(&self, trust: &Trust, publisher: &str) -> Result<BTreeSet<Digest>, Fault> {
        let mut signed = BTreeSet::new();
        for id in self.releases(trust)? {
            let release = self.release(&id)?;
            if release.publisher != publisher {
                signed.extend(self.verdicts(&release)?.iter().map(|verdict| verdict.sha256));
            }
        }
        Ok(signed)
    }

    /// Where each small artifact of a release lies in its pack.
    pub fn pack_index(&self, id: &ReleaseId) -> Result<BTreeMap<Digest, Packed>, Fault> {
        let index: Vec<Packed> = read_json(&self.release_path(id).join("pack.json"))?;
        Ok(index.into_iter().map(|packed| (packed.sha256, packed)).collect())
    }

    /// Where an artifact that the relay holds lies, by digest and size, and how to read it.
    pub fn find_held(&self, digest: Digest, size: u64, packs: &Packs) -> Option<(PathBuf, u64)> {
        if size < SMALL {
            return packs.0.get(&digest).filter(|(_, _, held)| *held == size).map(|(path, at, _)| (path.clone(), *at));
        }
        let path = self.blob_path(digest);
        path.metadata().is_ok_and(|meta| meta.len() == size).then_some((path, 0))
    }

    /// All packs of the releases that are kept, for thin bundles.
    pub fn packs(&self, trust: &Trust) -> Result<Packs, Fault> {
        let mut packs = BTreeMap::new();
        for id in self.releases(trust)? {
            let path = self.release_path(&id).join("pack");
            for (digest, packed) in self.pack_index(&id)? {
                packs.insert(digest, (path.clone(), packed.offset, packed.size));
            }
        }
        Ok(Packs(packs))
    }
}

/// Where small artifacts lie: path of the pack, offset, size.
#[derive(Debug, Default)]
pub struct Packs(BTreeMap<Digest, (PathBuf, u64, u64)>);

/// Reads a JSON file of ours.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<T, Fault> {
    let bytes = durable::read(path, LONGEST)?;
    serde_json::from_slice(&bytes).map_err(|e| Fault::damaged(path.to_string_lossy(), e.to_string()))
}
