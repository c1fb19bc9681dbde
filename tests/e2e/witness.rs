//! Witnesses: an outside memory of the import log, by files carried by hand and by the call; and logs that were
//! cut, forked or restored behind its back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::*;

const ZERO: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A witness's memory, as its officer has it.
struct Desk {
    dir: PathBuf,
    vkey: String,
}

fn gaprelay(args: &[&str]) -> Ran {
    run(Command::new(RELAY).args(args).env_remove("GAPRELAY_STATE"))
}

impl Desk {
    fn new(folder: &Path, name: &str) -> Self {
        let dir = folder.join(name);
        let key = format!("{name}.example/witness");
        let made = gaprelay(&["log", "witness", "init", dir.to_str().unwrap(), "--name", &key]).expect(0);
        Self { dir, vkey: made.out.trim().to_owned() }
    }

    fn know(&self, world: &World) -> Ran {
        let vkey = world.state().join("log/import/vkey");
        gaprelay(&["log", "witness", "know", self.dir.to_str().unwrap(), "--log-key", vkey.to_str().unwrap()])
    }

    fn sign(&self, request: &str, status: i32) -> Ran {
        let path = self.dir.with_extension("request");
        fs::write(&path, request).unwrap();
        gaprelay(&["log", "witness", "sign", self.dir.to_str().unwrap(), path.to_str().unwrap()]).expect(status)
    }
}

/// A relay whose config names these witnesses, of whom two are needed.
fn world(first: &Desk, second: &Desk) -> World {
    let lines = format!("witness first {}\nwitness second {}\n", first.vkey, second.vkey);
    let policy = format!("{lines}group both all first second\nquorum both\n");
    World::with_config(&format!("{CONFIG}\n[witness]\nfresh = \"1d\"\npolicy = \"\"\"\n{policy}\"\"\"\n"))
}

fn request(world: &World, old: Option<&str>) -> String {
    let mut args = vec!["log", "witness", "request"];
    args.extend(old.into_iter().flat_map(|old| ["--old", old]));
    world.relay(&args).expect(0).out
}

fn hand_in(world: &World, text: &str, status: i32) -> Ran {
    let path = world.dir.path().join("cosigned");
    fs::write(&path, text).unwrap();
    world.relay(&["log", "witness", "hand-in", path.to_str().unwrap()]).expect(status)
}

fn import(world: &World, version: u64) {
    world.relay(&["import", world.bundle("auto", version, ONE).to_str().unwrap(), "--operator", "o"]).expect(0);
}

/// The number of entries under the head of a request.
fn size(request: &str) -> String {
    request.lines().skip_while(|line| !line.is_empty()).nth(2).unwrap().to_owned()
}

