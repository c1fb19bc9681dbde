//! The keeper's side of a medium: it asks the reader, and treats each answer as hostile. What it does
//! with bytes that nothing has verified yet is to count them, hash them and put them into the spool.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::find::Document;
use super::reader::{self, ReaderReply, ReaderRequest};
use base::digest::Hasher;
use base::error::IoContext as _;
use base::ipc::channel::{self, RequestChannel};
use base::ipc::timed_pipe::TimedPipe;
use base::ipc::wire::{Frame, Receiver};
use base::proven::copy_proven;
use base::quoted::{printable, quoted_os};
use base::{Digest, Error, Fault, Limits, Reason, Refusal, durable};
use bundle::{Envelope, Verified, signature};

/// Role that faults name.
const READER: &str = "reader";
/// Buffers in flight between receiving and hashing.
const IN_FLIGHT: usize = 4;

/// Bytes of work done, for a progress bar.
pub type Step<'a> = &'a mut dyn FnMut(u64);

/// A medium that was not searched yet: all it can be asked is what lies on it.
pub struct Medium {
    reader: ReaderProcess,
}

/// A medium that was searched. What is read of it is read of a bundle that was found; an [`Envelope`] and a [`Spooled`]
/// come off a medium in no other way. Made by [`Medium::survey`] alone.
pub struct Surveyed {
    reader: ReaderProcess,
    bundles: Vec<MediumBundle>,
    unrelated: u64,
    unreadable: Vec<String>,
    tree: String,
}

/// A bundle that was found on a medium. Made by [`Medium::survey`] alone.
#[derive(Clone, Debug)]
pub struct MediumBundle {
    number: u64,
    document: Document,
    folder: String,
}

impl MediumBundle {
    /// Document that its signatures are over.
    pub fn document(&self) -> Document {
        self.document
    }

    /// Folder, escaped; empty for the medium's root.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

/// The process that sees the medium.
struct ReaderProcess {
    /// Nothing once the reader did what it never should: then it is not asked again.
    channel: Option<RequestChannel>,
    limits: Limits,
}

/// A verified bundle whose payload lies in the spool with exactly the signed digest. The copy has no name: it is
/// reached by this value alone, and is gone with it. Made by [`Surveyed::payload`] alone.
pub struct Spooled {
    verified: Verified,
    file: File,
}

impl Spooled {
    /// The bundle's verified manifest.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// Verifies the manifest again by `verify`: keys and denials may have changed since. The payload stays the one that
    /// this manifest names.
    pub fn verified_again(self, verify: impl FnOnce(Envelope) -> Result<Verified, Refusal>) -> Result<Self, Refusal> {
        Ok(Self { verified: verify(self.verified.into_envelope())?, file: self.file })
    }

    /// Writes the payload, and hashes it again on the way: true if these were the signed bytes. Where the copy has
    /// fewer, nothing more is written than it has.
    pub fn write_to(&self, to: &mut impl io::Write) -> io::Result<bool> {
        let payload = &self.verified.manifest().payload;
        let mut file = &self.file;
        file.rewind()?;
        copy_proven(file.take(payload.size), to, payload.sha256)
    }
}

impl Medium {
    /// A medium whose reader takes questions from `asks` and answers into `answers`.
    pub fn new(asks: OwnedFd, answers: OwnedFd, limits: &Limits) -> Result<Self, Fault> {
        Ok(Self {
            reader: ReaderProcess { channel: Some(RequestChannel::new(asks, answers)?), limits: limits.clone() },
        })
    }

    /// A medium that this process reads itself.
    pub fn here(root: &Path, limits: &Limits) -> Result<Self, Error> {
        let opened = crate::open::open_root(root).map_err(|e| unlistable(root, &e))?;
        let theirs = limits.clone();
        let channel = RequestChannel::here(move |asks, answers| reader::run(&opened, &theirs, asks, answers))?;
        Ok(Self { reader: ReaderProcess { channel: Some(channel), limits: limits.clone() } })
    }

