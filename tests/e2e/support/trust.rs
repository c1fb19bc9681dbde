//! Keyrings, directives and repairs as the people who hold the keys make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base::clock::now;
use bundle::keyring::{Key as Row, Role};
use bundle::{Algorithm, Keyring};

use super::bundle::Key;
use super::place::RELAY;
use super::world::{Ran, World, run, same_refusal};

/// The keyring that the world began with.
pub(crate) fn keyring(world: &World) -> Keyring {
    Keyring::parse(&fs::read(world.path("keyring.toml")).unwrap()).unwrap()
}

/// The same, a version on.
pub(crate) fn successor(ring: &Keyring) -> Keyring {
    Keyring { version: ring.version + 1, ..ring.clone() }
}

pub(crate) fn keyring_comment(version: u64) -> String {
    format!("gaprelay-keyring/1 version={version}")
}

/// Writes a keyring and its signatures into `folder`.
pub(crate) fn write_keyring(folder: &Path, text: &str, signatures: &[String]) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("keyring.toml"), text).unwrap();
    for (number, signature) in signatures.iter().enumerate() {
        fs::write(folder.join(format!("keyring.toml.{number}.minisig")), signature).unwrap();
    }
}

/// A keyring on the stick, signed by these.
pub(crate) fn put_keyring(world: &World, ring: &Keyring, roots: &[&Key]) -> PathBuf {
    let folder = world.path("stick").join(format!("keyring-{}", ring.version));
    let text = toml::to_string(ring).unwrap();
    let signatures: Vec<String> =
        roots.iter().map(|root| root.sign(text.as_bytes(), &keyring_comment(ring.version))).collect();
    write_keyring(&folder, &text, &signatures);
    folder
}

/// The row of a key in a keyring.
pub(crate) fn row(name: &str, key: &Key, role: Role) -> Row {
    let publishes = matches!(role, Role::Vendor | Role::Custodian);
    Row {
        name: name.into(),
        algorithm: Algorithm::default(),
        public: key.base64(),
        role,
        publisher: publishes.then(|| "example".into()),
        origin: publishes.then(|| "CH".into()),
        feeds: vec!["*".into()],
        may: None,
        not_before: None,
        not_after: None,
    }
}

/// The identifier by which a key is named.
pub(crate) fn id(key: &Key) -> String {
    bundle::keyring::RawKey::parse(&key.base64()).unwrap().id_text()
}

/// Why the one bundle of an import was refused.
#[track_caller]
pub(crate) fn refused(ran: Ran) -> String {
    let report = ran.expect(3).json();
    report["bundles"][0]["refused"]["reason"].as_str().unwrap_or_else(|| panic!("{report}")).to_owned()
}

/// Has an officer sign a directive, and hands it in. Where none is printed, one that was made by hand is refused for
/// the same reason.
pub(crate) fn direct(world: &World, officer: &str, key: &Key, order: &[&str]) -> Ran {
    let args = [&["directive"], order, &["--officer", officer, "--reason", "test"]].concat();
    let printed = world.relay(&args);
    if printed.code == Some(0) {
        return hand_in_directive(world, &printed.out, key);
    }
    let ran = hand_in_directive(world, &directive(officer, order), key);
    same_refusal(&printed, &ran);
    ran
}

/// Directive as somebody makes it who does not ask the relay for it.
pub(crate) fn directive(officer: &str, order: &[&str]) -> String {
    let (issued, until) = (now(), now().plus(Duration::from_hours(24)));
    let order = match order {
        ["withdraw-key", key] => format!("withdraw key {key} releases sha256:{}", base::Digest::of(b"")),
        ["waive", manifest, "--until", until] => format!("waive manifest sha256:{manifest} until {until}"),
        [order, what] => format!("{} {what}", order.replace('-', " ")),
        _ => panic!("{order:?}"),
    };
    format!(
        "gaprelay-directive/2\nrelay test/import/1\n{order}\nofficer {officer}\nissued {issued}\nuntil {until}\nreason test\n"
    )
}

/// Signs a directive and hands it in.
pub(crate) fn hand_in_directive(world: &World, text: &str, key: &Key) -> Ran {
    let signature = world.sign_text(text, key);
    world.relay(&["directive", "hand-in", "--json", signature.to_str().unwrap()])
}

/// Why the one statement that was handed in was refused.
#[track_caller]
pub(crate) fn statement_refused(ran: Ran) -> String {
    let report = ran.expect(3).json();
    report["refused"][0]["reason"].as_str().unwrap_or_else(|| panic!("{report}")).to_owned()
}

/// A command at another time, by faketime.
pub(crate) fn at(world: &World, time: &str, args: &[&str]) -> Ran {
    let mut command = Command::new("faketime");
    run(command.arg(time).arg(RELAY).env("GAPRELAY_STATE", world.state()).args(args))
}

/// Statements that officers hand in for a repair; or what the relay says where it prints none.
pub(crate) fn repair(world: &World, officers: &[(&str, &Key)], more: &[&str]) -> Ran {
    let mut args = vec!["repair".to_owned()];
    for (name, key) in officers {
        let printed = world.relay(&["repair", "--officer", name, "--reason", "disk"]);
        if printed.code != Some(0) {
            return printed;
        }
        let printed = printed.out;
        let path = world.path(&format!("repair.{name}.txt"));
        fs::write(&path, &printed).unwrap();
        let signature = world.path(&format!("repair.{name}.txt.minisig"));
        fs::write(&signature, key.sign(printed.as_bytes(), "x")).unwrap();
        args.extend(["--signature".into(), signature.to_str().unwrap().to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    world.relay(&args)
}
