//! The confinement: the self-test, layers that are missing, and hostile code inside each worker.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use super::support::*;

const ROLES: [&str; 9] =
    ["reader", "examiner", "keeper", "server", "sinkhole", "post", "review", "witness", "exporter"];

fn rows(part: &Value) -> &Vec<Value> {
    part["rows"].as_array().unwrap()
}

#[test]
fn nothing_gets_out_of_any_role_and_the_proof_is_logged() {
    let world = World::new();
    let tested = world.relay(&["selftest", "--json"]).expect(0).json();
    assert_eq!(tested["findings"], serde_json::json!([]));
    let parts = tested["parts"].as_array().unwrap();
    assert_eq!(parts.iter().map(|p| p["role"].as_str().unwrap()).collect::<Vec<_>>(), ROLES);
    for part in parts {
        let role = part["role"].as_str().unwrap();
        let stopped: Vec<&Value> =
            rows(part).iter().filter(|r| r["allowed"] == false && r["outside"] == "done").collect();
        assert!(rows(part).len() >= 100 && stopped.len() >= 60, "{role}: {} of {}", stopped.len(), rows(part).len());
        for row in &stopped {
            assert_ne!(row["inside"], "done", "{role}: {row}");
            assert!(!row["alone"].as_array().unwrap().is_empty(), "{role}: no layer alone stops {row}");
        }
        // Each way into the network is closed twice, whatever one layer may be worth tomorrow.
        for way in ["TCP connect", "UDP sendto", "MPTCP connect", "TCP Fast Open, sendto with an address"] {
            let row = rows(part).iter().find(|row| row["attempt"] == way).unwrap();
            assert!(row["alone"].as_array().unwrap().len() >= 2, "{role}: {row}");
        }
        assert!(rows(part).iter().filter(|r| r["allowed"] == true).all(|r| r["inside"] == "done"), "{role}");
    }
    let logged = world.log("import").pop().unwrap();
    assert_eq!((&logged["type"], &logged["full"]), (&"self-test".into(), &true.into()));
    assert!(logged["kernel"].as_str().unwrap().starts_with("Linux "), "{logged}");
    for part in logged["roles"].as_array().unwrap() {
        assert!(part["held"]["landlock_abi"].as_u64().unwrap() >= 1, "{logged}");
        assert_eq!(part["held"]["filter"].as_str().unwrap().len(), 64, "{logged}");
    }
    let words = world.relay(&["selftest"]).expect(0).out;
    assert!(words.contains("namespaces landlock seccomp") && words.contains("EPERM"), "{words}");
    assert!(words.contains("server:") && words.contains("of them by two or more layers"), "{words}");
}

#[test]
fn each_layer_holds_alone_what_it_is_there_for() {
    let world = World::new();
    let logged = world.log("import").len();
    let stops = |layer: &str| -> Vec<String> {
        let tested = world.relay(&["selftest", "--layer", layer, "--role", "server", "--json"]).expect(0).json();
        let stopped = rows(&tested["parts"][0]).iter().filter(|r| r["outside"] == "done" && r["inside"] != "done");
        stopped.map(|row| row["attempt"].as_str().unwrap().to_owned()).collect()
    };
    let (namespaces, landlock, seccomp) = (stops("namespaces"), stops("landlock"), stops("seccomp"));
    let has = |stopped: &[String], what: &str| stopped.iter().any(|name| name == what);
    assert!(has(&namespaces, "UDP sendto") && has(&namespaces, "a limit raised"), "{namespaces:?}");
    assert!(has(&landlock, "read a file that anybody may read") && has(&landlock, "TCP connect"), "{landlock:?}");
    assert!(!has(&landlock, "UDP sendto"), "Landlock has learnt it: say so in the table");
    assert!(has(&seccomp, "UDP sendto") && has(&seccomp, "fork") && has(&seccomp, "io_uring"), "{seccomp:?}");
    assert!(!has(&seccomp, "read a file that anybody may read"), "{seccomp:?}");
    assert_eq!(world.log("import").len(), logged, "a demonstration is not logged");
}

