//! One examiner a bundle, and a fresh one for what an examiner has made: whatever content makes of one, it costs its
//! own bundle.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::support::*;

const STRIPS: &str = r#"
relay = "test"
[media]
writable = "tests import from plain folders"
[[policy]]
name = "strip"
otherwise = "strip"
[[feed]]
name = "auto"
kinds = ["clamav-hashes", "rules-archive", "suricata-rules"]
policy = "strip"
clean_without_approval = true
[[channel]]
name = "c"
feeds = ["auto"]
"#;
const ONE: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes")];

/// Three bundles on the stick, imported with hostile code in an examiner: in the first alone, or in each.
fn import(world: &World, how: &str, once: bool) -> Ran {
    let library = shim(world.dir.path(), "hostile");
    let stick = world.path("stick");
    let mut command = world.command(&["import", "--json", "--operator", "operator", stick.to_str().unwrap()]);
    command.env("LD_PRELOAD", &library).env("HOSTILE", how).env("HOSTILE_ROLE", "examiner");
    if once {
        command.env("HOSTILE_ONCE", world.path(&format!("once-{how}")));
    }
    run(&mut command)
}

fn outcomes(ran: &Ran) -> Vec<String> {
    ran.json()["bundles"].as_array().unwrap().iter().map(|b| b["outcome"].as_str().unwrap().to_owned()).collect()
}

/// Processes that answered, in their order.
fn answered(ran: &Ran) -> Vec<String> {
    let begin = "gaprelay: the examiner says: hostile examiner: process ";
    let line = |line: &str| line.strip_prefix(begin)?.strip_suffix(" answers").map(str::to_owned);
    ran.err.lines().filter_map(line).collect()
}

#[test]
fn each_bundle_has_its_own_and_what_one_has_made_another() {
    let world = World::with_config(STRIPS);
    let flawed = format!("{}alert tcp any any -> any any (msg:\"x\"; lua:evil.lua; sid:2; rev:1;)\n", str_of(RULES));
    let archive = gzip(&tar(&[("rules/site.rules", flawed.as_bytes(), "")]));
    world.bundle("auto", 1, ONE);
    world.bundle("auto", 2, &[("a.hdb", HASHES, "clamav-hashes"), ("a.rules", RULES, "suricata-rules")]);
    let ran = import(&world, "tells", false).expect(0);
    let first: BTreeSet<_> = answered(&ran).into_iter().collect();
    assert_eq!((answered(&ran).len(), first.len()), (2, 2), "{}", ran.err);

    // A line that goes, and an archive that is made anew: both are looked at again by one that never saw the rest.
    let files: &[File<'_>] =
        &[("a.rules", flawed.as_bytes(), "suricata-rules"), ("b.tar.gz", &archive, "rules-archive")];
    world.bundle("auto", 3, files);
    world.bundle("auto", 4, ONE);
    let ran = import(&world, "tells", false).expect(0);
    assert_eq!(outcomes(&ran), ["already-here", "already-here", "imported", "imported"]);
    assert_eq!(ran.json()["bundles"][2]["counts"]["stripped"], 2, "{}", ran.out);
    let second: BTreeSet<_> = answered(&ran).into_iter().collect();
    assert_eq!((answered(&ran).len(), second.len()), (3, 3), "{}", ran.err);
}

fn str_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// An examiner that crashes, does not answer, sends a malformed answer, stands still or answers without end fails its
/// own bundle alone.
#[test]
fn one_that_fails_costs_its_own_bundle() {
    for how in ["silent", "dies", "frames", "more", "stays", "drips"] {
        let world = World::with_config(STRIPS);
        for version in 1..=3 {
            world.bundle("auto", version, ONE);
        }
        let ran = import(&world, how, true).expect(1);
        assert_eq!(outcomes(&ran), ["failed", "imported", "imported"], "{how}: {} {}", ran.out, ran.err);
        assert!(ran.json()["bundles"][0]["fault"].as_str().unwrap().starts_with("the examiner "), "{how}: {}", ran.out);
        assert!(!ran.err.contains("panicked"), "{how}: {}", ran.err);
        assert!(tree(&world.state().join("spool")).is_empty(), "{how}");
        let releases = tree(&world.state().join("releases"));
        assert!(!releases.iter().any(|(path, _)| path.contains("auto/1/")), "{how}: {releases:?}");
        world.fsck();
    }
}

/// Bytes that an examiner leaves in the pipes, and flags that it sets on them, do not reach the next one.
#[test]
fn one_leaves_nothing_to_the_next() {
    let world = World::with_config(STRIPS);
    for version in 1..=3 {
        world.bundle("auto", version, ONE);
    }
    let ran = import(&world, "leaves", true).expect(0);
    assert_eq!(outcomes(&ran), ["imported", "imported", "imported"], "{} {}", ran.out, ran.err);
    assert!(fs::exists(world.path("once-leaves")).unwrap(), "nobody was hostile");
    world.fsck();
}

/// Many files, each of which is read in far less time than one is given, and which together would keep the relay busy:
/// a bundle has one budget, and one that uses it up costs itself alone.
#[test]
fn a_bundle_that_takes_too_long_is_refused_whole() {
    let world = World::with_config(&format!("{STRIPS}\n[limits]\ninspection = \"500ms\"\n"));
    let rules = [RULES, b"# c\n".repeat(4 << 20).as_slice()].concat();
    let archive = gzip(&tar(&[("rules/site.rules", &rules, "")]));
    let names: Vec<String> = (10..50).map(|n| format!("{n}.tar.gz")).collect();
    let files: Vec<File<'_>> = names.iter().map(|name| (name.as_str(), archive.as_slice(), "rules-archive")).collect();
    let bundle = world.bundle("auto", 1, &files);
    assert!(bundle.join("payload.tar.gz").metadata().unwrap().len() < 256 << 10, "a small bundle");
    world.bundle("auto", 2, ONE);
    let ran = world.import(&world.path("stick")).expect(3);
    assert_eq!(outcomes(&ran), ["refused", "imported"], "{} {}", ran.out, ran.err);
    assert_eq!(ran.json()["bundles"][0]["refused"]["reason"], "bundle-time-limit", "{}", ran.out);
    let releases = tree(&world.state().join("releases"));
    assert!(!releases.keys().any(|path| path.contains("auto/1/")), "{releases:?}");
    assert!(tree(&world.state().join("spool")).is_empty());
    world.fsck();
    // The connected side says so before the bundle is carried anywhere.
    let (ring, config) = (world.path("keyring.toml"), world.path("config.toml"));
    let mut check = pack();
    let said = run(check.arg("check").arg(&bundle).arg("--keyring").arg(&ring).arg("--config").arg(&config)).expect(3);
    assert!(said.err.contains("bundle-time-limit"), "{}{}", said.out, said.err);
}

/// Processes of this world's relay that still run, by their command lines.
fn running(world: &World) -> Vec<(i32, String)> {
    let state = world.state().to_str().unwrap().to_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // One that has ended and waits to be taken notice of has no command line.
        if line.contains(&state) {
            found.push((id, line));
        }
    }
    found
}

