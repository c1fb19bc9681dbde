//! Outcomes of an import: its progress, the outcome of each bundle, and the log entry for it.

use std::rc::Rc;

use crate::keeper::Keeper;
use crate::log::Event;
use crate::state::Release;
use base::{Digest, Error, Fault, Reason, Refusal};
use bundle::Verified;
use media::{Mount, Surveyed};

/// Progress event of an import, for whoever shows it.
pub(crate) enum ProgressEvent<'a> {
    /// A medium was searched: its bundles, and what could not be searched.
    Surveyed(&'a Surveyed),
    /// The payload of a bundle is read off the medium: its name, and the size in bytes.
    Reading(&'a str, u64),
    /// A bundle is unpacked and inspected: its name, and the size in bytes.
    Unpacking(&'a str, u64),
    /// More bytes were read or unpacked: their number.
    Bytes(u64),
    /// Mount of a medium.
    Mounted(&'a Mount),
    /// True when names, lengths and times on the medium are what they were before.
    Unchanged(bool),
    /// All wanted bytes are in the spool: the media may be removed.
    MediaDone,
    /// A bundle got its outcome.
    Judged(&'a JudgedBundle),
}

/// Callback that receives the progress.
pub(crate) type ProgressWatch<'a> = &'a mut dyn FnMut(ProgressEvent<'_>);

/// Bundle with its outcome.
pub(crate) struct JudgedBundle {
    /// Folder of the bundle, escaped.
    pub bundle: String,
    /// Feed and version, once the manifest was verified.
    pub release: Option<(String, u64)>,
    /// Outcome of the bundle.
    pub outcome: ImportOutcome,
}

/// Outcome of a bundle.
pub(crate) enum ImportOutcome {
    /// The bundle is a release now.
    Imported(Box<Release>),
    /// The keyring of this version is in force.
    KeyringReplaced(u64),
    /// Exactly this bundle was accepted before.
    AlreadyHere,
    /// The bundle was refused.
    Refused(Refusal),
    /// The relay could not do its work.
    Failed(Rc<Fault>),
}

impl ImportOutcome {
    /// Outcome of another copy of the same bundle.
    pub(crate) fn of_copy(&self) -> Self {
        match self {
            Self::Imported(_) | Self::KeyringReplaced(_) | Self::AlreadyHere => Self::AlreadyHere,
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::Failed(fault) => Self::Failed(Rc::clone(fault)),
        }
    }
}

impl From<Error> for ImportOutcome {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::Refused(refusal),
            Error::Fault(fault) => Self::Failed(Rc::new(fault)),
        }
    }
}

/// Makes the log entry for an outcome.
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
            record: release.record().ok(),
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

/// Makes the log entry for a further copy of a bundle.
pub(super) fn copy_event(keeper: &Keeper, copy: &JudgedBundle) -> Event {
    let result = match &copy.outcome {
        ImportOutcome::Failed(fault) => return Event::fault(fault),
        ImportOutcome::Refused(refusal) => Err(Error::Refused(refusal.clone())),
        ImportOutcome::Imported(_) | ImportOutcome::KeyringReplaced(_) | ImportOutcome::AlreadyHere => Ok(None),
    };
    outcome_event(keeper, &result, None, copy.release.as_ref())
}
