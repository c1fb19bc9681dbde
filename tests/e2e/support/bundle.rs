//! Bundles as their senders make them: keys, archives, manifests, signatures. The archives come from the `tar` crate
//! and not from the header code under test, so that the two check each other.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use base::Digest;
use flate2::{Compression, GzBuilder};
use minisign::{KeyPair, PublicKey, SecretKey};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

/// A key pair.
pub(crate) struct Key {
    pub(crate) public: PublicKey,
    pub(crate) secret: SecretKey,
}

impl Key {
    pub(crate) fn new() -> Self {
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        Self { public: pk, secret: sk }
    }

    pub(crate) fn base64(&self) -> String {
        self.public.to_base64()
    }

    pub(crate) fn sign(&self, bytes: &[u8], comment: &str) -> String {
        minisign::sign(None, &self.secret, bytes, Some(comment), Some("test")).unwrap().into_string()
    }
}

/// A file of a bundle: path, bytes, declared kind.
pub(crate) type File<'a> = (&'a str, &'a [u8], &'a str);

pub(crate) const HASHES: &[u8] = b"44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test\n";
pub(crate) const RULES: &[u8] = b"alert tcp any any -> any 4444 (msg:\"test\"; sid:1; rev:1;)\n";

/// A bundle's files where their content does not matter.
pub(crate) const ONE: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes")];
/// The same path with other bytes: the next release of it.
pub(crate) const OTHER: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02e:68:Other\n", "clamav-hashes")];

/// A list of so many SHA-256 digests, each in a line.
pub(crate) fn digests(count: u32) -> Vec<u8> {
    (0..count).flat_map(|i| format!("{}\n", Digest::of(&i.to_be_bytes())).into_bytes()).collect()
}

/// The ustar header of a file in the form that bundles have: mode 0644, owner and time zero, no names.
pub(crate) fn header(path: &str, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_path(path).unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(0);
    header.set_device_major(0).unwrap();
    header.set_device_minor(0).unwrap();
    seal(&mut header);
    header
}

/// Sets the checksum as GNU tar writes it: six digits, NUL, space. (The `tar` crate writes seven digits and NUL.)
pub(crate) fn seal(header: &mut Header) {
    header.set_cksum();
    let sum = header.cksum().unwrap();
    header.as_mut_bytes()[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// The canonical archive of these files.
pub(crate) fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (path, bytes, _) in files {
        archive.append(&header(path, bytes.len() as u64), *bytes).unwrap();
    }
    let mut out = archive.into_inner().unwrap();
    out.resize(out.len().next_multiple_of(10240), 0);
    out
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzBuilder::new().operating_system(3).write(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A container as the vendor makes them, unsigned.
pub(crate) fn cvd(files: &[(&str, &[u8])], change: impl Fn(String) -> String) -> Vec<u8> {
    use md5::Digest as _;
    let head = |md5: &str, signature: &str| {
        format!("ClamAV-VDB:01 Jan 2026 00-00 +0000:7:3:90:{md5}:{signature}:test:1767225600")
    };
    let mut info = format!("{}\n", head("X", "X"));
    for (name, bytes) in files {
        info += &format!("{name}:{}:{}\n", bytes.len(), Digest::of(bytes));
    }
    let info = change(info + "DSIG:x\n");
    let listed: Vec<File<'_>> = [("COPYING", &b"free\n"[..], ""), ("test.info", info.as_bytes(), "")]
        .into_iter()
        .chain(files.iter().map(|(name, bytes)| (*name, *bytes, "")))
        .collect();
    let body = gzip(&tar(&listed));
    let md5 = data_encoding::HEXLOWER.encode(&md5::Md5::digest(&body));
    let mut out = format!("{:<512}", head(&md5, "abc")).into_bytes();
    out.extend(body);
    out
}

/// A manifest that fits these files and this payload.
pub(crate) fn manifest(feed: &str, version: u64, files: &[File<'_>], payload: &[u8]) -> Value {
    let artifacts: Vec<Value> = files
        .iter()
        .map(|(path, bytes, kind)| json!({ "path": path, "size": bytes.len(), "sha256": Digest::of(bytes).to_string(), "kind": kind }))
        .collect();
    json!({
        "format": "gaprelay-bundle/1", "feed": feed, "version": version, "label": "test",
        "publisher": "example", "origin": "CH",
        "issued": "2026-01-01T00:00:00Z", "expires": "2099-01-01T00:00:00Z",
        "payload": { "size": payload.len(), "sha256": Digest::of(payload).to_string() },
        "artifacts": artifacts,
    })
}

pub(crate) fn comment(feed: &str, version: u64) -> String {
    format!("gaprelay-bundle/1 feed={feed} version={version}")
}

/// Writes a bundle's files into `folder`.
pub(crate) fn write_bundle(folder: &Path, manifest: &[u8], payload: &[u8], signatures: &[(&str, String)]) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("manifest.json"), manifest).unwrap();
    fs::write(folder.join("payload.tar.gz"), payload).unwrap();
    for (name, text) in signatures {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// A good bundle, signed by `key`.
pub(crate) fn good(folder: &Path, key: &Key, feed: &str, version: u64, files: &[File<'_>]) -> Vec<u8> {
    let payload = gzip(&tar(files));
    let manifest = serde_json::to_vec(&manifest(feed, version, files, &payload)).unwrap();
    let signature = key.sign(&manifest, &comment(feed, version));
    write_bundle(folder, &manifest, &payload, &[("manifest.json.minisig", signature)]);
    manifest
}
