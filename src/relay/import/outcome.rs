//! What an import tells: how far it is, what became of each bundle, and the log's entry for it.

use crate::keeper::Keeper;
use crate::log::Event;
use crate::state::Release;
use base::{Digest, Error, Fault, Reason, Refusal};
use bundle::Verified;
use media::{Mount, Surveyed};

/// How far an import is, for whoever shows it.
pub enum ProgressEvent<'a> {
    /// A medium was searched: how many bundles, and what could not be looked at.
    Surveyed(&'a Surveyed),
    /// A bundle's payload of so many bytes is read off the medium.
    Reading(&'a str, u64),
    /// A bundle of so many bytes is unpacked and inspected.
    Unpacking(&'a str, u64),
    /// So many bytes more.
    Bytes(u64),
    /// How a medium is mounted.
    Mounted(&'a Mount),
    /// Whether a medium's names, lengths and times are what they were before.
    Unchanged(bool),
    /// Everything wanted is in the spool: the media may be removed.
    MediaDone,
    /// A bundle is judged.
    Judged(&'a JudgedBundle),
}

/// Takes the progress.
pub type ProgressWatch<'a> = &'a mut dyn FnMut(ProgressEvent<'_>);

/// What became of one bundle.
pub struct JudgedBundle {
    /// Its folder, escaped.
    pub bundle: String,
    /// Feed and version, once they could be believed.
    pub release: Option<(String, u64)>,
    /// What became of it.
    pub outcome: ImportOutcome,
}

/// What became of a bundle.
pub enum ImportOutcome {
    /// It is a release now.
    Imported(Box<Release>),
    /// The keyring of this version is in force.
    KeyringReplaced(u64),
    /// Exactly this was accepted before.
    AlreadyHere,
    /// It is not acceptable.
    Refused(Refusal),
    /// We could not do our work.
    Failed(Fault),
}

impl From<Error> for ImportOutcome {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::Refused(refusal),
            Error::Fault(fault) => Self::Failed(fault),
        }
    }
}

/// The log's entry for an outcome.
pub(super) fn outcome_event(
    keeper: &Keeper,
    admitted: &Result<Option<Release>, Error>,
    verified: Option<&Verified>,
    release: Option<&(String, u64)>,
) -> Event {
    let accepted = |(feed, version): &(String, u64)| keeper.trust.accepted_manifest(feed, *version);
    match admitted {
        Ok(Some(release)) => Event::Imported {
            feed: release.feed.clone(),
            version: release.version,
            manifest: release.manifest,
            verdicts: release.verdicts,
            counts: release.counts,
            signers: release.signers.clone(),
            after_interruption: false,
        },
        Ok(None) => {
            let known = release.and_then(|known| Some((known.0.clone(), known.1, accepted(known)?)));
            let given = verified.map(|v| (v.manifest().feed.clone(), v.manifest().version, v.digest()));
            let (feed, version, manifest) = given.or(known).unwrap_or((String::new(), 0, Digest([0; 32])));
            Event::AlreadyHere { feed, version, manifest }
        }
        Err(error) => {
            let is_twofold = matches!(error, Error::Refused(r) if r.reason == Reason::VersionEquivocation);
            Event::failure(error, release.filter(|_| is_twofold).and_then(accepted))
        }
    }
}
