//! The keeper's side of an examination: it feeds the examiner from the spool, and treats each answer
//! as hostile. It counts and hashes what it gets against the signed manifest, and decides itself:
//! the examiner only says what the bytes show.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Keep;
use super::examiners::Examiners;
use super::judgement::{CHANGED, Judgement, ProvenContent};
use super::policy::InspectionTerms;
use super::verdict::Verdict;
use crate::examiner::{ExaminerReply, ExaminerRequest};
use crate::flaw::MOST_IN_ALL;
use crate::item::{MOST, RECORD};
use crate::rebuild::most;
use base::digest::Hasher;
use base::error::IoContext as _;
use base::ipc::channel::{self, RequestChannel};
use base::ipc::timed_pipe::TimedPipe;
use base::ipc::wire::{Frame, Receiver, Sender};
use base::proven::copy_proven;
use base::quoted::printable;
use base::{Digest, Error, Fault, Limits, Reason, Refusal, durable, quoted};
use bundle::Artifact;
use media::{Spooled, Step};

/// Role that faults name.
const EXAMINER: &str = "examiner";

/// The examination of what belongs together: a bundle.
pub struct Examination<'a> {
    examiners: &'a mut dyn Examiners,
    /// With the examiner at work. Nothing after a question that was not answered to its end: then it is not asked
    /// again.
    channel: Option<RequestChannel>,
    terms: InspectionTerms<'a>,
    keep: &'a mut dyn Keep,
    judged: Vec<Judgement>,
    /// When the examiner must have answered everything that it was asked so far.
    deadline: Instant,
}

/// Time limit for what an examiner does in all, beside what the bundle is given: a bound for one that was taken over,
/// and would keep the relay busy by doing a little now and then. An honest one is held to its processor time, which may
/// take four times as long on a machine that is busy with other work.
const GRACE: Duration = Duration::from_mins(10);
const BUSY: u32 = 4;

/// Result of a request. A refusal leaves the examiner ready for the next one; a fault does not.
type Told<T> = Result<Result<T, Error>, Fault>;

impl Drop for Examination<'_> {
    /// However it ends: the examiner has seen enough.
    fn drop(&mut self) {
        self.channel = None;
        self.examiners.end();
        self.examiners.prepare();
    }
}

impl<'a> Examination<'a> {
    /// With a fresh examiner, under the limit on a bundle's time.
    pub fn begin(
        examiners: &'a mut dyn Examiners,
        terms: InspectionTerms<'a>,
        keep: &'a mut dyn Keep,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let channel = Some(examiners.fresh()?);
        let deadline = Instant::now() + GRACE + limits.inspection.0.saturating_mul(BUSY);
        Ok(Self { examiners, channel, terms, keep, judged: Vec::new(), deadline })
    }

    /// Adds the time for so many bytes that the bundle brings, and for so many that are read and written for it.
    fn add_time(&mut self, brought: u64, moved: u64) {
        let given = Duration::from_secs((brought >> 20).saturating_mul(BUSY.into()).saturating_add(moved >> 20));
        self.deadline = self.deadline.checked_add(given).unwrap_or(self.deadline);
    }

