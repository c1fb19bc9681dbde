//! `gaprelay approve` and `settle`: statements out to be signed, signed ones in.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tracing::{error, info, warn};

use super::args::{Approve, Decide, Settle};
use super::{json, receipt};
use crate::keeper::Keeper;
use crate::publish::{Examples, item_changes};
use crate::settle::{self, AcceptedDirective, SettleReport, SubmittedStatement};
use crate::state::{State, Trust};
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Error, Fault, Reason, Refusal, Timestamp, clock};
use bundle::ReleaseId;
use bundle::directive::Order;
use bundle::statement::{Decision, Statement, Ticket};
use sandbox::worker::end_with;
use sandbox::{Layer, probe};
use terminal::Ended;
use tlog::receipt::paper;

/// Between two settles, for `up`.
const AGAIN: Duration = Duration::from_secs(5);

/// Prints the statement, or hands a signed one in and settles.
pub fn run(root: &Path, now: Timestamp, args: &Approve) -> Result<Ended, Error> {
    match &args.signature {
        None => print(&State::open(root)?, args),
        Some(signature) => {
            let check = |handed_in: &SubmittedStatement| check_release(&args.release, handed_in);
            hand_in(root, now, (signature, args.statement.as_deref()), args.json, check)
        }
    }
}

/// Hands a signed text in, if `check` finds no slip in it, and settles. The text is the signature's path without
/// `.minisig`, if none is given.
pub fn hand_in(
    root: &Path,
    now: Timestamp,
    (signature, statement): (&Path, Option<&Path>),
    as_json: bool,
    check: impl Fn(&SubmittedStatement) -> Result<(), Refusal>,
) -> Result<Ended, Error> {
    let statement = statement_of(signature, statement)?;
    State::open(root)?;
    // Opened as whoever hands it in; read and judged only in the cage.
    let (text, signature) = (open(&statement)?, open(signature)?);
    let state = crate::cli::confined(root)?;
    let handed_in = SubmittedStatement { at: now, text: read(text)?, signature: read(signature)? };
    check(&handed_in)?;
    let mut keeper = Keeper::open(state, now, crate::cli::wait)?;
    settle::hand_in(&keeper.state, &handed_in)?;
    settle_now(&mut keeper, as_json)
}

/// What a signature is over: the path given, or its own without `.minisig`.
pub fn statement_of(signature: &Path, given: Option<&Path>) -> Result<PathBuf, Refusal> {
    if given.is_none() && signature.extension().is_none_or(|e| e != "minisig") {
        let detail = format!("{} does not end in .minisig; name the statement with --statement", quoted_os(signature));
        return Err(Refusal::new(Reason::StatementMalformed, detail));
    }
    Ok(given.map_or_else(|| signature.with_extension(""), Path::to_owned))
}

/// A statement about another release than the one named is a slip worth telling before it counts.
fn check_release(id: &ReleaseId, handed_in: &SubmittedStatement) -> Result<(), Refusal> {
    match Statement::parse(&handed_in.text) {
        Ok(statement) if statement.release != *id => {
            let detail = format!("the statement is about {}, not {id}", statement.release);
            Err(Refusal::new(Reason::StatementUnknownRelease, detail))
        }
        // What cannot be read is judged, and logged, by settle.
        _ => Ok(()),
    }
}

/// Opens what is handed in.
pub fn open(path: &Path) -> Result<File, Fault> {
    File::open(path).during("open", path)
}

/// Reads a small file; longer ones are cut after 64 KiB, which no statement or signature reaches.
pub fn read(file: File) -> Result<Vec<u8>, Fault> {
    read_at_most(file, 64 << 10)
}

/// Reads a keyring; a longer one is cut, and so refused.
pub fn read_keyring(file: File) -> Result<Vec<u8>, Fault> {
    read_at_most(file, bundle::keyring::LONGEST)
}

fn read_at_most(file: File, most: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).during("read", Path::new("what was handed in"))?;
    Ok(bytes)
}

fn print(state: &State, args: &Approve) -> Result<Ended, Error> {
    let id = &args.release;
    if Trust::load(state)?.accepted_manifest(&id.feed, id.version).is_none() || !state.release_path(id).is_dir() {
        return Err(Error::refused(Reason::StatementUnknownRelease, format!("there is no release {id} here")));
    }
    let decision = match args.decision {
        Decide::Approve => Decision::Approve,
        Decide::Refuse => Decision::Refuse,
        Decide::Withdraw => Decision::Withdraw,
        Decide::Downgrade => Decision::Downgrade,
    };
    let ticket = args.incident.clone().zip(args.until).map(|(incident, until)| Ticket { incident, until });
    let (officer, reason) = (args.officer.as_deref().unwrap_or_default(), args.reason.as_deref().unwrap_or_default());
    let release = state.release(id)?;
    let changes = item_changes(state, &release, Examples::Few)?.digest()?;
    let statement = release.statement(changes, (decision, ticket), officer, reason)?;
    terminal::say(statement.to_string().trim_end());
    terminal::hint(
        "keep these eight lines as a file, say statement.txt; look at the release with gaprelay show --diff; then",
    );
    terminal::hint("minisign -S -s YOUR.key -m statement.txt");
    terminal::hint(format_args!("gaprelay approve {id} --signature statement.txt.minisig"));
    Ok(Ended::Well)
}

