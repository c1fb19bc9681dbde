//! The repository for TUF clients, with stock python-tuf: it pulls, follows rotations, and refuses what it must.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base::Digest;
use serde_json::Value;
use serve::tree::Tree;

use super::support::*;

const NEVER: &str = "2098-01-01T00:00:00Z";
const EICAR: &[u8] = b"44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test\n";

/// A relay with the feeds `trust` and `site`, and the keys of the offline half.
struct Repository {
    world: World,
    relay: String,
}

impl Repository {
    /// With a root and targets published, if the machine has what it takes.
    fn new() -> Option<Self> {
        if !has("openssl") || !has("curl") {
            return None;
        }
        let feed = |name: &str| {
            format!(
                "[[feed]]\nname = \"{name}\"\nkinds = [\"tuf-metadata\", \"clamav-hashes\", \"suricata-rules\"]\nclean_without_approval = true\nbrake = 100\n"
            )
        };
        let config = format!(
            "relay = \"test\"\n[media]\nwritable = \"tests import from plain folders\"\n[serve]\nlisten = [\"127.0.0.1:0\"]\n[tuf]\nfeed = \"trust\"\n{}{}[[channel]]\nname = \"c\"\nfeeds = [\"trust\", \"site\"]\n",
            feed("trust"),
            feed("site")
        );
        let world = World::with_config(&config);
        for key in ["root1", "root2", "root3", "targets", "site", "stranger"] {
            let (secret, public) = (world.path(&format!("{key}.pem")), world.path(&format!("{key}.pub")));
            run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&secret)).expect(0);
            run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&secret).arg("-out").arg(&public))
                .expect(0);
        }
        let relay = world.relay(&["tuf", "key"]).expect(0).out.trim().to_owned();
        assert_eq!(world.relay(&["tuf", "key"]).expect(0).out.trim(), relay, "it is made once");
        fs::create_dir(world.path("trust")).unwrap();
        fs::create_dir(world.path("site")).unwrap();
        let repository = Self { world, relay };
        repository.root(
            &["--root", "root1.pub", "--root", "root2.pub", "--root-threshold", "2", "--targets", "targets.pub"],
            &["root1", "root2"],
        );
        repository.targets(&["--feed", "site=site.pub"]);
        fs::write(repository.path("site/a.hdb"), EICAR).unwrap();
        fs::create_dir(repository.path("site/rules")).unwrap();
        fs::write(repository.path("site/rules/r.rules"), RULES).unwrap();
        Some(repository)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    fn pack(&self, args: &[&str]) -> Ran {
        run(pack().args(args).current_dir(self.world.dir.path()))
    }

    /// The same, with two versions of `site`, of which the second has another `a.hdb`.
    fn with_two_versions() -> Option<Self> {
        let repository = Self::new()?;
        repository.bring("trust", 1, &[]).expect(0);
        repository.site(1).expect(0);
        fs::write(repository.path("site/a.hdb"), HASHES.repeat(2)).unwrap();
        repository.site(2).expect(0);
        Some(repository)
    }

    /// The next root, signed by these keys.
    fn root(&self, args: &[&str], keys: &[&str]) {
        let number = fs::read_dir(self.path("trust"))
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().to_str().unwrap().ends_with(".root.json"))
            .count();
        let former = format!("trust/{number}.root.json");
        let mut all = vec!["tuf", "root", "--relay", &self.relay, "--expires", NEVER, "--out", "trust"];
        if number > 0 {
            all.extend(["--former", &former]);
        }
        all.extend(args);
        self.pack(&all).expect(0);
        let file = format!("trust/{}.root.json", number + 1);
        for key in keys {
            self.pack(&["tuf", "sign", &file, "--key", &format!("{key}.pem")]).expect(0);
        }
    }

    fn targets(&self, args: &[&str]) {
        let mut all = vec![
            "tuf",
            "targets",
            "--relay",
            &self.relay,
            "--expires",
            NEVER,
            "--sign",
            "targets.pem",
            "--out",
            "trust",
        ];
        if self.path("trust/targets.json").exists() {
            all.extend(["--former", "trust/targets.json"]);
        }
        all.extend(args);
        self.pack(&all).expect(0);
    }

    /// Packs a folder as the next version of a feed, and imports it; what is clean is published.
    fn bring(&self, folder: &str, version: u64, more: &[&str]) -> Ran {
        let out = format!("stick/{folder}-{version}");
        let mut command = build(Path::new(folder), folder, version, Path::new(&out));
        run(command.args(["--expires", NEVER]).args(more).current_dir(self.world.dir.path())).expect(0);
        self.world.sign(&self.path(&out), folder, version);
        self.world.import(&self.path(&out))
    }

    /// Waits until a server that runs shows what was published last.
    fn shown(&self, server: &Server) {
        let version = self.tree().version;
        for _ in 0..100 {
            let ran = run(Command::new("curl").args(["-s", &server.url("/-/tuf/timestamp.json")]));
            if ran.out.contains(&format!("\"version\":{version}")) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("version {version} is not served");
    }

    /// Waits until a server that runs shows the tree of the pointer: it looks every 200 ms, and a full second is
    /// enough.
    fn shown_number(&self, server: &Server) {
        let name = |tree: &Tree| tree.targets.keys().next().cloned().unwrap_or_default();
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert_eq!(server.get(&format!("/-/tuf/targets/{}", name(&self.tree())), "").status, 200);
    }

    fn site(&self, version: u64) -> Ran {
        self.bring("site", version, &["--tuf-sign", "site.pem"])
    }

    fn tree(&self) -> Tree {
        let trust = fs::read(self.world.state().join("trust/trust.json")).unwrap();
        let version = &serde_json::from_slice::<Value>(&trust).unwrap()["channels"]["-/tuf"]["generation"];
        serde_json::from_slice(&fs::read(self.world.state().join(format!("tuf/{version}.json"))).unwrap()).unwrap()
    }

    /// Stock python-tuf, with its memory in `folder`.
    fn pull(&self, url: &str, folder: &str, names: &[&str]) -> Option<Ran> {
        let python = python_with("tuf")?;
        let mut command = Command::new(python);
        Some(run(self.client(&mut command, url, folder, names)))
    }

    fn client<'a>(&self, command: &'a mut Command, url: &str, folder: &str, names: &[&str]) -> &'a mut Command {
        let script = TOP.join("tests/e2e/tuf_client.py");
        command.arg(script).arg(url).arg(self.path(folder)).arg(self.path("trust/1.root.json")).args(names)
    }

    /// The repository as plain files, for an attacker who may change them, served by somebody else.
    fn mirror(&self, name: &str) -> Mirror {
        let folder = self.path(name);
        fs::create_dir_all(folder.join("targets")).unwrap();
        let tree = self.tree();
        for (name, text) in &tree.metadata {
            fs::write(folder.join(name), text).unwrap();
        }
        let server = Server::start(&self.world, "serve");
        for name in tree.targets.keys() {
            let url = server.url(&format!("/-/tuf/targets/{name}"));
            run(Command::new("curl").args(["-sf", "-o"]).arg(folder.join("targets").join(name)).arg(url)).expect(0);
        }
        Mirror::serve(folder)
    }
}

