//! The keeper's side of an examination: it feeds the examiner from the spool, and treats each answer
//! as hostile. It counts and hashes what it gets against the signed manifest, and decides itself:
//! the examiner only says what the bytes show.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek as _, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use super::examiner::{self, Answer, Ask};
use super::{Keep, Kind, Verdict};
use crate::base::digest::Hasher;
use crate::base::error::IoContext as _;
use crate::base::patient::Patient;
use crate::base::quoted::printable;
use crate::base::wire::{Frame, Receiver, Sender};
use crate::base::{Error, Fault, Limits, Reason, quoted};
use crate::media::{Spooled, Step};
use crate::verify::Artifact;

/// How long an examiner may say nothing.
const PATIENCE: Duration = Duration::from_mins(5);

/// An examiner, and what it is asked.
pub struct Examination {
    /// Nothing once it said what it never should: then it is not asked again.
    pipes: Option<Pipes>,
}

struct Pipes {
    asks: Sender<File>,
    answers: Receiver<Patient>,
}

/// What a question led to. A refusal leaves the examiner ready for the next one; a fault does not.
type Told<T> = Result<Result<T, Error>, Fault>;

impl Examination {
    /// By the examiner that takes questions from `asks` and answers into `answers`.
    pub fn new(asks: OwnedFd, answers: OwnedFd) -> Self {
        let answers = Patient::new(answers.into(), PATIENCE);
        Self { pipes: Some(Pipes { asks: Sender::new(asks.into()), answers: Receiver::new(answers) }) }
    }

    /// By a thread of this process: for the connected side, where there is nothing to keep apart.
    pub fn here(limits: &Limits) -> Result<Self, Fault> {
        let pipe = || io::pipe().map_err(|_| Fault::Internal("a pipe cannot be opened"));
        let ((asked, asks), (answers, answered)) = (pipe()?, pipe()?);
        let limits = limits.clone();
        // It ends when nobody asks any more; a pipe that breaks is the other end's to tell.
        thread::spawn(move || examiner::run(&limits, asked, answered));
        Ok(Self::new(asks.into(), answers.into()))
    }

    /// Has the payload unpacked into `keep`, and gives each carried artifact its verdict, in order.
    /// Refusals: `gzip-*`, `entry-*`, `archive-*`.
    pub fn unpack(
        &mut self,
        spooled: &Spooled,
        allowed: &[Kind],
        keep: &mut dyn Keep,
        step: Step<'_>,
    ) -> Result<Vec<Verdict>, Error> {
        let Pipes { mut asks, mut answers } = self.pipes.take().ok_or_else(given_up)?;
        let manifest = spooled.verified().manifest();
        let (taken, asks, answers) = thread::scope(|scope| {
            // The other way round the pipes would fill up, each end waiting for the other.
            let feeding = scope.spawn(move || feed(&mut asks, spooled).map(|()| asks));
            let taken = take(&mut answers, manifest.carried(), allowed, keep, step);
            // An examiner that does not keep to its part ends here: it finds nobody to talk to.
            let answers = taken.is_ok().then_some(answers);
            let fed = feeding.join().map_err(|_| Fault::Internal("feeding stopped"));
            (taken, fed, answers)
        });
        let taken = taken?;
        let asks = asks?.map_err(|e| broken(&e))?;
        self.pipes = answers.map(|answers| Pipes { asks, answers });
        taken
    }

    /// Has one artifact of ours looked at, whose bytes come from `from`, and proves its digest.
    pub fn look(
        &mut self,
        artifact: &Artifact,
        from: &mut dyn Read,
        allowed: &[Kind],
        keep: &mut dyn Keep,
    ) -> Result<Verdict, Error> {
        // Put back only when it has answered: a question that was not asked to its end has no answer.
        let mut pipes = self.pipes.take().ok_or_else(given_up)?;
        let asked = pipes.asks.message(&Ask::Look(artifact.clone())).and_then(|()| pipes.asks.raw());
        let to = asked.map_err(|e| broken(&e))?;
        keep.begin(artifact)?;
        let (mut hasher, mut left, mut buffer) = (Hasher::new(), artifact.size, vec![0; 128 << 10]);
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
            let piece = buffer.get_mut(..want).unwrap_or_default();
            from.read_exact(piece).during("read", std::path::Path::new("a held artifact"))?;
            hasher.update(piece);
            keep.bytes(piece)?;
            to.write_all(piece).map_err(|e| broken(&e))?;
            left -= want as u64;
        }
        if hasher.finish() != artifact.sha256 {
            return Err(Fault::damaged(&artifact.path, "what is held of it does not have its digest").into());
        }
        match pipes.answers.message().map_err(|e| broken(&e))? {
            Answer::Found(finding) => {
                self.pipes = Some(pipes);
                Ok(end(finding, artifact, allowed, keep)??)
            }
            answer => Ok(Err(unexpected(answer)?)?),
        }
    }
}

