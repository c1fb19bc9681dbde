//! Statements in, publications out: brings what agents see in line with officers' statements.
//! Running it again changes nothing; a cut at any step is finished by the next run.

mod directive;
pub mod repair;
pub mod tuf;

use serde::{Deserialize, Serialize};

use crate::keeper::Keeper;
use crate::log::{Event, Log, journal};
use crate::publish::set::make as make_set;
use crate::publish::standing::{Taken, back_until};
use crate::publish::tuf::CHANNEL;
use crate::publish::{Examples, Standing, item_changes, standing};
use crate::state::release::read_json;
use crate::state::{Anchor, Release, SLOT, State};
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp, durable};
use bundle::directive::{Directive, Order};
use bundle::statement::{Decision, Statement};
use bundle::{ReleaseId, keyring};
use config::Channel;
use sandbox::report::SelfTest;
use serve::journal::LONGEST_LINE;
use serve::set::{Current, Member};
use tlog::check::read_vkey;
use tlog::nodes::Nodes;
use tlog::note::Checkpoint;
use tlog::{cosigned, proof};

/// A statement as it lies in the inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedIn {
    /// When it was handed in.
    pub at: Timestamp,
    /// The statement's bytes, which need not be text.
    pub text: Vec<u8>,
    /// The signature file's bytes.
    pub signature: Vec<u8>,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Settled {
    /// Statements that count from now on: release, decision, officer.
    pub taken: Vec<(ReleaseId, Decision, String)>,
    /// Directives that count from now on.
    pub directives: Vec<Directed>,
    /// Statements that do not count, and why.
    pub refused: Vec<Refusal>,
    /// Channels that were switched, with the new generation.
    pub published: Vec<(String, u64)>,
    /// Channels that could not be brought up to date, and why.
    pub stuck: Vec<(String, Refusal)>,
    /// Heads that witnesses cosigned: size, who is new, whether the quorum is met.
    pub cosigned: Vec<(u64, Vec<String>, bool)>,
    /// Lines of evidence taken from the server's journal.
    pub evidence: usize,
}

/// A directive that counts from now on.
#[derive(Debug)]
pub struct Directed {
    /// What is ordered.
    pub order: Order,
    /// The officer.
    pub officer: String,
    /// The time that it is or later, where this was the last one needed to turn the clock back.
    pub clock: Option<Timestamp>,
}

/// What lies in the inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Letter {
    /// A statement.
    HandedIn(HandedIn),
    /// A head with cosignatures of witnesses.
    Cosigned(Cosigned),
    /// What the pages proved of themselves before they began.
    Proof(Box<SelfTest>),
}

/// A head with cosignatures of witnesses, as it was handed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cosigned {
    /// When.
    pub at: Timestamp,
    /// The note.
    pub cosigned: String,
}

/// Puts a cosigned head into the inbox, durably; `settle` judges it.
pub fn hand_in_cosigned(state: &State, cosigned: Cosigned) -> Result<(), Fault> {
    put(state, &Letter::Cosigned(cosigned))
}

/// Puts a statement into the inbox, durably; `settle` judges it.
pub fn hand_in(state: &State, handed_in: &HandedIn) -> Result<(), Fault> {
    put(state, &Letter::HandedIn(handed_in.clone()))
}

/// The same letter twice is one: its name is its digest, whenever it was handed in.
fn put(state: &State, letter: &Letter) -> Result<(), Fault> {
    let bytes = serde_json::to_vec(letter).map_err(|_| Fault::Internal("a statement cannot be written"))?;
    let name = match letter {
        Letter::HandedIn(handed_in) => Digest::of(&[handed_in.text.as_slice(), &handed_in.signature].concat()),
        Letter::Cosigned(cosigned) => Digest::of(cosigned.cosigned.as_bytes()),
        Letter::Proof(_) => Digest::of(&bytes),
    };
    durable::replace(&state.inbox().join(format!("{name}.json")), &bytes)
}

/// A line of the slot. One that the pages would not have written is judged as a statement, and refused;
/// its beginning is enough for that, and what is longer than an entry may be must not stop the keeper.
fn read_line(line: &[u8], now: Timestamp) -> Letter {
    match serde_json::from_slice(line) {
        Ok(Letter::HandedIn(handed_in)) => Letter::HandedIn(handed_in),
        Ok(Letter::Cosigned(cosigned)) => Letter::Cosigned(cosigned),
        Ok(proof) if line.len() <= LONGEST_LINE => proof,
        _ => {
            let text = line.iter().copied().take(LONGEST_LINE).collect();
            Letter::HandedIn(HandedIn { at: now, text, signature: Vec::new() })
        }
    }
}