/// Somebody else's web server.
struct Mirror {
    folder: PathBuf,
    child: Child,
    url: String,
}

impl Mirror {
    fn serve(folder: PathBuf) -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let port = line.split("port ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        Self { folder, child, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

#[test]
fn python_tuf_pulls_follows_a_rotation_and_is_told_what_is_withheld() {
    let Some(repository) = Repository::new() else { return };
    let world = &repository.world;
    assert!(!world.state().join("tuf/pointer").exists());
    repository.bring("trust", 1, &[]).expect(0);
    fs::write(repository.path("site/tool.hdb"), b"#!/bin/sh\necho no\n").unwrap();
    let report = repository.bring("site", 1, &["--tuf-sign", "site.pem", "--keep-unrecognised"]).expect(0).json();
    assert_eq!(report["bundles"][0]["counts"]["withheld"], 1);
    world.decide("site/1", "officer", &world.officer, "approve").expect(0);
    let server = Server::start(world, "serve");
    let url = server.url("/-/tuf");
    let names = [
        "site--a.hdb",
        "site--rules--r.rules",
        "site--tool.hdb",
        "relay--notice.json",
        "relay--checkpoint",
        "other--x",
    ];
    let Some(ran) = repository.pull(&url, "agent", &names) else { return };
    let out = ran.expect(0).out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[1], format!("site--a.hdb {}", sha256(EICAR)));
    assert_eq!(lines[2], format!("site--rules--r.rules {}", sha256(RULES)));
    assert!(
        lines[3].starts_with("site--tool.hdb DownloadHTTPError") && lines[3].ends_with("404"),
        "signed, and not served: {out}"
    );
    assert_eq!(lines[6], "other--x NotFound");
    let read = |ending: &str| {
        let path = fs::read_dir(repository.path("agent/targets")).unwrap().map(|e| e.unwrap().path());
        fs::read_to_string(path.into_iter().find(|p| p.to_str().unwrap().ends_with(ending)).unwrap()).unwrap()
    };
    let notice: Value = serde_json::from_str(&read("relay--notice.json")).unwrap();
    assert_eq!(notice["not_as_signed"][0]["target"], "site--tool.hdb");
    assert_eq!(notice["not_as_signed"][0]["why"], "kind-script");
    // The agent remembers the log's head: an outside memory.
    assert!(read("relay--checkpoint").starts_with("test/import/1\n"));

    // A rotation of root keys and of the feed's key; the agent follows with what it has.
    repository.root(&["--root", "root2.pub", "--root", "root3.pub"], &["root1", "root2", "root3"]);
    repository.targets(&["--feed", "site=stranger.pub"]);
    repository.bring("trust", 2, &[]).expect(0);
    repository.shown(&server);
    // What the old key signed is not taken any more; with the new key it is.
    let out = repository.pull(&url, "agent", &["site--a.hdb"]).unwrap().expect(0).out;
    assert!(out.contains("site--a.hdb UnsignedMetadataError"), "{out}");
    fs::remove_file(repository.path("site/tool.hdb")).unwrap();
    repository.bring("site", 2, &["--tuf-sign", "stranger.pem"]).expect(0);
    repository.shown(&server);
    let out = repository.pull(&url, "agent", &["site--a.hdb"]).unwrap().expect(0).out;
    assert!(out.contains(&format!("site--a.hdb {}", sha256(EICAR))), "{out}");
    assert!(world.relay(&["tuf", "show"]).expect(0).out.contains("relay-notice"));
    world.fsck();
    world.relay(&["gc", "--yes"]).expect(0);
    world.fsck();
    // A second agent, from the first root on.
    let out = repository.pull(&url, "second", &["site--rules--r.rules"]).unwrap().expect(0).out;
    assert!(out.contains(&sha256(RULES)), "{out}");
}

/// A hostile relay or mirror: each attack on the agents' side, with the stock client's answer.
#[test]
fn python_tuf_refuses_a_hostile_mirror() {
    let Some(repository) = Repository::new() else { return };
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let old = repository.mirror("old");
    let Some(ran) = repository.pull(&old.url, "agent", &["site--a.hdb"]) else { return };
    ran.expect(0);
    fs::write(repository.path("site/a.hdb"), HASHES.repeat(2)).unwrap();
    repository.site(2).expect(0);
    let new = repository.mirror("new");
    repository.pull(&new.url, "agent", &["site--a.hdb"]).unwrap().expect(0);

    // Rolled back: the former repository as it was.
    let ran = repository.pull(&old.url, "agent", &["site--a.hdb"]).unwrap().expect(1);
    assert!(ran.err.contains("BadVersionNumberError"), "{}", ran.err);
    // Frozen: whatever the mirror holds back, its timestamp runs out after three days.
    if has("faketime") {
        let python = python_with("tuf").unwrap();
        let mut command = Command::new("faketime");
        command.args(["-f", "+4d"]).arg(python);
        let ran = run(repository.client(&mut command, &new.url, "agent", &["site--a.hdb"])).expect(1);
        assert!(ran.err.contains("ExpiredMetadataError"), "{}", ran.err);
    }
    // Changed bytes of a target.
    let tree = repository.tree();
    let target = tree.targets.keys().find(|name| name.ends_with(".site--a.hdb")).unwrap();
    let forged = String::from_utf8(HASHES.repeat(2)).unwrap().replace("44d88612", "44d88613");
    fs::write(new.folder.join("targets").join(target), forged).unwrap();
    let out = repository.pull(&new.url, "fresh", &["site--a.hdb"]).unwrap().expect(0).out;
    assert!(out.contains("LengthOrHashMismatchError"), "{out}");
    // Targets that the relay's own key signs: it can sign no content.
    let forge = |name: &str, change: &dyn Fn(&mut Value)| {
        let path = new.folder.join(name);
        let mut metadata: Value = serde_json::from_str(tree.metadata.get(name).unwrap()).unwrap();
        change(&mut metadata);
        fs::write(&path, metadata.to_string()).unwrap();
        let key = repository.relay_key();
        let signed = pack::tuf::sign(&fs::read_to_string(&path).unwrap(), &key).unwrap();
        fs::write(&path, signed).unwrap();
        let ran = repository.pull(&new.url, &format!("victim-{name}"), &["site--a.hdb"]).unwrap();
        fs::write(&path, tree.metadata.get(name).unwrap()).unwrap();
        format!("{} {}", ran.out, ran.err)
    };
    let said = forge("2.site.json", &|it| it["signed"]["targets"]["site--a.hdb"]["length"] = 5.into());
    assert!(said.contains("UnsignedMetadataError"), "{said}");
    let said = forge("1.targets.json", &|it| it["signed"]["delegations"]["roles"] = serde_json::json!([]));
    assert!(said.contains("UnsignedMetadataError"), "{said}");
    fs::write(
        new.folder.join("2.root.json"),
        tree.metadata.get("1.root.json").unwrap().replacen("\"version\":1", "\"version\":2", 1),
    )
    .unwrap();
    let ran = repository.pull(&new.url, "victim-root", &["site--a.hdb"]).unwrap().expect(1);
    assert!(ran.err.contains("UnsignedMetadataError"), "{}", ran.err);
}

/// Signs metadata of the mirror again, changed, with this key: what whoever stole the key could do.
fn sign_again(folder: &Path, name: &str, key: &ed25519_dalek::SigningKey, change: &dyn Fn(&mut Value)) {
    let path = folder.join(name);
    let mut metadata: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut metadata["signed"]);
    fs::write(&path, pack::tuf::sign(&metadata.to_string(), key).unwrap()).unwrap();
}