fn feed(asks: &mut Sender<File>, spooled: &Spooled) -> io::Result<()> {
    let manifest = &spooled.verified().envelope().manifest;
    asks.message(&Ask::Unpack(manifest.len() as u64))?;
    asks.bytes(manifest)?;
    let mut payload = spooled.payload();
    payload.seek(SeekFrom::Start(0))?;
    // The kernel moves the bytes from the spool's pages into the pipe.
    io::copy(&mut payload, asks.raw()?).map(drop)
}

/// Takes each artifact in the manifest's order: exactly its bytes, with exactly its digest. After a
/// refusal or a fault of ours the rest is taken in and dropped, so that the next answer is heard.
fn take<'a>(
    answers: &mut Receiver<Patient>,
    carried: impl Iterator<Item = &'a Artifact>,
    allowed: &[Kind],
    keep: &mut dyn Keep,
    step: Step<'_>,
) -> Told<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    let mut failed: Option<Error> = None;
    for artifact in carried {
        if failed.is_none() {
            failed = keep.begin(artifact).err().map(Error::from);
        }
        let (mut hasher, mut left) = (Hasher::new(), artifact.size);
        let finding = loop {
            match answers.frame().map_err(|e| broken(&e))? {
                Frame::Bytes(bytes) if bytes.len() as u64 <= left => {
                    if failed.is_none() {
                        hasher.update(bytes);
                        failed = keep.bytes(bytes).err().map(Error::from);
                    }
                    left -= bytes.len() as u64;
                    step(bytes.len() as u64);
                }
                Frame::Bytes(_) => return Err(misbehaves("hands over more than the manifest lists")),
                Frame::Message(Answer::Found(finding)) if left == 0 => break finding,
                Frame::Message(answer) => return Ok(Err(failed.unwrap_or(unexpected(answer)?))),
            }
        };
        if failed.is_some() {
            continue;
        }
        let digest = hasher.finish();
        if digest != artifact.sha256 {
            let path = quoted(&artifact.path);
            let detail = format!("\"{path}\" has digest {digest}, the manifest says {}", artifact.sha256);
            failed = Some(Error::refused(Reason::EntryDigest, detail));
            continue;
        }
        match end(finding, artifact, allowed, keep)? {
            Ok(verdict) => verdicts.push(verdict),
            Err(fault) => failed = Some(fault.into()),
        }
    }
    match (answers.message().map_err(|e| broken(&e))?, failed) {
        (Answer::Done, None) => Ok(Ok(verdicts)),
        (Answer::Done, Some(failed)) => Ok(Err(failed)),
        (answer, failed) => Ok(Err(failed.unwrap_or(unexpected(answer)?))),
    }
}

fn end(
    finding: super::Finding,
    artifact: &Artifact,
    allowed: &[Kind],
    keep: &mut dyn Keep,
) -> Result<Result<Verdict, Fault>, Fault> {
    if !finding.is_plausible() {
        return Err(misbehaves("found what cannot be"));
    }
    let verdict = finding.judge(artifact, allowed);
    Ok(keep.end(&verdict).map(|()| verdict))
}

fn broken(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => misbehaves("ended before it had answered"),
        ErrorKind::TimedOut => misbehaves("said nothing for five minutes"),
        _ => misbehaves("answered what is no answer"),
    }
}

/// A refusal is one, whoever says so; anything else out of turn is not.
fn unexpected(answer: Answer) -> Result<Error, Fault> {
    match answer {
        Answer::Refused(reason, detail) => Ok(Error::refused(reason, printable(&detail))),
        Answer::Failed(what) => Err(misbehaves(&format!("failed: {}", printable(&what)))),
        Answer::Found(_) | Answer::Done => Err(misbehaves("answered what was not asked")),
    }
}

fn given_up() -> Fault {
    misbehaves("is not asked again, after what it did before")
}

fn misbehaves(what: &str) -> Fault {
    Fault::Worker { role: "examiner", what: what.to_owned() }
}