#[test]
fn heads_are_carried_out_cosigned_and_carried_back() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Desk::new(dir.path(), "first"), Desk::new(dir.path(), "second"));
    let world = world(&first, &second);
    let status = || world.relay(&["status", "--json"]).expect(0).json()["witness"].clone();
    assert_eq!((status()["due"].as_bool(), status()["size"].as_u64()), (Some(true), Some(0)));
    import(&world, 1);
    let asked = request(&world, None);
    // A witness signs for logs that it was told of, by their key.
    assert!(first.sign(&asked, 3).err.contains("does not know the log"));
    first.know(&world).expect(0);
    second.know(&world).expect(0);
    let (one, two) = (first.sign(&asked, 0).out, second.sign(&asked, 0).out);
    assert_eq!(one.lines().filter(|line| line.starts_with('—')).count(), 2, "{one}");

    // One of two is not the quorum; the second makes it. What is handed in again is nothing new.
    assert!(hand_in(&world, &one, 0).out.contains("first cosigned the first"));
    assert_eq!(status()["due"], true);
    assert!(hand_in(&world, &one, 3).err.contains("[cosignature-repeated]"));
    assert!(hand_in(&world, &two, 0).out.contains("the quorum is met"));
    let seen = status();
    assert_eq!((&seen["due"], &seen["by"]), (&false.into(), &serde_json::json!(["first", "second"])));
    assert!(world.relay(&["status"]).expect(0).out.contains("witnessed: first, second cosigned"));
    let folder = world.state().join("log/import/cosigned");
    let kept: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    let note = fs::read_to_string(&kept[0]).unwrap();
    assert_eq!(note.lines().filter(|line| line.starts_with('—')).count(), 3, "{note}");
    let types: Vec<String> = world.log("import").iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types.iter().filter(|t| *t == "cosigned").count(), 2, "{types:?}");
    assert_eq!(types.iter().filter(|t| *t == "cosignature-refused").count(), 1, "{types:?}");
    // What an outsider needs to check it, and the log against it.
    let policy = world.relay(&["log", "witness", "policy"]).expect(0).out;
    assert!(policy.starts_with("log ") && policy.contains("\nquorum both"), "{policy}");
    world.relay(&["log", "verify", "--against", kept[0].to_str().unwrap()]).expect(0);

    // A note that was cut at any byte, or is not of the size that it is kept under, is named.
    for length in 0..note.len() {
        if note.get(..length).is_some() {
            fs::write(&kept[0], &note.as_bytes()[..length]).unwrap();
            // Cut between two witnesses it is still a head that one of them cosigned.
            let lines = note[..length].lines().filter(|line| line.starts_with('—')).count();
            let code = if note[..length].ends_with('\n') && lines == 2 { 0 } else { 4 };
            let ran = world.relay(&["fsck"]);
            assert_eq!(ran.code, Some(code), "{length}: {}\n{}", &note[..length], ran.err);
        }
    }
    fs::write(&kept[0], &note).unwrap();
    fs::write(folder.join("7"), &note).unwrap();
    assert!(world.relay(&["fsck"]).expect(4).err.contains("cosigned/7"));
    fs::remove_file(folder.join("7")).unwrap();
    world.fsck();

    // The next one begins where the last ended; a request from elsewhere is a conflict that names the size.
    import(&world, 2);
    assert!(first.sign(&request(&world, Some("1")), 3).err.contains(&format!("--old {}", size(&asked))));
    let one = first.sign(&request(&world, None), 0).out;
    hand_in(&world, &one, 0);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "the newest quorum, and what waits for the next");
    let path = world.path("signed");
    fs::write(&path, second.sign(&request(&world, Some(&size(&asked))), 0).out).unwrap();
    let json = world.relay(&["log", "witness", "hand-in", path.to_str().unwrap(), "--json"]).expect(0).json();
    assert_eq!(json["cosigned"][0]["witnesses"], serde_json::json!(["second"]), "{json}");
    let shown = gaprelay(&["log", "witness", "show", first.dir.to_str().unwrap()]).expect(0).out;
    assert!(shown.contains("signed a head of"), "{shown}");

    // What is not ours, or not signed by a witness of ours.
    let plain = fs::read_to_string(world.state().join("log/import/checkpoint")).unwrap();
    let bent = plain.replacen('\n', "x\n", 1);
    let third = one.replace("— first.example", "— third.example");
    for (text, reason) in [
        ("hello\n", "[cosignature-malformed]"),
        (&plain, "[cosignature-unknown]"),
        (&bent, "[cosignature-foreign]"),
        (&third, "[cosignature-unknown]"),
        (&(one.clone() + &third.lines().last().unwrap().repeat(200)), "[cosignature-malformed]"),
    ] {
        assert!(hand_in(&world, text, 3).err.contains(reason), "{reason}");
    }
    // The same signature many times is one.
    import(&world, 3);
    let seen = gaprelay(&["log", "witness", "show", second.dir.to_str().unwrap()]).expect(0).out;
    let seen = seen.rsplit("a head of ").next().unwrap().split(' ').next().unwrap().replace(',', "");
    let two = second.sign(&request(&world, Some(&seen)), 0).out;
    let last = two.lines().last().unwrap();
    hand_in(&world, &format!("{two}{}", format!("{last}\n").repeat(20)), 0);
    let notes = fs::read_dir(&folder).unwrap().map(|e| fs::read_to_string(e.unwrap().path()).unwrap());
    assert!(notes.map(|note| note.lines().count()).all(|lines| lines <= 7));
    world.relay(&["log", "verify"]).expect(0);
    world.fsck();
}