impl Repository {
    fn relay_key(&self) -> ed25519_dalek::SigningKey {
        let secret = fs::read_to_string(self.world.state().join("log/tuf.key")).unwrap();
        let seed: [u8; 32] = data_encoding::HEXLOWER.decode(secret.trim().as_bytes()).unwrap().try_into().unwrap();
        ed25519_dalek::SigningKey::from_bytes(&seed)
    }
}

/// TUF 1.0.34, section 1.5.2: endless data, mix and match, wrong software.
#[test]
fn python_tuf_answers_endless_data_mix_and_match_and_wrong_software() {
    let Some(repository) = Repository::new() else { return };
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let old = repository.tree();
    fs::write(repository.path("site/a.hdb"), HASHES.repeat(2)).unwrap();
    repository.site(2).expect(0);
    let mirror = repository.mirror("mirror");
    let said = |agent: &str, name: &str| {
        let ran = repository.pull(&mirror.url, agent, &[name])?;
        Some(format!("{}{}", ran.out, ran.err))
    };
    let Some(good) = said("first", "site--a.hdb") else { return };
    assert!(good.contains(&sha256(&HASHES.repeat(2))), "{good}");
    // Endless data: a target, and a timestamp, that do not end.
    let tree = repository.tree();
    let target = mirror.folder.join("targets").join(tree.targets.keys().find(|n| n.ends_with(".site--a.hdb")).unwrap());
    fs::write(&target, vec![b'x'; 1 << 20]).unwrap();
    let words = said("endless", "site--a.hdb").unwrap();
    assert!(words.contains("DownloadLengthMismatchError"), "{words}");
    let timestamp = fs::read(mirror.folder.join("timestamp.json")).unwrap();
    fs::write(mirror.folder.join("timestamp.json"), vec![b' '; 1 << 20]).unwrap();
    let words = said("endless-2", "site--a.hdb").unwrap();
    assert!(words.contains("DownloadLengthMismatchError"), "{words}");
    fs::write(mirror.folder.join("timestamp.json"), timestamp).unwrap();
    // Mix and match: the role as it was, under the number of today.
    let now = fs::read(mirror.folder.join("2.site.json")).unwrap();
    fs::write(mirror.folder.join("2.site.json"), &old.metadata["1.site.json"]).unwrap();
    let words = said("mixed", "site--a.hdb").unwrap();
    assert!(words.contains("BadVersionNumberError"), "{words}");
    fs::write(mirror.folder.join("2.site.json"), now).unwrap();
    // Wrong software: the site's key signs a file of another feed, which is not left to it; and the relay does not
    // publish such a role.
    let key = pack::tuf::secret(&repository.path("site.pem")).unwrap();
    sign_again(&mirror.folder, "2.site.json", &key, &|signed| {
        signed["targets"]["other--x"] = signed["targets"]["site--a.hdb"].clone();
    });
    let words = said("wrong", "other--x").unwrap();
    assert!(words.contains("other--x NotFound"), "{words}");
    let files: bundle::tuf::client::Files = fs::read_dir(&mirror.folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    let checked = bundle::tuf::client::check(&files, None, base::clock::now()).unwrap();
    assert!(checked.unusable["site"].contains("may not sign the target other--x"), "{:?}", checked.unusable);
}

/// A refusal is not looked into again while nothing changes; a key that is put back is such a change.
#[test]
fn a_key_that_is_put_back_signs_at_once() {
    let Some(repository) = Repository::new() else { return };
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let (key, before) = (repository.world.state().join("log/tuf.key"), repository.tree().version);
    let good = fs::read(&key).unwrap();
    fs::write(repository.path("site/a.hdb"), HASHES).unwrap();
    fs::remove_file(&key).unwrap();
    repository.site(2);
    let stuck = || repository.world.relay(&["settle", "--json"]).expect(3).json()["stuck"].to_string();
    for _ in 0..2 {
        assert!(stuck().contains("log/tuf.key, is not there"), "{}", stuck());
    }
    fs::write(&key, "ab".repeat(32)).unwrap();
    for _ in 0..2 {
        assert!(stuck().contains("timestamp.json"), "{}", stuck());
    }
    assert_eq!(repository.tree().version, before);
    fs::write(&key, good).unwrap();
    repository.world.relay(&["settle"]).expect(0);
    assert!(repository.tree().version > before);
    let told = repository.world.log("import").iter().filter(|event| event["type"] == "publish-refused").count();
    assert_eq!(told, 2, "each once");
}

/// Targets of a channel for certain certificates are nobody else's either: not while the repository is current, not
/// where the channel has moved on and it has not; and without `[tuf]`, or without the channel, it is nobody's.
#[test]
fn targets_of_a_channel_for_certificates_are_for_those_alone() {
    let Some(repository) = Repository::new() else { return };
    let world = &repository.world;
    let ours = Certificates::new();
    ours.issue(world, "relay", &["localhost", "127.0.0.1"]);
    ours.issue(world, "lab", &["lab.example"]);
    fs::write(world.path("ca.pem"), ours.ca.pem()).unwrap();
    let file = |name: &str| world.path(name).to_str().unwrap().to_owned();
    let path = world.state().join("config.toml");
    let tls = format!(
        "[serve]\ntls_certificate = \"{}\"\ntls_key = \"{}\"\nclient_authorities = \"{}\"\n",
        file("relay.pem"),
        file("relay.key"),
        file("ca.pem")
    );
    let lab = "[[channel]]\nname = \"lab\"\nfeeds = [\"site\"]\ncertificates = [\"lab.example\"]\n";
    let config = fs::read_to_string(&path).unwrap().replace("[serve]\n", &tls);
    let config = config.replace("feeds = [\"trust\", \"site\"]\n", &format!("feeds = [\"trust\"]\n{lab}"));
    fs::write(&path, &config).unwrap();
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);

    let target = format!("/-/tuf/targets/{}.site--a.hdb", sha256(EICAR));
    let status = |server: &Server, who: Option<&str>, path: &str| {
        let port = server.address.rsplit(':').next().unwrap().to_owned();
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", "--cacert", &file("ca.pem")]);
        if let Some(who) = who {
            curl.args(["--cert", &file(&format!("{who}.pem")), "--key", &file(&format!("{who}.key"))]);
        }
        run(curl.arg(format!("https://localhost:{port}{path}"))).expect(0).out
    };
    let both = |path: &str| {
        let server = Server::start(world, "serve");
        (status(&server, Some("lab"), path), status(&server, None, path))
    };
    let codes = |lab: &str, other: &str| (lab.to_owned(), other.to_owned());
    assert_eq!(both(&target), codes("200", "404"));
    assert_eq!(both("/-/tuf/timestamp.json"), codes("200", "200"));
    let notice = repository.tree().targets.into_keys().find(|name| name.ends_with("relay--notice.json")).unwrap();
    assert_eq!(both(&format!("/-/tuf/targets/{notice}")), codes("200", "200"));

    // The channel moves on, and the repository cannot.
    fs::rename(world.state().join("log/tuf.key"), world.path("tuf.key")).unwrap();
    fs::write(repository.path("site/a.hdb"), HASHES).unwrap();
    repository.site(2);
    assert_eq!(both(&target), codes("200", "404"));
    // Neither is there without a channel, nor without a repository.
    fs::write(&path, config.replace(lab, "")).unwrap();
    assert_eq!(both(&target), codes("404", "404"));
    fs::write(&path, config.replace("[tuf]\nfeed = \"trust\"\n", "")).unwrap();
    assert_eq!(both(&target), codes("404", "404"));
    assert_eq!(both("/-/tuf/timestamp.json"), codes("404", "404"));
}