#[test]
fn a_missing_layer_is_a_fault_unless_the_config_names_it() {
    let world = World::new();
    let library = shim(world.dir.path(), "hostile");
    let folder = world.bundle("auto", 1, ONE);
    let import = |missing: &str| {
        let mut command = world.command(&["import", "--operator", "operator", folder.to_str().unwrap()]);
        run(command.env("LD_PRELOAD", &library).env("MISSING", missing))
    };
    let before = world.stored();
    for layer in ["landlock", "seccomp"] {
        let ran = import(layer).expect(1);
        assert!(ran.err.contains(&format!("the confinement layer {layer} is not available")), "{}", ran.err);
        assert!(ran.err.contains("[[without]]"), "{}", ran.err);
        assert_eq!(world.stored(), before, "{layer}");
        let mut serve = world.command(&["serve"]);
        let served = run(serve.env("LD_PRELOAD", &library).env("MISSING", layer)).expect(1);
        assert!(served.err.contains(&format!("the confinement layer {layer} is not available")), "{}", served.err);
    }
    let path = world.state().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let waived = "\n[[without]]\nlayer = \"landlock\"\nreason = \"old kernel until March, decided by j.doe\"\n";
    fs::write(&path, config.clone() + "\n[[without]]\nlayer = \"landlock\"\nreason = \" \"\n").unwrap();
    world.relay(&["check-config"]).expect(2);
    fs::write(&path, config + waived).unwrap();
    import("landlock").expect(0);
    import("seccomp").expect(1);
    let status = world.relay(&["status"]).expect(0);
    assert!(status.out.contains("the layer landlock is missing: old kernel until March"), "{}", status.out);
    let mut tested = world.command(&["selftest", "--short"]);
    // What is not there cannot hold: what Landlock alone would stop gets through, and is told.
    let ran = run(tested.env("LD_PRELOAD", &library).env("MISSING", "landlock")).expect(0);
    assert!(ran.err.contains("which config.toml accepts: server: read a file that anybody may read"), "{}", ran.err);
    let logged = world.log("import").pop().unwrap();
    assert!(logged["exposed"].to_string().contains("read a file that anybody may read"), "{logged}");
    let mut serve = world.command(&["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::launch(serve.env("LD_PRELOAD", &library).env("MISSING", "landlock"));
    assert_eq!(server.get("/c/a.hdb", "").status, 200);
    server.stop();
    assert_eq!(logged["without"][0]["layer"], "landlock", "{logged}");
    assert!(logged["roles"][0]["held"]["weaker"].to_string().contains("which the config accepts"), "{logged}");
    // With hardly anything left, the self-test still says what would get through.
    let more = "\n[[without]]\nlayer = \"seccomp\"\nreason = \"the same\"\n";
    fs::write(&path, fs::read_to_string(&path).unwrap() + more).unwrap();
    let mut tested = world.command(&["selftest", "--short"]);
    let ran = run(tested.env("LD_PRELOAD", &library).env("MISSING", "both")).expect(0);
    assert!(ran.err.contains("which config.toml accepts: examiner: execute a program"), "{}", ran.err);
}

/// A person at the console sees one fault and its next step, and no messages of the workers that end with it.
#[test]
fn a_fault_of_the_keeper_is_told_once() {
    let world = World::new();
    let folder = world.bundle("auto", 1, ONE);
    fs::remove_file(world.state().join("log/import/checkpoint")).unwrap();
    for _ in 0..5 {
        let told = world.relay(&["import", "--operator", "operator", folder.to_str().unwrap()]).expect(4).err;
        assert_eq!(told.matches("fault:").count(), 1, "{told}");
        assert_eq!(told.matches("next:").count(), 1, "{told}");
    }
}

/// The self-test believes nobody: a layer that the kernel says it took is tried like any other.
#[test]
fn the_proof_is_repeated_and_a_finding_stops_everything() {
    let world = World::new();
    let library = shim(world.dir.path(), "hostile");
    let from = world.path("from");
    let mut command = world.command(&["up", "--listen", "127.0.0.1:0", "--prove", "1s"]);
    command.env("LD_PRELOAD", &library).env("FAKE", "landlock").env("FAKE_FROM", &from);
    let server = Server::launch(&mut command);
    let proofs = || world.log("import").iter().filter(|event| event["type"] == "self-test").count();
    for _ in 0..200 {
        if proofs() >= 3 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(proofs() >= 3, "at its start, and again and again");
    assert_eq!(server.get("/-/health", "").status, 503, "and agents are answered");
    fs::write(&from, b"").unwrap();
    let (code, told) = server.daemon.ended();
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("NOT STOPPED") && told.contains("the isolation self-test failed"), "{told}");
    let last = world.log("import").into_iter().rfind(|event| event["type"] == "self-test").unwrap();
    assert!(!last["findings"].as_array().unwrap().is_empty(), "{last}");
}

/// Waits until `up` has started this many more self-tests: those before the last have ended.
fn until_tested(up: &Daemon, more: usize) {
    let mut seen = BTreeSet::new();
    until("self-tests were started", || {
        seen.extend(children(up.id(), "selftest"));
        seen.len() > more
    });
}

/// A local account that fills a disk, or a fault of the disk, must not end what is served: that nothing could be tested
/// or recorded is no finding.
#[test]
fn a_self_test_that_cannot_be_recorded_stops_nothing() {
    let first = |folder: &std::path::Path| {
        let mut folder = folder.to_owned();
        while folder.is_dir() {
            folder = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
        }
        folder
    };
    for place in ["log/import/tile/entries", "trust"] {
        let world = World::new();
        world.publish("feed", 1, ONE);
        let up = || {
            let server = Server::launch(&mut world.command(&["up", "--listen", "127.0.0.1:0", "--prove", "1s"]));
            assert_eq!(server.get("/c/a.hdb", "").status, 200, "{place}");
            server
        };
        let server = up();
        let path = first(&world.state().join(place));
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        until_tested(&server.daemon, 2);
        assert_eq!(server.get("/c/a.hdb", "").status, 200, "{place}");
        let (code, told) = server.daemon.stop_telling();
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("cannot finish the isolation self-test"), "{told}");
        assert!(!told.contains("off the network"), "{told}");
        // Nor does it keep the relay from starting.
        assert_eq!(up().stop(), Some(0), "{place}");
    }
}

/// A local account that takes every process number, or every descriptor of the system, keeps `up` from starting
/// anything.
#[test]
fn what_cannot_be_started_is_tried_again() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let server = Server::launch(&mut world.command(&["up", "--listen", &address, "--prove", "1s"]));
    let up = Pid::from_raw(i32::try_from(server.daemon.id()).unwrap());
    let kill = |word: &str| {
        for child in children(server.daemon.id(), word) {
            kill_process(Pid::from_raw(i32::try_from(child).unwrap()).unwrap(), Signal::KILL).unwrap();
        }
    };
    let most = |current| prlimit(up, Resource::Nofile, Rlimit { current, maximum: Some(1024) }).unwrap();
    most(Some(3));
    kill("serve");
    // What goes on: a settle that is killed is told of, but none can be started.
    until("the keeper has ended as well", || {
        kill("settle");
        children(server.daemon.id(), "settle").is_empty() && children(server.daemon.id(), "serve").is_empty()
    });
    let quiet = std::time::Instant::now();
    until("tries have failed", || quiet.elapsed().as_secs() >= 3);
    assert!(children(server.daemon.id(), "serve").is_empty());
    most(Some(1024));
    until("agents are served again", || {
        std::net::TcpStream::connect(&address).is_ok() && server.get("/c/a.hdb", "").status == 200
    });
    let (code, told) = server.daemon.stop_telling();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("the server cannot be started") && !told.contains("off the network"), "{told}");
}