/// Brings what is published in line with the statements.
pub fn settle(keeper: &mut Keeper) -> Result<Settled, Fault> {
    let mut settled = Settled::default();

    // 1. What the server saw becomes entries of the access log.
    let folder = keeper.state.access_log();
    durable::sweep(&folder)?;
    let mut access = Log::open(&folder)?;
    if keeper.check_clock().is_ok() {
        // It is later than all this relay has seen, so what is dated after it was dated by a clock that was turned back.
        access.turn_back(keeper.now);
    }
    settled.evidence = journal::drain(&folder, &mut access, keeper.now)?;
    anchor(keeper, &access.head())?;

    // 2. What was put through the slot lies in the inbox before it is out of the slot. Each statement
    //    counts or does not; either way it is in the log before it is out of the inbox.
    journal::empty(&keeper.state.slot(), |lines| {
        lines.into_iter().try_for_each(|line| put(&keeper.state, &read_line(line, keeper.now)))
    })?;
    for name in durable::names(&keeper.state.inbox())?.into_iter().filter(|name| name != SLOT) {
        let path = keeper.state.inbox().join(&name);
        let handed_in = match read_json(&path)? {
            Letter::HandedIn(handed_in) => handed_in,
            Letter::Cosigned(cosigned) => {
                take_cosigned(keeper, &cosigned, &mut settled)?;
                durable::remove(&path)?;
                continue;
            }
            Letter::Proof(proof) => {
                append_once(keeper, vec![Event::SelfTest(*proof)])?;
                durable::remove(&path)?;
                continue;
            }
        };
        let taken = if Directive::is_one(&handed_in.text) {
            directive::take(keeper, &handed_in, &mut settled)
        } else {
            take(keeper, &handed_in).map(|taken| settled.taken.push(taken))
        };
        match taken {
            Ok(()) => {}
            Err(Error::Refused(refusal)) => {
                let statement = Digest::of(&handed_in.text);
                let (reason, detail) = (refusal.reason, refusal.detail.clone());
                append_once(keeper, vec![Event::StatementRefused { reason, detail, statement }])?;
                settled.refused.push(refusal);
            }
            Err(Error::Fault(fault)) => return Err(fault),
        }
        durable::remove(&path)?;
    }

    // 3. Each channel shows the newest approved release of each of its feeds.
    for channel in keeper.config.channels.clone() {
        match publish(keeper, &channel) {
            Ok(Some(generation)) => settled.published.push((channel.name.get_ref().clone(), generation)),
            Ok(None) => {}
            Err(Error::Refused(refusal)) => settled.stuck.push((channel.name.get_ref().clone(), refusal)),
            Err(Error::Fault(fault)) => return Err(fault),
        }
    }

    // 4. And the repository for TUF clients shows what the channels do.
    match tuf::publish(keeper) {
        Ok(Some(version)) => settled.published.push((CHANNEL.to_owned(), version)),
        Ok(None) => {}
        Err(Error::Refused(refusal)) => settled.stuck.push((CHANNEL.to_owned(), refusal)),
        Err(Error::Fault(fault)) => return Err(fault),
    }
    Ok(settled)
}

/// Binds the access log to the import log: its head stands there, and an access log that is not what stood
/// there before is damage.
fn anchor(keeper: &mut Keeper, head: &Checkpoint) -> Result<(), Fault> {
    let folder = keeper.state.access_log();
    let damaged = |what: &str| Fault::damaged(folder.to_string_lossy(), what);
    let next = Anchor { size: head.size, root: Digest(head.root) };
    if let Some(before) = keeper.trust.anchored.as_ref().filter(|before| **before != next) {
        if before.size > head.size {
            return Err(damaged("it is shorter than the import log says it was"));
        }
        if proof::root(&Nodes::new(&folder, head.size), before.size)? != before.root.0 {
            return Err(damaged("its beginning is not what the import log says it was"));
        }
    }
    if head.size > 0 && keeper.trust.anchored.as_ref() != Some(&next) {
        append_once(keeper, vec![Event::Anchored { log: head.origin.clone(), size: next.size, root: next.root }])?;
        let mut trust = keeper.trust.clone();
        trust.anchored = Some(next);
        keeper.trust(trust)?;
    }
    Ok(())
}