/// A stolen relay key leads agents far ahead (fast-forward): the honest relay is refused by them, until the root takes
/// that key away.
#[test]
fn a_stolen_relay_key_is_answered_by_a_new_root() {
    let Some(repository) = Repository::new() else { return };
    let world = &repository.world;
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let (mirror, tree, stolen) = (repository.mirror("mirror"), repository.tree(), repository.relay_key());
    let far = 1_u64 << 40;
    let snapshot = format!("{}.snapshot.json", tree.version);
    sign_again(&mirror.folder, &snapshot, &stolen, &|signed| signed["version"] = far.into());
    fs::rename(mirror.folder.join(&snapshot), mirror.folder.join(format!("{far}.snapshot.json"))).unwrap();
    sign_again(&mirror.folder, "timestamp.json", &stolen, &|signed| {
        signed["version"] = far.into();
        signed["meta"]["snapshot.json"]["version"] = far.into();
    });
    let Some(ran) = repository.pull(&mirror.url, "agent", &["site--a.hdb"]) else { return };
    assert!(ran.expect(0).out.contains(&sha256(EICAR)), "content it cannot forge");
    let server = Server::start(world, "serve");
    let ran = repository.pull(&server.url("/-/tuf"), "agent", &["site--a.hdb"]).unwrap().expect(1);
    assert!(ran.err.contains("BadVersionNumberError"), "{}", ran.err);
    // The relay gets a new key, the root names it, and agents drop what the old one signed.
    fs::remove_file(world.state().join("log/tuf.key")).unwrap();
    let new = world.relay(&["tuf", "key"]).expect(0).out.trim().to_owned();
    assert_ne!(new, repository.relay);
    let repository = Repository { world: repository.world, relay: new };
    repository.root(&[], &["root1", "root2"]);
    repository.targets(&[]);
    repository.bring("trust", 2, &[]).expect(0);
    repository.shown(&server);
    let out = repository.pull(&server.url("/-/tuf"), "agent", &["site--a.hdb"]).unwrap().expect(0).out;
    assert!(out.contains(&sha256(EICAR)), "{out}");
}

