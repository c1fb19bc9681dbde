//! Keyrings from a medium: each must succeed the one before it, and each is stored before the next is judged.

use crate::keeper::Keeper;
use crate::log::Event;
use base::{Digest, Error, Fault, Operator, Reason};
use bundle::{Envelope, Successor, succeed, succession};
use media::{MediumBundle, Surveyed};

/// Most bytes of keyrings that are held in memory: they are put in order before the first is judged.
const MOST: usize = 64 << 20;

/// Outcome of a keyring from a medium.
pub(crate) enum KeyringOutcome {
    /// The keyring of this version is in force now.
    InForce(u64),
    /// The keyring of this version is or was in force: a medium carries all versions, for relays that got none for
    /// long.
    AlreadyHere,
}

/// Folder and outcome of each keyring.
pub(crate) type KeyringOutcomes = Vec<(String, Result<KeyringOutcome, Error>)>;

/// Judges these keyrings of a medium, each with its folder's name, in the order of their versions. Each gets its own
/// outcome.
pub(crate) fn take_keyrings(
    keeper: &mut Keeper,
    medium: &mut Surveyed,
    bundles: &[(MediumBundle, String)],
    operator: &Operator,
) -> Result<KeyringOutcomes, Fault> {
    let (mut found, mut held) = (Vec::new(), 0);
    for (bundle, folder) in bundles {
        let envelope = if held <= MOST { medium.envelope(bundle) } else { Err(too_many_keyrings()) };
        if let Ok(envelope) = &envelope {
            held += envelope.document.len() + envelope.signatures.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        }
        let claimed = envelope.as_ref().ok().and_then(|it| succession::claimed_version(it, &keeper.config.limits));
        found.push((claimed, folder.clone(), envelope));
    }
    // In the order of the versions that they claim; each claim is verified when its turn comes.
    found.sort_by_key(|(claimed, ..)| *claimed);
    let mut outcomes = Vec::new();
    for (claimed, folder, envelope) in found {
        let outcome = match (claimed, &envelope) {
            // The same bytes need no second judgement, and no entry each time.
            (Some(version), Ok(envelope))
                if version <= keeper.keyring.version && keeper.state.has_keyring(version, &envelope.document) =>
            {
                Ok(KeyringOutcome::AlreadyHere)
            }
            _ => judge_keyring(keeper, &folder, envelope, operator)?.map(KeyringOutcome::InForce),
        };
        outcomes.push((folder, outcome));
    }
    Ok(outcomes)
}

fn too_many_keyrings() -> Error {
    let detail = format!(
        "the medium holds more than {} MiB of keyrings, which is the limit: remove the keyrings that this relay knows already",
        MOST >> 20
    );
    Error::refused(Reason::MediumEntryLimit, detail)
}

/// Gives one keyring its outcome: intent, act, outcome. Stopping is safe: a refused keyring leaves the former in force,
/// and where the log does not take the outcome, the next start finds out by the trust file whether the keyring is in
/// force.
fn judge_keyring(
    keeper: &mut Keeper,
    folder: &str,
    envelope: Result<Envelope, Error>,
    operator: &Operator,
) -> Result<Result<u64, Error>, Fault> {
    let digest = envelope.as_ref().ok().map(|envelope| Digest::of(&envelope.document));
    let started = Event::ImportStarted { bundle: folder.to_owned(), manifest: digest, operator: operator.clone() };
    keeper.append(vec![started])?;
    let taken = envelope
        .and_then(|envelope| Ok(succeed(envelope, &keeper.keyring, &keeper.config.limits)?))
        .and_then(|successor| Ok(put_in_force(keeper, &successor)?));
    let outcome = match &taken {
        Ok(event) => event.clone(),
        Err(error) => Event::failure(error, None),
    };
    keeper.append(vec![outcome])?;
    Ok(taken.map(|_| keeper.keyring.version))
}

/// Puts a keyring in force. Stopping is safe: the keyring is on the disk before the trust file names it, and that one
/// step puts it in force.
fn put_in_force(keeper: &mut Keeper, successor: &Successor) -> Result<Event, Fault> {
    keeper.state.keep_keyring(successor)?;
    let mut trust = keeper.trust.clone();
    trust.apply_succession(successor);
    keeper.replace_trust(trust)?;
    keeper.keyring_event(false)
}
