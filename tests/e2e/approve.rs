//! Statements: who may decide, on what, how often; and what a decision does to what agents see.

use std::fs;

use serde_json::json;

use super::support::*;

#[test]
fn a_statement_counts_only_from_the_right_hand_about_the_right_bytes() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let good = world.relay(&["approve", "feed/1", "--officer", "officer", "--reason", "ok"]).expect(0).out;
    let sign = |text: &str, key: &Key| key.sign(text.as_bytes(), "timestamp:1");
    let other_digest = good.replacen("manifest sha256:", "manifest sha256:00", 1);
    let other_digest =
        format!("{}\n", other_digest.lines().map(|l| l.get(..80).unwrap_or(l)).collect::<Vec<_>>().join("\n"));
    for (statement, signature, reason) in [
        (good.clone(), sign(&good, &world.custodian), "statement-signer"),
        (good.clone(), sign(&good, &world.second), "statement-signer"),
        (good.clone(), sign(&good, &Key::new()), "signature-unknown-key"),
        (good.clone(), sign("other", &world.officer), "signature-invalid"),
        (good.clone(), sign(&good, &world.officer).replace('\n', "\r\n"), "signature-malformed"),
        (good.clone(), "x".repeat(5000), "signature-malformed"),
        (good.replace("approve", "promote"), sign(&good, &world.officer), "statement-malformed"),
        (other_digest.clone(), sign(&other_digest, &world.officer), "statement-digest"),
    ] {
        let before = world.stored();
        assert_eq!(statement_refused(world.hand_in("feed/1", &statement, &signature)), reason);
        assert_eq!(world.stored(), before, "{reason}");
        assert_eq!(world.log("import").last().unwrap()["reason"], reason);
    }
    // About a release that is not here; about another one than named.
    let unknown = good.replace("feed/1", "feed/9");
    assert_eq!(
        statement_refused(world.hand_in("feed/9", &unknown, &sign(&unknown, &world.officer))),
        "statement-unknown-release"
    );
    let ran = world.hand_in("feed/2", &good, &sign(&good, &world.officer)).expect(3);
    assert!(ran.err.contains("[statement-unknown-release]"), "{}", ran.err);

    world.hand_in("feed/1", &good, &sign(&good, &world.officer)).expect(0);
    assert_eq!(published(&world, "c"), ["feed/1"]);
    assert_eq!(statement_refused(world.hand_in("feed/1", &good, &sign(&good, &world.officer))), "statement-repeated");
}

#[test]
fn two_officers_and_never_the_operator() {
    let world = World::new();
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "officer", &world.officer, "approve").expect(0);
    assert!(published(&world, "two").is_empty(), "one of two was enough");
    assert_eq!(statement_refused(world.decide("two/1", "officer", &world.officer, "approve")), "statement-repeated");
    world.decide("two/1", "second", &world.second, "approve").expect(0);
    assert_eq!(published(&world, "two"), ["two/1"]);

    let folder = world.bundle("feed", 1, ONE);
    world.relay(&["import", "--operator", "officer", folder.to_str().unwrap()]).expect(0);
    assert_eq!(statement_refused(world.decide("feed/1", "officer", &world.officer, "approve")), "statement-own-import");
    world.decide("feed/1", "second", &world.second, "approve").expect(0);
    // But whoever imported, or did so under an officer's name, keeps that officer from taking nothing back.
    world.decide("feed/1", "officer", &world.officer, "withdraw").expect(0);
    assert!(published(&world, "c").iter().all(|id| id != "feed/1"));
}

#[test]
fn another_name_does_not_let_an_operator_approve() {
    let user = run(std::process::Command::new("id").arg("-un")).expect(0).out.trim().to_lowercase();
    let world = World::with(CONFIG, &user);
    let folder = world.bundle("feed", 1, ONE);
    world.import(&folder).expect(0);
    assert_eq!(statement_refused(world.decide("feed/1", &user, &world.second, "approve")), "statement-own-import");
    assert!(world.relay(&["show", "feed/1"]).expect(0).out.contains(&format!("by operator (as {user})")));
    world.decide("feed/1", "officer", &world.officer, "approve").expect(0);
}