/// A worker that stands still, and would stay for ever, ends with the keeper, and with its supervisor.
#[test]
fn no_worker_outlives_its_keeper() {
    for (role, victim) in
        [("reader", "import --supervised"), ("examiner", "import --supervised"), ("reader", "import --json")]
    {
        let world = World::with_config(STRIPS);
        let library = shim(world.dir.path(), "hostile");
        world.bundle("auto", 1, ONE);
        let (state, stick) = (world.state(), world.path("stick"));
        let mut command = Command::new(RELAY);
        command.arg("--state").arg(&state).args(["import", "--json", "--operator", "operator"]).arg(&stick);
        command.env("LD_PRELOAD", &library).env("HOSTILE", "waits").env("HOSTILE_ROLE", role);
        let mut import = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let worker = format!("worker {role} ");
        until("the worker stands still", || {
            let stands =
                |id: i32| fs::read_to_string(format!("/proc/{id}/wchan")).is_ok_and(|place| place.starts_with("futex"));
            running(&world).iter().any(|(id, line)| line.contains(&worker) && stands(*id))
        });
        let found = running(&world);
        let (id, _) = found.iter().find(|(_, line)| line.contains(victim)).unwrap_or_else(|| panic!("{found:?}"));
        kill_process(Pid::from_raw(*id).unwrap(), Signal::KILL).unwrap();
        assert!(!import.wait().unwrap().success());
        until("nobody is left", || running(&world).is_empty());
    }
}

/// The same of the services under `up`.
#[test]
fn no_service_outlives_its_supervisor() {
    let world = World::new();
    world.publish("feed", 1, super::support::ONE);
    let mut command = Command::new(RELAY);
    command.arg("--state").arg(world.state()).args(["up", "--listen", "127.0.0.1:0"]);
    let mut server = Server::launch(&mut command);
    assert!(running(&world).len() >= 3, "{:?}", running(&world));
    server.daemon.signal(Signal::KILL);
    server.daemon.wait();
    until("nobody is left", || running(&world).is_empty());
}

/// What a worker writes to standard error reaches the operator as its words, printable, and so much of it; and no
/// worker holds what may be the operator's terminal.
#[test]
fn no_worker_holds_the_terminal() {
    for role in ["reader", "examiner"] {
        let world = World::with_config(STRIPS);
        let library = shim(world.dir.path(), "hostile");
        world.bundle("auto", 1, ONE);
        let start = |how: &str, name: &str| {
            let file = fs::File::create(world.path(name)).unwrap();
            let mut command = world.command(&["import", "--json", "--operator", "operator"]);
            command.arg(world.path("stick")).env("LD_PRELOAD", &library).env("HOSTILE", how).env("HOSTILE_ROLE", role);
            command.stdin(file.try_clone().unwrap()).stdout(Stdio::null()).stderr(file).spawn().unwrap()
        };
        assert!(start("speaks", "terminal").wait().unwrap().success());
        let told = fs::read(world.path("terminal")).unwrap();
        assert!(!told.contains(&0x1b) && told.len() < 64 << 10, "{role}: {} bytes", told.len());
        let words = format!("the {role} says: \\u{{1b}}]0;owned\\u{{7}}");
        assert!(String::from_utf8_lossy(&told).contains(&words), "{role}: {}", String::from_utf8_lossy(&told));

        world.bundle("auto", 2, ONE);
        let mut import = start("waits", "terminal");
        let find = || {
            let state = world.state().to_str().unwrap().to_owned();
            let is = |line: &str| line.contains(&format!("worker {role} ")) && line.contains(&state);
            running(&world).into_iter().find(|(_, line)| is(line)).map(|(id, _)| id)
        };
        let links = |id: i32| -> Vec<String> {
            let fds = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            fds.filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_string_lossy().into_owned())).collect()
        };
        until("the worker runs", || find().is_some_and(|id| links(id).len() >= 3));
        let held = links(find().unwrap());
        assert!(
            held.iter().all(|link| !link.ends_with("terminal") && !link.starts_with("/dev/pts")),
            "{role}: {held:?}"
        );
        kill_process(Pid::from_child(&import), Signal::TERM).unwrap();
        import.wait().unwrap();
    }
}
