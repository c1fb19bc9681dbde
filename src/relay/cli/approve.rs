//! `gaprelay approve` and `settle`: prints statements to sign, takes signed ones.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tracing::{error, info, warn};

use super::args::{ApproveArgs, Decide, SettleArgs};
use super::{json, receipt};
use crate::keeper::Keeper;
use crate::settle::draft::{self, DraftBy, DraftedDecision, DraftedStatement};
use crate::settle::{self, AcceptedDirective, SettleReport, SubmittedStatement, TakenDecision};
use crate::state::State;
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

/// Time between two settles, for `up`.
const PAUSE: Duration = Duration::from_secs(5);

/// Prints a statement to sign, or hands in a signed one and settles.
pub(crate) fn run(root: &Path, now: Timestamp, args: &ApproveArgs) -> Result<Ended, Error> {
    match &args.signature {
        None => print(&State::open(root)?, now, args),
        Some(signature) => {
            let check = |handed_in: &SubmittedStatement| check_releases(&args.releases, handed_in);
            hand_in(root, now, (signature, args.statement.as_deref()), args.json, check)
        }
    }
}

/// Hands in a signed text, if `check` finds no mistake in it, and settles. If no text is given, it is at the path of
/// the signature without `.minisig`.
pub(crate) fn hand_in(
    root: &Path,
    now: Timestamp,
    (signature, statement): (&Path, Option<&Path>),
    as_json: bool,
    check: impl Fn(&SubmittedStatement) -> Result<(), Refusal>,
) -> Result<Ended, Error> {
    let statement = statement_of(signature, statement)?;
    State::open(root)?;
    // Opened with the rights of the user who hands it in; read and judged only when confined.
    let (text, signature) = (open(&statement)?, open(signature)?);
    let state = crate::cli::enter_confinement(root)?;
    let handed_in = SubmittedStatement { at: now, text: read(text)?, signature: read(signature)? };
    check(&handed_in)?;
    if let Some(mut keeper) = Keeper::try_open(state.clone(), now)? {
        settle::hand_in(&keeper.state, &handed_in)?;
        return settle_now(&mut keeper, as_json);
    }
    // An import judges between two bundles what lies in the inbox: nobody waits for its end.
    let item = settle::hand_in(&state, &handed_in)?;
    let mut keeper = Keeper::open(state, now, crate::cli::wait)?;
    if !item.exists() {
        terminal::note("the command that was at work has judged the statement, and shows there whether it counts");
        terminal::hint("to see what stands now: gaprelay releases; why a statement does not count: gaprelay log show");
    }
    settle_now(&mut keeper, as_json)
}

/// Path of the signed statement: the given one, or the path of the signature without `.minisig`. Fault: none is given,
/// and the signature does not end in `.minisig`.
pub(crate) fn statement_of(signature: &Path, given: Option<&Path>) -> Result<PathBuf, Fault> {
    if given.is_none() && signature.extension().is_none_or(|e| e != "minisig") {
        let detail =
            format!("the file {} is not a signature by its name: it does not end in .minisig", quoted_os(signature));
        return Err(Fault::usage(
            detail,
            "Give the file that `minisign -S` made. If it has another name, give the signed text as well: --statement FILE.",
        ));
    }
    Ok(given.map_or_else(|| signature.with_extension(""), Path::to_owned))
}

/// Refuses a statement about other releases than those on the command line, before it counts.
fn check_releases(named: &[ReleaseId], handed_in: &SubmittedStatement) -> Result<(), Refusal> {
    // A statement that cannot be parsed is judged, and logged, by settle.
    let Ok(statement) = Statement::parse(&handed_in.text) else { return Ok(()) };
    let list = |ids: &BTreeSet<&ReleaseId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (named, about) = (named.iter().collect(), statement.subjects.iter().map(|subject| &subject.release).collect());
    if named == about {
        return Ok(());
    }
    let detail = format!("the statement is about {}, but the command names {}", list(&about), list(&named));
    Err(Refusal::new(Reason::StatementUnknownRelease, detail))
}

/// Opens a file that is handed in.
pub(crate) fn open(path: &Path) -> Result<File, Fault> {
    File::open(path).during("open", path)
}

