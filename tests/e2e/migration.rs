//! A state folder that the version before made: it is brought to the present format, in one step that may be cut
//! anywhere, and says what it said before.

use std::fs;
use std::path::Path;
use std::process::Command;

use minisign::{PublicKey, SecretKeyBox};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::*;

/// The state folder as the first format's last version left it, with the secret keys of its people: `feed/2` is shown,
/// `feed/3` was shown and withdrawn, `feed/4` refused, `two/1` held with one approval of two, `auto/1` shown.
struct Former {
    dir: TempDir,
}

impl Former {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/state-1.tar.gz");
        run(Command::new("tar").arg("xzf").arg(packed).arg("-C").arg(dir.path())).expect(0);
        Self { dir }
    }

    fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state-1/state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(RELAY);
        command.env("GAPRELAY_STATE", self.state()).args(args);
        command
    }

    fn relay(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// Has an officer decide on a release.
    fn decide(&self, release: &str, officer: &str, decision: &str) -> Ran {
        let args = ["approve", release, "--officer", officer, "--reason", "test", "--decision", decision];
        let printed = self.relay(&args);
        if printed.code != Some(0) {
            return printed;
        }
        let printed = printed.out;
        let signature = self.key(officer).sign(printed.as_bytes(), "x");
        let path = self.dir.path().join("statement.txt");
        fs::write(&path, &printed).unwrap();
        fs::write(path.with_extension("txt.minisig"), signature).unwrap();
        self.relay(&["approve", release, "--signature", path.with_extension("txt.minisig").to_str().unwrap()])
    }

    fn key(&self, name: &str) -> Key {
        let text = fs::read_to_string(self.dir.path().join(format!("state-1/{name}.key"))).unwrap();
        let secret = SecretKeyBox::from_string(&text).unwrap().into_unencrypted_secret_key().unwrap();
        Key { public: PublicKey::from_secret_key(&secret).unwrap(), secret }
    }

    fn import(&self, feed: &str, version: u64, files: &[File<'_>]) -> Ran {
        let folder = self.dir.path().join(format!("stick/{feed}-{version}"));
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        good(&folder, &self.key("custodian"), feed, version, files);
        self.relay(&["import", "--operator", "operator", "--json", folder.to_str().unwrap()])
    }

    /// Changes a JSON file of the state, as who can write there.
    fn edit(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.state().join(file);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
    }

    fn standing(&self, release: &str) -> Value {
        self.relay(&["show", release, "--json"]).expect(0).json()["standing"].clone()
    }

    fn standings(&self) -> String {
        let rows: Value = self.relay(&["releases", "--json"]).expect(0).json();
        let row = |row: &Value| {
            let (release, standing) = (&row["release"], &row["standing"]);
            let (feed, version) = (release["feed"].as_str().unwrap(), &release["version"]);
            format!("{feed}/{version} {} {} {}\n", standing["standing"], standing["approvals"], row["channels"])
        };
        rows.as_array().unwrap().iter().map(row).collect()
    }
}

const STANDINGS: &str = "auto/1 \"approved\" null [\"c\"]\nfeed/1 \"approved\" null []\nfeed/2 \"approved\" null [\"c\"]\n\
    feed/3 \"withdrawn\" null []\nfeed/4 \"refused\" null []\ntwo/1 \"held\" 1 []\n";

#[test]
fn a_state_of_the_former_format_is_brought_to_the_present_one() {
    let former = Former::new();
    // Nobody who only reads changes it, and each is told what to do.
    let before = tree(&former.state());
    for args in [&["status"][..], &["releases"], &["fsck"]] {
        let ran = former.relay(args);
        assert!(ran.code != Some(0) || args == ["status"], "{args:?}");
        let told = [&ran.out, &ran.err].iter().any(|text| text.contains("gaprelay settle"));
        assert!(told, "{args:?}: {}{}", ran.out, ran.err);
    }
    assert_eq!(tree(&former.state()), before);
    former.relay(&["settle"]).expect(0);
    former.relay(&["fsck"]).expect(0);
    former.relay(&["log", "verify"]).expect(0);
    assert_eq!(former.standings(), STANDINGS);
    assert!(!former.state().join("channels/c/current").exists());
    let server = Server::launch(&mut former.command(&["serve", "--listen", "127.0.0.1:0"]));
    assert!(server.get("/c/a.hdb", "").body.contains("Other"));
    // A statement that was taken in the former format counts, and the second one now joins it.
    let ran = former.decide("two/1", "officer", "approve").expect(3);
    assert!(ran.err.contains("already counts"), "{}", ran.err);
    // What its items are nobody proves, so that it takes as many officers as the feed ever asks for.
    former.decide("two/1", "second", "approve").expect(0);
    assert_eq!(former.standing("two/1"), json!({ "standing": "held", "approvals": 2, "needed": 3 }));
    let config = fs::read_to_string(former.state().join("config.toml")).unwrap();
    let config = config.replace("officers = 2", "officers = 2\nsuppress = { officers = 2 }");
    fs::write(former.state().join("config.toml"), config).unwrap();
    former.relay(&["settle"]).expect(0);
    until("two/1 is served", || server.get("/two/a.hdb", "").status == 200);
    // And it is the present format from now on.
    former.relay(&["settle"]).expect(0);
    former.relay(&["fsck"]).expect(0);
    let recorded = former.relay(&["log", "show", "--json"]).expect(0).out.matches("\"recorded\"").count();
    assert_eq!(recorded, 6);
}

/// What somebody changed in a state of the former format stops its migration, or has no effect.
#[test]
fn what_was_changed_before_the_migration_is_found() {
    for (file, stops) in [
        ("releases/feed/2/verdicts.json", true),
        ("releases/two/1/release.json", true),
        ("releases/feed/1/manifest.json", true),
        ("log/import/tile/entries/000.p/42", true),
        ("channels/c/current", false),
    ] {
        let former = Former::new();
        let path = former.state().join(file);
        let mut bytes = fs::read(&path).unwrap();
        let place = bytes.len() / 2;
        bytes[place] ^= 1;
        fs::write(&path, bytes).unwrap();
        let ran = former.relay(&["settle"]);
        assert_eq!(ran.code, Some(if stops { 4 } else { 0 }), "{file}: {}{}", ran.out, ran.err);
        if !stops {
            assert_eq!(former.standings(), STANDINGS, "{file}");
        }
    }
}

/// Whoever changes a release's record before the migration is found wherever the log or the signed manifest says
/// otherwise.
#[test]
fn a_release_that_was_changed_before_the_migration_is_found() {
    let rows: &[(&str, &dyn Fn(&mut Value))] = &[
        ("release.json", &|it| it["operator"] = json!({ "name": "nobody", "user": "nobody" })),
        ("release.json", &|it| it["imported"] = "2020-01-01T00:00:00Z".into()),
        ("release.json", &|it| it["publisher"] = "Trusted Vendor".into()),
        ("release.json", &|it| it["signers"][0]["name"] = "vendor".into()),
        ("release.json", &|it| it["counts"]["withheld"] = 7.into()),
        ("release.json", &|it| it["expires"] = "2098-01-01T00:00:00Z".into()),
        ("release.json", &|it| it["signatures"] = json!([])),
        ("pack.json", &|it| it[0]["offset"] = 1.into()),
        ("pack.json", &|it| *it = json!([])),
    ];
    for (number, (file, change)) in rows.iter().enumerate() {
        let former = Former::new();
        former.edit(&format!("releases/two/1/{file}"), change);
        let ran = former.relay(&["settle"]);
        assert_eq!(ran.code, Some(4), "{number}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("differs from what the import log has"), "{number}: {}", ran.err);
    }
}

/// What nobody can prove, a release's items and what follows from them, lets nothing pass without officers.
#[test]
fn what_nobody_can_prove_is_held() {
    let former = Former::new();
    // Nothing in it: whatever the next release takes away would not be a loss.
    fs::write(former.state().join("releases/auto/1/items"), b"").unwrap();
    fs::write(former.state().join("releases/auto/1/items.json"), b"[]").unwrap();
    former.edit("releases/two/1/release.json", |it| it["suppressions"] = 0.into());
    former.relay(&["settle"]).expect(0);
    assert_eq!(former.standing("two/1"), json!({ "standing": "held", "approvals": 1, "needed": 3 }));
    assert!(former.relay(&["show", "two/1"]).expect(0).err.contains("nothing proves the numbers of its rules"));
    // What was published stays so; what is compared with it is held, and what is compared with that is not.
    assert_eq!(former.standing("auto/1")["standing"], "approved");
    former.import("auto", 2, &[("b.txt", &digests(3), "sha256-list")]).expect(0);
    assert_eq!(former.standing("auto/2"), json!({ "standing": "held", "approvals": 0, "needed": 2 }));
    former.decide("auto/2", "officer", "approve").expect(0);
    former.decide("auto/2", "second", "approve").expect(0);
    former.import("auto", 3, &[("b.txt", &digests(4), "sha256-list")]).expect(0);
    assert_eq!(former.standing("auto/3")["standing"], "approved");
    former.relay(&["fsck"]).expect(0);
}

/// After a migration the relay trusts what its log tells, and nothing that only the former trust file says.
#[test]
fn nothing_of_a_former_trust_file_is_believed() {
    let made_up = "00".repeat(32);
    let waiver = json!({ "taken": "2026-11-26T17:52:42Z", "key": made_up, "text": "waive", "signature": "nobody's" });
    let rows: &[(&str, &dyn Fn(&mut Value))] = &[
        ("a directive", &|it| it["directives"] = json!([waiver])),
        ("an accepted version", &|it| it["feeds"]["auto"]["accepted"]["2"] = made_up.clone().into()),
        ("a feed", &|it| it["feeds"]["new"] = json!({ "highest": 7, "accepted": {} })),
        ("a highest version", &|it| it["feeds"]["two"]["highest"] = 1_000_000.into()),
        ("a head of the access log", &|it| it["anchored"]["size"] = 1_000_000.into()),
        ("a version that is void", &|it| it["feeds"]["two"]["void"] = json!([2])),
    ];
    for (what, change) in rows {
        let former = Former::new();
        former.edit("trust/trust.json", change);
        let ran = former.relay(&["settle"]);
        assert_eq!(ran.code, Some(4), "{what}: {}{}", ran.out, ran.err);
    }
    let former = Former::new();
    former.edit("trust/trust.json", |it| it["floor"] = "2098-01-01T00:00:00Z".into());
    former.relay(&["settle"]).expect(0);
    assert!(!fs::read_to_string(former.state().join("trust/trust.json")).unwrap().contains("2098"));
}

#[test]
fn a_migration_cut_anywhere_is_finished() {
    let first = Former::new();
    let library = shim(first.dir.path(), "cuts");
    let saved = first.dir.path().join("saved");
    copy(&first.state(), &saved);
    for at in 1.. {
        copy(&saved, &first.state());
        let mut command = first.command(&["settle"]);
        let cut = run(command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", "kill"));
        if cut.code == Some(0) {
            assert!(at > 30, "only {at} steps");
            break;
        }
        first.relay(&["settle"]).expect(0);
        first.relay(&["fsck"]).expect(0);
        assert_eq!(first.standings(), STANDINGS, "at {at}");
        let recorded = first.relay(&["log", "show", "--json"]).expect(0).out.matches("\"recorded\"").count();
        assert_eq!(recorded, 6, "at {at}");
    }
}

/// A version that does not know a state's format refuses it by that name, and changes nothing.
#[test]
fn a_state_of_a_later_format_is_refused_by_name() {
    let world = World::new();
    let path = world.state().join("trust/trust.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("gaprelay-trust/2", "gaprelay-trust/3")).unwrap();
    let before = world.stored();
    for args in [&["settle"][..], &["releases"], &["import", "--operator", "o", "."]] {
        let ran = world.relay(args).expect(4);
        assert!(ran.err.contains("gaprelay-trust/3") && ran.err.contains("gaprelay-trust/2"), "{}", ran.err);
    }
    assert_eq!(world.stored(), before);
}
