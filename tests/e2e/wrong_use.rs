//! Wrong uses of `gaprelay-pack`: each is named by its cause, with a next step of its own, and no key is ever repeated.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::*;

/// The packer about to make a keyring with this root, and a custodian's key with these fields.
fn keyring(root: &Path, fields: &str) -> Command {
    let mut command = pack();
    command.args(["keyring", "new", "--root"]).arg(root).args(["--key", fields]);
    command.args(["--require", "role=custodian,signers=1", "--out"]).arg(root.with_file_name("ring.toml"));
    command
}

/// Checks that it was refused as wrong use, with these words and this next step.
fn wrong(command: &mut Command, words: &[&str], next: &str) -> String {
    let ran = run(command);
    assert!(matches!(ran.code, Some(2 | 3)), "{:?} {}", ran.code, ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
    let (_, step) = ran.err.split_once("  next: ").expect(&ran.err);
    assert!(step.contains(next), "{next}: {step}");
    ran.err
}

#[test]
fn each_cause_has_its_own_words_and_step() {
    let world = World::new();
    let key = Key::new();
    let (root, secret, folder) = (world.path("root.pub"), world.path("root.key"), world.path("vendor"));
    fs::write(&root, format!("untrusted comment: x\n{}\n", key.base64())).unwrap();
    fs::write(&secret, key.secret.to_box(None).unwrap().to_string()).unwrap();
    let other = world.path("other.pub");
    fs::write(&other, format!("untrusted comment: x\n{}\n", Key::new().base64())).unwrap();
    let public = other.display().to_string();
    // Publisher and origin, each by its own fault.
    let text = format!("name=c,role=custodian,public={public},publisher=CERT,origin=Switzerland");
    let words = ["publisher \"CERT\": 1 to 64 of a-z", "origin \"Switzerland\": two capital letters, such as CH"];
    wrong(&mut keyring(&root, &text), &words, "");
    wrong(
        &mut keyring(&root, &format!("name=c,role=custodian,public={public},origin=CH")),
        &["publisher is missing"],
        "",
    );
    // A folder without a file, none at all, a file.
    fs::create_dir(&folder).unwrap();
    let out = world.path("out");
    let mut empty = build(&folder, "feed", 1, &out);
    wrong(&mut empty, &["holds no file: there is nothing to pack"], "Put the files");
    wrong(&mut build(&root, "feed", 1, &out), &["root.pub is not a folder"], "Name the folder");
    fs::write(folder.join("a.hdb"), HASHES).unwrap();
    // Keys for --sign.
    let sign = |path: &Path| {
        let mut command = build(&folder, "feed", 1, &out);
        command.arg("--sign").arg(path);
        command
    };
    wrong(&mut sign(&root), &["root.pub is a public key; --sign takes the secret key"], "secret key");
    wrong(&mut sign(&folder.join("a.hdb")), &["a.hdb is not a secret key of minisign"], "minisign -G");
    // A policy, a time, a feed and a keyring that are none.
    let with = |option: &str, value: &str| {
        let mut command = build(&folder, "feed", 1, &out);
        command.args([option, value]);
        command
    };
    let words = "gaprelay-pack: fault: --policy: \"nosuch\" is neither the name of a policy nor a file";
    wrong(&mut with("--policy", "nosuch"), &[words], "unclassified");
    wrong(&mut with("--issued", "yesterday"), &["--issued: \"yesterday\" is not a UTC time"], "2026-11-20T06:00:00Z");
    let words = ["gaprelay-pack: refused: ", "[manifest-value]"];
    wrong(&mut build(&folder, "Feed", 1, &out), &words, "Correct the option");
    let mut check = pack();
    check.arg("check").arg(&folder).arg("--keyring").arg(&secret);
    wrong(&mut check, &["root.key is a key or a signature of minisign, not a keyring"], "keyring.toml");
    assert!(!out.exists(), "something was made");
}

#[test]
fn a_password_is_not_asked_for_where_there_is_no_terminal() {
    if !has("minisign") || !has("setsid") {
        return;
    }
    let world = World::new();
    let (key, folder) = (world.path("pw.key"), world.path("vendor"));
    let minisign = |args: &[&str]| {
        let mut command = Command::new("minisign");
        command.current_dir(world.dir.path()).args(args);
        run(&mut command).expect(0)
    };
    // Stock minisign reads a password from its input where there is no terminal.
    minisign(&["-G", "-W", "-f", "-p", "pw.pub", "-s", "pw.key"]);
    let plain = fs::read_to_string(&key).unwrap();
    let mut bytes = data_encoding::BASE64.decode(plain.lines().nth(1).unwrap().as_bytes()).unwrap();
    // The key derivation is named: `Sc`, which a key with a password has.
    bytes[2..4].copy_from_slice(b"Sc");
    fs::write(&key, format!("untrusted comment: x\n{}\n", data_encoding::BASE64.encode(&bytes))).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.hdb"), HASHES).unwrap();
    let inner = build(&folder, "feed", 1, &world.path("out"));
    // In a session of its own, which has no terminal.
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(inner.get_program()).args(inner.get_args()).arg("--sign").arg(&key);
    wrong(&mut command, &["pw.key has a password, and there is no terminal to ask for it"], "on a terminal");
}

/// A secret key that was given for a public one: nothing of it is shown.
#[test]
fn no_key_is_repeated() {
    let world = World::new();
    let key = Key::new();
    let secret = key.secret.to_box(None).unwrap().to_string();
    let path = world.path("root.key");
    fs::write(&path, &secret).unwrap();
    let line = secret.lines().nth(1).unwrap();
    let public = world.path("root.pub");
    fs::write(&public, format!("untrusted comment: x\n{}\n", key.base64())).unwrap();
    let of = |role: &str| format!("name=c,role={role},public={},publisher=p,origin=CH", path.display());
    let ring = world.path("keyring.toml");
    let draft = |option: &str, value: &str| {
        let mut command = pack();
        command.args(["keyring", "draft"]).arg(&ring).arg("--out").arg(world.path("next")).args([option, value]);
        command
    };
    let shown = path.display().to_string();
    for mut command in [
        keyring(&path, "name=c,role=officer,public=x"),
        keyring(&public, &of("custodian")),
        draft("--add", &of("custodian")),
        draft("--add-root", &shown),
        draft("--remove-root", &shown),
        // As it stands, on the command line.
        keyring(Path::new(line), "name=c,role=officer,public=x"),
        keyring(&public, &format!("name=c,role=officer,public={line}")),
        keyring(&public, line),
    ] {
        let ran = run(&mut command);
        assert_ne!(ran.code, Some(0), "{}", ran.err);
        let told = format!("{}{}", ran.out, ran.err);
        for piece in line.as_bytes().windows(12).map(|piece| std::str::from_utf8(piece).unwrap()) {
            assert!(!told.contains(piece), "{piece} of the key is shown: {told}");
        }
    }
}

/// Who has signed, and who must.
#[test]
fn a_missing_signature_is_named_by_its_role() {
    let world = World::new();
    let folder = world.bundle("feed", 1, ONE);
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let signature = world.evaluator.sign(&manifest, &comment("feed", 1));
    fs::write(folder.join("manifest.json.minisig"), signature).unwrap();
    let ran = world.relay(&["import", "--operator", "operator", folder.to_str().unwrap()]).expect(3);
    assert!(ran.err.contains("signed by the evaluator evaluator; one custodian must sign this feed"), "{}", ran.err);
    // A folder that is not there.
    let ran = world.relay(&["import", "--operator", "operator", "/media/nosuchdir"]).expect(3);
    assert!(ran.err.contains("there is no folder /media/nosuchdir: is the medium mounted?"), "{}", ran.err);
    assert!(!ran.err.contains("you may remove"), "{}", ran.err);
}
