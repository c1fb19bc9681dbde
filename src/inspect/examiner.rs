//! The examiner: the one process that unpacks and looks inside. It gets a payload whose signatures
//! and digest hold, hands over what comes out of it, and says of each artifact what its bytes show.
//! It opens nothing, keeps nothing and decides nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::archive::rebuild::{most, rebuild};
use super::background::beside;
use super::budget::{BudgetReader, TimeBudget};
use super::cut::Cut;
use super::finding::Finding;
use super::flaw::Flaw;
use super::formats::inspect_within;
use base::ipc::wire::{Frame, Receiver, Sender};
use base::quoted::printable;
use base::{Error, Fault, Limits, Reason};
use bundle::payload::{self, PayloadSink};
use bundle::{Artifact, Manifest};

/// Request of the keeper to an examiner. The bytes to be inspected follow, outside of any frame, so that the kernel
/// can move them from the spool into the pipe.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ExaminerRequest {
    /// Unpack the payload of this manifest, which follows in frames of so many bytes together; then
    /// the payload. Answer: for each artifact its bytes and its `Found`; then `Done`.
    Unpack(u64),
    /// Look at this artifact, whose bytes follow. Answer: its bytes and its `Found`; then `Done`.
    Look(Artifact),
    /// Make an archive anew. A list of `Cut`s follows in frames of so many bytes together, then the archive. Answer:
    /// the new one's bytes; then `Done`, or `Refused` where none can be made.
    Rebuild {
        /// Bytes of the list.
        cuts: u64,
        /// Bytes of the archive.
        size: u64,
    },
}

/// Reply of an examiner; `Refused` and `Failed` may end any reply.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ExaminerReply {
    /// Records of items follow, in one frame of bytes.
    Items,
    /// Something in the artifact that may not pass.
    Flaw(Flaw),
    /// Finding about the artifact's bytes, beside its flaws.
    Found(Finding),
    /// End of the reply.
    Done,
    /// Refusal.
    Refused(Reason, String),
    /// We could not do our work.
    Failed(String),
}

/// Answers until nobody asks any more. Errors: the pipes'.
pub fn run(limits: &Limits, asks: impl Read + Send, answers: impl Write + Send) -> io::Result<()> {
    let mut asks = Receiver::new(asks);
    let mut to = Sender::new(answers);
    let mut budget = TimeBudget::new(limits);
    loop {
        match asks.message() {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
            Ok(ExaminerRequest::Unpack(length)) => {
                let manifest = frames(&mut asks, length)?;
                // The keeper has verified and read it before.
                let manifest = Manifest::parse(&manifest, limits).map_err(|_| ErrorKind::InvalidData)?;
                budget.add(length.saturating_add(manifest.payload.size));
                let mut payload = asks.raw().take(manifest.payload.size);
                let mut out = ReplyWriter::new(&mut to, budget);
                let unpacked = payload::unpack(&manifest, &mut payload, &mut out);
                // What a refused payload still has, so that the next question is read as one.
                io::copy(&mut payload, &mut io::sink())?;
                to.message(&ended(unpacked))?;
            }
            Ok(ExaminerRequest::Look(artifact)) => {
                budget.add(artifact.size);
                let mut bytes = asks.raw().take(artifact.size);
                let seen = ReplyWriter::new(&mut to, budget).artifact(&artifact, &mut bytes);
                io::copy(&mut bytes, &mut io::sink())?;
                to.message(&ended(seen))?;
            }
            Ok(ExaminerRequest::Rebuild { cuts, size }) => {
                let cuts: Vec<Cut> = serde_json::from_slice(&frames(&mut asks, cuts)?)?;
                let mut archive = asks.raw().take(size);
                budget.add(size);
                let made = rebuild(&mut archive, &cuts, Frames { to: &mut to, left: most(size), budget }).map(drop);
                io::copy(&mut archive, &mut io::sink())?;
                to.message(&match (made, budget.check()) {
                    (_, Err(refusal)) => ExaminerReply::Refused(refusal.reason, refusal.detail),
                    (Ok(()), Ok(())) => ExaminerReply::Done,
                    (Err(e), Ok(())) => ExaminerReply::Refused(Reason::InspectionLimit, e.to_string()),
                })?;
            }
        }
        to.flush()?;
    }
}