/// A log that was put back, grown anew or made anew: the witness refuses each, and keeps what proves it.
#[test]
fn a_witness_refuses_what_did_not_grow_from_what_it_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Desk::new(dir.path(), "first"), Desk::new(dir.path(), "second"));
    let relay = world(&first, &second);
    first.know(&relay).expect(0);
    let log = relay.state().join("log");
    // The whole of it, trust state and all: else the relay itself would find out.
    let trust = relay.state().join("trust/trust.json");
    copy(&log, &dir.path().join("early"));
    copy(&trust, &dir.path().join("trust.json"));
    for version in 1..3 {
        import(&relay, version);
    }
    let seen = first.sign(&request(&relay, None), 0).out;
    let size = seen.lines().nth(1).unwrap().to_owned();
    fs::remove_dir_all(&log).unwrap();
    copy(&dir.path().join("early"), &log);
    copy(&dir.path().join("trust.json"), &trust);
    // Shorter: the relay cannot even ask from there; a request from the beginning is a conflict.
    let ran = relay.relay(&["log", "witness", "request", "--old", &size]).expect(4);
    assert!(ran.err.contains("an old copy was restored"), "{}", ran.err);
    assert!(first.sign(&request(&relay, None), 3).err.contains("[witness-conflict]"));
    // Another history, as long and longer, signed by the right key.
    let mut told = Vec::new();
    for version in 5..9 {
        import(&relay, version);
        let asked = relay.relay(&["log", "witness", "request", "--old", &size]);
        if asked.code == Some(0) {
            told.push(first.sign(&asked.out, 3).err);
        }
    }
    assert!(told.len() > 1, "{told:?}");
    assert!(told.iter().all(|t| t.contains("[witness-forked]") || t.contains("[witness-inconsistent]")), "{told:?}");
    let memory = fs::read_dir(first.dir.join("logs")).unwrap().next().unwrap().unwrap().path();
    let names = fs::read_dir(&memory).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|name| name.starts_with("against-") || name.starts_with("fork-")).count(), told.len());
    // What the witness signed before tells the relay that its own log is not the one.
    assert!(hand_in(&relay, &seen, 3).err.contains("[cosignature-forked]"));

    // A relay made anew under the same name has another key.
    let anew = world(&first, &second);
    assert!(first.sign(&request(&anew, None), 3).err.contains("[witness-unsigned]"));
    assert!(first.know(&anew).expect(2).err.contains("known with another key"));

    // A memory that was cut at any byte remembers nothing, and signs nothing.
    let head = memory.join("checkpoint");
    let good = fs::read(&head).unwrap();
    let asked = request(&relay, Some("0"));
    for cut in (0..good.len()).step_by(23).chain([good.len() - 1]) {
        fs::write(&head, &good[..cut]).unwrap();
        let ran = first.sign(&asked, 4);
        assert!(ran.err.contains("not what this witness signed"), "{cut}: {}", ran.err);
    }
    fs::write(&head, &good).unwrap();
    assert!(first.sign(&asked, 3).err.contains("[witness-conflict]"));
}

