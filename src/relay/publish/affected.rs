//! Releases that a key signed, or that were approved with it.

use std::collections::BTreeMap;

use crate::publish::ReleaseStatus;
use crate::publish::status::closed_status;
use crate::state::logged::logged_signers;
use crate::state::{State, Trust};
use base::{Digest, Fault};
use bundle::statement::Decision;
use bundle::{ReleaseId, Signer};
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
    /// Status of the release; none where its files are damaged.
    pub standing: Option<ReleaseStatus>,
}

impl AffectedRelease {
    /// Words for the status.
    pub(crate) fn standing(&self) -> String {
        self.standing.as_ref().map_or_else(|| "its files are damaged".into(), ToString::to_string)
    }
}

/// The releases that the key with this id had a part in. With the text of a directive: those as well that this
/// directive has withdrawn, before it was cut. Who signed a release whose files are damaged is in the import log.
pub(crate) fn affected_releases(
    state: &State,
    config: &Config,
    trust: &Trust,
    (key, directive): (&str, Option<&str>),
) -> Result<Vec<AffectedRelease>, Fault> {
    let (mut found, keyring) = (Vec::new(), state.keyring(trust)?);
    let mut logged: Option<BTreeMap<ReleaseId, Vec<Signer>>> = None;
    let directive = directive.map(|text| Digest::of(text.as_bytes()));
    for id in trust.kept_releases() {
        let (Some(feed), Some(manifest)) = (config.feed(&id.feed), trust.accepted_manifest(&id.feed, id.version))
        else {
            continue;
        };
        let statements = trust.statements(&id);
        let (signers, standing) = if let Ok(release) = state.release(trust, &id) {
            let standing = trust.status(&release, feed, (config, &keyring));
            (release.signers, Some(standing))
        } else {
            // Going on is safe: the log has all that counts here.
            let known = match &mut logged {
                Some(known) => known,
                None => logged.insert(logged_signers(state, trust)?),
            };
            (known.get(&id).cloned().unwrap_or_default(), closed_status(statements, feed))
        };
        let signed = signers.iter().any(|signer| signer.key_id == key);
        let lets_pass = |decision| matches!(decision, Decision::Approve | Decision::Downgrade);
        let approved = statements.iter().any(|t| lets_pass(t.decision) && t.key_id == key);
        let is_open = !matches!(standing, Some(ReleaseStatus::Refused | ReleaseStatus::Withdrawn));
        let is_by_this = directive.is_some_and(|text| statements.iter().any(|t| t.text == text));
        if (signed || approved) && (is_open || is_by_this) {
            found.push(AffectedRelease { id, manifest, signed, standing });
        }
    }
    Ok(found)
}

/// The digest of the list: what a directive names, so that it is on record what was looked at.
pub(crate) fn listing_digest(affected_releases: &[AffectedRelease]) -> Digest {
    let lines: Vec<String> = affected_releases.iter().map(|it| format!("{} sha256:{}\n", it.id, it.manifest)).collect();
    Digest::of(lines.concat().as_bytes())
}