/// A local account can neither guess where the decoys are nor fill that place, and nothing of a test is left.
#[test]
fn decoys_lie_where_no_other_account_can_write_and_nothing_is_left() {
    let world = World::new();
    let own = world.path("run");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let left = || {
        let names = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("fresh-")).collect::<BTreeSet<_>>()
    };
    let before = left();
    let mut command = world.command(&["selftest"]);
    // Temporary files have no room at all.
    run(command.env("RUNTIME_DIRECTORY", &own).env("TMPDIR", world.path("full"))).expect(0);
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
    // Other tests run the same at the same time.
    until("what was tried in shared memory is removed", || left().is_subset(&before));
}

#[test]
fn a_kernel_that_lies_is_found_out_and_stops_the_role() {
    let world = World::new();
    let library = shim(world.dir.path(), "hostile");
    let told = |fake: &str, args: &[&str]| {
        let mut command = world.command(args);
        run(command.env("LD_PRELOAD", &library).env("FAKE", fake)).expect(5).err
    };
    for fake in ["landlock", "seccomp"] {
        for args in [&["selftest", "--short"][..], &["serve"], &["up"]] {
            let said = told(fake, args);
            assert!(said.contains("the isolation self-test failed"), "{fake} {args:?}: {said}");
            assert!(!said.contains("serving on"), "{fake} {args:?}: {said}");
        }
    }
    let found = told("landlock", &["selftest", "--short"]);
    assert!(found.contains("NOT STOPPED: server: read a file that anybody may read"), "{found}");
    let logged = world.log("import").pop().unwrap();
    assert!(logged["findings"].to_string().contains("read a file that anybody may read"), "{logged}");
}

