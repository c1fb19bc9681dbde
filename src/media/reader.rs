//! The reader: the one process that sees a medium. It says what it finds and hands over bytes; it
//! decides nothing, believes nothing, and can write nothing but its answers.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};

use serde::{Deserialize, Serialize};

use super::find::{BundleFolder, Document, MediumSurvey, find};
use super::open::{open, unreadable};
use base::ipc::wire::{LONGEST_BYTES, Receiver, Sender};
use base::quoted::quoted_os;
use base::{Limits, Reason, Refusal};
use bundle::signature;

/// Most unreadable folders named; the rest is counted.
const UNREADABLE: usize = 20;

/// Request of the keeper to the reader.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReaderRequest {
    /// Search the medium. Answer: a `MediumBundle` for each, then `Surveyed`.
    Survey,
    /// Document and signatures of the bundle of this number, counted from 0. Answer: for each file
    /// its name and its bytes, then `Done`.
    Envelope(u64),
    /// The payload of this bundle, which must have this length. Answer: its bytes, then `Done`.
    Payload(u64, u64),
    /// Search again. Answer: `Surveyed`, of which the tree counts.
    Again,
}

/// Reply of the reader; `Refused` may stand for any reply, or end it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReaderReply {
    /// Signed document of a bundle, and its folder, escaped; empty for the medium's root.
    Bundle(Document, String),
    /// The medium was searched.
    Surveyed {
        /// Files and folders that belong to no bundle.
        unrelated: u64,
        /// Folders that could not be listed, escaped, with the reason.
        unreadable: Vec<String>,
        /// Digest of the tree's names, lengths and times.
        tree: String,
    },
    /// The name of a file, whose bytes follow.
    File(String),
    /// End of the reply.
    Done,
    /// Refusal.
    Refused(Reason, String),
}

/// Answers until nobody asks any more. Errors: the pipes'.
pub fn run(root: &OwnedFd, limits: &Limits, asks: impl Read, answers: impl Write) -> io::Result<()> {
    let mut asks = Receiver::new(asks);
    let mut reader = ReaderOutput { root, limits, to: Sender::new(answers), bundles: Vec::new() };
    loop {
        let done = match asks.message() {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
            Ok(ReaderRequest::Survey) => reader.survey(),
            Ok(ReaderRequest::Envelope(number)) => reader.envelope(number),
            Ok(ReaderRequest::Payload(number, size)) => reader.payload(number, size),
            Ok(ReaderRequest::Again) => reader.again(),
        };
        match done {
            Ok(()) => {}
            Err(Stopped::Refused(Refusal { reason, detail })) => {
                reader.to.message(&ReaderReply::Refused(reason, detail))?;
            }
            Err(Stopped::Pipe(e)) => return Err(e),
        }
        reader.to.flush()?;
    }
}

/// Answers the first question with this refusal: the medium's root cannot be opened.
pub fn refuse(refusal: Refusal, asks: impl Read, answers: impl Write) -> io::Result<()> {
    let mut to = Sender::new(answers);
    Receiver::new(asks).message::<ReaderRequest>()?;
    to.message(&ReaderReply::Refused(refusal.reason, refusal.detail))?;
    to.flush()
}

/// Why an answer ended.
enum Stopped {
    Refused(Refusal),
    Pipe(io::Error),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

struct ReaderOutput<'a, W: Write> {
    root: &'a OwnedFd,
    limits: &'a Limits,
    to: Sender<W>,
    bundles: Vec<BundleFolder>,
}

