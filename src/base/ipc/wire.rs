//! Frames over a pipe between two of our processes: each a typed message or bytes, each with a size limit. The receiver
//! treats every frame as hostile: one that is too long, of no known kind or not the message expected ends the exchange.
//!
//! ```text
//! 'M' length (u32, little endian, at most 64 KiB)   a message: JSON of one type
//! 'B' length (u32, little endian, at most 256 KiB)  bytes
//! ```

use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message, in bytes.
pub const LONGEST_MESSAGE: usize = 64 << 10;
/// Most bytes in one frame.
pub const LONGEST_BYTES: usize = 256 << 10;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a, M> {
    /// A message.
    Message(M),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// The sending end.
pub struct Sender<W: Write> {
    to: BufWriter<W>,
}

impl<W: Write> Sender<W> {
    /// Sends into `to`.
    pub fn new(to: W) -> Self {
        Self { to: BufWriter::with_capacity(32 << 10, to) }
    }

    /// A message.
    pub fn message<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        self.frame(b'M', &text, LONGEST_MESSAGE)
    }

    /// Bytes; more than a frame takes become several.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(LONGEST_BYTES).try_for_each(|piece| self.frame(b'B', piece, LONGEST_BYTES))
    }

    /// Hands over what is still held back.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Hands over what is still held back; what follows is no frame.
    pub fn raw(&mut self) -> io::Result<&mut W> {
        self.to.flush()?;
        Ok(self.to.get_mut())
    }

    fn frame(&mut self, kind: u8, body: &[u8], longest: usize) -> io::Result<()> {
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= longest).ok_or(ErrorKind::InvalidInput)?;
        self.to.write_all(&[kind])?;
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(body)
    }
}

/// The receiving end.
pub struct Receiver<R: Read> {
    from: BufReader<R>,
    body: Vec<u8>,
}

impl<R: Read> Receiver<R> {
    /// Receives from `from`.
    pub fn new(from: R) -> Self {
        Self { from: BufReader::with_capacity(32 << 10, from), body: Vec::new() }
    }

    /// The next frame. Errors: `UnexpectedEof` where the other end is gone; `InvalidData` for a frame
    /// that is none of ours.
    pub fn frame<M: DeserializeOwned>(&mut self) -> io::Result<Frame<'_, M>> {
        let mut head = [0; 5];
        self.from.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| ErrorKind::InvalidData)?;
        let longest = match kind {
            b'M' => LONGEST_MESSAGE,
            b'B' => LONGEST_BYTES,
            _ => return Err(ErrorKind::InvalidData.into()),
        };
        // No sender makes an empty frame of bytes: whoever took one would be no further, however many came.
        if length > longest || (kind == b'B' && length == 0) {
            return Err(ErrorKind::InvalidData.into());
        }
        self.body.resize(length, 0);
        self.from.read_exact(&mut self.body)?;
        if kind == b'B' {
            return Ok(Frame::Bytes(&self.body));
        }
        serde_json::from_slice(&self.body).map(Frame::Message).map_err(|_| ErrorKind::InvalidData.into())
    }

    /// The next message; bytes instead are `InvalidData`.
    pub fn message<M: DeserializeOwned>(&mut self) -> io::Result<M> {
        match self.frame()? {
            Frame::Message(message) => Ok(message),
            Frame::Bytes(_) => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Takes the bytes of the newest frame, and leaves `other` to be filled by the next one.
    pub fn exchange(&mut self, other: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.body, other)
    }

    /// The pipe itself.
    pub fn pipe(&mut self) -> &mut R {
        self.from.get_mut()
    }

    /// Bytes that follow and are not a frame.
    pub fn raw(&mut self) -> &mut impl Read {
        &mut self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_frame_is_refused() {
        let next = |bytes: &[u8]| Receiver::new(bytes).frame::<u64>().map(|_| ()).unwrap_err().kind();
        assert_eq!(next(b""), ErrorKind::UnexpectedEof);
        assert_eq!(next(b"M\x05\0\0\x00123"), ErrorKind::UnexpectedEof);
        assert_eq!(next(b"X\x01\0\0\x001"), ErrorKind::InvalidData);
        assert_eq!(next(b"M\x01\0\0\0x"), ErrorKind::InvalidData);
        assert_eq!(next(b"M\0\0\x02\0"), ErrorKind::InvalidData);
        assert_eq!(next(b"B\0\0\x05\0"), ErrorKind::InvalidData);
        let mut sent = Sender::new(Vec::new());
        sent.message(&7_u64).unwrap();
        sent.bytes(&vec![1; LONGEST_BYTES + 1]).unwrap();
        assert_eq!(sent.message(&"x".repeat(LONGEST_MESSAGE)).unwrap_err().kind(), ErrorKind::InvalidInput);
        let sent = sent.raw().unwrap().clone();
        let mut received = Receiver::new(sent.as_slice());
        assert_eq!(received.frame::<u64>().unwrap(), Frame::Message(7));
        assert!(matches!(received.frame::<u64>().unwrap(), Frame::Bytes(bytes) if bytes.len() == LONGEST_BYTES));
        assert_eq!(received.frame::<u64>().unwrap(), Frame::Bytes(&[1]));
        assert_eq!(received.frame::<u64>().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_frame_without_bytes_is_refused() {
        let mut sent = Vec::new();
        let mut sender = Sender::new(&mut sent);
        sender.bytes(b"").unwrap();
        sender.bytes(b"x").unwrap();
        sender.flush().unwrap();
        drop(sender);
        assert_eq!(sent, b"B\x01\0\0\0x", "no sender makes one");
        let mut receiver = Receiver::new(&b"B\0\0\0\0"[..]);
        assert_eq!(receiver.frame::<u8>().err().map(|e| e.kind()), Some(ErrorKind::InvalidData));
    }
}