#[test]
fn withdraw_goes_back_to_the_former_set() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.publish("feed", 2, ONE);
    assert_eq!(published(&world, "c"), ["feed/2"]);
    world.decide("feed/2", "second", &world.second, "withdraw").expect(0);
    assert_eq!(published(&world, "c"), ["feed/1"]);
    assert_eq!(statement_refused(world.decide("feed/2", "second", &world.second, "approve")), "statement-closed");
    world.decide("feed/1", "officer", &world.officer, "withdraw").expect(0);
    assert!(published(&world, "c").iter().all(|id| id != "feed/1"));
    // A new version brings content back.
    world.publish("feed", 3, ONE);
    assert_eq!(published(&world, "c"), ["feed/3"]);
    world.fsck();
}

#[test]
fn one_officer_refuses_for_good() {
    let world = World::new();
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "officer", &world.officer, "approve").expect(0);
    world.decide("two/1", "second", &world.second, "refuse").expect(0);
    assert_eq!(statement_refused(world.decide("two/1", "officer", &world.officer, "refuse")), "statement-closed");
    let releases = world.relay(&["releases", "--json"]).expect(0).json();
    assert_eq!(releases[0]["standing"], json!({ "standing": "refused" }));
    assert!(published(&world, "two").is_empty());
}

#[test]
fn the_newest_approved_release_is_shown() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    world.import(&world.bundle("feed", 2, ONE)).expect(0);
    world.decide("feed/2", "officer", &world.officer, "approve").expect(0);
    // What agents have a newer release of waits for nobody any more.
    let args = ["approve", "feed/1", "--officer", "officer", "--reason", "test"];
    assert!(world.relay(&args).expect(3).err.contains("[statement-closed]"));
    assert!(world.relay(&["releases"]).out.contains("overtaken by version 2"));
    assert_eq!(published(&world, "c"), ["feed/2"]);
    // A second settle changes nothing.
    let before = world.stored();
    assert_eq!(world.relay(&["settle", "--json"]).expect(0).json()["published"], json!({}));
    assert_eq!(world.stored(), before);
}

/// A withdrawal is final, whatever number of officers the config asks for later.
#[test]
fn a_withdrawal_stays_when_the_config_asks_for_more_officers() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.decide("feed/1", "officer", &world.officer, "withdraw").expect(0);
    assert!(published(&world, "c").iter().all(|id| id != "feed/1"));
    let config =
        CONFIG.replacen("name = \"feed\"\n", "name = \"feed\"\nofficers = 2\nclean_without_approval = true\n", 1);
    fs::write(world.state().join("config.toml"), config).unwrap();
    world.relay(&["settle"]).expect(0);
    assert!(published(&world, "c").iter().all(|id| id != "feed/1"));
    let shown = world.relay(&["show", "feed/1", "--json"]).expect(0).json();
    assert_eq!(shown["standing"]["standing"], "withdrawn", "{shown}");
}

