//! ClamAV's database containers. Sources: the ClamAV manual, "Signatures" and "CVD"; `libclamav/cvd.c` and `dsig.c` for
//! the header and the signature. In scope: the header, the signature as a hint of who made it, the inner `.info` with
//! its list of files and digests, which files there are, and their items. The vendor signed it as a whole: its lines
//! are not judged one by one, and none can be left out. Out of scope: increments, which are [`super::cdiff`]'s.
//!
//! ```text
//! header, 512 bytes: ClamAV-VDB:TIME:VERSION:SIGNATURES:LEVEL:MD5:SIGNATURE:BUILDER:SECONDS, filled up with blanks
//! a tar, in gzip or plain: COPYING, NAME.info, the databases
//! NAME.info: the header again; FILE:SIZE:SHA-256 for each database; DSIG:SIGNATURE
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use data_encoding::HEXLOWER;
use md5::Digest as _;
use num_bigint::BigUint;

use super::seen::extension;
use super::{clamav, lines};
use crate::archive::inflate::Inflate;
use crate::archive::tar::{End, Tar};
use crate::archive::{Archive as _, Wrong};
use crate::background::beside;
use crate::budget::BudgetReader;
use crate::finding::DatabaseHeader;
use crate::flaw::FlawPart;
use crate::notes::Notes;
use crate::source::{ReadTap, drain, read_most};
use base::digest::Hasher;
use base::{Digest, Reason};

/// Length of the header, in bytes.
const HEADER: u64 = 512;
/// Longest `.info`, in bytes.
const LONGEST_INFO: usize = 1 << 20;

/// Reasons for which one is kept back: what its lines are, its vendor answers for.
const JUDGED: [Reason; 3] = [Reason::RuleBytecode, Reason::ArchiveMember, Reason::InspectionLimit];

/// The vendor's public key (`dsig.c`): modulus and exponent, in decimal.
const MODULUS: &[u8] = b"118640995551645342603070001658453189751527774412027743746599405743243142607464144767361060640655844749760788890022283424922762488917565551002467771109669598189410434699034532232228621591089508178591428456220796841621637175567590476666928698770143328137383952820383197532047771780196576957695822641224262693037";
const EXPONENT: u32 = 100_001_027;