/// Judges a cosigned head. It is in the log before it is kept: a cut between the two makes the next run take it
/// again.
fn take_cosigned(keeper: &mut Keeper, handed_in: &Cosigned, settled: &mut Settled) -> Result<(), Fault> {
    let folder = keeper.state.import_log();
    let vkey = read_vkey(&folder)?;
    let policy = keeper.config.witness.as_ref().map(|witness| witness.policy.clone()).unwrap_or_default();
    match cosigned::judge(&folder, &vkey, &policy, &handed_in.cosigned) {
        Ok((head, witnesses)) => {
            let (size, quorum) = (head.head.size, head.is_met);
            settled.cosigned.push((size, witnesses.clone(), quorum));
            append_once(keeper, vec![Event::Cosigned { size, witnesses, quorum }])?;
            cosigned::keep(&folder, &vkey, &policy, &head)
        }
        Err(Error::Refused(refusal)) => {
            let (reason, detail) = (refusal.reason, refusal.detail.clone());
            append_once(keeper, vec![Event::CosignatureRefused { reason, detail }])?;
            settled.refused.push(refusal);
            Ok(())
        }
        Err(Error::Fault(fault)) => Err(fault),
    }
}

/// Judges one statement: form, release, digests, signer, and only then whether it adds anything.
fn take(keeper: &mut Keeper, handed_in: &HandedIn) -> Result<(ReleaseId, Decision, String), Error> {
    let statement = Statement::parse(&handed_in.text)?;
    let id = &statement.release;
    let unknown = || Refusal::new(Reason::StatementUnknownRelease, format!("there is no release {id} here"));
    keeper.trust.accepted(&id.feed, id.version).ok_or_else(unknown)?;
    if !keeper.state.release_path(id).is_dir() {
        return Err(unknown().into());
    }
    let feed = keeper.config.feed(&id.feed).ok_or_else(unknown)?;
    let release = keeper.state.release(id)?;
    if statement.manifest != release.manifest || statement.verdicts != release.verdicts {
        let detail = format!("it is about other bytes than {id} has here");
        return Err(Error::refused(Reason::StatementDigest, detail));
    }
    let raw = statement.verify(&handed_in.text, &handed_in.signature, &keeper.keyring, keeper.now)?;
    if release.operator.is(&statement.officer) {
        let detail = format!("{} is not to approve what {} imported", statement.officer, release.operator);
        return Err(Error::refused(Reason::StatementOwnImport, detail));
    }
    let (key, before) = (data_encoding::HEXLOWER.encode(&raw.key), keeper.state.statements(id)?);
    if before.iter().any(|t| t.key == key && t.decision == statement.decision) {
        let detail = format!("{} said so before", statement.officer);
        return Err(Error::refused(Reason::StatementRepeated, detail));
    }
    let stands = standing(&release, &before, feed);
    let closed = match stands {
        Standing::Withdrawn => true,
        // What was refused was never shown, but may have been before another officer refused it.
        Standing::Refused => statement.decision != Decision::Withdraw,
        Standing::Held { .. } | Standing::Approved => false,
    };
    if closed {
        return Err(Error::refused(Reason::StatementClosed, format!("{id} was {stands}")));
    }
    check_ticket(&statement, &release, keeper.now)?;
    // What was signed is what would happen now, or nobody has looked at it. Once published it happens no more.
    if matches!(statement.decision, Decision::Approve | Decision::Downgrade)
        && matches!(stands, Standing::Held { .. })
        && statement.changes != item_changes(&keeper.state, &release, Examples::Few)?.digest()?
    {
        let detail = format!("what agents have is not what {id} was compared with when it was signed");
        return Err(Error::refused(Reason::StatementChanges, detail));
    }
    let text = String::from_utf8(handed_in.text.clone()).map_err(|_| Fault::Internal("a statement changed"))?;
    let signature = String::from_utf8_lossy(&handed_in.signature).into_owned();
    let (officer, decision) = (statement.officer.clone(), statement.decision);
    let event = Event::Statement {
        feed: id.feed.clone(),
        version: id.version,
        decision: decision.word().into(),
        officer: officer.clone(),
        key_id: keyring::id_text(raw.id),
        text: text.clone(),
        signature: signature.clone(),
    };
    append_once(keeper, vec![event])?;
    let taken = Taken { taken: keeper.now, decision, officer: officer.clone(), key, text, signature };
    keeper.state.take_statement(id, &taken)?;
    Ok((id.clone(), decision, officer))
}

