//! Damaged trust state is made anew from the import log, which tells all of it, and only on the word of two officers:
//! never skipped, never begun from nothing. See `schemas/repair.md`.

use std::fmt;

use data_encoding::HEXLOWER;

use crate::log::interrupted::interrupted_medium;
use crate::log::repair_officer::RepairOfficer;
use crate::log::{Event, Log};
use crate::state::{State, Stored, Trust, TrustReplay, migration};
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp, durable};
use bundle::keyring::LONGEST;
use bundle::officer::{check_officer, count_officers, keys_of, signed_by};
use bundle::scope::{Fields, Scope};
use bundle::{Keyring, Right, directive};
use tlog::check::{LogFinding, check, read_vkey};

/// The first line: no other kind of statement begins so.
pub const FORMAT: &str = "gaprelay-repair/2";
/// Longest statement, in bytes.
const LONGEST_STATEMENT: usize = 4096;
/// Number of distinct officers that a repair takes.
const OFFICERS: u64 = 2;

/// Statement that an officer signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairStatement {
    /// Relay that it is for, and the time in which it may be used.
    pub scope: Scope,
    /// Number of entries that the trust state is made from, and the root of their tree.
    pub log: (u64, Digest),
    /// Digest of the trust file that comes of it.
    pub trust: Digest,
    /// By whom: the name in the keyring.
    pub officer: String,
    /// Why; one line of at most 500 characters.
    pub reason: String,
}

impl fmt::Display for RepairStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}\nrelay {}", self.scope.relay)?;
        writeln!(f, "log {} sha256:{}\ntrust sha256:{}", self.log.0, self.log.1, self.trust)?;
        writeln!(f, "officer {}", self.officer)?;
        self.scope.write_times(f)?;
        writeln!(f, "reason {}", self.reason)
    }
}

impl RepairStatement {
    /// Reads its lines. Refusal: `statement-malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(Reason::StatementMalformed, "the first line is not gaprelay-repair/2");
        let mut fields = Fields::of(bytes, FORMAT, LONGEST_STATEMENT)?.ok_or_else(malformed)?;
        let relay = fields.take("relay")?.to_owned();
        let (size, root) = fields.take("log")?.split_once(" sha256:").unwrap_or_default();
        let log = size.parse().ok().zip(root.parse().ok());
        let log = log.ok_or_else(|| fields.wrong(0, "it is not a number of entries and a digest"))?;
        let trust = fields.digest("trust")?;
        let (scope, officer, reason) = fields.end(relay)?;
        let statement = Self { scope, log, trust, officer, reason };
        Fields::check_text(bytes, &statement.to_string())?;
        Ok(statement)
    }
}

/// Trust state by the log.
pub struct Rebuilt {
    /// Origin of the log.
    pub relay: String,
    /// The trust state.
    pub trust: Trust,
    /// The number of entries that it is made from, and the root of their tree. What stands behind them adds nothing.
    pub log: (u64, Digest),
    /// True if the trust file and the keyring that it names are whole, and say what the log does.
    is_stored: bool,
}

impl Rebuilt {
    /// Statement that an officer is to sign.
    pub fn statement(&self, scope: Scope, officer: &str, reason: &str) -> Result<RepairStatement, Error> {
        let statement = RepairStatement {
            scope,
            log: self.log,
            trust: Digest::of(&self.trust.to_bytes()?),
            officer: officer.to_owned(),
            reason: reason.to_owned(),
        };
        Ok(RepairStatement::parse(statement.to_string().as_bytes())?)
    }
}

/// Trust state by the log, for an officer to sign.
pub fn rebuild(state: &State) -> Result<Rebuilt, Fault> {
    let _lock = state.lock(|| {})?;
    // What a cut left in it without a head is promised first: it may tell something.
    Log::open(&state.import_log())?;
    replay_log(state)
}

/// Reads the whole log, every entry hashed again, and makes the trust state from it.
fn replay_log(state: &State) -> Result<Rebuilt, Fault> {
    let folder = state.import_log();
    let damaged = |detail: String| Fault::damaged(folder.to_string_lossy(), detail);
    let vkey = read_vkey(&folder)?;
    let known = Trust::load(state).and_then(|trust| state.keyring(&trust).map(|_| trust)).ok();
    let is_whole = known.is_some();
    let mut replay = TrustReplay::beside(known);
    // Hashes that are wrong are no obstacle: trust follows from the entries.
    if let LogFinding::Bad { detail, .. } =
        check(&folder, &vkey, |number, bytes, edge| replay.replay(number, bytes, edge))?
    {
        return Err(damaged(detail));
    }
    if let Some(number) = replay.unread {
        return Err(damaged(format!(
            "entry {number} cannot be read, so the trust state cannot be made from the log; another version of gaprelay may have written it"
        )));
    }
    let none =
        "it has no entry `initialised`, which names the first keyring, so the trust state cannot be made from it";
    let (is_stored, log) = (is_whole && replay.agrees(), (replay.head.0, Digest(replay.head.1)));
    let trust = replay.trust.ok_or_else(|| damaged(none.into()))?;
    Ok(Rebuilt { relay: vkey.name().to_owned(), trust, log, is_stored })
}