    /// Has the payload unpacked, kept and judged.
    /// Refusals: `gzip-*`, `entry-*`, `archive-*`, `bundle-time-limit`; what the policy refuses a release for.
    pub fn unpack(&mut self, spooled: &Spooled, step: Step<'_>) -> Result<(), Error> {
        let carried: Vec<&Artifact> = spooled.verified().manifest().carried().collect();
        let terms = self.terms;
        let manifest = spooled.verified().envelope().document.len() as u64;
        let brought = spooled.verified().manifest().payload.size.saturating_add(manifest);
        self.add_time(brought, carried.iter().map(|artifact| artifact.size).sum());
        let mut intact = true;
        let judged = self.ask(
            |asks| {
                intact = feed(asks, spooled)?;
                if intact { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
            },
            |answers, keep| take(answers, &carried, terms, keep, step),
        );
        if !intact {
            // Whatever was made of them: these were not the bytes that were verified.
            return Err(Fault::damaged("spool", CHANGED).into());
        }
        self.judged.extend(judged?);
        Ok(())
    }

    /// Has one artifact of ours looked at, whose bytes are in `from` from its place on, and proves its digest.
    pub fn look(&mut self, artifact: &Artifact, from: &File) -> Result<(), Error> {
        let judged = self.look_at(artifact, from)?;
        self.judged.push(judged);
        Ok(())
    }

    /// Has what is stripped looked at as if it had come in so, and gives each artifact its verdict, in the order in
    /// which they were looked at; or what the policy refuses a release for.
    pub fn finish(mut self) -> Result<Vec<Result<Verdict, Refusal>>, Fault> {
        let mut judged = std::mem::take(&mut self.judged);
        for judged in judged.iter_mut().filter(|judged| judged.is_rebuilt()) {
            if let Err(refusal) = self.rebuild(judged)? {
                return Ok(vec![Err(refusal)]);
            }
        }
        if judged.iter().any(|judged| judged.remains().is_some()) {
            // By one that never saw what is left out, nor anything else of this bundle: what takes an examiner over
            // does not get to judge the archive that it made.
            self.channel = None;
            self.channel = Some(self.examiners.fresh()?);
        }
        let mut verdicts = Vec::with_capacity(judged.len());
        for judged in judged {
            verdicts.push(match judged.remains() {
                None => Ok(judged.into_verdict()),
                Some(artifact) => {
                    let file = durable::open(judged.at())?;
                    match self.look_at(&artifact, &file) {
                        Ok(remains) => Ok(judged.settle(&remains)),
                        Err(Error::Refused(refusal)) => Err(refusal),
                        Err(Error::Fault(fault)) => return Err(fault),
                    }
                }
            });
        }
        Ok(verdicts)
    }

    fn look_at(&mut self, artifact: &Artifact, from: &File) -> Result<Judgement, Error> {
        let feed = |asks: &mut Sender<TimedPipe>| {
            asks.message(&ExaminerRequest::Look(artifact.clone()))?;
            asks.raw()?.write_file(from, artifact.size)
        };
        let terms = self.terms;
        self.add_time(artifact.size, artifact.size);
        let judged = self.ask(feed, |answers, keep| take(answers, &[artifact], terms, keep, &mut |_| {}));
        let mut judged = judged.map_err(|error| match error {
            Error::Refused(refusal) if refusal.reason == Reason::EntryDigest => {
                Fault::damaged(&artifact.path, "the stored copy no longer has its SHA-256 digest").into()
            }
            error => error,
        })?;
        judged.pop().ok_or_else(|| Fault::Internal("an artifact without a verdict").into())
    }

    /// Has an archive made anew without what is to be left out, in the place of the old one. Refusal:
    /// `bundle-time-limit`.
    fn rebuild(&mut self, judged: &mut Judgement) -> Result<Result<(), Refusal>, Fault> {
        let path = judged.at().to_owned();
        let cuts = serde_json::to_vec(judged.cuts())
            .map_err(|_| Fault::Internal("the list of parts to leave out does not become JSON"))?;
        let old = durable::open(&path)?;
        let made = path.with_extension("made");
        let mut new = durable::create(&made, 0o644)?;
        let (size, sha256) = (judged.verdict().size, judged.verdict().sha256);
        let mut intact = true;
        let feed = |asks: &mut Sender<TimedPipe>| {
            asks.message(&ExaminerRequest::Rebuild { cuts: cuts.len() as u64, size })?;
            asks.bytes(&cuts)?;
            intact = copy_proven(old.take(size), asks.raw()?, sha256)?;
            if intact { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        };
        self.add_time(size, most(size));
        let answer = self.ask(feed, |answers, _| take_new(answers, most(size), &mut new, &made));
        if !intact {
            return Err(Fault::damaged(path.to_string_lossy(), CHANGED));
        }
        match answer {
            Ok((sha256, size)) => {
                judged.left(sha256, size);
                durable::settle(&made, &path)?;
            }
            Err(Error::Refused(refusal)) if refusal.reason == Reason::BundleTimeLimit => return Ok(Err(refusal)),
            // None can be made: then it is withheld for what it has.
            Err(Error::Refused(_)) => judged.withhold(),
            Err(Error::Fault(fault)) => return Err(fault),
        }
        Ok(Ok(()))
    }

    /// Sends a request, and takes the reply before the deadline.
    fn ask<T>(
        &mut self,
        feed: impl FnOnce(&mut Sender<TimedPipe>) -> io::Result<()> + Send,
        take: impl FnOnce(&mut Receiver<TimedPipe>, &mut dyn Keep) -> Told<T>,
    ) -> Result<T, Error> {
        // Put back only when it has answered: a question that was not answered to its end is the last.
        let RequestChannel { mut asks, mut answers } =
            self.channel.take().ok_or_else(|| channel::not_used_again(EXAMINER))?;
        // Both ways: one that has answered may still read what it is sent a byte at a time.
        let limit = self.deadline.saturating_duration_since(Instant::now());
        answers.pipe().set_deadline(limit);
        asks.raw().map_err(|e| broken(&e))?.set_deadline(limit);
        let examiners = Mutex::new(&mut *self.examiners);
        let end = || examiners.lock().unwrap_or_else(PoisonError::into_inner).end();
        let (taken, asks, answers) = thread::scope(|scope| {
            // The other way round the pipes would fill up, each end waiting for the other.
            let feeding = scope.spawn(|| {
                let sent = feed(&mut asks);
                if sent.is_err() {
                    // It waits for the rest, which does not come, and its answer would be waited for.
                    end();
                }
                sent.map(|()| asks)
            });
            let taken = take(&mut answers, self.keep);
            // An examiner that does not keep to its part ends here; what is sent to it finds nobody then who reads it,
            // and stops before there is another one.
            let answers = taken.is_ok().then_some(answers);
            if answers.is_none() {
                end();
            }
            let asked = feeding.join().map_err(|_| Fault::Internal("the thread that sends to the examiner stopped"));
            (taken, asked, answers)
        });
        let taken = taken?;
        let asks = asks?.map_err(|e| broken(&e))?;
        self.channel = answers.map(|answers| RequestChannel { asks, answers });
        taken
    }
}

/// Sends manifest and payload; false if the payload is no longer what was verified.
fn feed(asks: &mut Sender<TimedPipe>, spooled: &Spooled) -> io::Result<bool> {
    let manifest = &spooled.verified().envelope().document;
    asks.message(&ExaminerRequest::Unpack(manifest.len() as u64))?;
    asks.bytes(manifest)?;
    spooled.write_to(asks.raw()?)
}

/// Takes each artifact in the manifest's order: exactly its bytes, with exactly its digest. After a
/// refusal or a fault of ours the rest is taken in and dropped, so that the next answer is heard.
fn take(
    answers: &mut Receiver<TimedPipe>,
    artifacts: &[&Artifact],
    terms: InspectionTerms<'_>,
    keep: &mut dyn Keep,
    step: Step<'_>,
) -> Told<Vec<Judgement>> {
    let mut all = Vec::with_capacity(artifacts.len());
    let mut failed: Option<Error> = None;
    for artifact in artifacts {
        if failed.is_none() {
            failed = keep.begin(artifact).err().map(Error::from);
        }
        let (mut hasher, mut left, mut flaws, mut items) = (Hasher::new(), artifact.size, Vec::new(), 0);
        let mut finding = loop {
            match answers.frame().map_err(|e| broken(&e))? {
                Frame::Bytes(bytes) if bytes.len() as u64 <= left => {
                    if failed.is_none() {
                        hasher.update(bytes);
                        failed = keep.bytes(bytes).err().map(Error::from);
                    }
                    left -= bytes.len() as u64;
                    step(bytes.len() as u64);
                }
                Frame::Bytes(_) => return Err(misbehaves("sent more bytes than the file has")),
                Frame::Message(ExaminerReply::Items) => {
                    match answers.frame::<ExaminerReply>().map_err(|e| broken(&e))? {
                        Frame::Bytes(records) if records.len().is_multiple_of(RECORD) => {
                            items += (records.len() / RECORD) as u64;
                            if items > MOST {
                                return Err(misbehaves(&format!("sent more than {MOST} items for one file")));
                            }
                            if failed.is_none() {
                                failed = keep.items(records).err().map(Error::from);
                            }
                        }
                        _ => return Err(misbehaves("sent bytes that are not records of items")),
                    }
                }
                Frame::Message(ExaminerReply::Flaw(flaw)) if flaws.len() < MOST_IN_ALL => flaws.push(flaw),
                Frame::Message(ExaminerReply::Flaw(_)) => {
                    return Err(misbehaves(&format!("sent more than {MOST_IN_ALL} flaws of one file")));
                }
                Frame::Message(ExaminerReply::Found(finding)) if left == 0 => break finding,
                Frame::Message(ExaminerReply::Found(_)) => {
                    return Err(misbehaves(&format!("did not send the last {left} bytes of a file")));
                }
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
        finding.flaws = flaws;
        if !finding.is_plausible() {
            return Err(misbehaves("sent a finding that content of this kind cannot have"));
        }
        match finding.judge(artifact, terms) {
            Ok(mut judged) => match keep.end(ProvenContent::new(&mut judged)) {
                Ok(()) => all.push(judged),
                Err(fault) => failed = Some(fault.into()),
            },
            Err(refused) => failed = Some(refused.into()),
        }
    }
    match (answers.message().map_err(|e| broken(&e))?, failed) {
        (ExaminerReply::Done, None) => Ok(Ok(all)),
        (ExaminerReply::Done, Some(failed)) => Ok(Err(failed)),
        (answer, failed) => Ok(Err(failed.unwrap_or(unexpected(answer)?))),
    }
}

/// Takes what was made anew, of at most so many bytes, into `to` at `path`; gives its digest and length.
fn take_new(answers: &mut Receiver<TimedPipe>, most: u64, to: &mut File, path: &Path) -> Told<(Digest, u64)> {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    loop {
        match answers.frame().map_err(|e| broken(&e))? {
            Frame::Bytes(bytes) => {
                size += bytes.len() as u64;
                if size > most {
                    return Err(misbehaves(&format!("sent a new archive of more than {most} bytes")));
                }
                hasher.update(bytes);
                to.write_all(bytes).during("write", path)?;
            }
            Frame::Message(ExaminerReply::Done) => return Ok(Ok((hasher.finish(), size))),
            Frame::Message(answer) => return Ok(Err(unexpected(answer)?)),
        }
    }
}

fn broken(error: &io::Error) -> Fault {
    channel::broken(EXAMINER, error)
}

/// A refusal is one, whoever says so; anything else out of turn is not.
fn unexpected(answer: ExaminerReply) -> Result<Error, Fault> {
    match answer {
        ExaminerReply::Refused(reason, detail) => Ok(Error::refused(reason, printable(&detail))),
        ExaminerReply::Failed(what) => Err(misbehaves(&format!("failed: {}", printable(&what)))),
        ExaminerReply::Items | ExaminerReply::Flaw(_) | ExaminerReply::Found(_) | ExaminerReply::Done => {
            Err(misbehaves("sent a reply to another request"))
        }
    }
}

fn misbehaves(what: &str) -> Fault {
    channel::misbehaves(EXAMINER, what)
}
