//! The keeper's side of an examination: it feeds the examiner from the spool, and treats each answer
//! as hostile. It counts and hashes what it gets against the signed manifest, and decides itself:
//! the examiner only says what the bytes show.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;

use super::policy::Terms;
use super::verdict::{Decision, Verdict};
use super::{Keep, strip};
use crate::archive::rebuild::most;
use crate::cut::Cut;
use crate::examiner::{self, Answer, Ask};
use crate::flaw::MOST_IN_ALL;
use crate::item::{MOST, RECORD};
use base::digest::Hasher;
use base::error::IoContext as _;
use base::patient::Patient;
use base::quoted::printable;
use base::talk::{self, Talk};
use base::wire::{Frame, Receiver, Sender};
use base::{Digest, Error, Fault, Limits, Reason, durable, quoted};
use bundle::Artifact;
use media::{Spooled, Step};

/// Whom the faults are told of.
const EXAMINER: &str = "examiner";

/// An examiner, and what it is asked.
pub struct Examination {
    /// Nothing after a question that was not answered to its end: then it is not asked again.
    talk: Option<Talk>,
}

/// What a question led to. A refusal leaves the examiner ready for the next one; a fault does not.
type Told<T> = Result<Result<T, Error>, Fault>;

/// A verdict, and what is to be left out.
type Judged = (Verdict, Vec<Cut>);

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
    /// Refusals: `gzip-*`, `entry-*`, `archive-*`; what the policy refuses a release for.
    pub fn unpack(
        &mut self,
        spooled: &Spooled,
        terms: Terms<'_>,
        keep: &mut dyn Keep,
        step: Step<'_>,
    ) -> Result<Vec<Verdict>, Error> {
        let carried: Vec<&Artifact> = spooled.verified().manifest().carried().collect();
        let take = |answers: &mut _| take(answers, &carried, terms, keep, step);
        let judged = self.ask(|asks| feed(asks, spooled), take)?;
        judged.into_iter().map(|judged| self.look_again(judged, terms, keep)).collect()
    }

    /// Has one artifact of ours looked at, whose bytes are in `from` from its place on, and proves its digest.
    pub fn look(
        &mut self,
        artifact: &Artifact,
        from: &File,
        terms: Terms<'_>,
        keep: &mut dyn Keep,
    ) -> Result<Verdict, Error> {
        let judged = self.look_once(artifact, from, terms, keep)?;
        self.look_again(judged, terms, keep)
    }

    fn look_once(
        &mut self,
        artifact: &Artifact,
        from: &File,
        terms: Terms<'_>,
        keep: &mut dyn Keep,
    ) -> Result<Judged, Error> {
        let feed = |asks: &mut Sender<Patient>| {
            asks.message(&Ask::Look(artifact.clone()))?;
            asks.raw()?.write_file(from, artifact.size)
        };
        let take = |answers: &mut _| take(answers, &[artifact], terms, keep, &mut |_| {});
        let mut judged = self.ask(feed, take).map_err(|error| match error {
            Error::Refused(refusal) if refusal.reason == Reason::EntryDigest => {
                Fault::damaged(&artifact.path, "what is held of it does not have its digest").into()
            }
            error => error,
        })?;
        judged.pop().ok_or_else(|| Fault::Internal("an artifact without a verdict").into())
    }

    /// What was stripped is new bytes: they are looked at as if they had come in so, and must be clear.
    fn look_again(
        &mut self,
        (mut verdict, cuts): Judged,
        terms: Terms<'_>,
        keep: &mut dyn Keep,
    ) -> Result<Verdict, Error> {
        if verdict.stripped.is_none() {
            return Ok(verdict);
        }
        let path = keep.stripped(&verdict.path);
        if strip::is_rebuilt(&verdict) {
            self.rebuild(&mut verdict, &cuts, &path)?;
        }
        // None where no new archive could be made.
        let Some(artifact) = strip::become_of(&verdict) else { return Ok(verdict) };
        let file = File::open(&path).during("open", &path)?;
        let (again, _) = self.look_once(&artifact, &file, terms, keep)?;
        if again.decision == Decision::Cleared {
            verdict.md5 = again.md5;
        } else {
            // Nothing is left of it, say: then it is withheld for what it had, or for what is left.
            verdict.decision = Decision::Withheld;
            verdict.stripped = None;
            verdict.reason = verdict.reason.or(again.reason);
        }
        Ok(verdict)
    }

    /// Has the archive at `path` made anew there without what is to be left out, and fills in what it became.
    fn rebuild(&mut self, verdict: &mut Verdict, cuts: &[Cut], path: &Path) -> Result<(), Error> {
        let cuts = serde_json::to_vec(cuts).map_err(|_| Fault::Internal("cuts that are no JSON"))?;
        let old = File::open(path).during("open", path)?;
        let made = path.with_extension("made");
        let mut new = durable::create(&made, 0o644)?;
        let size = verdict.size;
        let feed = |asks: &mut Sender<Patient>| {
            asks.message(&Ask::Rebuild { cuts: cuts.len() as u64, size })?;
            asks.bytes(&cuts)?;
            asks.raw()?.write_file(&old, size)
        };
        match self.ask(feed, |answers| take_new(answers, most(size), &mut new, &made)) {
            Ok((sha256, size)) => {
                if let Some(stripped) = &mut verdict.stripped {
                    (stripped.sha256, stripped.size) = (sha256, size);
                }
                durable::settle(&made, path)?;
            }
            // None can be made: then it is withheld for what it has.
            Err(Error::Refused(_)) => (verdict.decision, verdict.stripped) = (Decision::Withheld, None),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Asks, and takes the answer.
    fn ask<T>(
        &mut self,
        feed: impl FnOnce(&mut Sender<Patient>) -> io::Result<()> + Send,
        take: impl FnOnce(&mut Receiver<Patient>) -> Told<T>,
    ) -> Result<T, Error> {
        // Put back only when it has answered: a question that was not answered to its end is the last.
        let Talk { mut asks, mut answers } = self.talk.take().ok_or_else(|| talk::given_up(EXAMINER))?;
        let (taken, asks, answers) = thread::scope(|scope| {
            // The other way round the pipes would fill up, each end waiting for the other.
            let feeding = scope.spawn(move || feed(&mut asks).map(|()| asks));
            let taken = take(&mut answers);
            // An examiner that does not keep to its part ends here: it finds nobody to talk to.
            let answers = taken.is_ok().then_some(answers);
            let asked = feeding.join().map_err(|_| Fault::Internal("feeding stopped"));
            (taken, asked, answers)
        });
        let taken = taken?;
        let asks = asks?.map_err(|e| broken(&e))?;
        self.talk = answers.map(|answers| Talk { asks, answers });
        taken
    }
}

fn feed(asks: &mut Sender<Patient>, spooled: &Spooled) -> io::Result<()> {
    let manifest = &spooled.verified().envelope().document;
    asks.message(&Ask::Unpack(manifest.len() as u64))?;
    asks.bytes(manifest)?;
    let mut payload = spooled.payload();
    payload.seek(SeekFrom::Start(0))?;
    asks.raw()?.write_file(payload, spooled.verified().manifest().payload.size)
}

/// Takes each artifact in the manifest's order: exactly its bytes, with exactly its digest. After a
/// refusal or a fault of ours the rest is taken in and dropped, so that the next answer is heard.
fn take(
    answers: &mut Receiver<Patient>,
    artifacts: &[&Artifact],
    terms: Terms<'_>,
    keep: &mut dyn Keep,
    step: Step<'_>,
) -> Told<Vec<Judged>> {
    let mut verdicts = Vec::with_capacity(artifacts.len());
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
                Frame::Bytes(_) => return Err(misbehaves("hands over more than the manifest lists")),
                Frame::Message(Answer::Items) => match answers.frame::<Answer>().map_err(|e| broken(&e))? {
                    Frame::Bytes(records) if records.len().is_multiple_of(RECORD) => {
                        items += (records.len() / RECORD) as u64;
                        if items > MOST {
                            return Err(misbehaves("hands over more items than there may be"));
                        }
                        if failed.is_none() {
                            failed = keep.items(records).err().map(Error::from);
                        }
                    }
                    _ => return Err(misbehaves("hands over what are no items")),
                },
                Frame::Message(Answer::Flaw(flaw)) if flaws.len() < MOST_IN_ALL => flaws.push(flaw),
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
        finding.flaws = flaws;
        if !finding.is_plausible() {
            return Err(misbehaves("found what cannot be"));
        }
        match finding.judge(artifact, terms) {
            Ok((mut verdict, cuts)) => match keep.end(&mut verdict, &cuts) {
                Ok(()) => verdicts.push((verdict, cuts)),
                Err(fault) => failed = Some(fault.into()),
            },
            Err(refused) => failed = Some(refused.into()),
        }
    }
    match (answers.message().map_err(|e| broken(&e))?, failed) {
        (Answer::Done, None) => Ok(Ok(verdicts)),
        (Answer::Done, Some(failed)) => Ok(Err(failed)),
        (answer, failed) => Ok(Err(failed.unwrap_or(unexpected(answer)?))),
    }
}

