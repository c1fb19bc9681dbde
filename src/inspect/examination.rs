//! The keeper's side of an examination: it feeds the examiner from the spool, and treats each answer
//! as hostile. It counts and hashes what it gets against the signed manifest, and decides itself:
//! the examiner only says what the bytes show.

use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::thread;

use super::examiner::{self, Answer, Ask};
use super::{Keep, Policy, Verdict};
use crate::base::digest::Hasher;
use crate::base::error::IoContext as _;
use crate::base::patient::Patient;
use crate::base::quoted::printable;
use crate::base::talk::{self, Talk};
use crate::base::wire::{Frame, Receiver, Sender};
use crate::base::{Error, Fault, Limits, Reason, quoted};
use crate::media::{Spooled, Step};
use crate::verify::Artifact;

/// Whom the faults are told of.
const EXAMINER: &str = "examiner";

/// An examiner, and what it is asked.
pub struct Examination {
    /// Nothing after a question that was not answered to its end: then it is not asked again.
    talk: Option<Talk>,
}

/// What a question led to. A refusal leaves the examiner ready for the next one; a fault does not.
type Told<T> = Result<Result<T, Error>, Fault>;

impl Examination {
    /// By the examiner that takes questions from `asks` and answers into `answers`.
    pub fn new(asks: OwnedFd, answers: OwnedFd) -> Result<Self, Fault> {
        Ok(Self { talk: Some(Talk::new(asks, answers)?) })
    }

    /// By a thread of this process.
    pub fn here(limits: &Limits) -> Result<Self, Fault> {
        let limits = limits.clone();
        Ok(Self { talk: Some(Talk::here(move |asks, answers| examiner::run(&limits, asks, answers))?) })
    }

    /// Has the payload unpacked into `keep`, and gives each carried artifact its verdict, in order.
    /// Refusals: `gzip-*`, `entry-*`, `archive-*`.
    pub fn unpack(
        &mut self,
        spooled: &Spooled,
        policy: Policy<'_>,
        keep: &mut dyn Keep,
        step: Step<'_>,
    ) -> Result<Vec<Verdict>, Error> {
        let Talk { mut asks, mut answers } = self.talk.take().ok_or_else(|| talk::given_up(EXAMINER))?;
        let manifest = spooled.verified().manifest();
        let (taken, asks, answers) = thread::scope(|scope| {
            // The other way round the pipes would fill up, each end waiting for the other.
            let feeding = scope.spawn(move || feed(&mut asks, spooled).map(|()| asks));
            let taken = take(&mut answers, manifest.carried(), policy, keep, step);
            // An examiner that does not keep to its part ends here: it finds nobody to talk to.
            let answers = taken.is_ok().then_some(answers);
            let fed = feeding.join().map_err(|_| Fault::Internal("feeding stopped"));
            (taken, fed, answers)
        });
        let taken = taken?;
        let asks = asks?.map_err(|e| broken(&e))?;
        self.talk = answers.map(|answers| Talk { asks, answers });
        taken
    }

    /// Has one artifact of ours looked at, whose bytes come from `from`, and proves its digest.
    pub fn look(
        &mut self,
        artifact: &Artifact,
        from: &mut dyn Read,
        policy: Policy<'_>,
        keep: &mut dyn Keep,
    ) -> Result<Verdict, Error> {
        // Put back only when it has answered: a question that was not asked to its end has no answer.
        let mut talk = self.talk.take().ok_or_else(|| talk::given_up(EXAMINER))?;
        let asked = talk.asks.message(&Ask::Look(artifact.clone())).and_then(|()| talk.asks.raw());
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
        match talk.answers.message().map_err(|e| broken(&e))? {
            Answer::Found(finding) => {
                self.talk = Some(talk);
                Ok(end(finding, artifact, policy, keep)??)
            }
            answer => Ok(Err(unexpected(answer)?)?),
        }
    }
}

fn feed(asks: &mut Sender<Patient>, spooled: &Spooled) -> io::Result<()> {
    let manifest = &spooled.verified().envelope().manifest;
    asks.message(&Ask::Unpack(manifest.len() as u64))?;
    asks.bytes(manifest)?;
    let mut payload = spooled.payload();
    payload.seek(SeekFrom::Start(0))?;
    asks.raw()?.write_file(payload)
}

/// Takes each artifact in the manifest's order: exactly its bytes, with exactly its digest. After a
/// refusal or a fault of ours the rest is taken in and dropped, so that the next answer is heard.
fn take<'a>(
    answers: &mut Receiver<Patient>,
    carried: impl Iterator<Item = &'a Artifact>,
    policy: Policy<'_>,
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
        match end(finding, artifact, policy, keep)? {
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
    policy: Policy<'_>,
    keep: &mut dyn Keep,
) -> Result<Result<Verdict, Fault>, Fault> {
    if !finding.is_plausible() {
        return Err(misbehaves("found what cannot be"));
    }
    let verdict = finding.judge(artifact, policy);
    Ok(keep.end(&verdict).map(|()| verdict))
}

fn broken(error: &io::Error) -> Fault {
    talk::broken(EXAMINER, error)
}

/// A refusal is one, whoever says so; anything else out of turn is not.
fn unexpected(answer: Answer) -> Result<Error, Fault> {
    match answer {
        Answer::Refused(reason, detail) => Ok(Error::refused(reason, printable(&detail))),
        Answer::Failed(what) => Err(misbehaves(&format!("failed: {}", printable(&what)))),
        Answer::Found(_) | Answer::Done => Err(misbehaves("answered what was not asked")),
    }
}

fn misbehaves(what: &str) -> Fault {
    talk::misbehaves(EXAMINER, what)
}