/// Checks that there is something to repair. Refusal: `repair-not-needed`.
pub(crate) fn check_needed(rebuilt: &Rebuilt) -> Result<(), Refusal> {
    if rebuilt.is_stored {
        let detail = "the trust state is whole and agrees with the log: there is nothing to repair";
        return Err(Refusal::new(Reason::RepairNotNeeded, detail));
    }
    Ok(())
}

/// Checks that the officer of this name has a key that may sign a repair. Refusals: `key-*`, `statement-right`.
pub(crate) fn check_signer(officer: &str, keyring: &Keyring, now: Timestamp) -> Result<(), Refusal> {
    let checked = keys_of(officer, keyring).map(|key| check_officer(officer, Right::Repair, key, keyring, now));
    checked.reduce(|one, other| if one.is_ok() { one } else { other }).unwrap_or(Ok(()))
}

/// Makes the trust state anew. `signed`: statements and their signatures; `keyring`: the keyring in force, where the
/// state's own copy is damaged. The log has it before it is done.
/// Refusals: `repair-not-needed`, `repair-keyring`, `repair-officers`, `statement-*`, `signature-*`, `key-*`.
pub fn repair(
    state: &State,
    signed: &[(Vec<u8>, Vec<u8>)],
    keyring: Option<Vec<u8>>,
    now: Timestamp,
) -> Result<Trust, Error> {
    let _lock = state.lock(|| {})?;
    let mut log = Log::open(&state.import_log())?;

    // 1. There is something to repair.
    let rebuilt = replay_log(state)?;
    check_needed(&rebuilt)?;

    // 2. The keyring is the one that the log names.
    let pin = rebuilt.trust.keyring.clone();
    let path = state.keyring_path(pin.version);
    let file = match &keyring {
        Some(_) => "the file that was given with --keyring".to_owned(),
        None => format!("the relay's own copy, keyring/{}.toml, is missing or damaged: it", pin.version),
    };
    // A copy that cannot be read is as good as a wrong one.
    let bytes = keyring.unwrap_or_else(|| durable::read(&path, LONGEST).unwrap_or_default());
    if Digest::of(&bytes) != pin.sha256 {
        let detail = format!("{file} is not keyring {} with sha256:{}, as the log names it", pin.version, pin.sha256);
        return Err(Error::refused(Reason::RepairKeyring, detail));
    }
    let mut ring = Keyring::parse(&bytes)?;
    ring.denied = directive::denied(&rebuilt.trust.directives, &ring);

    // 3. Two officers who may do so have signed exactly this.
    let tolerance = state.config()?.clock.tolerance.0;
    let (mut officers, mut signers) = (Vec::new(), Vec::new());
    for (text, signature) in signed {
        let statement = RepairStatement::parse(text)?;
        let (key, raw) = signed_by(&statement.officer, Right::Repair, (text, signature), &ring, now)?;
        statement.scope.check(&rebuilt.relay, now, tolerance)?;
        if statement != rebuilt.statement(statement.scope.clone(), &statement.officer, &statement.reason)? {
            let detail = format!(
                "the repair statement of {} names another log head or trust state than the log gives now: print it again with `gaprelay repair`",
                key.name
            );
            return Err(Error::refused(Reason::StatementDigest, detail));
        }
        signers.push((key.name.clone(), HEXLOWER.encode(&raw.key)));
        officers.push(RepairOfficer {
            officer: key.name.clone(),
            key_id: raw.id_text(),
            text: String::from_utf8_lossy(text).into_owned(),
            signature: String::from_utf8_lossy(signature).into_owned(),
        });
    }
    let signed = count_officers(signers.iter().map(|(name, key)| (name.as_str(), key.as_str())));
    if signed < OFFICERS {
        let detail = format!("the repair is signed by {signed} of the {OFFICERS} officers that it needs");
        return Err(Error::refused(Reason::RepairOfficers, detail));
    }

    // 4. First the log, then the keyring, then the one file that counts.
    // What was under way when the trust state was lost did not come to count.
    let last = log.last().filter(|entry| entry.event.is_intent()).map(|_| log.size() - 1);
    let medium = interrupted_medium(&state.import_log(), log.size())?.filter(|intent| Some(*intent) != last);
    let interrupted = last.into_iter().chain(medium).map(|intent| Event::Interrupted { intent });
    let repaired = Event::Repaired { trust: Digest::of(&rebuilt.trust.to_bytes()?), officers };
    log.append(now.max(log.floor()), interrupted.chain([repaired]).collect())?;
    durable::replace(&path, &bytes)?;
    if !matches!(Trust::read(state), Ok(Stored::Present(_))) && migration::is_needed(state, &log)? {
        return Ok(migration::complete(state, &mut log, now)?);
    }
    rebuilt.trust.save(state, &log)?;
    Ok(rebuilt.trust)
}