/// A relay that was put back to an old backup, whole, goes on signing; every agent that has seen more refuses it.
#[test]
fn a_relay_restored_from_an_old_backup_is_refused_by_every_agent() {
    let Some(repository) = Repository::new() else { return };
    let state = repository.world.state();
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let backup = repository.path("backup");
    run(Command::new("cp").arg("-a").arg(&state).arg(&backup)).expect(0);
    for version in 2..4 {
        fs::write(repository.path("site/a.hdb"), HASHES.repeat(usize::try_from(version).unwrap())).unwrap();
        repository.site(version).expect(0);
    }
    let pull = |name: &str| {
        let server = Server::start(&repository.world, "serve");
        repository.pull(&server.url("/-/tuf"), "agent", &[name])
    };
    let Some(ran) = pull("site--a.hdb") else { return };
    ran.expect(0);
    fs::remove_dir_all(&state).unwrap();
    run(Command::new("cp").arg("-a").arg(&backup).arg(&state)).expect(0);
    let ran = pull("site--a.hdb").unwrap().expect(1);
    assert!(ran.err.contains("BadVersionNumberError"), "{}", ran.err);
    // It takes the same content in again, and signs anew; it is still behind what the agent has seen.
    fs::write(repository.path("site/a.hdb"), HASHES.repeat(5)).unwrap();
    let _ = fs::remove_dir_all(repository.path("stick/site-2"));
    repository.site(2).expect(0);
    let ran = pull("site--a.hdb").unwrap().expect(1);
    assert!(ran.err.contains("BadVersionNumberError"), "{}", ran.err);
}

