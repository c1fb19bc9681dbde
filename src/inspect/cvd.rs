//! ClamAV's database containers. Sources: the ClamAV manual, "Signatures" and "CVD"; `libclamav/cvd.c` and `dsig.c` for
//! the header and the signature. In scope: the header, the signature as a hint of who made it, the inner `.info` with
//! its list of files and digests, which files there are, and their items. The vendor signed it as a whole: its lines
//! are not judged one by one, and none can be left out. Out of scope: increments, which are [`crate::cdiff`]'s.
//!
//! ```text
//! header, 512 bytes: ClamAV-VDB:TIME:VERSION:SIGNATURES:LEVEL:MD5:SIGNATURE:BUILDER:SECONDS, filled up with blanks
//! a tar, in gzip or plain: COPYING, NAME.info, the databases
//! NAME.info: the header again; FILE:SIZE:SHA-256 for each database; DSIG:SIGNATURE
//! ```

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use md5::Digest as _;
use num_bigint::BigUint;
use serde::{Deserialize, Serialize};

use super::notes::Notes;
use super::tar::{End, Members, Noting, Tar, Zipped};
use super::{Inside, clamav, kind};
use base::digest::Hasher;
use base::{Digest, Reason, Timestamp};

/// Length of the header, in bytes.
const HEADER: usize = 512;
/// Longest `.info`, in bytes.
const LONGEST_INFO: usize = 1 << 20;

/// The vendor's public key (`dsig.c`): modulus and exponent, in decimal.
const MODULUS: &[u8] = b"118640995551645342603070001658453189751527774412027743746599405743243142607464144767361060640655844749760788890022283424922762488917565551002467771109669598189410434699034532232228621591089508178591428456220796841621637175567590476666928698770143328137383952820383197532047771780196576957695822641224262693037";
const EXPONENT: u32 = 100_001_027;

/// What a database says of itself in its header, which nobody but its vendor vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Its version.
    pub version: u64,
    /// How many signatures are in it.
    pub signatures: u64,
    /// The functionality level that an engine needs for all of it.
    pub level: u64,
    /// When it was built.
    pub built: Timestamp,
    /// Whether it has its vendor's signature: RSA of 1024 bits over MD5, so a hint of where it is from.
    pub is_vendor_signed: bool,
}

impl Database {
    /// From the header's fields.
    fn parse(header: &[&str], is_vendor_signed: bool) -> Option<Self> {
        let number = |at: usize| header.get(at).and_then(|text: &&str| text.parse().ok());
        let built = Timestamp::from_secs(number(8)?);
        Some(Self { version: number(2)?, signatures: number(3)?, level: number(4)?, built, is_vendor_signed })
    }

    /// In words.
    pub fn words(&self) -> String {
        let Self { version, signatures, level, built, is_vendor_signed } = self;
        let signed = if *is_vendor_signed { "has its vendor's signature" } else { "without its vendor's signature" };
        format!("database {version} of {built}, {signatures} signatures, functionality level {level}, {signed}")
    }
}

/// Follows a container.
pub struct Reading {
    header: Vec<u8>,
    md5: md5::Md5,
    body: Body,
}

enum Body {
    Unknown,
    Zipped(Box<Zipped<Contents>>),
    Plain(Box<Tar<Contents>>),
}

impl Default for Reading {
    fn default() -> Self {
        Self { header: Vec::new(), md5: md5::Md5::new(), body: Body::Unknown }
    }
}

/// The files in it, one at a time.
#[derive(Default)]
struct Contents {
    name: String,
    inside: Option<Inside>,
    hasher: Hasher,
    size: u64,
    info: Vec<u8>,
    /// Size and digest of each database.
    files: BTreeMap<String, (u64, Digest)>,
    notes: Notes,
}

