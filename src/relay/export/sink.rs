//! Where lines go, and the memory of how far they went. Both are open before the process that uses them is
//! confined: it can make, open or connect nothing.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use base::error::IoContext as _;
use base::{Digest, Fault, durable};

/// Where lines go.
pub enum Sink {
    /// To whoever reads our output.
    Out,
    /// To the end of a file.
    File(File, PathBuf),
    /// To a connected datagram socket, each line a datagram.
    Datagrams(File, PathBuf),
}

impl Sink {
    /// Puts a line there. Fault: it cannot be had, or not whole.
    pub fn put(&mut self, line: &str) -> Result<(), Fault> {
        match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes())
                    .and_then(|()| out.write_all(b"\n"))
                    .during("write to", Path::new("the output"))
            }
            Self::File(file, path) => file.write_all(format!("{line}\n").as_bytes()).during("append to", path),
            Self::Datagrams(socket, path) => match socket.write(line.as_bytes()) {
                Ok(sent) if sent == line.len() => Ok(()),
                Ok(_) => Err(io::Error::from(io::ErrorKind::WriteZero)).during("send a line to", path),
                Err(e) => Err(e).during("send a line to", path),
            },
        }
    }

    /// Puts what was written where it survives a cut, as far as it is ours to say.
    pub fn sync(&mut self) -> Result<(), Fault> {
        match self {
            Self::Out => io::stdout().flush().during("write to", Path::new("the output")),
            Self::File(file, path) => file.sync_data().during("sync", path),
            Self::Datagrams(..) => Ok(()),
        }
    }
}

/// Length of a record, in bytes.
const RECORD: usize = 512;

/// How far each log was told. Two records in one file, written by turns, so that a cut in the middle of one
/// leaves the other: after a cut some lines come twice, and none is lost.
///
/// ```text
/// 17 demo/import/1=412 demo/access/1=96 <first 16 digits of the SHA-256 of what stands before>
/// ```
pub struct Cursor {
    file: File,
    path: PathBuf,
    turn: u64,
    places: Vec<(String, u64)>,
}

impl Cursor {
    /// Opens the memory at `path`, or makes it. Fault: what lies there is none.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        if !path.exists() {
            durable::replace(path, b"")?;
        }
        let file = durable::open_again(path)?;
        let mut bytes = Vec::new();
        (&file).take(RECORD as u64 * 2 + 1).read_to_end(&mut bytes).during("read", path)?;
        let newest = bytes.chunks(RECORD).filter_map(read_record).max_by_key(|(turn, _)| *turn);
        match newest {
            Some((turn, places)) => Ok(Self { file, path: path.to_owned(), turn, places }),
            None if bytes.is_empty() => Ok(Self { file, path: path.to_owned(), turn: 0, places: Vec::new() }),
            None => Err(Fault::damaged(path.to_string_lossy(), "it is not the cursor of an export")),
        }
    }

    /// The number of the log's entry that comes next; `None` if nothing of it was told.
    pub fn of(&self, log: &str) -> Option<u64> {
        self.places.iter().find(|(name, _)| name == log).map(|(_, next)| *next)
    }

    /// Remembers these; of logs that are not among them, what it knew.
    pub fn save<'a>(&mut self, places: impl Iterator<Item = (&'a str, u64)>) -> Result<(), Fault> {
        let before = self.places.clone();
        for (log, next) in places {
            self.places.retain(|(name, _)| name != log);
            self.places.push((log.to_owned(), next));
        }
        if self.places == before {
            return Ok(());
        }
        self.turn += 1;
        let record = record(self.turn, &self.places);
        let at = if self.turn.is_multiple_of(2) { 0 } else { RECORD as u64 };
        self.file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.write_all(record.as_bytes()))
            .and_then(|()| self.file.sync_data())
            .during("write", &self.path)
    }
}

fn record(turn: u64, places: &[(String, u64)]) -> String {
    let places: Vec<String> = places.iter().map(|(log, next)| format!("{log}={next}")).collect();
    let text = format!("{turn} {} ", places.join(" "));
    let line = format!("{text}{}", word(&text));
    format!("{line:<width$}\n", width = RECORD - 1)
}

fn word(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string().chars().take(16).collect()
}

fn read_record(bytes: &[u8]) -> Option<(u64, Vec<(String, u64)>)> {
    let line = str::from_utf8(bytes).ok().filter(|line| line.len() == RECORD)?.trim_end();
    let (text, check) = line.split_at_checked(line.rfind(' ')? + 1)?;
    if word(text) != check {
        return None;
    }
    let mut parts = text.split_whitespace();
    let turn = parts.next()?.parse().ok()?;
    let places = parts.map(|part| {
        let (log, next) = part.rsplit_once('=')?;
        Some((log.to_owned(), next.parse().ok()?))
    });
    Some((turn, places.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_at_any_byte_leaves_the_former_or_the_new_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let mut cursor = Cursor::open(&path).unwrap();
        assert_eq!(cursor.of("r/import/1"), None);
        for next in [7, 90, 1234] {
            cursor.save([("r/import/1", next), ("r/access/1", next + 1)].into_iter()).unwrap();
            assert_eq!(Cursor::open(&path).unwrap().of("r/import/1"), Some(next));
        }
        // The next record goes over the older of the two.
        let before = std::fs::read(&path).unwrap();
        cursor.save([("r/import/1", 99_999)].into_iter()).unwrap();
        let after = std::fs::read(&path).unwrap();
        for cut in 0..=RECORD {
            let mut torn = before.clone();
            torn[..cut].copy_from_slice(&after[..cut]);
            #[expect(clippy::disallowed_methods, reason = "a cut, by hand")]
            std::fs::write(&path, &torn).unwrap();
            let place = Cursor::open(&path).unwrap().of("r/import/1");
            assert!(matches!(place, Some(1234 | 99_999)), "{cut}: {place:?}");
            assert_eq!(place == Some(99_999), torn == after, "{cut}");
        }
        assert_eq!(Cursor::open(&path).unwrap().of("r/access/1"), Some(1235));
        #[expect(clippy::disallowed_methods, reason = "a file of somebody else's")]
        std::fs::write(&path, "hello").unwrap();
        assert!(matches!(Cursor::open(&path), Err(Fault::Damaged { .. })));
    }
}