/// Reads a statement or signature, at most 64 KiB, which none of them reaches; the rest of a longer file is cut.
pub(crate) fn read(file: File) -> Result<Vec<u8>, Fault> {
    read_at_most(file, 64 << 10)
}

/// Reads a keyring; the rest of one above the limit is cut, so that it is refused.
pub(crate) fn read_keyring(file: File) -> Result<Vec<u8>, Fault> {
    read_at_most(file, bundle::keyring::LONGEST)
}

fn read_at_most(file: File, most: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).during("read", Path::new("the file that was handed in"))?;
    Ok(bytes)
}

fn print(state: &State, now: Timestamp, args: &ApproveArgs) -> Result<Ended, Error> {
    let config = state.config()?;
    let decision = match args.decision {
        Decide::Approve => Decision::Approve,
        Decide::Refuse => Decision::Refuse,
        Decide::Withdraw => Decision::Withdraw,
        Decide::Downgrade => Decision::Downgrade,
    };
    let ticket = args.incident.clone().zip(args.until).map(|(incident, until)| Ticket { incident, until });
    let (officer, reason) = (args.officer.clone().unwrap_or_default(), args.reason.clone().unwrap_or_default());
    let by = DraftBy { officer, reason, issued: now, valid_for: args.valid_for };
    let drafted = DraftedDecision { releases: &args.releases, decision, ticket };
    let DraftedStatement { statement, passed_over } = draft::statement((state, &config), now, drafted, by)?;
    terminal::say(statement.to_string().trim_end());
    for refusal in passed_over {
        terminal::note(format_args!("the statement counts for the other releases alone: {refusal}"));
    }
    for subject in &statement.subjects {
        if let Some(effect) = &subject.effect {
            terminal::note(format_args!("ATTENTION: the approval of {} {effect}", subject.release));
        }
        terminal::hint(format_args!("review the release: gaprelay show {} --diff", subject.release));
    }
    terminal::hint(
        "save these lines as a file, for example statement.txt, and sign it: minisign -S -s YOUR.key -m statement.txt",
    );
    let releases = args.releases.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    terminal::hint(format_args!(
        "hand in the signed statement: gaprelay approve {releases} --signature statement.txt.minisig"
    ));
    Ok(Ended::Well)
}

/// Settles once; or, for `up` or as a service, every five seconds.
pub(crate) fn settle(root: &Path, args: &SettleArgs) -> Result<Ended, Error> {
    // Stopping the loop at any moment is safe: the next start continues from there.
    match args.supervised {
        Some(supervisor) => end_with(supervisor, Signal::KILL)?,
        None if args.watch => {}
        None => return settle_now(&mut crate::cli::here(root, clock::now())?, args.json),
    }
    let state = crate::cli::enter_confinement(root)?;
    let filtered = !state.config()?.terms().waived.contains(&Layer::Seccomp);
    loop {
        if filtered {
            probe()?;
        }
        settle_if_free(&state);
        std::thread::sleep(PAUSE);
    }
}

/// Settles unless an import or an approval is at work, which settles itself. A fault is printed, and the next turn
/// tries again; published content keeps being served.
fn settle_if_free(state: &State) {
    let opened = Keeper::try_open(state.clone(), clock::now());
    let tell = |fault: &Fault| error!(fault = %fault, "{fault}; next: {}", fault.hint());
    let settled = match opened {
        Ok(keeper) => keeper.map_or_else(SettleReport::default, |mut keeper| settle::settle(&mut keeper)),
        Err(fault) => return tell(&fault),
    };
    report(&settled);
    settled.faults.iter().for_each(tell);
}

/// Reports what a service's settle changed. A channel that stays as it was is in the log since it got stuck, and is not
/// reported each time.
fn report(settled: &SettleReport) {
    for TakenDecision { release, decision, officer, .. } in &settled.taken {
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
        warn!(reason = refusal.reason.code(), "refused: a signed text in the inbox: {refusal}");
    }
    for channel in &settled.mended {
        warn!(channel, "{}", mended(channel));
    }
    for (channel, generation) in &settled.published {
        info!(channel, generation, "channel {channel} now shows set {generation}");
    }
}