/// Metadata that a stock client would refuse is never published; the tree that is served stays.
#[test]
fn a_tree_that_clients_would_refuse_is_never_published() {
    let Some(repository) = Repository::new() else { return };
    let world = &repository.world;
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let before = repository.tree();
    let good: Vec<(PathBuf, Vec<u8>)> = ["1.root.json", "targets.json"]
        .iter()
        .map(|name| (repository.path("trust").join(name), fs::read(repository.path("trust").join(name)).unwrap()))
        .collect();
    let mut version = 2;
    let mut refused = |what: &str| {
        let report = repository.bring("trust", version, &[]).expect(0).json();
        version += 1;
        let stuck = &report["stuck"]["-/tuf"];
        assert_eq!(stuck["reason"], "tuf-refused", "{what}: {report}");
        assert!(stuck["detail"].as_str().unwrap().contains(what), "{what}: {stuck}");
        assert_eq!(repository.tree().version, before.version);
        let _ = fs::remove_file(repository.path("trust/2.root.json"));
        for (path, bytes) in &good {
            fs::write(path, bytes).unwrap();
        }
    };
    repository.root(&["--root", "root3.pub", "--root", "stranger.pub"], &["root3", "stranger"]);
    refused("2.root.json is signed by 0 keys of its role, and 2 must sign");
    repository.root(&["--root", "root3.pub", "--root", "stranger.pub"], &["root1", "root2"]);
    refused("2.root.json is signed by 0 keys of its role, and 2 must sign");
    repository
        .pack(&[
            "tuf",
            "root",
            "--former",
            "trust/1.root.json",
            "--relay",
            &"ab".repeat(32),
            "--expires",
            NEVER,
            "--out",
            "trust",
            "--sign",
            "root1.pem",
            "--sign",
            "root2.pem",
        ])
        .expect(0);
    refused("timestamp.json is signed by 0 keys of its role, and 1 must sign");
    let targets = |expires: &str, key: &str| {
        let rest = ["--expires", expires, "--sign", key, "--out", "trust"];
        repository.pack(&[&["tuf", "targets", "--former", "trust/targets.json"][..], &rest].concat()).expect(0);
    };
    targets("2026-01-01T00:00:00Z", "targets.pem");
    refused("2.targets.json expired");
    targets(NEVER, "stranger.pem");
    refused("2.targets.json is signed by 0 keys of its role, and 1 must sign");
    fs::rename(repository.path("trust/1.root.json"), repository.path("trust/3.root.json")).unwrap();
    refused("the repository has no 1.root.json");
    let _ = fs::remove_file(repository.path("trust/3.root.json"));
    let told = world.log("import").iter().filter(|event| event["type"] == "publish-refused").count();
    assert_eq!(told, 5, "each once, and two alike as one");
    world.relay(&["settle"]).expect(3);
    assert_eq!(world.log("import").iter().filter(|event| event["type"] == "publish-refused").count(), 5);
    // Mended, it goes on.
    repository.targets(&[]);
    repository.bring("trust", 9, &[]).expect(0);
    assert!(repository.tree().version > before.version);
    world.relay(&["settle"]).expect(0);
    world.fsck();
}

/// After a withdrawal the role does not step back, and what it signed is not served; the timer signs anew.
#[test]
fn a_withdrawal_serves_nothing_of_it_and_the_timer_signs_anew() {
    let Some(repository) = Repository::with_two_versions() else { return };
    let world = &repository.world;
    let has_target = |tree: &Tree, ending: &str| tree.targets.keys().any(|name| name.ends_with(ending));
    assert!(has_target(&repository.tree(), ".site--a.hdb"));
    world.decide("site/2", "officer", &world.officer, "withdraw").expect(0);
    let tree = repository.tree();
    assert!(tree.metadata.contains_key("2.site.json"));
    assert!(!has_target(&tree, ".site--a.hdb"), "the former bytes are not what the newest role signs");
    assert!(has_target(&tree, ".site--rules--r.rules"), "what did not change is had all the same");
    if has("faketime") {
        world.relay(&["settle"]).expect(0);
        assert_eq!(repository.tree().version, tree.version, "nothing new, nothing signed");
        let mut command = Command::new("faketime");
        command.args(["-f", "+26h", RELAY, "settle"]).env("GAPRELAY_STATE", world.state());
        run(&mut command).expect(0);
        assert!(repository.tree().version > tree.version);
    }
}

