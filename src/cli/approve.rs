//! `gaprelay approve` and `settle`: statements out to be signed, signed ones in.

use std::path::Path;

use super::args::{Approve, Decide};
use super::{Ended, json, tui};
use crate::base::error::IoContext as _;
use crate::base::quoted::quoted_os;
use crate::base::{Error, Reason, Refusal, Timestamp};
use crate::keeper::Keeper;
use crate::publish::{Decision, Statement};
use crate::settle::{self, HandedIn};
use crate::store::{ReleaseId, State, Trust};

/// Prints the statement, or hands a signed one in and settles.
pub fn run(root: &Path, now: Timestamp, args: &Approve) -> Result<Ended, Error> {
    let state = State::open(root)?;
    match &args.signature {
        None => print(&state, args),
        Some(signature) => {
            let statement = match &args.statement {
                Some(path) => path.clone(),
                None => signature.with_extension(""),
            };
            if args.statement.is_none() && signature.extension().is_none_or(|e| e != "minisig") {
                let detail =
                    format!("{} does not end in .minisig; name the statement with --statement", quoted_os(signature));
                return Err(Error::refused(Reason::StatementMalformed, detail));
            }
            let handed_in = HandedIn { at: now, text: read(&statement)?, signature: read(signature)? };
            check_release(&args.release, &handed_in)?;
            let mut keeper = super::keeper(root, now)?;
            settle::hand_in(&keeper.state, &handed_in)?;
            settle(&mut keeper, args.json)
        }
    }
}

/// A statement about another release than the one named is a slip worth telling before it counts.
fn check_release(id: &ReleaseId, handed_in: &HandedIn) -> Result<(), Refusal> {
    match Statement::parse(&handed_in.text) {
        Ok(statement) if statement.release != *id => {
            let detail = format!("the statement is about {}, not {id}", statement.release);
            Err(Refusal::new(Reason::StatementUnknownRelease, detail))
        }
        // What cannot be read is judged, and logged, by settle.
        _ => Ok(()),
    }
}

/// Reads a small file; longer ones are cut after 64 KiB, which no statement or signature reaches.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|f| f.take(64 << 10).read_to_end(&mut bytes)).during("read", path)?;
    Ok(bytes)
}

fn print(state: &State, args: &Approve) -> Result<Ended, Error> {
    let id = &args.release;
    if Trust::load(state)?.accepted(&id.feed, id.version).is_none() || !state.release_path(id).is_dir() {
        return Err(Error::refused(Reason::StatementUnknownRelease, format!("there is no release {id} here")));
    }
    let decision = match args.decision {
        Decide::Approve => Decision::Approve,
        Decide::Refuse => Decision::Refuse,
        Decide::Withdraw => Decision::Withdraw,
    };
    let (officer, reason) = (args.officer.as_deref().unwrap_or_default(), args.reason.as_deref().unwrap_or_default());
    let statement = Statement::about(&state.release(id)?, decision, officer, reason)?;
    tui::say(statement.to_string().trim_end());
    tui::hint("keep these seven lines as a file, say statement.txt; look at the release with gaprelay show; then");
    tui::hint("minisign -S -s YOUR.key -m statement.txt");
    tui::hint(format_args!("gaprelay approve {id} --signature statement.txt.minisig"));
    Ok(Ended::Well)
}

/// Settles and tells what came of it.
pub fn settle(keeper: &mut Keeper, as_json: bool) -> Result<Ended, Error> {
    let settled = settle::settle(keeper)?;
    let ended = if settled.refused.is_empty() && settled.stuck.is_empty() { Ended::Well } else { Ended::Refused };
    if as_json {
        tui::say_json(&json::Settled {
            taken: settled
                .taken
                .iter()
                .map(|(id, decision, officer)| json::TakenNow {
                    release: id.to_string(),
                    decision: decision.word(),
                    officer: officer.clone(),
                })
                .collect(),
            refused: settled.refused.iter().map(Into::into).collect(),
            published: settled.published.iter().cloned().collect(),
            stuck: settled.stuck.iter().map(|(channel, refusal)| (channel.clone(), refusal.into())).collect(),
            evidence: settled.evidence,
        });
        return Ok(ended);
    }
    tell(&settled);
    Ok(ended)
}

/// What a settle did, in words.
pub fn tell(settled: &settle::Settled) {
    for (id, decision, officer) in &settled.taken {
        tui::say(format_args!("{officer}: {} {id}", decision.word()));
    }
    for refusal in &settled.refused {
        tui::note(format_args!("refused: statement: {refusal}"));
        tui::hint(refusal.reason.next());
    }
    for (channel, generation) in &settled.published {
        tui::say(format_args!("channel {channel} now shows set {generation}"));
    }
    for (channel, refusal) in &settled.stuck {
        tui::note(format_args!("channel {channel} stays as it was: {refusal}"));
        tui::hint(refusal.reason.next());
    }
    if settled.evidence > 0 {
        tui::say(format_args!("{} refused attempts are in the access log now", settled.evidence));
    }
}
