//! Keys, bundles, a state in a folder of its own, and the commands.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base::Digest;
use bundle::payload::ustar;
use flate2::{Compression, GzBuilder};
use minisign::{KeyPair, PublicKey, SecretKey};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const RELAY: &str = env!("CARGO_BIN_EXE_gaprelay");
pub(crate) const PACK: &str = env!("CARGO_BIN_EXE_gaprelay-pack");

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

/// The canonical archive of these files.
pub(crate) fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, bytes, _) in files {
        out.extend_from_slice(&ustar::header(path, bytes.len() as u64).unwrap());
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize((out.len() + 1024).next_multiple_of(10240), 0);
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

pub(crate) const CONFIG: &str = r#"
relay = "test"
[media]
writable = "tests import from plain folders"
[serve]
listen = ["127.0.0.1:0"]
[[feed]]
name = "feed"
kinds = ["clamav-hashes", "clamav-cvd", "clamav-cdiff", "clamav-sign", "suricata-rules", "sha256-list"]
[[feed]]
name = "auto"
kinds = ["clamav-hashes", "suricata-rules", "sha256-list"]
clean_without_approval = true
[[feed]]
name = "two"
kinds = ["clamav-hashes"]
officers = 2
[[channel]]
name = "c"
feeds = ["feed", "auto"]
[[channel]]
name = "two"
feeds = ["two"]
"#;

/// A relay in a folder of its own, with its people's keys.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) root: Key,
    pub(crate) custodian: Key,
    pub(crate) evaluator: Key,
    pub(crate) officer: Key,
    pub(crate) second: Key,
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nstdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_config(CONFIG)
    }

    pub(crate) fn with_config(config: &str) -> Self {
        Self::with(config, "second")
    }

    /// A world whose second officer has this name.
    pub(crate) fn with(config: &str, second: &str) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            root: Key::new(),
            custodian: Key::new(),
            evaluator: Key::new(),
            officer: Key::new(),
            second: Key::new(),
        };
        let keyring = format!(
            r#"
format = "gaprelay-keyring/1"
version = 1
[root]
threshold = 1
keys = ["{root}"]
[[key]]
name = "custodian"
algorithm = "minisign-ed25519"
public = "{custodian}"
role = "custodian"
publisher = "example"
origin = "CH"
feeds = ["*"]
[[key]]
name = "evaluator"
algorithm = "minisign-ed25519"
public = "{evaluator}"
role = "evaluator"
feeds = ["*"]
[[key]]
name = "officer"
algorithm = "minisign-ed25519"
public = "{officer}"
role = "officer"
feeds = ["*"]
[[key]]
name = "{second}"
algorithm = "minisign-ed25519"
public = "{second_key}"
role = "officer"
feeds = ["*"]
[[threshold]]
feeds = ["*"]
role = "custodian"
signers = 1
"#,
            root = world.root.base64(),
            custodian = world.custodian.base64(),
            evaluator = world.evaluator.base64(),
            officer = world.officer.base64(),
            second_key = world.second.base64(),
        );
        world.init(config, &keyring);
        world
    }

    fn init(&self, config: &str, keyring: &str) {
        fs::write(self.path("keyring.toml"), keyring).unwrap();
        fs::write(self.path("config.toml"), config).unwrap();
        fs::create_dir(self.path("stick")).unwrap();
        let (ring, config) = (self.path("keyring.toml"), self.path("config.toml"));
        self.relay(&["init", "--keyring", ring.to_str().unwrap(), "--config", config.to_str().unwrap()]).expect(0);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(RELAY);
        command.env("GAPRELAY_STATE", self.state()).args(args);
        command
    }

    pub(crate) fn relay(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// A good bundle on the stick.
    pub(crate) fn bundle(&self, feed: &str, version: u64, files: &[File<'_>]) -> PathBuf {
        let folder = self.path("stick").join(format!("{feed}-{version}"));
        good(&folder, &self.custodian, feed, version, files);
        folder
    }

    pub(crate) fn import(&self, path: &Path) -> Ran {
        self.relay(&["import", "--operator", "operator", "--json", path.to_str().unwrap()])
    }

    /// Has `key` sign the statement of `officer` on a release, and hands it in.
    pub(crate) fn decide(&self, release: &str, officer: &str, key: &Key, decision: &str) -> Ran {
        let printed = self
            .relay(&["approve", release, "--officer", officer, "--reason", "test", "--decision", decision])
            .expect(0);
        self.hand_in(release, &printed.out, &key.sign(printed.out.as_bytes(), "statement"))
    }

    pub(crate) fn hand_in(&self, release: &str, statement: &str, signature: &str) -> Ran {
        let path = self.path("statement.txt");
        fs::write(&path, statement).unwrap();
        fs::write(self.path("statement.txt.minisig"), signature).unwrap();
        let signature = self.path("statement.txt.minisig");
        self.relay(&["approve", release, "--json", "--signature", signature.to_str().unwrap()])
    }

    /// Imports and approves a release of `feed`.
    pub(crate) fn publish(&self, feed: &str, version: u64, files: &[File<'_>]) {
        let folder = self.bundle(feed, version, files);
        self.import(&folder).expect(0);
        self.decide(&format!("{feed}/{version}"), "officer", &self.officer, "approve").expect(0);
    }

    /// The log's entries, without time.
    pub(crate) fn log(&self, log: &str) -> Vec<Value> {
        let shown = self.relay(&["log", "show", "--log", log, "--json"]).expect(0);
        shown.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"]["event"].clone()).collect()
    }

    /// What somebody attempted, from the access log.
    pub(crate) fn attempts(&self) -> Vec<Value> {
        self.log("access").into_iter().filter(|event| event["type"] == "attempt").collect()
    }

    /// Everything that is stored or published: paths and digests, without logs and spool.
    pub(crate) fn stored(&self) -> BTreeMap<String, String> {
        ["releases", "blobs", "channels", "trust", "keyring", "inbox"]
            .iter()
            .flat_map(|part| tree(&self.state().join(part)))
            .collect()
    }

    pub(crate) fn fsck(&self) {
        self.relay(&["fsck"]).expect(0);
    }
}

/// Every file below a folder with its digest, and its times: what writing to a medium would change.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, String> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let digest = if meta.is_file() { Digest::of(&fs::read(&path).unwrap()).to_string() } else { String::new() };
            found.insert(
                path.to_string_lossy().into_owned(),
                format!("{:o} {} {digest}", meta.mode(), meta.mtime_nsec()),
            );
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// Builds `tests/e2e/NAME.c`, a library to be loaded with `LD_PRELOAD`; a machine that builds Rust has
/// a C compiler, since it links with it.
pub(crate) fn shim(dir: &Path, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/e2e/{name}.c"));
    let library = dir.join(format!("{name}.so"));
    run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl")).expect(0);
    library
}

/// The Python of the clients that Debian has no packages of, if it has this module.
pub(crate) fn python_with(module: &str) -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python3");
    let there = python.exists() && run(Command::new(&python).args(["-c", &format!("import {module}")])).code == Some(0);
    if !there {
        println!("SKIPPED: {module} is not in target/clients");
    }
    there.then_some(python)
}

/// Whether a program is there; a test that needs it says plainly that it was skipped.
pub(crate) fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|paths| {
        std::env::split_paths(&paths).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).is_file())
    });
    if !found {
        assert!(std::env::var_os("GAPRELAY_ALL_CLIENTS").is_none(), "{program} must be here");
        println!("SKIPPED: {program} is not here");
    }
    found
}