/// A withdrawal that is handed in while a long import runs does not wait for its last bundle.
#[test]
fn a_withdrawal_goes_in_between_the_bundles_of_an_import() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let args = ["approve", "feed/1", "--officer", "officer", "--reason", "bad", "--decision", "withdraw"];
    let text = world.relay(&args).expect(0).out;
    let signature = world.officer.sign(text.as_bytes(), "x");
    let line = json!({ "at": "2026-01-01T00:00:00Z", "text": text.as_bytes(), "signature": signature.as_bytes() });
    let stick = world.path("several");
    for version in 1..=3 {
        let files: &[File<'_>] = &[("own.hdb", HASHES, "clamav-hashes")];
        good(&stick.join(version.to_string()), &world.custodian, "auto", version, files);
    }
    fs::write(world.state().join("inbox/slot"), format!("{line}\n")).unwrap();
    world.import(&stick).expect(0);
    let log = world.log("import");
    let at = |kind: &str, version: u64| {
        let found = log.iter().position(|entry| entry["type"] == kind && entry["version"] == version);
        found.unwrap_or_else(|| panic!("no {kind} of {version}: {log:?}"))
    };
    let withdrawn = log.iter().position(|entry| entry["decision"] == "withdraw").unwrap();
    assert!(at("imported", 1) < withdrawn && withdrawn < at("imported", 2), "{log:?}");
    assert_eq!(published(&world, "c"), ["auto/3"]);
}

/// Nothing to keep: agents would lose all of the feed, so that as many officers as for suppressing content say so
/// first.
#[test]
fn an_empty_release_waits_for_more_officers() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, &[("x.bin", b"who knows", "unknown")])).expect(0);
    world.decide("feed/1", "officer", &world.officer, "approve").expect(0);
    assert!(published(&world, "c").iter().all(|id| id != "feed/1"));
    world.decide("feed/1", "second", &world.second, "approve").expect(0);
    assert_eq!(published(&world, "c"), ["feed/1"]);
}

#[test]
fn gc_keeps_what_can_still_be_shown() {
    let world = World::with_config(&format!("{CONFIG}\n[publish]\nkeep_sets = 2\n"));
    let large = |n: u8| -> Vec<u8> {
        (0..9000_u32)
            .flat_map(|i| format!("{:02x}{}\n", n, &base::Digest::of(&i.to_be_bytes()).to_string()[2..]).into_bytes())
            .collect()
    };
    for version in 1..=4 {
        let bytes = large(u8::try_from(version).unwrap());
        world.publish("feed", version, &[("l.txt", &bytes, "sha256-list")]);
    }
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    let before = world.stored();
    let plan = world.relay(&["gc", "--json"]).expect(0).json();
    assert_eq!(plan["releases"], json!(["feed/1", "feed/2"]));
    assert_eq!((plan["sets"].as_array().unwrap().len(), plan["blobs"].as_array().unwrap().len()), (2, 2));
    assert_eq!(world.stored(), before, "gc without --yes changed something");
    world.relay(&["gc", "--yes"]).expect(0);
    world.fsck();
    world.decide("feed/4", "second", &world.second, "withdraw").expect(0);
    assert_eq!(published(&world, "c"), ["feed/3"]);
    world.decide("two/1", "officer", &world.officer, "approve").expect(0);
    // What was collected stays known: no rollback, no equivocation.
    assert_eq!(world.import(&world.path("stick/feed-1")).json()["bundles"][0]["outcome"], "already-here");
}

