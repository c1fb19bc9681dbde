//! A relay in a folder of its own, and its commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base::Digest;
use base::clock::now;
use serde_json::Value;
use tempfile::TempDir;

use super::bundle::{File, Key, comment, good};
use super::place::RELAY;

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

/// Result of a command.
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

    /// Signs a bundle that was made without a signature, as its custodian.
    pub(crate) fn sign(&self, folder: &Path, feed: &str, version: u64) {
        let manifest = fs::read(folder.join("manifest.json")).unwrap();
        let signature = self.custodian.sign(&manifest, &comment(feed, version));
        fs::write(folder.join("manifest.json.minisig"), signature).unwrap();
    }

    pub(crate) fn import(&self, path: &Path) -> Ran {
        self.relay(&["import", "--operator", "operator", "--json", path.to_str().unwrap()])
    }

    /// Has `key` sign the statement of `officer` on a release, and hands it in. Where none is printed, one that was
    /// made by hand is refused for the same reason.
    pub(crate) fn decide(&self, release: &str, officer: &str, key: &Key, decision: &str) -> Ran {
        let args = ["approve", release, "--officer", officer, "--reason", "test", "--decision", decision];
        let printed = self.relay(&args);
        let sign = |text: &str| key.sign(text.as_bytes(), "statement");
        if printed.code == Some(0) {
            return self.hand_in(release, &printed.out, &sign(&printed.out));
        }
        let text = self.statement(release, officer, decision);
        let ran = self.hand_in(release, &text, &sign(&text));
        same_refusal(&printed, &ran);
        ran
    }

    /// Statement as somebody makes it who does not ask the relay for it.
    pub(crate) fn statement(&self, release: &str, officer: &str, decision: &str) -> String {
        let shown = self.relay(&["show", release, "--json"]).expect(0).json();
        let digest = |name: &str| shown["release"][name].as_str().unwrap().to_owned();
        let (manifest, verdicts, none) = (digest("manifest"), digest("verdicts"), Digest::of(b""));
        let (issued, until) = (now(), now().plus(Duration::from_hours(24)));
        format!(
            "gaprelay-approval/2\nrelay test/import/1\nrelease {release}\nmanifest sha256:{manifest}\nverdicts \
             sha256:{verdicts}\nchanges sha256:{none}\ndecision {decision}\nofficer {officer}\nissued {issued}\nuntil \
             {until}\nreason test\n"
        )
    }

    /// Puts a text that was printed into a file, and the signature of `key` beside it, whose path it gives.
    pub(crate) fn sign_text(&self, text: &str, key: &Key) -> PathBuf {
        let signature = self.path("signed.txt.minisig");
        fs::write(self.path("signed.txt"), text).unwrap();
        fs::write(&signature, key.sign(text.as_bytes(), "x")).unwrap();
        signature
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

    /// Attempts in the access log.
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

/// Releases that a channel shows, as FEED/VERSION.
pub(crate) fn published(world: &World, channel: &str) -> Vec<String> {
    let status = world.relay(&["status", "--json"]).expect(0).json();
    let channel = status["channels"].as_array().unwrap().iter().find(|c| c["channel"] == channel).unwrap().clone();
    channel["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| format!("{}/{}", m["feed"].as_str().unwrap(), m["version"]))
        .collect()
}

/// Checks that a text was not printed for the same reason for which it does not count.
#[track_caller]
pub(crate) fn same_refusal(printed: &Ran, handed_in: &Ran) {
    let reason = handed_in.json()["refused"][0]["reason"].as_str().unwrap_or("taken").to_owned();
    let is_same = printed.code == Some(3) && printed.out.is_empty() && printed.err.contains(&format!("[{reason}]"));
    assert!(is_same, "{reason}: {}{}{}", printed.out, printed.err, handed_in.out);
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

/// Puts a copy of a file or folder, with its times and rights, in the place of another.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    run(Command::new("cp").arg("-a").arg(from).arg(to)).expect(0);
}
