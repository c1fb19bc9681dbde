//! Pulls of agents: recorded while it is served, folded by the keeper, shown by command and page.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::support::*;

fn agents(world: &World) -> Vec<Value> {
    world.relay(&["settle"]).expect(0);
    let rows = world.relay(&["agents", "--json"]).expect(0).json();
    let schema: Value = serde_json::from_str(include_str!("../../schemas/json-agents.json")).unwrap();
    assert!(jsonschema::is_valid(&schema, &rows), "{rows}");
    rows.as_array().unwrap().clone()
}

fn curl(server: &Server, agent: &str, path: &str, more: &[&str]) {
    let mut command = Command::new("curl");
    run(command.args(["-s", "-o", "/dev/null", "-A", agent]).args(more).arg(server.url(path))).expect(0);
}

/// Longer than it takes the server to see a publish, and to tell what it answered.
fn a_moment() {
    std::thread::sleep(Duration::from_millis(1300));
}

#[test]
fn agents_that_are_behind_ahead_and_current_are_told_apart() {
    let world = World::new();
    let rules = |n: u32| format!("alert tcp any any -> any 4444 (msg:\"test\"; sid:{n}; rev:1;)\n");
    let publish = |n: u32| world.publish("feed", u64::from(n), &[("a.rules", rules(n).as_bytes(), "suricata-rules")]);
    publish(1);
    let server = Server::start(&world, "serve");
    assert!(agents(&world).is_empty());
    assert!(world.relay(&["agents"]).expect(0).err.contains("no agent has pulled"));
    curl(&server, "updater/1.0 (x)", "/c/a.rules", &[]);
    // Neither a look at the head, nor at a digest, nor a part, is content that it has.
    curl(&server, "looker/1.0", "/c/a.rules", &["-I"]);
    curl(&server, "digester", "/c/a.rules.sha256", &[]);
    curl(&server, "parts", "/c/a.rules", &["-r", "0-5"]);
    curl(&server, "lost", "/c/nothing.rules", &[]);
    a_moment();
    let rows = agents(&world);
    let of = |rows: &[Value], program: &str| rows.iter().find(|row| row["program"] == program).cloned();
    let updater = of(&rows, "updater").unwrap();
    assert_eq!(
        (&updater["standing"], &updater["has"], &updater["path"]),
        (&"current".into(), &1.into(), &"/c/a.rules".into())
    );
    assert_eq!(
        (&updater["agent"], &updater["feed"], &updater["silent"]),
        (&"127.0.0.1".into(), &"feed".into(), &false.into())
    );
    assert!(of(&rows, "looker").is_none() && of(&rows, "lost").is_none(), "{rows:?}");
    for program in ["digester", "parts"] {
        assert_eq!(of(&rows, program).unwrap()["standing"], "incomplete");
    }
    // Those that need somebody come first.
    assert_eq!(rows.last().unwrap()["standing"], "current");

    // A new version: behind, until it comes; one that says it has what is served has it.
    publish(2);
    assert_eq!(of(&agents(&world), "updater").unwrap()["standing"], "behind");
    let told = world.relay(&["agents"]).expect(0).out;
    assert!(told.contains("behind") && told.contains("It takes the published version"), "{told}");
    a_moment();
    let etag = format!("If-None-Match: \"{}\"", base::Digest::of(rules(2).as_bytes()));
    curl(&server, "updater/1.0 (x)", "/c/a.rules", &["-H", &etag]);
    // In the same minute: told together at its end, and at the latest when the server stops.
    assert_eq!(server.stop(), Some(0));
    let updater = of(&agents(&world), "updater").unwrap();
    assert_eq!((&updater["standing"], &updater["has"], &updater["count"]), (&"current".into(), &2.into(), &2.into()));

    // Back to the former one: this client goes back when it comes again.
    world.decide("feed/2", "officer", &world.officer, "withdraw").expect(0);
    let ahead = of(&agents(&world), "updater").unwrap();
    assert_eq!((&ahead["standing"], &ahead["published"]), (&"ahead".into(), &1.into()));
    let server = Server::start(&world, "serve");
    // Hostile names are escaped and cut, and a flood of them is bounded.
    curl(&server, "\u{202e}evil<script>alert(1)</script>", "/c/a.rules", &[]);
    curl(&server, &"A".repeat(7000), "/c/a.rules", &[]);
    curl(&server, "updater/2.0", "/c/a.rules", &[]);
    assert_eq!(server.stop(), Some(0));
    let rows = agents(&world);
    assert_eq!(of(&rows, "updater").unwrap()["standing"], "current");
    assert!(rows.iter().all(|row| row["program"].as_str().unwrap().chars().count() <= 40), "{rows:?}");
    // It is no log: what was pulled is no entry, and a file that is damaged stops nothing.
    assert!(world.attempts().is_empty());
    fs::write(world.state().join("log/access/agents.json"), "junk").unwrap();
    assert!(world.relay(&["agents"]).expect(4).err.contains("remove the file"));
    world.relay(&["settle"]).expect(0);
    let server = Server::start(&world, "serve");
    curl(&server, "updater/2.0", "/c/a.rules", &[]);
    server.stop();
    assert_eq!(agents(&world).len(), 1);
    world.fsck();
}

