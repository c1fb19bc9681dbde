//! Damaged trust state is made anew from the import log, which tells all of it, and only on the word of two officers:
//! never skipped, never begun from nothing. See `schemas/repair.md`.

use std::fmt;

use data_encoding::HEXLOWER;

use crate::log::interrupted::interrupted_medium;
use crate::log::repair_officer::RepairOfficer;
use crate::log::{Event, Log};
use crate::state::{State, Trust, TrustReplay};
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp, durable};
use bundle::keyring::LONGEST;
use bundle::officer::{count_officers, signed_by};
use bundle::statement::check_who_and_why;
use bundle::{Keyring, Right, directive};
use tlog::check::{LogFinding, check, read_vkey};

/// The first line: no other kind of statement begins so.
pub const FORMAT: &str = "gaprelay-repair/1";
/// Number of distinct officers that a repair takes.
const OFFICERS: u64 = 2;

/// Statement that an officer signs: six lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairStatement {
    /// Origin of the import log.
    pub relay: String,
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
        writeln!(f, "{FORMAT}")?;
        writeln!(f, "relay {}", self.relay)?;
        writeln!(f, "log {} sha256:{}", self.log.0, self.log.1)?;
        writeln!(f, "trust sha256:{}", self.trust)?;
        writeln!(f, "officer {}", self.officer)?;
        writeln!(f, "reason {}", self.reason)
    }
}

impl RepairStatement {
    /// Reads the six lines. Refusal: `statement-malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: &str| Refusal::new(Reason::StatementMalformed, what);
        let text = str::from_utf8(bytes).map_err(|_| malformed("the repair statement is not UTF-8 text"))?;
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or_default().split('\n').collect();
        let wrong = || malformed("the repair statement is not the six lines of gaprelay-repair/1");
        let [FORMAT, relay, log, trust, officer, reason] = lines[..] else { return Err(wrong()) };
        let digest = |text: &str| text.parse::<Digest>().map_err(malformed);
        let (size, root) = log.strip_prefix("log ").and_then(|rest| rest.split_once(" sha256:")).ok_or_else(wrong)?;
        let statement = Self {
            relay: relay.strip_prefix("relay ").ok_or_else(wrong)?.into(),
            log: (size.parse().map_err(|_| wrong())?, digest(root)?),
            trust: digest(trust.strip_prefix("trust sha256:").ok_or_else(wrong)?)?,
            officer: officer.strip_prefix("officer ").ok_or_else(wrong)?.into(),
            reason: reason.strip_prefix("reason ").ok_or_else(wrong)?.into(),
        };
        check_who_and_why(&statement.officer, &statement.reason)?;
        if statement.to_string() == text {
            Ok(statement)
        } else {
            Err(malformed("the repair statement is not byte for byte in the form that `gaprelay repair` prints"))
        }
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
}

impl Rebuilt {
    /// Statement that an officer is to sign.
    pub fn statement(&self, officer: &str, reason: &str) -> Result<RepairStatement, Error> {
        let statement = RepairStatement {
            relay: self.relay.clone(),
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
    let mut replay = TrustReplay::default();
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
    let trust = replay.trust.ok_or_else(|| damaged(none.into()))?;
    Ok(Rebuilt { relay: vkey.name().to_owned(), trust, log: (replay.head.0, Digest(replay.head.1)) })
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
    let loaded = Trust::load(state).and_then(|trust| state.keyring(&trust).map(|_| trust));
    let rebuilt = replay_log(state)?;
    if loaded.is_ok_and(|trust| trust.agrees_with(&rebuilt.trust)) {
        return Err(Error::refused(
            Reason::RepairNotNeeded,
            "the trust state is whole and agrees with the log: there is nothing to repair",
        ));
    }

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
    let (mut officers, mut signers) = (Vec::new(), Vec::new());
    for (text, signature) in signed {
        let statement = RepairStatement::parse(text)?;
        let (key, raw) = signed_by(&statement.officer, Right::Repair, (text, signature), &ring, now)?;
        if statement != rebuilt.statement(&statement.officer, &statement.reason)? {
            let detail = if statement.relay == rebuilt.relay {
                format!(
                    "the repair statement of {} names another log head or trust state than the log gives now: print it again with `gaprelay repair`",
                    key.name
                )
            } else {
                let other = base::quoted(&statement.relay);
                format!("the repair statement of {} is for the relay {other}, and this is {}", key.name, rebuilt.relay)
            };
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
    rebuilt.trust.save(state, &log)?;
    Ok(rebuilt.trust)
}