/// That older content comes by a downgrade ticket, which is not over, and nothing else does. Refusal: `statement-ticket`.
fn check_ticket(statement: &Statement, release: &Release, now: Timestamp) -> Result<(), Refusal> {
    let id = &statement.release;
    let wrong = match (statement.decision, release.loss.goes_back(), &statement.ticket) {
        (Decision::Approve, true, _) => format!("{id} goes back to older content, and an approval does not say so"),
        (Decision::Downgrade, false, _) => format!("{id} does not go back to older content"),
        (Decision::Downgrade, true, Some(ticket)) if ticket.until <= now => {
            format!("its time was over {}", ticket.until)
        }
        _ => return Ok(()),
    };
    Err(Refusal::new(Reason::StatementTicket, wrong))
}

/// Appends, unless a cut run appended exactly these as its last act.
fn append_once(keeper: &mut Keeper, events: Vec<Event>) -> Result<(), Fault> {
    let last = keeper.log.last().map(|entry| &entry.event);
    if last.is_some() && last == events.last() { Ok(()) } else { keeper.append(events) }
}

/// The releases a channel should show: of each feed the newest that stands approved.
pub fn due(keeper: &Keeper, channel: &Channel) -> Result<Vec<Release>, Fault> {
    let ids = keeper.state.releases(&keeper.trust)?;
    let mut due = Vec::new();
    for name in &channel.feeds {
        let Some(feed) = keeper.config.feed(name.get_ref()) else { continue };
        for id in ids.iter().rev().filter(|id| id.feed == *name.get_ref()) {
            let release = keeper.state.release(id)?;
            if standing(&release, &keeper.state.statements(id)?, feed) == Standing::Approved {
                due.push(release);
                break;
            }
        }
    }
    Ok(due)
}

/// Switches a channel if what is due is not what it shows; gives the new generation.
fn publish(keeper: &mut Keeper, channel: &Channel) -> Result<Option<u64>, Error> {
    let name = channel.name.get_ref().clone();
    let due = due(keeper, channel)?;
    let current = keeper.state.current(&name)?;
    let same =
        |(member, release): (&Member, &Release)| member.feed == release.feed && member.manifest == release.manifest;
    // Looked at every few seconds, and hardly ever otherwise.
    let shown = keeper.state.members(&name)?;
    if shown.len() == due.len() && shown.iter().zip(&due).all(same) {
        return Ok(None);
    }
    let former = current.map(|current| keeper.state.set(&name, current)).transpose()?.map(|(_, set)| set);
    let mut releases = Vec::new();
    for release in due {
        let verdicts = keeper.state.verdicts(&release)?;
        let packed = keeper.state.pack_index(&release.id())?;
        releases.push((release, verdicts, packed));
    }
    let generation = former.as_ref().map_or(0, |set| set.generation) + 1;
    let refused = keeper.state.channel_path(&name).join("refused");
    let set = match make_set(&name, former.as_ref(), &releases, generation, keeper.now) {
        Ok(mut set) => {
            for member in &mut set.releases {
                let id = ReleaseId { feed: member.feed.clone(), version: member.version };
                member.back_until = back_until(&keeper.state.statements(&id)?);
            }
            set
        }
        Err(refusal) => {
            // Told once, not at every tick of the timer.
            let (reason, detail) = (refusal.reason, refusal.detail.clone());
            if !std::fs::read(&refused).is_ok_and(|told| told == detail.as_bytes()) {
                keeper.append(vec![Event::PublishRefused { channel: name.clone(), reason, detail: detail.clone() }])?;
                durable::create_dir(&keeper.state.channel_path(&name))?;
                durable::replace(&refused, detail.as_bytes())?;
            }
            return Err(refusal.into());
        }
    };
    drop((former, releases));

    // The set is on the disk before the intent, the intent before the switch, the outcome after.
    durable::create_dir(&keeper.state.channel_path(&name))?;
    durable::sweep(&keeper.state.channel_path(&name))?;
    let written = durable::replace_json(&keeper.state.set_path(&name, generation), &set)?;
    let next = Current { generation, set: written };
    let shown = set.releases.iter().map(|m| format!("{}/{}", m.feed, m.version)).collect();
    keeper.append(vec![Event::PublishStarted { channel: name.clone(), generation, set: next.set, releases: shown }])?;
    keeper.state.switch(&name, next)?;
    keeper.append(vec![Event::Published { channel: name.clone(), generation, set: next.set }])?;
    durable::remove(&refused)?;
    Ok(Some(generation))
}