impl Members for Contents {
    fn begin(&mut self, name: &str, _: u64) {
        name.clone_into(&mut self.name);
        self.hasher = Hasher::new();
        self.size = 0;
        self.notes.enter(Some(name));
        let extension = kind::extension(name);
        self.inside = clamav::kind_of(&extension).map(Inside::of);
        if extension == "cbc" {
            // Programs for the engine's interpreter.
            self.notes.flaw(Reason::RuleBytecode, 1, None);
        } else if !clamav::may_stand(name, &extension) {
            self.notes.flaw(Reason::ArchiveMember, 1, None);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if let Some(inside) = &mut self.inside {
            inside.take(bytes, &mut self.notes);
        }
        if kind::extension(&self.name) == "info" && self.info.len() + bytes.len() <= LONGEST_INFO {
            self.info.extend_from_slice(bytes);
        }
    }

    fn end(&mut self) {
        if let Some(inside) = self.inside.take() {
            inside.finish(&mut self.notes);
        }
        let digest = std::mem::take(&mut self.hasher).finish();
        if self.name != "COPYING" && kind::extension(&self.name) != "info" {
            self.files.insert(std::mem::take(&mut self.name), (self.size, digest));
        }
        self.notes.enter(None);
    }
}

impl Noting for Contents {
    fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }
}

impl Contents {
    /// That the `.info` is of this container, and lists its files.
    fn check(&self, header: &[&str]) -> Result<(), &'static str> {
        let text = str::from_utf8(&self.info).map_err(|_| "its .info is no text")?;
        let mut lines = text.lines();
        let first: Vec<&str> = lines.next().unwrap_or_default().trim_end().split(':').collect();
        // Its own digest and signature cannot be in it.
        let same = |at: &usize| first.get(*at) == header.get(*at);
        if first.len() != header.len() || ![0, 1, 2, 3, 4, 7, 8].iter().all(same) {
            return Err("its .info is of another database");
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
                        return Err("a file is not as its .info lists it");
                    }
                    listed += 1;
                }
                _ => return Err("its .info has a line of no known form"),
            }
        }
        if listed == self.files.len() { Ok(()) } else { Err("a file is not listed in its .info") }
    }
}

impl Reading {
    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8], notes: &mut Notes) {
        let room = HEADER - self.header.len();
        let (header, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.header.extend_from_slice(header);
        if rest.is_empty() {
            return;
        }
        self.md5.update(rest);
        if let Body::Unknown = self.body {
            self.body = if rest.starts_with(b"\x1f") {
                Body::Zipped(Box::new(Zipped::new(Contents::default(), End::Plain)))
            } else {
                Body::Plain(Box::new(Tar::new(Contents::default(), End::Plain)))
            };
        }
        match &mut self.body {
            Body::Unknown => {}
            Body::Zipped(zipped) => zipped.take(rest, notes),
            Body::Plain(tar) => {
                tar.take(rest);
                notes.absorb_items(&mut tar.members().notes);
            }
        }
    }

    /// What was found in all of it.
    pub fn finish(self, notes: &mut Notes) {
        let text = String::from_utf8_lossy(&self.header);
        let header: Vec<&str> = text.trim_end().split(':').collect();
        let md5: [u8; 16] = self.md5.finalize().into();
        let (contents, read) = match self.body {
            Body::Unknown => (None, Err("it is cut")),
            Body::Zipped(zipped) => zipped.finish(notes),
            Body::Plain(tar) => {
                let (contents, read) = tar.finish();
                (Some(contents), read)
            }
        };
        let told = read
            .and(if header.len() == 9 && Database::parse(&header, false).is_some() {
                Ok(())
            } else {
                Err("its header is of no known form")
            })
            .and_then(|()| {
                let same = header.get(5) == Some(&HEXLOWER.encode(&md5).as_str());
                if same { Ok(()) } else { Err("its bytes do not have the header's MD5") }
            })
            .and_then(|()| contents.as_ref().map_or(Ok(()), |contents| contents.check(&header)));
        if let Some(contents) = contents {
            // Lines are not judged; which files there are is.
            notes.absorb_of(contents.notes, &[Reason::RuleBytecode, Reason::ArchiveMember, Reason::InspectionLimit]);
        }
        if let Err(wrong) = told {
            notes.enter(Some(wrong));
            notes.flaw(Reason::ArchiveForm, 1, None);
            notes.enter(None);
        }
        notes.database = Database::parse(&header, is_signed(header.get(6).copied().unwrap_or_default(), md5));
    }
}

/// Whether this is the vendor's signature of an MD5: RSA without padding, its digits in base 64 with the least
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

impl Inside {
    /// What looks into a container.
    pub(super) fn cvd() -> Self {
        Self::Cvd(Box::default())
    }
}
