//! Makes the vectors: a good bundle, and one thing wrong with it.

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::super::support::*;

const FILES: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("b/c.rules", RULES, "suricata-rules")];

struct Keys {
    custodian: Key,
    second: Key,
    evaluator: Key,
    officer: Key,
    revoked: Key,
    expired: Key,
    early: Key,
    other_feed: Key,
    unknown: Key,
}

/// A bundle in the making; `write` signs whatever the manifest has become.
struct Draft<'a> {
    feed: &'static str,
    version: u64,
    manifest: Value,
    raw: Option<Vec<u8>>,
    payload: Vec<u8>,
    signers: Vec<&'a Key>,
    comment: Option<String>,
    after: Option<Box<dyn Fn(&Path)>>,
    limits: &'static str,
}

impl<'a> Draft<'a> {
    fn new(keys: &'a Keys) -> Self {
        Self::of(keys, "auto", 1, FILES)
    }

    fn of(keys: &'a Keys, feed: &'static str, version: u64, files: &[File<'_>]) -> Self {
        let payload = gzip(&tar(files));
        let manifest = manifest(feed, version, files, &payload);
        let signers = vec![&keys.custodian];
        Self { feed, version, manifest, raw: None, payload, signers, comment: None, after: None, limits: "" }
    }

    /// Replaces the payload; the manifest is signed over the new one.
    fn payload(mut self, payload: Vec<u8>) -> Self {
        self.manifest["payload"] = manifest(self.feed, self.version, &[], &payload)["payload"].clone();
        self.payload = payload;
        self
    }

    fn tar(self, edit: impl Fn(&mut Vec<u8>)) -> Self {
        let mut bytes = tar(FILES);
        edit(&mut bytes);
        self.payload(gzip(&bytes))
    }

    fn gz(self, edit: impl Fn(&mut Vec<u8>)) -> Self {
        let mut bytes = gzip(&tar(FILES));
        edit(&mut bytes);
        self.payload(bytes)
    }

    fn set(mut self, field: &str, value: Value) -> Self {
        self.manifest[field] = value;
        self
    }

    /// The manifest as text, with one piece replaced.
    fn text(mut self, from: &str, to: &str) -> Self {
        let text = serde_json::to_string(&self.manifest).unwrap();
        assert!(text.contains(from), "{from}");
        self.raw = Some(text.replacen(from, to, 1).into_bytes());
        self
    }

    fn path(self, path: &str) -> Self {
        self.paths(&[path])
    }

    /// Only the list is wrong: it is judged before the payload is read.
    fn paths(mut self, paths: &[&str]) -> Self {
        let one = self.manifest["artifacts"][0].clone();
        let mut paths = paths.to_vec();
        paths.sort_unstable();
        let list = paths.iter().map(|path| {
            let mut one = one.clone();
            one["path"] = json!(path);
            one
        });
        self.manifest["artifacts"] = list.collect();
        self
    }

    fn signed_by(mut self, signers: Vec<&'a Key>) -> Self {
        self.signers = signers;
        self
    }

    fn comment(mut self, comment: &str) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Changes the files after signing.
    fn after(mut self, edit: impl Fn(&Path) + 'static) -> Self {
        self.after = Some(Box::new(edit));
        self
    }

    /// Changes the signature file's text.
    fn signature(self, edit: impl Fn(String) -> String + 'static) -> Self {
        self.after(move |folder| {
            let path = folder.join("manifest.json.minisig");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, edit(text)).unwrap();
        })
    }

    fn limits(mut self, limits: &'static str) -> Self {
        self.limits = limits;
        self
    }