impl<W: Write> ReaderOutput<'_, W> {
    fn survey(&mut self) -> Result<(), Stopped> {
        let survey = find(self.root.as_fd(), self.limits)?;
        for found in &survey.bundles {
            self.to.message(&ReaderReply::Bundle(found.document, quoted_os(&found.folder)))?;
        }
        self.surveyed(&survey)?;
        self.bundles = survey.bundles;
        Ok(())
    }

    fn again(&mut self) -> Result<(), Stopped> {
        let survey = find(self.root.as_fd(), self.limits)?;
        self.surveyed(&survey)
    }

    fn surveyed(&mut self, survey: &MediumSurvey) -> Result<(), Stopped> {
        let mut unreadable: Vec<String> = survey.unreadable.iter().take(UNREADABLE).cloned().collect();
        let more = survey.unreadable.len().saturating_sub(UNREADABLE);
        if more > 0 {
            unreadable.push(format!("and {more} more"));
        }
        let tree = survey.tree.map(|digest| digest.to_string()).unwrap_or_default();
        Ok(self.to.message(&ReaderReply::Surveyed { unrelated: survey.unrelated, unreadable, tree })?)
    }

    fn found(&self, number: u64) -> io::Result<BundleFolder> {
        let found = usize::try_from(number).ok().and_then(|number| self.bundles.get(number));
        found.cloned().ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// Document and signature files, each once and under its cap.
    fn envelope(&mut self, number: u64) -> Result<(), Stopped> {
        let found = self.found(number)?;
        let (name, (longest, too_long)) = (found.document.name(), found.document.limit(self.limits));
        if !self.small(&found, OsStr::new(name), longest, too_long)? {
            return Err(Refusal::new(Reason::MediumChanged, format!("{name} was on the medium and is gone")).into());
        }
        // One more than the limit is read, so that verify can say what is wrong; the rest stays unread.
        let most = usize::try_from(self.limits.signatures).unwrap_or(usize::MAX).saturating_add(1);
        for name in found.signatures.iter().take(most) {
            let longest = signature::longest(&name.to_string_lossy()) as u64;
            self.small(&found, name, longest, Reason::SignatureMalformed)?;
        }
        Ok(self.to.message(&ReaderReply::Done)?)
    }

    /// Hands over a file of at most `longest` bytes; `false` if there is none.
    fn small(&mut self, found: &BundleFolder, name: &OsStr, longest: u64, too_long: Reason) -> Result<bool, Stopped> {
        let Some((file, length)) = open(self.root.as_fd(), &found.folder, name)? else { return Ok(false) };
        let shown = quoted_os(name);
        let mut bytes = Vec::new();
        file.take(longest + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&shown, &e))?;
        if bytes.len() as u64 > longest {
            return Err(Refusal::new(too_long, format!("{shown} is longer than {longest} bytes")).into());
        }
        if bytes.len() as u64 != length {
            let detail = format!("{shown} had {length} bytes when it was opened, and gave {}", bytes.len());
            return Err(Refusal::new(Reason::MediumChanged, detail).into());
        }
        self.to.message(&ReaderReply::File(name.to_string_lossy().into_owned()))?;
        self.to.bytes(&bytes)?;
        Ok(true)
    }

    fn payload(&mut self, number: u64, size: u64) -> Result<(), Stopped> {
        let found = self.found(number)?;
        let (mut file, length) = open(self.root.as_fd(), &found.folder, OsStr::new("payload.tar.gz"))?
            .ok_or_else(|| Refusal::new(Reason::PayloadMissing, "the bundle's folder has no payload.tar.gz"))?;
        if length != size {
            let detail = format!("payload.tar.gz has {length} bytes, the manifest says {size}");
            return Err(Refusal::new(Reason::PayloadSize, detail).into());
        }
        self.copy(&mut file, size)?;
        Ok(self.to.message(&ReaderReply::Done)?)
    }

    /// Exactly `size` bytes, and one more attempt.
    fn copy(&mut self, file: &mut File, size: u64) -> Result<(), Stopped> {
        let shown = "payload.tar.gz";
        let mut buffer = vec![0; LONGEST_BYTES];
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(LONGEST_BYTES).min(LONGEST_BYTES);
            let piece = buffer.get_mut(..want).unwrap_or_default();
            let got = file.read(piece).map_err(|e| unreadable(shown, &e))?;
            if got == 0 {
                return Err(Refusal::new(
                    Reason::MediumChanged,
                    format!("{shown} had {size} bytes when it was opened, and ended {left} bytes early"),
                )
                .into());
            }
            self.to.bytes(piece.get(..got).unwrap_or_default())?;
            left -= got as u64;
        }
        if file.read(&mut [0]).map_err(|e| unreadable(shown, &e))? > 0 {
            return Err(Refusal::new(
                Reason::MediumChanged,
                format!("{shown} is longer than the {size} bytes that it had when it was opened"),
            )
            .into());
        }
        Ok(())
    }
}