/// A withdrawn target is served no longer where no new tree can be made: its key is gone, another feed is damaged, the
/// role was signed by a stranger. All else stays, and a client is told plainly.
#[test]
fn a_withdrawn_target_is_gone_whatever_keeps_a_new_tree_from_being_made() {
    let Some(repository) = Repository::with_two_versions() else { return };
    let world = &repository.world;
    let tree = repository.tree();
    let of = |ending: &str| tree.targets.keys().find(|name| name.ends_with(ending)).unwrap().clone();
    let (bad, good) = (of(".site--a.hdb"), of(".site--rules--r.rules"));
    let (key, aside) = (world.state().join("log/tuf.key"), world.path("tuf.key"));
    fs::rename(&key, &aside).unwrap();
    let server = Server::start(world, "serve");
    let ask = |name: &str| server.get(&format!("/-/tuf/targets/{name}"), "").status;
    assert_eq!((ask(&bad), ask(&good)), (200, 200));
    // A newer release that no tree can show yet takes nothing away.
    fs::write(repository.path("site/b.hdb"), EICAR).unwrap();
    repository.site(3);
    assert_eq!(repository.tree(), tree, "the former tree stays");
    for version in [3, 2] {
        let ran = world.decide(&format!("site/{version}"), "officer", &world.officer, "withdraw").expect(3);
        assert!(ran.out.contains("tuf-refused"), "{}", ran.out);
    }
    repository.shown_number(&server);
    assert_eq!((ask(&bad), ask(&good)), (404, 200));
    let cut = repository.tree();
    assert_eq!(cut.metadata, tree.metadata, "what was signed stays");
    assert!(cut.version > tree.version && !cut.targets.contains_key(&bad) && cut.targets.contains_key(&good));
    // What stays is of a release that stands.
    assert!(cut.releases.keys().all(|release| release != "site/2"), "{:?}", cut.releases);
    world.relay(&["settle"]).expect(3);
    assert_eq!(repository.tree(), cut, "once");
    if let Some(ran) = repository.pull(&server.url(""), "client", &["site--a.hdb"]) {
        assert!(ran.code != Some(0) && ran.err.contains("404"), "{} {}", ran.out, ran.err);
    }
    // The last one of the feed: with no channel that has it, nothing of it is there.
    world.decide("site/1", "officer", &world.officer, "withdraw").expect(3);
    repository.shown_number(&server);
    assert_eq!(ask(&good), 404);
    assert!(repository.tree().targets.keys().all(|name| !name.contains(".site--")));
    assert_eq!(server.get("/-/tuf/timestamp.json", "").status, 200);
    // With the key a new tree is made.
    fs::rename(&aside, &key).unwrap();
    world.relay(&["settle"]).expect(0);
    assert!(repository.tree().version > cut.version);
    server.stop();
    world.fsck();
}

/// The other stock client, `tough`, beginning with this root: a target's bytes, or what it says.
fn tough(folder: &Path, root: &Path, memory: &Path, name: &str) -> Result<Vec<u8>, String> {
    use futures_util::TryStreamExt as _;
    let url = |folder: &Path| url::Url::from_directory_path(folder).unwrap();
    let root = fs::read(root).unwrap();
    fs::create_dir_all(memory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let said = |e: &dyn std::error::Error| {
            let mut words = e.to_string();
            let mut source = e.source();
            while let Some(e) = source {
                words = format!("{words}: {e}");
                source = e.source();
            }
            words
        };
        let loader = tough::RepositoryLoader::new(&root, url(folder), url(&folder.join("targets"))).datastore(memory);
        let repository = loader.load().await.map_err(|e| said(&e))?;
        let name = tough::TargetName::new(name).map_err(|e| said(&e))?;
        let stream = repository.read_target(&name).await.map_err(|e| said(&e))?.ok_or("NotFound")?;
        let pieces: Vec<_> = stream.try_collect().await.map_err(|e| said(&e))?;
        Ok(pieces.concat())
    })
}

#[test]
fn tough_pulls_follows_a_rotation_and_refuses_a_hostile_mirror() {
    // This very test, run by itself below, at another time: the client is a part of its process.
    if let Some(folder) = std::env::var_os("TOUGH_FOLDER") {
        let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
        println!("{:?}", tough(Path::new(&folder), &path("TOUGH_ROOT"), &path("TOUGH_MEMORY"), "site--a.hdb"));
        return;
    }
    let Some(repository) = Repository::new() else { return };
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let first = repository.path("trust/1.root.json");
    let (old, memory) = (repository.mirror("old"), repository.path("memory"));
    assert_eq!(tough(&old.folder, &first, &memory, "site--a.hdb").unwrap(), EICAR);
    assert_eq!(tough(&old.folder, &first, &memory, "site--rules--r.rules").unwrap(), RULES);
    assert!(tough(&old.folder, &first, &memory, "relay--notice.json").is_ok());
    // It follows a rotation of root keys to new content.
    repository.root(&["--root", "root2.pub", "--root", "root3.pub"], &["root1", "root2", "root3"]);
    fs::write(repository.path("site/a.hdb"), HASHES.repeat(2)).unwrap();
    repository.bring("trust", 2, &[]).expect(0);
    repository.site(2).expect(0);
    let new = repository.mirror("new");
    assert_eq!(tough(&new.folder, &first, &memory, "site--a.hdb").unwrap(), HASHES.repeat(2));
    // Frozen: what was good is held out to it for days, until it has run out. Two days are not so long.
    if has("faketime") {
        let at = |time: &str, memory: &str| {
            let mut faketime = Command::new("faketime");
            faketime.arg(time).arg(std::env::current_exe().unwrap());
            let this = "tuf::tough_pulls_follows_a_rotation_and_refuses_a_hostile_mirror";
            faketime.args(["--exact", this, "--nocapture"]);
            faketime.env("TOUGH_FOLDER", &new.folder).env("TOUGH_ROOT", &first);
            run(faketime.env("TOUGH_MEMORY", repository.path(memory))).expect(0).out
        };
        let said = at("+2 days", "m4");
        assert!(said.contains("Ok("), "{said}");
        let said = at("+4 days", "m5");
        assert!(said.contains("Err(") && said.contains("timestamp metadata is expired"), "{said}");
        // And all of it has, one day.
        let said = at("2098-06-01 00:00:00", "m6");
        assert!(said.contains("Err(") && said.contains("expired"), "{said}");
    }
    // Rolled back.
    let said = tough(&old.folder, &first, &memory, "site--a.hdb").unwrap_err();
    assert!(said.contains("previously fetched version"), "{said}");
    // Changed bytes, and content that the relay's key signs.
    let tree = repository.tree();
    let target =
        new.folder.join("targets").join(tree.targets.keys().find(|name| name.ends_with(".site--a.hdb")).unwrap());
    let good = fs::read(&target).unwrap();
    fs::write(&target, String::from_utf8(good.clone()).unwrap().replace("44d8", "44d9")).unwrap();
    let said = tough(&new.folder, &first, &repository.path("m2"), "site--a.hdb").unwrap_err();
    assert!(said.to_lowercase().contains("hash") || said.to_lowercase().contains("checksum"), "{said}");
    fs::write(&target, good).unwrap();
    let role = new.folder.join("2.site.json");
    let text = fs::read_to_string(&role).unwrap();
    fs::write(&role, text.replacen(&sha256(&HASHES.repeat(2)), &sha256(EICAR), 1)).unwrap();
    let said = tough(&new.folder, &first, &repository.path("m3"), "site--a.hdb").unwrap_err();
    assert!(said.to_lowercase().contains("signature"), "{said}");
}