    fn write(&self, folder: &Path) {
        let bytes = self.raw.clone().unwrap_or_else(|| serde_json::to_vec(&self.manifest).unwrap());
        let comment = self.comment.clone().unwrap_or_else(|| comment(self.feed, self.version));
        let mut signatures = Vec::new();
        for (i, key) in self.signers.iter().enumerate() {
            let name = if i == 0 { "manifest.json.minisig".to_owned() } else { format!("manifest.json.{i}.minisig") };
            signatures.push((name, key.sign(&bytes, &comment)));
        }
        let signatures: Vec<_> = signatures.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
        write_bundle(folder, &bytes, &self.payload, &signatures);
        if let Some(after) = &self.after {
            after(folder);
        }
    }
}

fn keyring(keys: &Keys) -> String {
    let mut text = format!(
        "format = \"gaprelay-keyring/1\"\nversion = 1\n[root]\nthreshold = 1\nkeys = [\"{}\"]\n",
        Key::new().base64()
    );
    let mut add = |name: &str, key: &Key, role: &str, rest: &str| {
        let publisher = if role == "custodian" { "publisher = \"example\"\norigin = \"CH\"\n" } else { "" };
        text.push_str(&format!(
            "[[key]]\nname = \"{name}\"\nalgorithm = \"minisign-ed25519\"\npublic = \"{}\"\nrole = \"{role}\"\n{publisher}{rest}\n",
            key.base64()
        ));
    };
    let all = "feeds = [\"*\"]";
    add("custodian", &keys.custodian, "custodian", all);
    add("second", &keys.second, "custodian", all);
    add("evaluator", &keys.evaluator, "evaluator", all);
    add("officer", &keys.officer, "officer", all);
    add("revoked", &keys.revoked, "custodian", all);
    add("expired", &keys.expired, "custodian", "feeds = [\"*\"]\nnot_after = \"2026-01-02T00:00:00Z\"");
    add("early", &keys.early, "custodian", "feeds = [\"*\"]\nnot_before = \"2098-01-01T00:00:00Z\"");
    add("other", &keys.other_feed, "custodian", "feeds = [\"other-*\"]");
    text.push_str("[[threshold]]\nfeeds = [\"auto\", \"feed\"]\nrole = \"custodian\"\nsigners = 1\n");
    text.push_str("[[threshold]]\nfeeds = [\"two\"]\nrole = \"custodian\"\nsigners = 2\n");
    text.push_str(&format!(
        "[[revoked]]\npublic = \"{}\"\non = \"2026-01-02T00:00:00Z\"\nreason = \"stolen\"\n",
        keys.revoked.base64()
    ));
    text
}

