//! Releases that a key signed, or that were approved with it.

use crate::publish::ReleaseStatus;
use crate::state::{State, Trust};
use base::{Digest, Fault};
use bundle::ReleaseId;
use bundle::statement::Decision;
use config::Config;

/// A release that a key had a part in, and that was not refused or withdrawn since.
#[derive(Clone, Debug)]
pub(crate) struct AffectedRelease {
    /// Release.
    pub id: ReleaseId,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// True if the key signed the bundle; else an officer approved it with the key.
    pub signed: bool,
    /// Status of the release.
    pub standing: ReleaseStatus,
}

/// The releases that the key with this id had a part in. With the text of a directive: those as well that this directive
/// has withdrawn, before it was cut.
pub(crate) fn affected_releases(
    state: &State,
    config: &Config,
    trust: &Trust,
    (key, directive): (&str, Option<&str>),
) -> Result<Vec<AffectedRelease>, Fault> {
    let mut found = Vec::new();
    let directive = directive.map(|text| Digest::of(text.as_bytes()));
    for id in trust.kept_releases() {
        let Some(feed) = config.feed(&id.feed) else { continue };
        let (release, statements) = (state.release(trust, &id)?, trust.statements(&id));
        let stands = trust.status(&release, feed);
        let signed = release.signers.iter().any(|signer| signer.key_id == key);
        let lets_pass = |decision| matches!(decision, Decision::Approve | Decision::Downgrade);
        let approved = statements.iter().any(|t| lets_pass(t.decision) && t.key_id == key);
        let is_open = !matches!(stands, ReleaseStatus::Refused | ReleaseStatus::Withdrawn);
        let is_by_this = directive.is_some_and(|text| statements.iter().any(|t| t.text == text));
        if (signed || approved) && (is_open || is_by_this) {
            found.push(AffectedRelease { id, manifest: release.manifest, signed, standing: stands });
        }
    }
    Ok(found)
}

/// The digest of the list: what a directive names, so that it is about what was looked at.
pub(crate) fn listing_digest(affected_releases: &[AffectedRelease]) -> Digest {
    let lines: Vec<String> = affected_releases.iter().map(|it| format!("{} sha256:{}\n", it.id, it.manifest)).collect();
    Digest::of(lines.concat().as_bytes())
}