/// Settles once; or, for `up` or as a service, again and again.
pub fn settle(root: &Path, args: &Settle) -> Result<Ended, Error> {
    // The loop may be stopped at any moment: whatever is cut, the next start goes on from there.
    match args.supervised {
        Some(supervisor) => end_with(supervisor, Signal::KILL)?,
        None if args.watch => {}
        None => return settle_now(&mut crate::cli::here(root, clock::now())?, args.json),
    }
    let state = crate::cli::confined(root)?;
    let filtered = !state.config()?.terms().waived.contains(&Layer::Seccomp);
    loop {
        if filtered {
            probe()?;
        }
        settle_if_free(&state);
        std::thread::sleep(AGAIN);
    }
}

/// A fault is told and tried again the next time; what is published keeps being served. While an
/// import or an approval is at work there is nothing to do here: it settles itself.
fn settle_if_free(state: &State) {
    let opened = Keeper::try_open(state.clone(), clock::now());
    let settled =
        opened.and_then(|keeper| keeper.map_or(Ok(SettleReport::default()), |mut keeper| settle::settle(&mut keeper)));
    match settled {
        Ok(settled) => report(&settled),
        Err(fault) => error!(fault = %fault, "{fault}; next: {}", fault.hint()),
    }
}

/// Reports what a service's settle changed. A channel that stays as it was is in the log since it got stuck, and is not
/// reported each time.
fn report(settled: &SettleReport) {
    for (release, decision, officer) in &settled.taken {
        let decision = decision.word();
        info!(%release, decision, officer, "{officer}: {decision} {release}");
    }
    for AcceptedDirective { order, officer, .. } in &settled.directives {
        info!(%order, officer, "{officer} orders: {order}");
    }
    for (entries, witnesses, quorum) in &settled.cosigned {
        info!(entries, quorum, "{} cosigned the first {entries} entries", witnesses.join(", "));
    }
    for refusal in &settled.refused {
        warn!(reason = refusal.reason.code(), "refused: a statement in the inbox: {refusal}");
    }
    for (channel, generation) in &settled.published {
        info!(channel, generation, "channel {channel} now shows set {generation}");
    }
}

/// Settles and tells what came of it.
pub fn settle_now(keeper: &mut Keeper, as_json: bool) -> Result<Ended, Error> {
    let settled = settle::settle(keeper)?;
    let ended = if settled.refused.is_empty() && settled.stuck.is_empty() { Ended::Well } else { Ended::Refused };
    if as_json {
        terminal::say_json(&json::Settled {
            taken: settled
                .taken
                .iter()
                .map(|(id, decision, officer)| json::TakenNow {
                    release: id.to_string(),
                    decision: decision.word(),
                    officer: officer.clone(),
                })
                .collect(),
            directives: settled
                .directives
                .iter()
                .map(|it| json::DirectedNow {
                    order: it.order.to_string(),
                    officer: it.officer.clone(),
                    clock: it.clock,
                })
                .collect(),
            refused: settled.refused.iter().map(Into::into).collect(),
            published: settled.published.iter().cloned().collect(),
            stuck: settled.stuck.iter().map(|(channel, refusal)| (channel.clone(), refusal.into())).collect(),
            cosigned: settled
                .cosigned
                .into_iter()
                .map(|(size, witnesses, quorum)| json::CosignedNow { size, witnesses, quorum })
                .collect(),
            receipt: paper(&keeper.log.head()),
            evidence: settled.evidence,
        });
        return Ok(ended);
    }
    tell(&settled);
    if !settled.taken.is_empty() || !settled.directives.is_empty() {
        receipt::show(&keeper.log.head());
    }
    Ok(ended)
}

/// What a settle did, in words.
pub fn tell(settled: &SettleReport) {
    for (id, decision, officer) in &settled.taken {
        terminal::say(format_args!("{officer}: {} {id}", decision.word()));
    }
    for AcceptedDirective { order, officer, clock } in &settled.directives {
        terminal::say(format_args!("{officer} orders: {order}"));
        match (order, clock) {
            (Order::TurnBack { .. }, Some(time)) => {
                terminal::say(format_args!("two officers have said so: the clock is turned back to {time} or later"));
            }
            (Order::TurnBack { .. }, None) => terminal::hint("it counts once another officer says so too"),
            _ => {}
        }
    }
    for (size, witnesses, quorum) in &settled.cosigned {
        let met = if *quorum { "the quorum is met" } else { "the quorum is not met yet" };
        terminal::say(format_args!("{} cosigned the first {size} entries; {met}", witnesses.join(", ")));
    }
    for refusal in &settled.refused {
        terminal::note(format_args!("refused: what was handed in: {refusal}"));
        terminal::hint(refusal.reason.next());
    }
    for (channel, generation) in &settled.published {
        terminal::say(format_args!("channel {channel} now shows set {generation}"));
    }
    for (channel, refusal) in &settled.stuck {
        terminal::note(format_args!("channel {channel} stays as it was: {refusal}"));
        terminal::hint(refusal.reason.next());
    }
    if settled.evidence > 0 {
        terminal::say(format_args!("{} refused attempts are in the access log now", settled.evidence));
    }
}