/// Sentence for a pointer that was put right.
fn mended(channel: &str) -> String {
    format!(
        "the pointer of channel {channel} was missing or changed, and was put right by the import log: find out who can write to the state folder"
    )
}

/// Settles and prints the result.
pub(crate) fn settle_now(keeper: &mut Keeper, as_json: bool) -> Result<Ended, Error> {
    let mut settled = settle::settle(keeper);
    let faults = std::mem::take(&mut settled.faults);
    let ended = if settled.refused.is_empty() && settled.stuck.is_empty() { Ended::Well } else { Ended::Refused };
    if as_json {
        terminal::say_json(&json::SettleJson {
            taken: settled
                .taken
                .iter()
                .map(|taken| json::TakenNow {
                    release: taken.release.to_string(),
                    decision: taken.decision.word(),
                    officer: taken.officer.clone(),
                    effect: taken.effect.clone(),
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
            mended: settled.mended.clone(),
            stuck: settled.stuck.iter().map(|(channel, refusal)| (channel.clone(), refusal.into())).collect(),
            cosigned: settled
                .cosigned
                .into_iter()
                .map(|(size, witnesses, quorum)| json::CosignedNow { size, witnesses, quorum })
                .collect(),
            receipt: paper(&keeper.log.head()),
            evidence: settled.evidence,
            faults: faults.iter().map(ToString::to_string).collect(),
        });
    } else {
        print_settled(&settled);
        if !settled.taken.is_empty() || !settled.directives.is_empty() {
            receipt::show(&keeper.log.head());
        }
    }
    tell_faults(faults)?;
    Ok(ended)
}

/// Tells the faults that stopped a part of a settle, and gives the first, with which the command ends.
pub(crate) fn tell_faults(faults: Vec<Fault>) -> Result<(), Fault> {
    let mut faults = faults.into_iter();
    let first = faults.next();
    for fault in faults {
        terminal::note(format_args!("fault: {fault}"));
        terminal::hint(fault.hint());
    }
    first.map_or(Ok(()), Err)
}

/// Prints the result of a settle in words.
pub(crate) fn print_settled(settled: &SettleReport) {
    for TakenDecision { release, decision, officer, effect } in &settled.taken {
        terminal::say(format_args!("{officer}: {} {release}", decision.word()));
        if let Some(effect) = effect {
            terminal::note(format_args!("ATTENTION: the approval of {release} {effect}"));
        }
    }
    for AcceptedDirective { order, officer, clock, extent } in &settled.directives {
        terminal::say(format_args!("{officer} orders: {order}"));
        if let (Order::DenyKey(key), Some(extent)) = (order, extent) {
            terminal::say(format_args!("key {key}: {extent}"));
        }
        match (order, clock) {
            (Order::TurnBack { .. }, Some(time)) => {
                terminal::say(format_args!("two officers have signed: the clock is turned back to {time} or later"));
            }
            (Order::TurnBack { .. }, None) => {
                terminal::hint("this order counts when a second officer has signed and handed in the same one");
            }
            _ => {}
        }
    }
    for (size, witnesses, quorum) in &settled.cosigned {
        let met = if *quorum { "the quorum is met" } else { "the quorum is not met yet" };
        terminal::say(format_args!(
            "witness {} cosigned the first {size} entries of the log; {met}",
            witnesses.join(", ")
        ));
    }
    for refusal in &settled.refused {
        terminal::note(format_args!("refused: a handed-in text: {refusal}"));
        terminal::hint(refusal.reason.next());
    }
    for channel in &settled.mended {
        terminal::note(mended(channel));
    }
    for (channel, generation) in &settled.published {
        terminal::say(format_args!("channel {channel} now shows set {generation}"));
    }
    for (channel, refusal) in &settled.stuck {
        terminal::note(format_args!("channel {channel} does not show all that is due: {refusal}"));
        terminal::hint(refusal.reason.next());
    }
    if settled.evidence > 0 {
        terminal::say(format_args!("added to the access log: refused attempts of agents: {}", settled.evidence));
    }
}