/// A header with fields replaced and its checksum made right.
fn edited(path: &str, size: u64, edits: &[(usize, &[u8])]) -> [u8; 512] {
    let mut header = header(path, size);
    for (at, bytes) in edits {
        header.as_mut_bytes()[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    seal(&mut header);
    *header.as_bytes()
}

#[expect(clippy::large_types_passed_by_value, reason = "kept by the closure")]
fn put(at: usize, block: [u8; 512]) -> impl Fn(&mut Vec<u8>) {
    move |tar: &mut Vec<u8>| tar[at..at + 512].copy_from_slice(&block)
}

/// Inserts blocks in front of the first file.
fn insert(blocks: Vec<u8>) -> impl Fn(&mut Vec<u8>) {
    move |tar: &mut Vec<u8>| drop(tar.splice(0..0, blocks.clone()))
}

fn special(kind: u8) -> impl Fn(&mut Vec<u8>) {
    put(0, edited("a.hdb", 0, &[(156, &[kind]), (157, b"/etc/passwd")]))
}

/// Makes every vector.
pub(crate) fn all(folder: &Path) {
    let keys = Keys {
        custodian: Key::new(),
        second: Key::new(),
        evaluator: Key::new(),
        officer: Key::new(),
        revoked: Key::new(),
        expired: Key::new(),
        early: Key::new(),
        other_feed: Key::new(),
        unknown: Key::new(),
    };
    let keys = &keys;
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("keyring.toml"), keyring(keys)).unwrap();
    let config = "relay = \"vectors\"\n\
        [media]\nwritable = \"vectors are folders of the source\"\n\
        [[feed]]\nname = \"auto\"\nkinds = [\"clamav-hashes\", \"suricata-rules\"]\nclean_without_approval = true\n\
        [[feed]]\nname = \"two\"\nkinds = [\"clamav-hashes\", \"suricata-rules\"]\n\
        [[channel]]\nname = \"c\"\nfeeds = [\"auto\", \"two\"]\n";
    fs::write(folder.join("config.toml"), config).unwrap();
    Draft::new(keys).write(&folder.join("good/bundle"));
    let new = || Draft::new(keys);
    let vector = |name: &str, reason: &str, draft: Draft<'_>| {
        let folder = folder.join(name);
        draft.write(&folder.join("bundle"));
        fs::write(folder.join("expect"), format!("{reason}\n")).unwrap();
        if !draft.limits.is_empty() {
            fs::write(folder.join("limits.toml"), format!("[limits]\n{}\n", draft.limits)).unwrap();
        }
    };

    // Signature files.
    vector(
        "signature-missing",
        "signature-missing",
        new().after(|f| fs::remove_file(f.join("manifest.json.minisig")).unwrap()),
    );
    for (name, edit) in [
        ("signature-trailing-line", (|t| t + "more\n") as fn(String) -> String),
        ("signature-two-blocks", |t| format!("{t}{t}")),
        ("signature-crlf", |t| t.replace('\n', "\r\n")),
        ("signature-no-last-line-end", |t| t.trim_end().into()),
        ("signature-three-lines", |t| t.lines().take(3).map(|l| format!("{l}\n")).collect()),
        ("signature-empty", |_| String::new()),
        ("signature-control-character", |t| t.replacen("test", "te\x1b[31mst", 1)),
        ("signature-not-ascii", |t| t.replacen("test", "t\u{e9}st", 1)),
        ("signature-wrong-prefix", |t| t.replacen("untrusted", "Untrusted", 1)),
        ("signature-not-base64", |t| t.replacen("\nRU", "\n!U", 1)),
        ("signature-too-long", |t| t.replacen("test", &"x".repeat(1100), 1)),
        ("signature-unknown-algorithm", |t| t.replacen("\nRU", "\nRV", 1)),
        ("signature-short", |t| {
            let lines: Vec<&str> = t.lines().collect();
            let short = BASE64.encode(&BASE64.decode(lines[1].as_bytes()).unwrap()[..73]);
            format!("{}\n{short}\n{}\n{}\n", lines[0], lines[2], lines[3])
        }),
    ] {
        vector(name, "signature-malformed", new().signature(edit));
    }
    vector("signature-relabelled-legacy", "signature-legacy", new().signature(|t| t.replacen("\nRU", "\nRW", 1)));
    vector(
        "signature-flipped-bit",
        "signature-invalid",
        new().signature(|t| {
            let lines: Vec<&str> = t.lines().collect();
            let mut bytes = BASE64.decode(lines[1].as_bytes()).unwrap();
            bytes[40] ^= 1;
            format!("{}\n{}\n{}\n{}\n", lines[0], BASE64.encode(&bytes), lines[2], lines[3])
        }),
    );
    vector(
        "signature-swapped-comment",
        "signature-invalid",
        new().signature(|t| t.replacen("version=1", "version=2", 1)),
    );
    vector(
        "signature-over-other-bytes",
        "signature-invalid",
        new().after(|f| {
            let text = fs::read_to_string(f.join("manifest.json")).unwrap();
            fs::write(f.join("manifest.json"), text.replacen("\"test\"", "\"tesT\"", 1)).unwrap();
        }),
    );
    vector(
        "signature-foreign-approval",
        "signature-foreign-statement",
        new().comment("gaprelay-approval/1 release=auto/1"),
    );
    vector("signature-foreign-version", "signature-foreign-statement", new().comment(&comment("auto", 2)));
    vector("signature-foreign-feed", "signature-foreign-statement", new().comment(&comment("two", 1)));
    vector(
        "signature-foreign-default-comment",
        "signature-foreign-statement",
        new().comment("timestamp:1 file:manifest.json hashed"),
    );
    vector("signature-unknown-key", "signature-unknown-key", new().signed_by(vec![&keys.unknown]));
    vector("signature-too-many", "signature-too-many", new().signed_by(vec![&keys.custodian; 17]));
    vector("key-revoked", "key-revoked", new().signed_by(vec![&keys.revoked]));
    vector("key-revoked-beside-good", "key-revoked", new().signed_by(vec![&keys.custodian, &keys.revoked]));
    vector("key-expired", "key-expired", new().signed_by(vec![&keys.expired]));
    vector("key-not-yet-valid", "key-not-yet-valid", new().signed_by(vec![&keys.early]));
    vector("key-for-other-feed", "signature-threshold", new().signed_by(vec![&keys.other_feed]));
    vector("key-of-officer", "signature-threshold", new().signed_by(vec![&keys.officer]));
    vector("key-of-evaluator-alone", "signature-threshold", new().signed_by(vec![&keys.evaluator]));
    let two = || Draft::of(keys, "two", 1, FILES);
    vector("threshold-short", "signature-threshold", two());
    vector("threshold-one-key-twice", "signature-threshold", two().signed_by(vec![&keys.custodian, &keys.custodian]));
    vector(
        "threshold-filled-by-other-role",
        "signature-threshold",
        two().signed_by(vec![&keys.custodian, &keys.evaluator]),
    );
    vector(
        "threshold-filled-by-stranger",
        "signature-threshold",
        two().signed_by(vec![&keys.custodian, &keys.unknown]),
    );

    // The manifest's form.
    vector("manifest-not-json", "manifest-syntax", new().text("{", "<"));
    vector("manifest-trailing-bytes", "manifest-syntax", new().text("}]", "}]}{\"x\":["));
    vector("manifest-truncated", "manifest-syntax", new().text("\"version\":1}", ""));
    vector("manifest-wrong-type", "manifest-syntax", new().set("version", json!("1")));
    vector("manifest-negative-number", "manifest-syntax", new().set("version", json!(-1)));
    vector("manifest-fraction", "manifest-syntax", new().set("version", json!(1.5)));
    vector("manifest-huge-number", "manifest-syntax", new().text("\"version\":1", "\"version\":1e400"));
    vector("manifest-missing-field", "manifest-syntax", new().text("\"label\":\"test\",", ""));
    vector("manifest-null", "manifest-syntax", new().set("label", Value::Null));
    vector(
        "manifest-deep-nesting",
        "manifest-syntax",
        new().text("\"label\":\"test\"", &format!("\"label\":{}", "[".repeat(300))),
    );
    vector("manifest-not-utf8", "manifest-syntax", {
        let mut draft = new().text("\"test\"", "\"te?t\"");
        let raw = draft.raw.as_mut().unwrap();
        let at = raw.windows(4).position(|w| w == b"te?t").unwrap();
        raw[at + 2] = 0xff;
        draft
    });
    vector("manifest-bad-digest", "manifest-syntax", new().set("payload", json!({ "size": 1, "sha256": "00" })));
    vector("manifest-bad-date", "manifest-syntax", new().set("issued", json!("2026-02-30T00:00:00Z")));
    vector(
        "manifest-duplicate-key",
        "manifest-duplicate-key",
        new().text("\"label\":\"test\"", "\"label\":\"test\",\"label\":\"test\""),
    );
    vector(
        "manifest-duplicate-key-escaped",
        "manifest-duplicate-key",
        new().text("\"label\":\"test\"", "\"label\":\"test\",\"\\u006cabel\":\"x\""),
    );
    vector("manifest-duplicate-key-nested", "manifest-duplicate-key", new().text("\"kind\":", "\"size\":0,\"kind\":"));
    vector("manifest-unknown-field", "manifest-unknown-field", new().set("depends", json!([])));
    vector(
        "manifest-unknown-field-nested",
        "manifest-unknown-field",
        new().text("\"kind\":", "\"mode\":\"0755\",\"kind\":"),
    );
    vector("manifest-other-format", "manifest-format", new().set("format", json!("gaprelay-bundle/2")));
    vector("manifest-version-zero", "manifest-value", new().set("version", json!(0)));
    vector("manifest-version-too-high", "manifest-value", new().set("version", json!(1_u64 << 53)));
    vector("manifest-feed-with-path", "manifest-value", new().set("feed", json!("../auto")));
    vector("manifest-label-with-escape", "manifest-value", new().set("label", json!("\u{1b}[2J")));
    vector("manifest-origin-word", "manifest-value", new().set("origin", json!("Switzerland")));
    vector("manifest-no-artifacts", "manifest-value", new().set("artifacts", json!([])));
    vector("manifest-kind-with-path", "manifest-value", new().text("clamav-hashes", "../x"));
    vector("manifest-expires-before-issued", "manifest-dates", new().set("expires", json!("2025-01-01T00:00:00Z")));
    vector("manifest-too-large", "manifest-too-large", new().limits("manifest = \"300\""));
    vector("artifact-twice", "artifact-duplicate", new().paths(&["a.hdb", "a.hdb"]));
    vector("artifacts-unsorted", "artifacts-unsorted", {
        let mut draft = new();
        draft.manifest["artifacts"].as_array_mut().unwrap().reverse();
        draft
    });

    // Paths.
    for (name, reason, path) in [
        ("path-absolute", "path-escapes", "/etc/passwd"),
        ("path-dot-dot", "path-escapes", "a/../../x"),
        ("path-dot", "path-escapes", "./a"),
        ("path-empty", "path-escapes", ""),
        ("path-empty-part", "path-escapes", "a//b"),
        ("path-trailing-slash", "path-escapes", "a/"),
        ("path-backslash", "path-character", "a\\..\\b"),
        ("path-drive", "path-character", "C:x"),
        ("path-nul", "path-character", "a\0b"),
        ("path-control", "path-character", "a\x1b]0;x\x07"),
        ("path-line-feed", "path-character", "a\nb"),
        ("path-bidi", "path-character", "a\u{202e}fdp.yar"),
        ("path-zero-width", "path-character", "a\u{200b}b"),
        ("path-trailing-dot", "path-character", "a."),
        ("path-relay-own", "path-reserved", "-/health"),
        ("path-cld", "path-reserved", "main.cld"),
    ] {
        vector(name, reason, new().path(path));
    }
    vector("path-too-long", "path-too-long", new().path(&"a/".repeat(120)));
    vector("path-no-ustar", "path-too-long", new().path(&"a".repeat(150)));
    vector("path-too-deep", "path-too-deep", new().path(&format!("{}x", "a/".repeat(9))));
    vector("path-case-collision", "path-collision", new().paths(&["Daily.hdb", "daily.hdb"]));
    vector("path-nfc-collision", "path-collision", new().paths(&["e\u{301}", "\u{e9}"]));
    vector("path-full-width-collision", "path-collision", new().paths(&["\u{ff41}", "\u{ff21}"]));
    vector("path-file-and-folder", "path-file-and-folder", new().paths(&["a", "a-b", "a/c"]));

    // Feed, publisher, dates.
    vector("feed-unknown", "feed-unknown", Draft::of(keys, "feed", 1, FILES));
    vector("feed-without-threshold", "signature-threshold", Draft::of(keys, "other-feed", 1, FILES));
    vector("publisher-other", "publisher-mismatch", new().set("publisher", json!("other")));
    vector("origin-other", "origin-mismatch", new().set("origin", json!("US")));
    vector("bundle-expired", "bundle-expired", new().set("expires", json!("2026-01-02T00:00:00Z")));
    vector("bundle-future", "bundle-future", new().set("issued", json!("2098-01-01T00:00:00Z")));

    // The payload as a file.
    vector("payload-missing", "payload-missing", new().after(|f| fs::remove_file(f.join("payload.tar.gz")).unwrap()));
    let payload = |edit: fn(&mut Vec<u8>)| {
        new().after(move |folder| {
            let path = folder.join("payload.tar.gz");
            let mut bytes = fs::read(&path).unwrap();
            edit(&mut bytes);
            fs::write(&path, bytes).unwrap();
        })
    };
    vector("payload-truncated", "payload-size", payload(|b| b.truncate(b.len() - 1)));
    vector("payload-longer", "payload-size", payload(|b| b.push(0)));
    vector("payload-flipped-bit", "payload-digest", payload(|b| b[50] ^= 1));

    // gzip.
    vector("gzip-not-gzip", "gzip-malformed", new().payload(tar(FILES)));
    vector("gzip-empty", "gzip-malformed", new().payload(Vec::new()));
    vector("gzip-truncated", "gzip-malformed", new().gz(|b| b.truncate(b.len() - 12)));
    vector("gzip-no-trailer", "gzip-malformed", new().gz(|b| b.truncate(b.len() - 8)));
    vector("gzip-damaged-stream", "gzip-malformed", new().gz(|b| b[10..40].fill(0xff)));
    vector("gzip-second-member", "gzip-trailing", new().gz(|b| b.extend(gzip(b"hidden"))));
    vector("gzip-trailing-bytes", "gzip-trailing", new().gz(|b| b.extend(b"hidden")));
    vector("gzip-wrong-crc", "gzip-checksum", new().gz(|b| *b.iter_mut().rev().nth(7).unwrap() ^= 1));
    vector("gzip-wrong-size", "gzip-checksum", new().gz(|b| *b.last_mut().unwrap() ^= 1));
    vector(
        "gzip-name",
        "gzip-extra",
        new().gz(|b| {
            b[3] = 8;
            b.splice(10..10, *b"hidden\0");
        }),
    );
    vector("gzip-time", "gzip-extra", new().gz(|b| b[4] = 1));

    // tar.
    for (name, kind) in [
        ("hard-link", b'1'),
        ("symlink", b'2'),
        ("character-device", b'3'),
        ("block-device", b'4'),
        ("folder", b'5'),
        ("fifo", b'6'),
        ("contiguous", b'7'),
    ] {
        vector(&format!("tar-{name}"), "entry-type", new().tar(special(kind)));
    }
    for (name, kind) in
        [("pax", b'x'), ("pax-global", b'g'), ("gnu-long-name", b'L'), ("gnu-long-link", b'K'), ("gnu-sparse", b'S')]
    {
        vector(
            &format!("tar-{name}"),
            "entry-extension",
            new().tar(insert([edited("a.hdb", 512, &[(156, &[kind])]).as_slice(), &[0; 512]].concat())),
        );
    }
    vector("tar-bad-checksum", "entry-checksum", new().tar(|t| t[148] = b'7'));
    vector(
        "tar-mode",
        "entry-not-canonical",
        new().tar(put(0, edited("a.hdb", HASHES.len() as u64, &[(100, b"0004755")]))),
    );
    vector(
        "tar-owner",
        "entry-not-canonical",
        new().tar(put(0, edited("a.hdb", HASHES.len() as u64, &[(265, b"root")]))),
    );
    vector(
        "tar-time",
        "entry-not-canonical",
        new().tar(put(0, edited("a.hdb", HASHES.len() as u64, &[(136, b"00000000001")]))),
    );
    vector(
        "tar-hidden-in-header",
        "entry-not-canonical",
        new().tar(put(0, edited("a.hdb", HASHES.len() as u64, &[(502, b"hidden")]))),
    );
    vector(
        "tar-old-v7",
        "entry-not-canonical",
        new().tar(put(0, edited("a.hdb", HASHES.len() as u64, &[(257, &[0; 8])]))),
    );
    vector("tar-hidden-in-padding", "archive-hidden", new().tar(|t| t[1023] = 1));
    vector("tar-hidden-after-end", "archive-hidden", new().tar(|t| *t.last_mut().unwrap() = 1));
    vector("tar-hidden-second-archive", "archive-hidden", new().tar(|t| t.extend(tar(FILES))));
    vector("tar-extra-zeros", "archive-hidden", new().tar(|t| t.resize(t.len() + 10240, 0)));
    vector("tar-short-end", "archive-truncated", new().tar(|t| t.truncate(3072)));
    vector("tar-cut-in-file", "archive-truncated", new().tar(|t| t.truncate(530)));
    vector("tar-unlisted-first", "entry-unlisted", new().tar(insert(header("0.hdb", 0).as_bytes().to_vec())));
    vector(
        "tar-unlisted-last",
        "entry-unlisted",
        new().tar(|t| t[2048..2560].copy_from_slice(header("z.hdb", 0).as_bytes())),
    );
    vector(
        "tar-escaping-name",
        "entry-unlisted",
        new().tar(put(0, edited("a.hdb", HASHES.len() as u64, &[(0, b"../../x")]))),
    );
    vector(
        "tar-twice",
        "entry-order",
        new().tar(|t| {
            let first = t[..1024].to_vec();
            t.splice(1024..1024, first);
        }),
    );
    vector(
        "tar-out-of-order",
        "entry-missing",
        new().tar(|t| {
            let first: Vec<u8> = t.drain(..1024).collect();
            t.splice(1024..1024, first);
        }),
    );
    vector("tar-missing-file", "entry-missing", new().tar(|t| t[1024..2048].fill(0)));
    vector("tar-empty", "entry-missing", new().tar(|t| t.fill(0)));
    vector("tar-wrong-size", "entry-size", new().tar(put(0, edited("a.hdb", 1, &[]))));
    vector("tar-wrong-bytes", "entry-digest", new().tar(|t| t[512] ^= 1));

    // Bombs and limits.
    vector("bomb-unlisted-bytes", "archive-hidden", new().tar(|t| t.resize(64 << 20, 0)));
    vector("bomb-ratio", "ratio-limit", {
        let mut draft = new();
        draft.manifest["artifacts"][0]["size"] = json!(1 << 30);
        draft
    });
    vector("limit-artifact", "artifact-too-large", new().limits("artifact = \"10\""));
    vector("limit-artifact-ustar", "artifact-too-large", {
        let mut draft = new().limits("artifact = \"9 GiB\"");
        draft.manifest["artifacts"][0]["size"] = json!(1_u64 << 33);
        draft
    });
    vector("limit-unpacked", "unpacked-too-large", new().limits("unpacked = \"50\""));
    vector("limit-artifacts", "artifact-count-limit", new().limits("artifacts = 1"));
    vector("limit-payload", "payload-too-large", new().limits("payload = \"10\""));
    vector("limit-path", "path-too-long", new().limits("path = 5"));
    vector("limit-depth", "path-too-deep", new().limits("depth = 0"));
    vector(
        "limit-signatures",
        "signature-too-many",
        new().signed_by(vec![&keys.custodian, &keys.second]).limits("signatures = 1"),
    );

    // The past.
    vector("version-rollback", "version-rollback", new());
    Draft::of(keys, "auto", 2, FILES).write(&folder.join("version-rollback/before"));
    vector("version-equivocation", "version-equivocation", new().set("label", json!("other")));
    Draft::new(keys).write(&folder.join("version-equivocation/before"));
    vector("thin-without-blob", "blob-missing", {
        let mut draft = Draft::of(keys, "auto", 1, &FILES[1..]);
        let mut left_out = new().manifest["artifacts"][0].clone();
        left_out["carried"] = json!(false);
        draft.manifest["artifacts"].as_array_mut().unwrap().insert(0, left_out);
        draft
    });
}