/// A tree whose file was damaged is made anew, and told; what is withdrawn then leaves all the same. Metadata of a
/// release whose bytes were changed goes into no tree.
#[test]
fn a_damaged_tree_is_made_anew_from_what_is_proven() {
    let Some(repository) = Repository::new() else { return };
    let world = &repository.world;
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    fs::write(repository.path("site/a.hdb"), HASHES).unwrap();
    repository.site(2).expect(0);
    let change = |path: &Path| {
        let whole = fs::read(path).unwrap();
        let mut bytes = whole.clone();
        bytes[whole.len() / 2] ^= 1;
        fs::write(path, bytes).unwrap();
        whole
    };
    let tree = repository.tree();
    change(&world.state().join(format!("tuf/{}.json", tree.version)));
    let ran = world.relay(&["settle"]).expect(4);
    assert!(ran.err.contains("tuf/"), "{}", ran.err);
    let again = repository.tree();
    assert!(again.version > tree.version);
    let site =
        |tree: &Tree| -> Vec<String> { tree.targets.keys().filter(|name| name.contains(".site--")).cloned().collect() };
    assert_eq!(site(&again), site(&tree));
    world.relay(&["settle"]).expect(0);
    // Withdrawn while the tree is damaged: clients know the newer metadata of the feed, and nobody has that any more.
    change(&world.state().join(format!("tuf/{}.json", again.version)));
    let server = Server::start(world, "serve");
    let bad = format!("/-/tuf/targets/{}", site(&again).into_iter().find(|name| name.ends_with("a.hdb")).unwrap());
    let ran = world.decide("site/2", "officer", &world.officer, "withdraw").expect(4);
    assert!(ran.out.contains("clients know version 2 of the metadata of feed site"), "{}", ran.out);
    until("it is not served", || server.get(&bad, "").status == 404);
    fs::write(repository.path("site/a.hdb"), EICAR).unwrap();
    repository.site(3);
    world.relay(&["settle"]).expect(0);
    assert!(site(&repository.tree()).iter().any(|name| name.ends_with("a.hdb")));
    let pack = world.state().join("releases/trust/1/pack");
    let (whole, before) = (change(&pack), repository.tree());
    fs::write(repository.path("site/b.hdb"), HASHES).unwrap();
    let ran = repository.site(4).expect(4);
    assert!(ran.err.contains("releases/trust/1/pack"), "{}", ran.err);
    assert_eq!(repository.tree(), before);
    fs::write(pack, whole).unwrap();
    world.relay(&["settle"]).expect(0);
    assert!(site(&repository.tree()).iter().any(|name| name.ends_with("b.hdb")));
    world.fsck();
}

/// The channel that shows a withdrawn release cannot be switched: the repository for TUF clients serves nothing of it
/// all the same.
#[test]
fn a_withdrawn_target_is_gone_where_its_channel_cannot_be_switched() {
    if !rustix::process::geteuid().is_root() {
        skipped("mounting needs root");
        return;
    }
    let Some(repository) = Repository::new() else { return };
    let world = &repository.world;
    repository.bring("trust", 1, &[]).expect(0);
    repository.site(1).expect(0);
    let is_there = || repository.tree().targets.keys().any(|name| name.contains(".site--"));
    assert!(is_there());
    let channel = world.state().join("channels/c");
    run(Command::new("mount").arg("--bind").args([&channel, &channel])).expect(0);
    let closed = run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&channel));
    let ran = world.decide("site/1", "officer", &world.officer, "withdraw");
    let is_left = is_there();
    run(Command::new("umount").arg("-l").arg(&channel)).expect(0);
    closed.expect(0);
    assert!(ran.err.contains("Read-only file system") && !is_left, "{}{}", ran.out, ran.err);
    world.relay(&["settle"]).expect(0);
    assert!(!is_there() && published(world, "c") == ["trust/1"]);
    world.fsck();
}