    /// Searches the medium. Refusals: `medium-entry-limit`, `medium-unreadable`.
    pub fn survey(mut self) -> Result<Surveyed, Error> {
        let most = self.reader.limits.medium_entries;
        let found = self.reader.ask(&ReaderRequest::Survey, |answers| hear_survey(answers, most))?;
        let BundleList { bundles, unrelated, unreadable, tree } = found;
        Ok(Surveyed { reader: self.reader, bundles, unrelated, unreadable, tree })
    }
}

impl ReaderProcess {
    /// Asks, and takes the answer by `hear`. A fault of the reader's is its last word.
    fn ask<T>(
        &mut self,
        ask: &ReaderRequest,
        hear: impl FnOnce(&mut Receiver<TimedPipe>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut channel = self.channel.take().ok_or_else(|| channel::not_used_again(READER))?;
        // A stick that fails retries for minutes, and a slow one reads a quarter of a megabyte a second; a reader that
        // was taken over must not keep the relay for ever.
        let bytes = if let ReaderRequest::Payload(_, size) = ask { *size } else { 0 };
        channel.answers.pipe().set_deadline(Duration::from_hours(1) + Duration::from_secs(bytes >> 18));
        let asked = channel.asks.message(ask).and_then(|()| channel.asks.flush());
        let heard = asked.map_err(|e| broken(&e).into()).and_then(|()| hear(&mut channel.answers));
        if !matches!(heard, Err(Error::Fault(Fault::Worker { .. }))) {
            self.channel = Some(channel);
        }
        heard
    }
}

impl Surveyed {
    /// The bundles, by folder.
    pub fn bundles(&self) -> &[MediumBundle] {
        &self.bundles
    }

    /// Number of files and folders that belong to no bundle.
    pub fn unrelated(&self) -> u64 {
        self.unrelated
    }

    /// Folders that could not be listed, escaped, with the reason.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// Document and signature files of a bundle, each under its cap.
    /// Refusals: `medium-*`, `manifest-too-large`, `keyring-too-large`, `signature-malformed`.
    pub fn envelope(&mut self, bundle: &MediumBundle) -> Result<Envelope, Error> {
        let limits = self.reader.limits.clone();
        self.reader
            .ask(&ReaderRequest::Envelope(bundle.number), |answers| hear_envelope(answers, bundle.document, &limits))
    }

    /// Takes the payload into the folder `spool` and proves its digest to be the signed one.
    /// Refusals: `payload-missing`, `payload-size`, `payload-digest`, `medium-*`.
    pub fn payload(
        &mut self,
        bundle: &MediumBundle,
        verified: Verified,
        spool: &Path,
        step: Step<'_>,
    ) -> Result<Spooled, Error> {
        let signed = verified.manifest().payload.clone();
        // From here on a failure drops `spooled`, and with it the copy.
        let spooled = Spooled { verified, file: durable::create_unnamed(spool)? };
        let ask = ReaderRequest::Payload(bundle.number, signed.size);
        let digest = self.reader.ask(&ask, |answers| receive(answers, &spooled.file, spool, signed.size, step))?;
        if digest != signed.sha256 {
            let detail = format!("payload.tar.gz has digest {digest}, the manifest says {}", signed.sha256);
            return Err(Error::refused(Reason::PayloadDigest, detail));
        }
        Ok(spooled)
    }