/// The call of C2SP tlog-witness, by curl.
#[test]
fn the_call_answers_as_its_specification_says() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Desk::new(dir.path(), "first"), Desk::new(dir.path(), "second"));
    let world = world(&first, &second);
    first.know(&world).expect(0);
    let mut command = Command::new(RELAY);
    command.args(["log", "witness", "serve", first.dir.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let server = Server::launch(&mut command);
    let call = |body: &str| -> (u16, String, String) {
        let path = dir.path().join("body");
        fs::write(&path, body).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["-s", "-w", "\n%{http_code} %{content_type}", "--data-binary"]).arg(format!("@{}", path.display()));
        let out = run(curl.arg(server.url("/add-checkpoint"))).out;
        let (body, last) = out.rsplit_once('\n').unwrap();
        let (code, kind) = last.split_once(' ').unwrap_or((last, ""));
        (code.parse().unwrap(), kind.to_owned(), body.to_owned())
    };
    let asked = request(&world, None);
    let (code, _, line) = call(&asked);
    assert!(code == 200 && line.starts_with("— first.example/witness "), "{code} {line}");
    // The request with the answer behind it is what the relay takes back.
    hand_in(&world, &format!("{asked}{line}"), 0);
    import(&world, 1);
    // The wrong beginning; a broken proof; another log; another head under the signature; no request at all.
    let conflict = (409, "text/x.tlog.size".to_owned(), format!("{}\n", size(&asked)));
    assert_eq!(call(&request(&world, Some("0"))), conflict);
    let next = request(&world, None);
    assert_eq!(call(&next.replacen(next.lines().nth(1).unwrap(), ZERO, 1)).0, 422);
    let (before, note) = next.split_at(next.find("\n\n").unwrap() + 2);
    assert_eq!(call(&format!("{before}x{note}")).0, 404);
    assert_eq!(call(&format!("{before}{}", note.replacen(&size(&next), "77", 1))).0, 403);
    assert_eq!(call("hello").0, 400);
    assert_eq!(call(&"x".repeat(1 << 20)).0, 400);
    // Whatever else stands under the head is not kept: it could make the memory too long to be read.
    let junk = format!("— someone.else {}\n", "AAAA".repeat(40)).repeat(1_200);
    assert_eq!(call(&format!("{next}{junk}")).0, 200);
    import(&world, 2);
    assert_eq!(call(&request(&world, Some(&size(&next)))).0, 200);
    let status = |path: &str| {
        let mut curl = Command::new("curl");
        run(curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}"]).arg(server.url(path))).out
    };
    assert_eq!((status("/add-checkpoint"), status("/")), ("405".into(), "404".into()));
    assert_eq!(server.stop(), Some(0));
}

/// Connections that are opened and left idle.
#[test]
fn idle_connections_keep_no_head_from_the_witness() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(dir.path(), "first");
    let mut command = Command::new(RELAY);
    command.args(["log", "witness", "serve", desk.dir.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let server = Server::launch(&mut command);
    let idle: Vec<_> = (0..100).map(|_| server.connect()).collect();
    let mut curl = Command::new("curl");
    curl.args(["-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "hello"]);
    assert_eq!(run(curl.arg(server.url("/add-checkpoint"))).out, "400");
    drop(idle);
    assert_eq!(server.stop(), Some(0));
}

/// A witness cut at each durable step, in four ways: no signature is out that is not remembered, and what it
/// remembers is the old head or the new one.
#[test]
fn a_witness_cut_anywhere_has_remembered_what_it_gave_out() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Desk::new(dir.path(), "first"), Desk::new(dir.path(), "second"));
    let world = world(&first, &second);
    first.know(&world).expect(0);
    hand_in(&world, &first.sign(&request(&world, None), 0).out, 0);
    import(&world, 1);
    let asked = request(&world, None);
    let (path, saved, library) = (dir.path().join("asked"), dir.path().join("saved"), shim(dir.path(), "cuts"));
    fs::write(&path, &asked).unwrap();
    copy(&first.dir, &saved);
    let sign = |name: &str, value: &str, how: &str| {
        let mut command = Command::new(RELAY);
        command.args(["log", "witness", "sign", first.dir.to_str().unwrap(), path.to_str().unwrap()]);
        run(command.env("LD_PRELOAD", &library).env(name, value).env("CUT_HOW", how))
    };
    let ran = sign("CUT_COUNT", "1", "kill").expect(0);
    let steps: usize = ran.err.lines().find_map(|l| l.strip_prefix("durable steps: ")?.parse().ok()).unwrap();
    assert!(steps >= 4, "only {steps} steps: {}", ran.err);
    for how in ["kill", "after", "full", "error"] {
        for at in 1..=steps {
            fs::remove_dir_all(&first.dir).unwrap();
            copy(&saved, &first.dir);
            let cut = sign("CUT_AT", &at.to_string(), how);
            let place = format!("{how} at {at} of {steps}: {} {}", cut.err, cut.out);
            assert!(!cut.err.contains("panicked"), "{place}");
            let again = sign("CUT_NOT", "1", how);
            if cut.out.contains("— first.example") {
                assert!(again.err.contains(&format!("--old {}", size(&asked))), "{place}\nthen: {}", again.err);
            }
            match again.code {
                Some(0) => {}
                Some(3) => assert!(again.err.contains("[witness-conflict]"), "{place}\nthen: {}", again.err),
                _ => panic!("{place}\nthen: {}", again.err),
            }
            let next = request(&world, Some(&size(&asked)));
            first.sign(&next, 0);
        }
    }
}