#[test]
fn damage_is_named_and_serving_goes_on() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("feed", 2, ONE)).expect(0);
    let hurt = |path: &str, edit: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let path = world.state().join(path);
        let good = fs::read(&path).unwrap();
        fs::write(&path, edit(good.clone())).unwrap();
        move || fs::write(&path, good).unwrap()
    };
    let flip = |mut bytes: Vec<u8>| {
        bytes[5] ^= 1;
        bytes
    };
    for path in [
        "releases/feed/1/pack",
        "releases/feed/1/manifest.json",
        "releases/feed/1/verdicts.json",
        "channels/c/1.json",
        "channels/c/pointer",
        "log/import/checkpoint",
        "keyring/1.toml",
        "trust/trust.json",
    ] {
        let mend = hurt(path, &flip);
        let ran = world.relay(&["fsck"]).expect(4);
        assert!(ran.err.contains("damaged") || ran.err.contains("checkpoint"), "{path}: {}", ran.err);
        mend();
        world.fsck();
    }
    // One damaged channel does not keep a server from serving the others, even from its start.
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "officer", &world.officer, "approve").expect(0);
    world.decide("two/1", "second", &world.second, "approve").expect(0);
    let mend = hurt("channels/two/1.json", &flip);
    let server = Server::start(&world, "serve");
    let code = |path: &str| {
        run(std::process::Command::new("curl").args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &server.url(path)]))
            .out
    };
    assert_eq!((code("/c/a.hdb").as_str(), code("/two/a.hdb").as_str()), ("200", "404"));
    drop(server);
    mend();
    // A damaged keyring, trust file or log stops imports.
    let folder = world.bundle("feed", 3, ONE);
    for path in ["log/import/checkpoint", "keyring/1.toml", "trust/trust.json"] {
        let mend = hurt(path, &flip);
        world.import(&folder).expect(4);
        mend();
    }
    fs::rename(world.state().join("trust/trust.json"), world.path("gone")).unwrap();
    let ran = world.import(&folder).expect(4);
    assert!(ran.err.contains("the file is missing"), "{}", ran.err);
    fs::rename(world.path("gone"), world.state().join("trust/trust.json")).unwrap();
    world.import(&folder).expect(0);
}

/// Going back to older content is a statement of its own: with an incident, an end, and as many officers as content
/// that suppresses needs. A flag does not do it, nor an approval of the usual kind.
#[test]
fn going_back_needs_a_downgrade_ticket() {
    let world = World::new();
    let other: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02e:68:Other\n", "clamav-hashes")];
    world.import(&world.bundle("auto", 1, ONE)).expect(0);
    world.import(&world.bundle("auto", 2, other)).expect(0);
    world.decide("auto/2", "officer", &world.officer, "approve").expect(0);
    // Old content under a higher version; it is clean, and waits all the same.
    let report = world.import(&world.bundle("auto", 3, ONE)).expect(0).json();
    assert_eq!(report["bundles"][0]["standing"]["standing"], "held", "{report}");
    assert_eq!(report["bundles"][0]["standing"]["needed"], 2);
    let shown = world.relay(&["show", "auto/3", "--diff"]).expect(0).out;
    assert!(
        shown.contains(
            "this release goes back to the content of auto/1: officers can let it in only with a downgrade ticket"
        ),
        "{shown}"
    );
    let reason = |ran: Ran| ran.expect(3).json()["refused"][0]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason(world.decide("auto/3", "officer", &world.officer, "approve")), "statement-ticket");
    let ticket = |officer: &str, key: &Key, release: &str, until: &str| {
        let args = [
            "approve",
            release,
            "--officer",
            officer,
            "--reason",
            "false alarms",
            "--decision",
            "downgrade",
            "--incident",
            "INC-7",
            "--until",
            until,
        ];
        let printed = world.relay(&args);
        if printed.code == Some(0) {
            return world.hand_in(release, &printed.out, &key.sign(printed.out.as_bytes(), "x"));
        }
        let text = world.statement(release, officer, &format!("downgrade incident INC-7 until {until}"));
        let ran = world.hand_in(release, &text, &key.sign(text.as_bytes(), "x"));
        same_refusal(&printed, &ran);
        ran
    };
    let fourth: &[File<'_>] = &[("f.hdb", b"44d88612fea8a8f36de82e1278abb02c:68:Fourth\n", "clamav-hashes")];
    world.import(&world.bundle("feed", 1, fourth)).expect(0);
    assert_eq!(reason(ticket("officer", &world.officer, "feed/1", "2099-01-01T00:00:00Z")), "statement-ticket");
    assert_eq!(reason(ticket("officer", &world.officer, "auto/3", "2026-01-02T00:00:00Z")), "statement-ticket");
    ticket("officer", &world.officer, "auto/3", "2098-01-01T00:00:00Z").expect(0);
    let channel = |version: u64| {
        world.relay(&["status", "--json"]).expect(0).json()["channels"][0]["releases"][0]["version"] == version
    };
    assert!(channel(2), "one of two");
    ticket("second", &world.second, "auto/3", "2097-01-01T00:00:00Z").expect(0);
    assert!(channel(3));
    let log = world.log("import");
    assert!(
        log.iter().any(|event| event["type"] == "statement"
            && event["text"].as_str().unwrap().contains("incident INC-7 until 2098"))
    );
    // Whose key let it pass is listed, as of any approval, once the key counts no longer.
    let key = bundle::keyring::RawKey::parse(&world.officer.base64()).unwrap().id_text();
    let listed = world.relay(&["directive", "withdraw-key", &key, "--officer", "second", "--reason", "x"]).expect(0);
    assert!(listed.err.contains("auto/3 (approved), which was approved with this key"), "{}", listed.err);
    // Served on when its time is over, and marked.
    if has("faketime") {
        let mut late = std::process::Command::new("faketime");
        late.args(["2097-06-01 00:00:00", RELAY, "status", "--json"]).env("GAPRELAY_STATE", world.state());
        assert_eq!(run(&mut late).expect(0).json()["channels"][0]["releases"][0]["freshness"], "stale");
    }
    assert_eq!(world.relay(&["status", "--json"]).expect(0).json()["channels"][0]["releases"][0]["freshness"], "fresh");
    // What goes forward again is published as ever; the same once more is no step back.
    let third: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02d:68:Third\n", "clamav-hashes")];
    for (version, files) in [(4, third), (5, third)] {
        world.relay(&["import", world.bundle("auto", version, files).to_str().unwrap(), "--operator", "o"]).expect(0);
    }
    world.fsck();
}

