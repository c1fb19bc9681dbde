//! Grounds on which a signed text is judged. A command or page that prints a text to sign judges it on the same grounds
//! as the keeper does when it is handed in, so that nothing is printed that would not count.

use crate::keeper::Keeper;
use crate::state::{State, Trust};
use base::{Error, Fault, Reason, Refusal, Timestamp};
use bundle::Keyring;
use bundle::keyring::{Key, RawKey};
use bundle::officer::keys_of;
use bundle::scope::Scope;
use config::Config;

/// Key by which a text is signed, or would be.
pub(super) type SigningKey<'a> = (&'a Key, RawKey);

/// State of the relay at the moment of a judgement.
#[derive(Clone, Copy)]
pub(super) struct Grounds<'a> {
    /// State folder.
    pub state: &'a State,
    /// Config.
    pub config: &'a Config,
    /// Trust state.
    pub trust: &'a Trust,
    /// Keyring in force.
    pub keyring: &'a Keyring,
    /// Time by which keys and tickets are judged; where the clock is too far ahead, the newest time on record.
    pub now: Timestamp,
    /// Time of the clock.
    pub clock: Timestamp,
    /// Newest time on record.
    pub floor: Timestamp,
}

impl<'a> Grounds<'a> {
    /// Grounds of the keeper.
    pub(super) fn of(keeper: &'a Keeper) -> Self {
        let Keeper { state, config, trust, keyring, now, .. } = keeper;
        let (now, clock, floor) = (*now, keeper.ahead.unwrap_or(*now), keeper.floor());
        Self { state, config, trust, keyring, now, clock, floor }
    }

    /// Checks that a signed text is for this relay, and may be handed in now: by the clock, however far that is ahead,
    /// since it dated the text. Refusals: `statement-foreign`, `statement-clock`, `statement-expired`.
    pub(super) fn check_scope(&self, scope: &Scope) -> Result<(), Error> {
        Ok(scope.check(self.state.log_key()?.name(), self.clock, self.config.clock.tolerance.0)?)
    }

    /// Judges a text by each key of its officer that may sign it, until one will do: which of them signs is not known
    /// before.
    pub(super) fn judge_unsigned<T>(
        &self,
        officer: &str,
        may_sign: impl Fn(SigningKey<'a>) -> Result<(), Refusal>,
        judge: impl Fn(SigningKey<'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (mut by_key, mut by_text) = (None, None);
        for signer in keys_of(officer, self.keyring) {
            match may_sign(signer).map_err(Error::from).and_then(|()| judge(signer)) {
                Err(Error::Refused(refusal)) if may_sign(signer).is_ok() => by_text = by_text.or(Some(refusal)),
                Err(Error::Refused(refusal)) => by_key = by_key.or(Some(refusal)),
                judged => return judged,
            }
        }
        let unknown = || Refusal::new(Reason::StatementSigner, format!("the keyring has no key of officer {officer}"));
        Err(by_text.or(by_key).unwrap_or_else(unknown).into())
    }
}

/// Grounds of a command or a page, which reads the state without the lock.
pub(super) struct OpenGrounds<'a> {
    state: &'a State,
    config: &'a Config,
    trust: Trust,
    keyring: Keyring,
    clock: Timestamp,
    floor: Timestamp,
}

impl<'a> OpenGrounds<'a> {
    /// Reads what a judgement at the time `clock` needs.
    pub(super) fn open(state: &'a State, config: &'a Config, clock: Timestamp) -> Result<Self, Fault> {
        let trust = Trust::load(state)?;
        let (keyring, floor) = (state.keyring(&trust)?, trust.latest_known_time(state)?);
        Ok(Self { state, config, trust, keyring, clock, floor })
    }

    /// The grounds.
    pub(super) fn grounds(&self) -> Grounds<'_> {
        let Self { state, config, trust, keyring, clock, floor } = self;
        let now = believed(*clock, *floor, config);
        Grounds { state, config, trust, keyring, now, clock: *clock, floor: *floor }
    }
}

/// Time that is believed: the clock's, unless that is too far ahead of the newest time on record.
fn believed(clock: Timestamp, floor: Timestamp, config: &Config) -> Timestamp {
    let is_ahead = floor > Timestamp::default() && clock > floor.plus(config.clock.ahead.0);
    if is_ahead { floor } else { clock }
}