/// What a service finds when it is started again stops everything, as a finding of the self-test does.
#[test]
fn a_finding_of_one_service_stops_all() {
    let world = World::new();
    let (library, from) = (shim(world.dir.path(), "hostile"), world.path("from"));
    let mut command = world.command(&["up", "--listen", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", &library).env("FAKE", "seccomp").env("FAKE_FROM", &from);
    let server = Server::launch(&mut command);
    fs::write(&from, b"").unwrap();
    let serving = children(server.daemon.id(), "serve");
    assert_eq!(serving.len(), 1);
    for pid in serving {
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
    let (code, told) = server.daemon.ended();
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("the server found at its start that it can do what it must not"), "{told}");
}

#[test]
fn hostile_code_inside_each_worker_gets_nowhere() {
    let world = World::new();
    let library = shim(world.dir.path(), "hostile");
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let port = target.local_addr().unwrap().port().to_string();
    for (version, role) in [(1, "reader"), (2, "examiner"), (3, "keeper")] {
        let folder = world.bundle("auto", version, ONE);
        let mut import = world.command(&["import", "--operator", "operator", folder.to_str().unwrap()]);
        let ran = run(hostile(&mut import, &library, role, &port));
        assert!(got_through(&ran.err, role).is_empty(), "{role}: {}", ran.err);
    }
    let mut serve = world.command(&["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::launch(hostile(&mut serve, &library, "server", &port));
    // Hostile or not, it answers.
    assert_eq!(server.get("/-/health", "").status, 200);
    let (_, told) = server.daemon.stop_telling();
    assert!(got_through(&told, "server").is_empty(), "{told}");
    assert!(told.contains("append mode taken off") && told.contains("locked in part"), "no journal was found: {told}");
    assert!(target.accept().is_err(), "somebody connected");
}

#[test]
fn a_worker_that_lies_brings_nothing_in() {
    let world = World::new();
    let library = shim(world.dir.path(), "hostile");
    let lines: Vec<u8> = digests(5_000);
    world.bundle("auto", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("l.txt", &lines, "sha256-list")]);
    world.bundle("auto", 2, ONE);
    let stick = world.path("stick");
    let before = world.stored();
    for role in ["reader", "examiner"] {
        for how in ["frames", "more", "silent", "lies"] {
            let mut command = world.command(&["import", "--json", "--operator", "operator", stick.to_str().unwrap()]);
            let ran = run(command.env("LD_PRELOAD", &library).env("HOSTILE", how).env("HOSTILE_ROLE", role));
            assert!(matches!(ran.code, Some(1 | 3)), "{role} {how}: {:?} {} {}", ran.code, ran.out, ran.err);
            assert!(!ran.err.contains("panicked"), "{role} {how}: {}", ran.err);
            if how != "lies" {
                assert!(ran.out.contains(&format!("the {role}")), "{role} {how}: {} {}", ran.out, ran.err);
                assert_eq!(world.stored(), before, "{role} {how}");
            }
            assert!(tree(&world.state().join("spool")).is_empty(), "{role} {how}");
            world.fsck();
        }
    }
    world.import(&stick).expect(0);
}

#[test]
fn the_server_proves_itself_before_it_serves() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let server = Server::start(&world, "serve");
    let id = server.daemon.id();
    // However much it writes, its journal does not fill the disk.
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let longest = limits.lines().find_map(|line| line.strip_prefix("Max file size")).unwrap();
    assert_eq!(longest.split_whitespace().next(), Some("1073741824"), "{limits}");
    let mut threads = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task")).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
        assert_eq!((field("Seccomp:"), field("NoNewPrivs:")), ("2".into(), "1".into()), "{status}");
        for set in ["CapEff:", "CapPrm:", "CapBnd:", "CapInh:"] {
            assert_eq!(field(set).trim_start_matches('0'), "", "{set} {status}");
        }
        assert!(!field("Uid:").starts_with("0\t"), "it runs as root: {status}");
        threads += 1;
    }
    assert!(threads > 2, "only {threads} threads");
    server.stop();
    world.relay(&["settle"]).expect(0);
    let proof = world.log("access").into_iter().find(|event| event["type"] == "self-test").unwrap();
    assert_eq!((&proof["roles"][0]["role"], proof.get("findings")), (&"server".into(), None), "{proof}");
    Server::start(&world, "up").stop();
    let proof = world.log("import").into_iter().rfind(|event| event["type"] == "self-test").unwrap();
    assert_eq!(proof["roles"].as_array().unwrap().len(), ROLES.len(), "{proof}");
}