/// Takes what was made anew, of at most so many bytes, into `to` at `path`; gives its digest and length.
fn take_new(answers: &mut Receiver<Patient>, most: u64, to: &mut File, path: &Path) -> Told<(Digest, u64)> {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    loop {
        match answers.frame().map_err(|e| broken(&e))? {
            Frame::Bytes(bytes) => {
                size += bytes.len() as u64;
                if size > most {
                    return Err(misbehaves("hands over more than can be left"));
                }
                hasher.update(bytes);
                to.write_all(bytes).during("write", path)?;
            }
            Frame::Message(Answer::Done) => return Ok(Ok((hasher.finish(), size))),
            Frame::Message(answer) => return Ok(Err(unexpected(answer)?)),
        }
    }
}

fn broken(error: &io::Error) -> Fault {
    talk::broken(EXAMINER, error)
}

/// A refusal is one, whoever says so; anything else out of turn is not.
fn unexpected(answer: Answer) -> Result<Error, Fault> {
    match answer {
        Answer::Refused(reason, detail) => Ok(Error::refused(reason, printable(&detail))),
        Answer::Failed(what) => Err(misbehaves(&format!("failed: {}", printable(&what)))),
        Answer::Items | Answer::Flaw(_) | Answer::Found(_) | Answer::Done => {
            Err(misbehaves("answered what was not asked"))
        }
    }
}

fn misbehaves(what: &str) -> Fault {
    talk::misbehaves(EXAMINER, what)
}