/// A feed that brings an id which another feed of its channel has with another content waits for officers, who are told
/// which; the same rule in both is no question.
#[test]
fn a_feed_takes_no_id_of_another_unseen() {
    let world = World::new();
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("a.rules", RULES, "suricata-rules")]);
    world.import(&world.bundle("auto", 1, &[("same.rules", RULES, "suricata-rules")])).expect(0);
    assert!(world.relay(&["show", "auto/1"]).out.contains("published in c"));
    let taken = b"alert tcp any any -> any 4445 (msg:\"nothing\"; sid:1; rev:9;)\n";
    let other = b"44d88612fea8a8f36de82e1278abb02e:68:Eicar-Test\n";
    let files: &[File<'_>] = &[("b.hdb", other, "clamav-hashes"), ("same.rules", taken, "suricata-rules")];
    world.import(&world.bundle("auto", 2, files)).expect(0);
    let shown = world.relay(&["show", "auto/2", "--diff"]).expect(0).out;
    assert!(shown.contains("held (0 of 1 approvals)"), "{shown}");
    assert!(shown.contains("1 rule or signature has an id that feed feed has too"), "{shown}");
    assert!(shown.contains("- same.rules") && shown.contains("+ same.rules"), "{shown}");
    world.decide("auto/2", "officer", &world.officer, "approve").expect(0);
    assert!(world.relay(&["show", "auto/2"]).out.contains("published in c"));
}

fn rule(sid: u32, port: u32) -> Vec<u8> {
    format!("alert tcp any any -> any {port} (msg:\"id\"; sid:{sid}; rev:1;)\n").into_bytes()
}