    /// Checks that the medium's tree, its names, lengths and times, is what it was at the survey.
    /// Refusals: `medium-*`, where it can no longer be searched.
    pub fn is_unchanged(&mut self) -> Result<bool, Error> {
        let now =
            self.reader.ask(&ReaderRequest::Again, |answers| match answers.message().map_err(|e| broken(&e))? {
                ReaderReply::Surveyed { tree, .. } => Ok(tree),
                answer => Err(unexpected(answer)),
            })?;
        Ok(self.tree == now)
    }
}

/// Content of the medium, as the reader reports it.
struct BundleList {
    bundles: Vec<MediumBundle>,
    unrelated: u64,
    unreadable: Vec<String>,
    tree: String,
}

fn hear_survey(answers: &mut Receiver<TimedPipe>, most: u64) -> Result<BundleList, Error> {
    let mut bundles = Vec::new();
    loop {
        match answers.message().map_err(|e| broken(&e))? {
            ReaderReply::Bundle(document, folder) if (bundles.len() as u64) < most => {
                bundles.push(MediumBundle { number: bundles.len() as u64, document, folder: printable(&folder) });
            }
            ReaderReply::Surveyed { unrelated, unreadable, tree } => {
                let unreadable = unreadable.iter().map(|text| printable(text)).collect();
                return Ok(BundleList { bundles, unrelated, unreadable, tree });
            }
            answer => return Err(unexpected(answer)),
        }
    }
}

fn hear_envelope(answers: &mut Receiver<TimedPipe>, document: Document, limits: &Limits) -> Result<Envelope, Error> {
    let longest = usize::try_from(document.limit(limits).0).unwrap_or(usize::MAX);
    let most = usize::try_from(limits.signatures).unwrap_or(usize::MAX).saturating_add(2);
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    loop {
        match answers.frame().map_err(|e| broken(&e))? {
            Frame::Message(ReaderReply::File(name)) if files.len() < most => files.push((name, Vec::new())),
            Frame::Bytes(bytes) => {
                let is_document = files.len() == 1;
                let cap = |name: &str| if is_document { longest } else { signature::longest(name) };
                match files.last_mut() {
                    Some((name, file)) if file.len() + bytes.len() <= cap(name) => file.extend_from_slice(bytes),
                    _ => return Err(misbehaves("sent more bytes than were asked for").into()),
                }
            }
            Frame::Message(ReaderReply::Done) => break,
            Frame::Message(answer) => return Err(unexpected(answer)),
        }
    }
    let mut files = files.into_iter();
    let (_, bytes) = files.next().ok_or_else(|| misbehaves("sent no document"))?;
    let signatures: Vec<_> = files.collect();
    let plain = |name: &str| name.len() <= 200 && name.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'/');
    let ours = |name: &str| document.is_signed_by(name.as_bytes());
    if !signatures.iter().all(|(name, _)| plain(name)) {
        let detail =
            "the name of a signature file has more than 200 characters, a space, or a character that is not ASCII";
        return Err(Error::refused(Reason::SignatureMalformed, detail));
    }
    let sorted = signatures.is_sorted_by(|(one, _), (other, _)| one < other);
    if !sorted || !signatures.iter().all(|(name, _)| ours(name)) {
        return Err(misbehaves("sent files that are not signatures").into());
    }
    Ok(Envelope { document: bytes, signatures })
}

/// Writes exactly `size` bytes, and hashes them on a second thread. After a fault of ours the rest
/// is taken in and dropped, so that the next answer is heard.
fn receive(
    answers: &mut Receiver<TimedPipe>,
    mut out: &File,
    spool: &Path,
    size: u64,
    step: Step<'_>,
) -> Result<Digest, Error> {
    let (full, to_hash) = sync_channel::<Vec<u8>>(IN_FLIGHT);
    let (empty, hashed) = sync_channel::<Vec<u8>>(IN_FLIGHT);
    thread::scope(|scope| {
        let hashing = scope.spawn(move || {
            let mut digest = Hasher::new();
            for buffer in to_hash {
                digest.update(&buffer);
                // The other end may be gone with an error; then nobody wants the buffer.
                let _ = empty.try_send(buffer);
            }
            digest.finish()
        });
        let mut left = size;
        let mut failed = None;
        loop {
            match answers.frame().map_err(|e| broken(&e))? {
                Frame::Bytes(bytes) if bytes.len() as u64 <= left => {
                    if failed.is_none() {
                        failed = out.write_all(bytes).during("write", spool).err();
                    }
                    left -= bytes.len() as u64;
                    step(bytes.len() as u64);
                }
                Frame::Bytes(_) => return Err(misbehaves("sent more bytes than were asked for").into()),
                Frame::Message(ReaderReply::Done) if left == 0 => break,
                Frame::Message(answer) => return Err(unexpected(answer)),
            }
            let received = answers.exchange(hashed.try_recv().unwrap_or_default());
            full.send(received).map_err(|_| Fault::Internal("hashing stopped"))?;
        }
        drop(full);
        let digest = hashing.join().map_err(|_| Fault::Internal("hashing stopped"))?;
        failed.map_or(Ok(digest), |fault| Err(fault.into()))
    })
}

/// Refusal of a medium whose root cannot be opened.
pub fn unlistable(path: &Path, error: &io::Error) -> Refusal {
    let name = quoted_os(path);
    let detail = match error.kind() {
        io::ErrorKind::NotFound => format!("there is no folder {name}: is the medium mounted?"),
        io::ErrorKind::NotADirectory => format!("{name} is not a folder"),
        io::ErrorKind::PermissionDenied => {
            format!("{name} may not be read by this account: mount the medium so that others may read it")
        }
        _ => format!("{name} cannot be listed: {}", printable(&error.to_string())),
    };
    Refusal::new(Reason::MediumUnreadable, detail)
}

fn broken(error: &io::Error) -> Fault {
    channel::broken(READER, error)
}

/// A refusal is one, whoever says so; anything else out of turn is not.
fn unexpected(answer: ReaderReply) -> Error {
    match answer {
        ReaderReply::Refused(reason, detail) => Error::refused(reason, printable(&detail)),
        _ => misbehaves("sent a reply to another request").into(),
    }
}

fn misbehaves(what: &str) -> Fault {
    channel::misbehaves(READER, what)
}
