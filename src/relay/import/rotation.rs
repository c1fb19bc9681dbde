//! Keyrings off a medium: each follows the one before it, and each step is kept before the next is looked at.

use crate::keeper::Keeper;
use crate::log::Event;
use base::{Digest, Error, Fault, Operator, Reason};
use bundle::{Envelope, Successor, succeed, succession};
use media::{MediumBundle, Surveyed};

/// Most bytes of keyrings that are held at one time: they are put in order before the first is judged.
const MOST: usize = 64 << 20;

/// What became of a keyring that was found.
pub enum KeyringOutcome {
    /// It is in force now.
    InForce(u64),
    /// It is in force, or was: a medium carries all versions, for relays that were away for long.
    AlreadyHere(u64),
}

/// Each keyring's folder, and what became of it.
pub type KeyringOutcomes = Vec<(String, Result<KeyringOutcome, Error>)>;

/// Takes these keyrings off a medium, each with its folder's name, in the order of their versions. Each gets its own outcome.
pub fn take_keyrings(
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
    // By what they claim to be; what they are is judged one by one.
    found.sort_by_key(|(claimed, ..)| *claimed);
    let mut outcomes = Vec::new();
    for (claimed, folder, envelope) in found {
        let outcome = match (claimed, &envelope) {
            // The same bytes need no second judgement, and no entry each time.
            (Some(version), Ok(envelope))
                if version <= keeper.keyring.version && keeper.state.has_keyring(version, &envelope.document) =>
            {
                Ok(KeyringOutcome::AlreadyHere(version))
            }
            _ => judge_keyring(keeper, &folder, envelope, operator)?.map(KeyringOutcome::InForce),
        };
        outcomes.push((folder, outcome));
    }
    Ok(outcomes)
}

fn too_many_keyrings() -> Error {
    let detail = format!("there are more than {} MiB of keyrings on the medium", MOST >> 20);
    Error::refused(Reason::MediumEntryLimit, detail)
}

/// Gives one keyring its outcome: intent, act, outcome.
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

/// The keyring is on the disk before the trust file names it, and that one step puts it in force.
fn put_in_force(keeper: &mut Keeper, successor: &Successor) -> Result<Event, Fault> {
    keeper.state.keep_keyring(successor)?;
    let mut trust = keeper.trust.clone();
    trust.apply_succession(successor);
    keeper.replace_trust(trust)?;
    keeper.keyring_event(false)
}