/// Which ids a release has that another feed has first is in what an officer signs, as it is then, and again when it is
/// handed in.
#[test]
fn an_id_of_another_feed_is_in_what_is_signed() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let (one, other) = (rule(7, 1), rule(7, 2));
    world.import(&world.bundle("feed", 2, &[("a.rules", &one, "suricata-rules")])).expect(0);
    // Nobody else had it when this was imported; now somebody has. What waits itself has taken it from nobody.
    let before = world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "x"]).expect(0).out;
    world.import(&world.bundle("auto", 1, &[("b.rules", &other, "suricata-rules")])).expect(0);
    assert_eq!(published(&world, "c"), ["feed/1", "auto/1"]);
    let text = world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "x"]).expect(0).out;
    let effect = "by an id that feed auto has with another content\n";
    assert!(text.contains("brings 1 rule or signature") && text.contains(effect), "{text}");
    let silent: String = text.lines().filter(|it| !it.starts_with("effect ")).map(|it| format!("{it}\n")).collect();
    for text in [&before, &silent] {
        let ran = world.hand_in("feed/2", text, &world.officer.sign(text.as_bytes(), "x"));
        assert_eq!(statement_refused(ran), "statement-changes");
    }
    world.hand_in("feed/2", &text, &world.officer.sign(text.as_bytes(), "x")).expect(0);
    assert_eq!(published(&world, "c"), ["feed/2", "auto/1"]);
    world.fsck();
}

/// The feed that had an id first in what is published keeps it without a question, whoever copies it; who copied it is
/// asked about each change of it.
#[test]
fn who_had_an_id_first_is_not_asked() {
    let world = World::new();
    let one = rule(1, 1);
    world.import(&world.bundle("auto", 1, &[("a.rules", &one, "suricata-rules")])).expect(0);
    world.publish("feed", 1, &[("b.rules", &one, "suricata-rules")]);
    assert_eq!(published(&world, "c"), ["feed/1", "auto/1"]);
    let shown = |release: &str| world.relay(&["show", release]).expect(0).out;
    for (version, port) in [(2, 2), (3, 3)] {
        world.import(&world.bundle("auto", version, &[("a.rules", &rule(1, port), "suricata-rules")])).expect(0);
        assert!(shown(&format!("auto/{version}")).contains("published in c"), "{}", shown("auto/2"));
    }
    for (version, port) in [(2, 4), (3, 5)] {
        world.import(&world.bundle("feed", version, &[("b.rules", &rule(1, port), "suricata-rules")])).expect(0);
        let release = format!("feed/{version}");
        let text = world.relay(&["approve", &release, "--officer", "officer", "--reason", "x"]).expect(0).out;
        assert!(text.contains("effect brings 1 rule or signature by an id that feed auto has"), "{text}");
        world.decide(&release, "officer", &world.officer, "approve").expect(0);
    }
    // What is as it was approved is asked about no more.
    let files: &[File<'_>] = &[("b.rules", &rule(1, 5), "suricata-rules"), ("c.rules", &rule(8, 1), "suricata-rules")];
    world.import(&world.bundle("feed", 4, files)).expect(0);
    let text = world.relay(&["approve", "feed/4", "--officer", "officer", "--reason", "x"]).expect(0).out;
    assert!(!text.contains("\neffect "), "{text}");
    world.fsck();
}

/// An id that stands only in what waits is taken from nobody; of two that are clean and come together the second waits.
#[test]
fn what_waits_takes_no_id() {
    let config = CONFIG
        .replace("name = \"c\"\nfeeds = [\"feed\", \"auto\"]", "name = \"c\"\nfeeds = [\"feed\", \"auto\", \"more\"]")
        + "[[feed]]\nname = \"more\"\nkinds = [\"suricata-rules\"]\nclean_without_approval = true\n";
    let world = World::with_config(&config);
    world.import(&world.bundle("feed", 1, &[("a.rules", &rule(9, 1), "suricata-rules")])).expect(0);
    let stick = world.path("together");
    good(&stick.join("auto"), &world.custodian, "auto", 1, &[("b.rules", &rule(9, 2), "suricata-rules")]);
    good(&stick.join("more"), &world.custodian, "more", 1, &[("c.rules", &rule(9, 3), "suricata-rules")]);
    world.import(&stick).expect(0);
    assert_eq!(published(&world, "c"), ["auto/1"]);
    assert!(world.relay(&["show", "more/1"]).out.contains("held (0 of 1 approvals)"));
}
