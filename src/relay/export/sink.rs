//! Destination of the lines of an export, and the cursor that remembers the position in each log. Both are opened
//! before the process is confined: after that it can create, open or connect nothing.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use base::error::IoContext as _;
use base::{Digest, Fault, durable};

/// Destination of lines.
pub(crate) enum ExportSink {
    /// Standard output.
    Out,
    /// End of a file.
    File(File, PathBuf),
    /// Connected datagram socket; each line is a datagram.
    Datagrams(File, PathBuf),
}

impl ExportSink {
    /// Writes a line. Fault: the destination did not take it, or not all of it.
    pub(crate) fn put(&mut self, line: &str) -> Result<(), Fault> {
        match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes())
                    .and_then(|()| out.write_all(b"\n"))
                    .during("write to", Path::new("the standard output"))
            }
            Self::File(file, path) => file.write_all(format!("{line}\n").as_bytes()).during("append to", path),
            Self::Datagrams(socket, path) => match socket.write(line.as_bytes()) {
                Ok(sent) if sent == line.len() => Ok(()),
                Ok(_) => Err(io::Error::new(io::ErrorKind::WriteZero, "the socket took only a part of the line"))
                    .during("send a line to", path),
                Err(e) => Err(e).during("send a line to", path),
            },
        }
    }

    /// Makes the written lines survive a power cut, where this process can do that.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        match self {
            Self::Out => io::stdout().flush().during("write to", Path::new("the standard output")),
            Self::File(file, path) => file.sync_data().during("sync", path),
            Self::Datagrams(..) => Ok(()),
        }
    }
}

/// Length of a record of the cursor, in bytes.
const RECORD: usize = 512;

/// Cursor: the position of the export in each log. Two records in one file, written in turn, so that a power cut in the
/// middle of one leaves the other: after a power cut some lines are exported twice, and none is lost.
///
/// ```text
/// 17 demo/import/1=412 demo/access/1=96 <first 16 digits of the SHA-256 of the text before>
/// ```
pub(crate) struct Cursor {
    file: File,
    path: PathBuf,
    turn: u64,
    positions: Vec<(String, u64)>,
}

impl Cursor {
    /// Opens the cursor at `path`, or creates it. Fault: the file there is not a cursor.
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        if !path.exists() {
            durable::replace_output(path, b"")?;
        }
        let file = durable::open_again(path)?;
        let mut bytes = Vec::new();
        (&file).take(RECORD as u64 * 2 + 1).read_to_end(&mut bytes).during("read", path)?;
        let newest = bytes.chunks(RECORD).filter_map(read_record).max_by_key(|(turn, _)| *turn);
        match newest {
            Some((turn, positions)) => Ok(Self { file, path: path.to_owned(), turn, positions }),
            None if bytes.is_empty() => Ok(Self { file, path: path.to_owned(), turn: 0, positions: Vec::new() }),
            None => Err(Fault::damaged(
                path.to_string_lossy(),
                "the file is not the cursor of an export; give another path, or remove the file to export the logs from their first entry",
            )),
        }
    }

    /// Number of the entry of this log to export next; `None` if nothing of it was exported yet.
    pub(crate) fn position(&self, log: &str) -> Option<u64> {
        self.positions.iter().find(|(name, _)| name == log).map(|(_, next)| *next)
    }

    /// Saves these positions; those of other logs stay.
    pub(crate) fn save<'a>(&mut self, places: impl Iterator<Item = (&'a str, u64)>) -> Result<(), Fault> {
        let before = self.positions.clone();
        for (log, next) in places {
            self.positions.retain(|(name, _)| name != log);
            self.positions.push((log.to_owned(), next));
        }
        if self.positions == before {
            return Ok(());
        }
        self.turn += 1;
        let record = record(self.turn, &self.positions);
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
    let line = format!("{text}{}", checksum(&text));
    format!("{line:<width$}\n", width = RECORD - 1)
}

fn checksum(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string().chars().take(16).collect()
}

fn read_record(bytes: &[u8]) -> Option<(u64, Vec<(String, u64)>)> {
    let line = str::from_utf8(bytes).ok().filter(|line| line.len() == RECORD)?.trim_end();
    let (text, check) = line.split_at_checked(line.rfind(' ')? + 1)?;
    if checksum(text) != check {
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
    fn a_cut_at_any_byte_leaves_the_former_or_the_new_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let mut cursor = Cursor::open(&path).unwrap();
        assert_eq!(cursor.position("r/import/1"), None);
        for next in [7, 90, 1234] {
            cursor.save([("r/import/1", next), ("r/access/1", next + 1)].into_iter()).unwrap();
            assert_eq!(Cursor::open(&path).unwrap().position("r/import/1"), Some(next));
        }
        // The next record goes over the older of the two.
        let before = std::fs::read(&path).unwrap();
        cursor.save([("r/import/1", 99_999)].into_iter()).unwrap();
        let after = std::fs::read(&path).unwrap();
        for cut in 0..=RECORD {
            let mut torn = before.clone();
            torn[..cut].copy_from_slice(&after[..cut]);
            #[expect(clippy::disallowed_methods, reason = "a simulated power cut")]
            std::fs::write(&path, &torn).unwrap();
            let place = Cursor::open(&path).unwrap().position("r/import/1");
            assert!(matches!(place, Some(1234 | 99_999)), "{cut}: {place:?}");
            assert_eq!(place == Some(99_999), torn == after, "{cut}");
        }
        assert_eq!(Cursor::open(&path).unwrap().position("r/access/1"), Some(1235));
        #[expect(clippy::disallowed_methods, reason = "a file that is not a cursor")]
        std::fs::write(&path, "hello").unwrap();
        assert!(matches!(Cursor::open(&path), Err(Fault::Damaged { .. })));
    }
}
