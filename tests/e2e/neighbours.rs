//! Feeds of one channel as neighbours: none takes the place of another's file, nor stands beside it in its name.

use std::fs;

use serde_json::{Value, json};

use super::support::*;

/// A file of this name, with a list of digests.
fn list(digit: &str) -> String {
    digit.repeat(64) + "\n"
}

/// A relay whose channel names the feed that publishes without an officer first, or last.
fn world(feeds: &str) -> World {
    let config = CONFIG.replace("feeds = [\"feed\", \"auto\"]", feeds);
    let auto = "name = \"auto\"\nkinds = [\"clamav-hashes\", ";
    World::with_config(&config.replace(auto, &format!("{auto}\"clamav-sign\", ")))
}

/// Imports a bundle; gives the standing of its release.
fn bring(world: &World, feed: &str, version: u64, files: &[File<'_>]) -> Value {
    let ran = world.import(&world.bundle(feed, version, files)).expect(0).json();
    ran["bundles"][0]["standing"]["standing"].clone()
}

/// Paths of a release that are withheld since their names are another feed's.
fn clashes(world: &World, release: &str) -> Vec<String> {
    let shown = world.relay(&["show", release, "--json"]).expect(0).json();
    let verdicts = shown["verdicts"].as_array().unwrap().iter();
    verdicts.filter(|v| v["reason"] == "path-clash").map(|v| v["path"].as_str().unwrap().to_owned()).collect()
}

/// Whatever the ending of its name, and whichever feed the channel names first.
#[test]
fn a_feed_does_not_replace_what_another_shows() {
    let world = world("feeds = [\"auto\", \"feed\"]");
    let (ours, theirs) = (list("1"), list("2"));
    world.publish("feed", 1, &[("iocs.sha256", ours.as_bytes(), "sha256-list")]);
    let files: &[File<'_>] = &[("iocs.sha256", theirs.as_bytes(), "sha256-list"), ("own.hdb", HASHES, "clamav-hashes")];
    assert_eq!(bring(&world, "auto", 1, files), "held");
    assert_eq!(clashes(&world, "auto/1"), ["iocs.sha256"]);
    let told = world.relay(&["show", "auto/1"]).expect(0).out;
    assert!(told.contains("a name of feed feed"), "{told}");
    // The rest of it comes as ever.
    world.decide("auto/1", "officer", &world.officer, "approve").expect(0);
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/c/iocs.sha256", "").body, ours);
    assert_eq!(server.get("/c/own.hdb", "").status, 200);
    world.fsck();
}

/// A list whose name says that it is about a file: another feed brings that file, and its digest would take the list's
/// place.
#[test]
fn a_feed_takes_no_list_away_by_bringing_the_file_of_its_name() {
    let world = world("feeds = [\"feed\", \"auto\"]");
    let ours = list("1");
    world.publish("feed", 1, &[("malware.txt.sha256", ours.as_bytes(), "sha256-list")]);
    let theirs = list("2");
    assert_eq!(bring(&world, "auto", 1, &[("malware.txt", theirs.as_bytes(), "sha256-list")]), "held");
    assert_eq!(clashes(&world, "auto/1"), ["malware.txt"]);
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/c/malware.txt.sha256", "").body, ours);
    assert_eq!(server.get("/c/malware.txt", "").status, 404);
}

/// The signature of a database has the version in its name or not.
#[test]
fn a_feed_signs_no_database_of_another() {
    let world = world("feeds = [\"auto\", \"feed\"]");
    let database = cvd(&[("test.hdb", HASHES)], |info| info);
    let sign = |letter: &str| format!("#clamsign-1.0\n{}\n", letter.repeat(64));
    let (ours, theirs) = (sign("V"), sign("E"));
    world.publish("feed", 1, &[("site-7.cvd", &database, "clamav-cvd")]);
    let beside: &[File<'_>] = &[("site-7.cvd.sign", theirs.as_bytes(), "clamav-sign")];
    assert_eq!(bring(&world, "auto", 1, beside), "held");
    assert_eq!(clashes(&world, "auto/1"), ["site-7.cvd.sign"]);
    let both: &[File<'_>] =
        &[("site-7.cvd", &database, "clamav-cvd"), ("site-7.cvd.sign", ours.as_bytes(), "clamav-sign")];
    world.publish("feed", 2, both);
    assert_eq!(bring(&world, "auto", 2, beside), "held");
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/c/site-7.cvd.sign", "").body, ours);
}

/// Digests that the relay puts beside a file are those of the file that is shown, and the list of all files is the
/// relay's own.
#[test]
fn the_relays_digests_are_of_what_is_shown() {
    let world = world("feeds = [\"feed\", \"auto\"]");
    let (ours, theirs) = (list("1"), list("2"));
    let files: &[File<'_>] =
        &[("site.hdb", HASHES, "clamav-hashes"), ("site.hdb.sha256", ours.as_bytes(), "sha256-list")];
    world.publish("feed", 1, files);
    let files: &[File<'_>] = &[
        ("SHA256SUMS", theirs.as_bytes(), "sha256-list"),
        ("own.hdb", HASHES, "clamav-hashes"),
        ("site.hdb.sha256", theirs.as_bytes(), "sha256-list"),
    ];
    assert_eq!(bring(&world, "auto", 1, files), "held");
    assert_eq!(clashes(&world, "auto/1"), ["SHA256SUMS", "site.hdb.sha256"]);
    world.decide("auto/1", "officer", &world.officer, "approve").expect(0);
    let server = Server::start(&world, "serve");
    let digest = base::Digest::of(ours.as_bytes()).to_string();
    assert_eq!(server.get("/c/site.hdb.sha256.sha256", "").body, digest);
    assert!(server.get("/c/SHA256SUMS", "").body.contains(&format!("{}  own.hdb", base::Digest::of(HASHES))));
    let set: Value = serde_json::from_str(&server.get("/-/channels/c/release.json", "").body).unwrap();
    let paths: Vec<&str> = set["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert!(paths.is_sorted_by(|one, other| one < other), "{paths:?}");
}

/// One name to agents that fold case, and a file that is another feed's folder.
#[test]
fn names_that_are_one_to_agents_belong_to_one_feed() {
    let world = world("feeds = [\"feed\", \"auto\"]");
    world.publish("feed", 1, &[("rules/a.rules", RULES, "suricata-rules"), ("site.hdb", HASHES, "clamav-hashes")]);
    let files: &[File<'_>] = &[
        ("Site.hdb", HASHES, "clamav-hashes"),
        ("rules", HASHES, "clamav-hashes"),
        ("site.hdb.d/x.hdb", HASHES, "clamav-hashes"),
        ("site.hdb/x.hdb", HASHES, "clamav-hashes"),
    ];
    // A bundle may not have both of the last two names of a file itself.
    assert_eq!(bring(&world, "auto", 1, &files[..3]), "held");
    assert_eq!(clashes(&world, "auto/1"), ["Site.hdb", "rules"]);
    assert_eq!(bring(&world, "auto", 2, &files[3..]), "held");
    assert_eq!(clashes(&world, "auto/2"), ["site.hdb/x.hdb"]);
    // A folder is everybody's.
    let shared: &[File<'_>] = &[("rules/b.hdb", HASHES, "clamav-hashes")];
    assert_eq!(bring(&world, "auto", 3, shared), "approved");
}

/// Who brought a name first has it: while it waits for officers, and after it was withdrawn.
#[test]
fn a_name_is_not_taken_while_its_owner_waits() {
    let world = world("feeds = [\"feed\", \"auto\"]");
    assert_eq!(bring(&world, "feed", 1, ONE), "held");
    assert_eq!(bring(&world, "auto", 1, OTHER), "held");
    assert_eq!(clashes(&world, "auto/1"), ["a.hdb"]);
    world.decide("feed/1", "officer", &world.officer, "approve").expect(0);
    assert_eq!(published(&world, "c"), ["feed/1"]);
    world.decide("feed/1", "officer", &world.officer, "withdraw").expect(0);
    assert_eq!(bring(&world, "auto", 2, OTHER), "held");
    assert_eq!(bring(&world, "feed", 2, ONE), "held");
    assert_eq!(clashes(&world, "feed/2"), Vec::<String>::new());
}

/// What officers refused, or is denied, has no name.
#[test]
fn a_name_is_free_again_once_its_owner_is_refused_or_denied() {
    let world = world("feeds = [\"feed\", \"auto\"]");
    assert_eq!(bring(&world, "feed", 1, ONE), "held");
    world.decide("feed/1", "officer", &world.officer, "refuse").expect(0);
    assert_eq!(bring(&world, "auto", 1, OTHER), "approved");
    assert_eq!(bring(&world, "feed", 2, ONE), "held");
    assert_eq!(clashes(&world, "feed/2"), ["a.hdb"]);
    direct(&world, "officer", &world.officer, &["deny-feed", "auto"]).expect(0);
    assert_eq!(bring(&world, "feed", 3, ONE), "held");
    assert_eq!(clashes(&world, "feed/3"), Vec::<String>::new());
}

/// Two feeds that were put into one channel only now: what is shown keeps its names, the newcomer comes without them,
/// which is told, and nothing waits for it.
#[test]
fn what_is_shown_keeps_its_names_when_feeds_are_put_together() {
    let world = world("feeds = [\"auto\"]\n[[channel]]\nname = \"d\"\nfeeds = [\"feed\"]");
    let files: &[File<'_>] = &[("a.hdb", OTHER[0].1, "clamav-hashes"), ("b.hdb", HASHES, "clamav-hashes")];
    assert_eq!(bring(&world, "auto", 1, files), "approved");
    world.publish("feed", 1, ONE);
    let path = world.state().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("feeds = [\"auto\"]", "feeds = [\"feed\", \"auto\"]")).unwrap();
    assert!(world.relay(&["check-config"]).expect(3).err.contains("[path-clash]"));
    let settled = world.relay(&["settle", "--json"]).expect(3).json();
    assert_eq!(settled["stuck"]["c"]["reason"], "path-clash", "{settled}");
    assert_eq!(published(&world, "c"), ["feed/1", "auto/1"]);
    assert_eq!(world.log("import").iter().filter(|e| e["type"] == "publish-refused").count(), 1);
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/c/a.hdb", "").body.as_bytes(), OTHER[0].1);
    let set: Value = serde_json::from_str(&server.get("/-/channels/c/release.json", "").body).unwrap();
    assert_eq!(set["releases"][0]["withheld"], json!({ "a.hdb": "path-clash" }));
    // Once the other one leaves, the newcomer has its place.
    world.decide("auto/1", "officer", &world.officer, "withdraw").expect(0);
    assert_eq!(published(&world, "c"), ["feed/1"]);
    let has_hashes = || server.get("/c/a.hdb", "").body.as_bytes() == HASHES;
    assert!((0..100).any(|_| has_hashes() || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        false
    }));
    world.fsck();
}