#[test]
fn the_page_shows_them_to_officers() {
    let uid = rustix::process::getuid().as_raw();
    let reader = format!("[[review.reader]]\nuser = \"{uid}\"\nrole = \"officer\"\n");
    let world = World::with_config(&format!("{CONFIG}{reader}"));
    world.publish("feed", 1, ONE);
    let server = Server::start(&world, "serve");
    let pages = Pages::start(&world);
    assert!(pages.get("/agents").contains("No agent has pulled anything"));
    curl(&server, "<script>alert(1)</script>/1", "/c/a.hdb", &[]);
    curl(&server, "good/1", "/c/a.hdb", &["-r", "0-3"]);
    curl(&server, "bad/1", "/upload", &["-F", "sample=x"]);
    server.stop();
    world.relay(&["settle"]).expect(0);
    let page = pages.get("/agents");
    assert_eq!(status(&page), "200");
    for words in ["incomplete", "127.0.0.1", "tried to send", "/c/a.hdb", "good", "nothing proves it"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("<script"), "{page}");
    pages.stop();
}

/// freshclam never goes back to a database of a lower version: the officer is told before they wonder.
#[test]
fn who_will_not_follow_a_step_back_is_named() {
    let (Some(data), true) = (testdata(), has("freshclam")) else { return };
    let world = World::new();
    for version in [1, 2] {
        world.import(&vendor_bundle(&world, &data, version, 0..0)).expect(0);
        world.decide(&format!("feed/{version}"), "officer", &world.officer, "approve").expect(0);
    }
    let server = Server::start(&world, "serve");
    let mirror = format!("PrivateMirror {}", server.url("/c"));
    freshclam(&world, "test", &mirror).expect(0);
    a_moment();
    let rows = agents(&world);
    assert!(rows[0]["program"] == "ClamAV" && rows[0]["standing"] == "current" && rows[0]["has"] == 2, "{rows:?}");
    world.decide("feed/2", "officer", &world.officer, "withdraw").expect(0);
    let rows = agents(&world);
    assert_eq!((&rows[0]["standing"], &rows[0]["published"]), (&"will-not-follow".into(), &1.into()), "{rows:?}");
    // And so it is.
    a_moment();
    freshclam(&world, "test", &mirror);
    let local = fs::read(world.path("clamav/test.cvd")).or_else(|_| fs::read(world.path("clamav/test.cld"))).unwrap();
    assert_eq!(String::from_utf8_lossy(&local[..60]).split(':').nth(2), Some("2"));
    server.stop();
    assert_eq!(agents(&world)[0]["standing"], "will-not-follow");
    assert!(world.relay(&["agents"]).expect(0).out.contains("under a higher version"));
}

/// Names of programs are the agents' to choose: a flood of them is bounded, and hides no other agent.
#[test]
fn a_flood_of_names_is_bounded() {
    use std::io::{Read as _, Write as _};
    let world = World::new();
    world.publish("feed", 1, ONE);
    let server = Server::start(&world, "serve");
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).matches("HTTP/1.1 200").count()
    });
    for number in 0..6_000 {
        let end = if number == 5_999 { "Connection: close\r\n" } else { "" };
        let request = format!("GET /c/a.hdb HTTP/1.1\r\nHost: localhost\r\nUser-Agent: p{number}\r\n{end}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
    }
    assert_eq!(reading.join().unwrap(), 6_000);
    curl(&server, "honest/1", "/c/a.hdb", &["--interface", "127.0.0.2"]);
    server.stop();
    let rows = agents(&world);
    assert!(rows.len() < 2_100, "{}", rows.len());
    let many = rows.iter().find(|row| row["program"] == "(many)" && row["agent"] == "127.0.0.1").unwrap();
    assert!(many["count"].as_u64().unwrap() > 3_000, "{many}");
    assert!(rows.iter().any(|row| row["agent"] == "127.0.0.2" && row["standing"] == "current"));
}