/// Reads a container.
pub fn read(source: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<()> {
    let mut header = Vec::new();
    source.take(HEADER).read_to_end(&mut header)?;
    let text = String::from_utf8_lossy(&header);
    let header: Vec<&str> = text.trim_end().split(':').collect();
    let mut md5 = md5::Md5::new();
    let mut body = ReadTap::new(source, |bytes: &[u8]| md5.update(bytes));
    let mut contents = DatabaseContents::default();
    let (read, flaws) = notes.aside(|notes| contents.read(&mut body, notes));
    let read = read?;
    drain(&mut body)?;
    let md5: [u8; 16] = md5.finalize().into();
    // Lines are not judged; which files there are is.
    for flaw in flaws.into_iter().filter(|flaw| JUDGED.contains(&flaw.reason)) {
        notes.enter(flaw.member.as_deref());
        notes.flaw(flaw.reason, flaw.line, FlawPart::Whole);
    }
    notes.enter(None);
    if let Err(wrong) = read.and_then(|()| check(&header, md5)).and_then(|()| contents.check(&header)) {
        notes.form(wrong);
    }
    notes.database = DatabaseHeader::parse(&header, is_signed(header.get(6).copied().unwrap_or_default(), md5));
    Ok(())
}

/// Checks a container's header, of the bytes that have this MD5.
fn check(header: &[&str], md5: [u8; 16]) -> Result<(), Wrong> {
    if header.len() != 9 || DatabaseHeader::parse(header, false).is_none() {
        return Err("the header of the database is not of the documented form");
    }
    let same = header.get(5) == Some(&HEXLOWER.encode(&md5).as_str());
    if same { Ok(()) } else { Err("the bytes of the database do not have the MD5 that its header states") }
}

/// The files in it.
#[derive(Default)]
struct DatabaseContents {
    info: Vec<u8>,
    /// Size and digest of each database.
    files: BTreeMap<String, (u64, Digest)>,
}

impl DatabaseContents {
    fn read(&mut self, body: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<Result<(), Wrong>> {
        match body.fill_buf()?.first() {
            None => Ok(Err("the database is cut short: nothing follows its header")),
            Some(0x1f) => {
                let mut inflating = BudgetReader::new(Inflate::gzip(body), notes.budget());
                let tar = beside(&mut inflating, None, |unpacked| self.read_tar(unpacked, notes))?;
                Ok(inflating.into_inner().finish()?.and(tar))
            }
            Some(_) => self.read_tar(body, notes),
        }
    }

    fn read_tar(&mut self, unpacked: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<Result<(), Wrong>> {
        let mut tar = Tar::new(unpacked, End::Plain);
        while let Some(member) = tar.next_file()? {
            notes.enter(Some(&member.name));
            self.file(&mut tar, member.name, notes)?;
            notes.enter(None);
        }
        Ok(tar.finish())
    }

    fn file(&mut self, tar: &mut Tar<'_>, name: String, notes: &mut Notes<'_>) -> io::Result<()> {
        let extension = extension(&name);
        if extension == "cbc" {
            // Programs for the engine's interpreter.
            notes.flaw(Reason::RuleBytecode, 1, FlawPart::Whole);
        } else if !clamav::may_stand(&name, &extension) {
            notes.flaw(Reason::ArchiveMember, 1, FlawPart::Whole);
        }
        let (mut hasher, mut size) = (Hasher::new(), 0);
        let mut file = ReadTap::new(tar, |bytes: &[u8]| {
            hasher.update(bytes);
            size += bytes.len() as u64;
        });
        if let Some(kind) = clamav::kind_of(&extension) {
            lines::read(&mut file, &mut clamav::DatabaseLines::new(kind), notes)?;
        } else if extension == "info" {
            self.info.extend(read_most(&mut file, LONGEST_INFO)?);
        }
        drain(&mut file)?;
        if tar.close()? && name != "COPYING" && extension != "info" {
            self.files.insert(name, (size, hasher.finish()));
        }
        Ok(())
    }

    /// Checks that the `.info` is of this container, and lists its files.
    fn check(&self, header: &[&str]) -> Result<(), Wrong> {
        if self.info.is_empty() {
            return Err("the database holds no .info file, which lists its files");
        }
        let text = str::from_utf8(&self.info).map_err(|_| "the .info file in the database is not text")?;
        let mut lines = text.lines();
        let first: Vec<&str> = lines.next().unwrap_or_default().trim_end().split(':').collect();
        // Its own digest and signature cannot be in it.
        let same = |at: &usize| first.get(*at) == header.get(*at);
        if first.len() != header.len() || ![0, 1, 2, 3, 4, 7, 8].iter().all(same) {
            return Err("the .info file in the database is of another database");
        }
        let mut listed = 0;
        for line in lines {
            let fields: Vec<&str> = line.split(':').collect();
            match fields.as_slice() {
                ["DSIG", _] => {}
                [name, size, sha256] => {
                    let digest: Option<Digest> = sha256.parse().ok();
                    let file = digest.zip(size.parse().ok()).map(|(digest, size)| (size, digest));
                    if file.is_none() || self.files.get(*name).copied() != file {
                        return Err("a file that the .info file lists is missing, or has another size or digest");
                    }
                    listed += 1;
                }
                _ => return Err("the .info file has a line that is not FILE:SIZE:SHA-256"),
            }
        }
        if listed == self.files.len() {
            Ok(())
        } else {
            Err("the database holds a file that its .info file does not list")
        }
    }
}

/// True if this is the vendor's signature of an MD5: RSA without padding, its digits in base 64 with the least
/// significant first. A hint of who made it, no more: nothing in the relay rests on it.
fn is_signed(signature: &str, md5: [u8; 16]) -> bool {
    const DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
    if signature.len() > 512 {
        return false;
    }
    let mut number = BigUint::ZERO;
    for letter in signature.bytes().rev() {
        let Some(digit) = DIGITS.iter().position(|known| *known == letter) else { return false };
        number = (number << 6_u32) + BigUint::from(digit);
    }
    let Some(modulus) = BigUint::parse_bytes(MODULUS, 10) else { return false };
    number.modpow(&BigUint::from(EXPONENT), &modulus) == BigUint::from_bytes_be(&md5)
}