/// Last message of a reply.
fn ended(done: Result<(), Error>) -> ExaminerReply {
    match done {
        Ok(()) => ExaminerReply::Done,
        Err(Error::Refused(refusal)) => ExaminerReply::Refused(refusal.reason, refusal.detail),
        Err(Error::Fault(fault)) => ExaminerReply::Failed(fault.to_string()),
    }
}

/// Receives the next frames, of so many bytes together.
fn frames(asks: &mut Receiver<impl Read>, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        match asks.frame::<ExaminerRequest>()? {
            Frame::Bytes(piece) => bytes.extend_from_slice(piece),
            Frame::Message(_) => return Err(ErrorKind::InvalidData.into()),
        }
    }
    Ok(bytes)
}

/// Sends what is written, and no more than may be, in no more time than there is.
struct Frames<'a, W: Write> {
    to: &'a mut Sender<W>,
    left: u64,
    budget: TimeBudget,
}

impl<W: Write> Write for Frames<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(ErrorKind::FileTooLarge)?;
        if self.budget.is_used_up() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.to.bytes(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands over what comes out of the payload, and what it shows.
struct ReplyWriter<'a, W: Write> {
    /// Bytes go there from one thread, items from another: a frame, or a message and its frame, at a time.
    to: Mutex<&'a mut Sender<W>>,
    budget: TimeBudget,
}

impl<'a, W: Write> ReplyWriter<'a, W> {
    fn new(to: &'a mut Sender<W>, budget: TimeBudget) -> Self {
        Self { to: Mutex::new(to), budget }
    }

    fn send(&self, send: impl FnOnce(&mut Sender<W>) -> io::Result<()>) -> io::Result<()> {
        send(&mut self.to.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<W: Write + Send> PayloadSink for ReplyWriter<'_, W> {
    fn artifact(&mut self, artifact: &Artifact, bytes: &mut dyn Read) -> Result<(), Error> {
        let out = &*self;
        let mut tee = BudgetReader::new(Tee { from: bytes, out }, Some(self.budget));
        let found = beside(&mut tee, Some(artifact.size), |from| {
            let mut outcome = Ok(());
            let found = inspect_within(out.budget, &artifact.path, from, &mut |records| {
                let send = |to: &mut Sender<W>| {
                    to.message(&ExaminerReply::Items)?;
                    to.bytes(records)
                };
                if outcome.is_ok() && !records.is_empty() {
                    outcome = out.send(send);
                }
            })?;
            outcome.map(|()| found)
        });
        // Whatever was found until then: of a bundle that takes too long nothing counts.
        self.budget.check()?;
        let mut found = found.map_err(|e| gone(&e))?;
        let flaws = std::mem::take(&mut found.flaws);
        out.send(|to| {
            flaws.into_iter().try_for_each(|flaw| to.message(&ExaminerReply::Flaw(flaw)))?;
            to.message(&ExaminerReply::Found(found))
        })
        .map_err(|e| gone(&e).into())
    }
}

/// Hands over what is read.
struct Tee<'t, 'a, W: Write> {
    from: &'t mut dyn Read,
    out: &'t ReplyWriter<'a, W>,
}

impl<W: Write> Read for Tee<'_, '_, W> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(to)?;
        let bytes = to.get(..got).unwrap_or_default();
        self.out.send(|to| to.bytes(bytes))?;
        Ok(got)
    }
}

fn gone(error: &io::Error) -> Fault {
    Fault::Worker {
        role: "keeper",
        what: format!("cannot be reached over its pipe: {}", printable(&error.to_string())),
    }
}
