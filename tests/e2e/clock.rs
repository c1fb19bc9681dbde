//! Clocks that go wrong: ahead by years, and ahead for a while.

use std::fs;
use std::time::Duration;

use base::Timestamp;
use base::clock::now;

use super::support::*;

/// A clock years ahead neither imports nor poisons the log: an officer confirms the time, or it is set right again.
#[test]
fn a_clock_years_ahead_needs_an_officers_word() {
    if !has("faketime") {
        return;
    }
    let world = World::new();
    world.publish("feed", 1, ONE);
    let folder = world.bundle("feed", 2, OTHER);
    let far = "2031-05-01 12:00:00";
    let ran = at(&world, far, &["import", "--operator", "operator", folder.to_str().unwrap()]).expect(1);
    assert!(ran.err.contains("no officer has confirmed so long a step"), "{}", ran.err);
    assert!(ran.err.contains("gaprelay directive clock"), "{}", ran.err);
    // Settling goes on, and dates nothing by that clock.
    at(&world, far, &["settle"]).expect(0);
    world.import(&folder).expect(0);

    let hand_in = |time: &str, when: &str| {
        let print =
            |time: &str| at(&world, when, &["directive", "clock", time, "--officer", "officer", "--reason", "battery"]);
        let good = "2031-05-01T10:00:00Z";
        let printed = print(good).expect(0).out.replace(good, time);
        assert_eq!(print(time).code, Some(if time == good { 0 } else { 3 }), "printed and refused");
        fs::write(world.path("c.txt"), &printed).unwrap();
        fs::write(world.path("c.txt.minisig"), world.officer.sign(printed.as_bytes(), "x")).unwrap();
        at(&world, when, &["directive", "hand-in", "--json", world.path("c.txt.minisig").to_str().unwrap()])
    };
    assert_eq!(statement_refused(hand_in("2030-01-01T00:00:00Z", far)), "statement-clock");
    // Each later than what came before, however slow that was.
    hand_in("2031-05-01T10:00:00Z", "2031-05-01 12:10:00").expect(0);
    let third = world.bundle("feed", 3, ONE);
    at(&world, "2031-05-01 12:20:00", &["import", "--operator", "operator", third.to_str().unwrap()]).expect(0);
    let back = world.relay(&["import", third.to_str().unwrap()]).expect(1);
    assert!(back.err.contains("the clock says"), "{}", back.err);
}

/// So many days from now, as faketime reads it.
fn in_days(days: u64) -> String {
    now().plus(Duration::from_hours(24 * days)).to_string().replace('T', " ").replace('Z', "")
}

/// The times of a log's entries.
fn times(world: &World, log: &str) -> Vec<Timestamp> {
    let shown = world.relay(&["log", "show", "--log", log, "--json"]).expect(0);
    let time = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["entry"]["time"].as_str().unwrap().parse().unwrap()
    };
    shown.out.lines().map(time).collect()
}

/// A relay whose clock had run ahead for so long that something was imported, and somebody tried to send something.
pub(crate) fn ran_ahead() -> World {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let server = Server::start(&world, "serve");
    let post = std::process::Command::new("curl").args(["-s", "-d", "x", &server.url("/submit")]).output().unwrap();
    assert!(!post.stdout.is_empty());
    drop(server);
    let second = world.bundle("feed", 2, OTHER);
    at(&world, &in_days(200), &["import", "--operator", "operator", second.to_str().unwrap()]).expect(0);
    world
}

/// A clock that ran ahead for a while does not stop imports until the time it showed: two officers say what time it is.
/// One alone turns nothing back, nor the two of them what was not.
#[test]
fn a_clock_that_had_run_ahead_is_turned_back_by_two_officers() {
    if !has("faketime") {
        return;
    }
    let world = World::new();
    let late = now().plus(Duration::from_mins(1)).to_string();
    let ran = world.relay(&["directive", "clock-back", &late, "--officer", "officer", "--reason", "x"]).expect(3);
    assert!(ran.err.contains("there is nothing to turn back"), "{}", ran.err);
    let time = now().to_string();

    let world = ran_ahead();
    let third = world.bundle("feed", 3, ONE);
    let stopped = |world: &World| world.import(&third).expect(1).err;
    let said = stopped(&world);
    assert!(said.contains("the clock says") && said.contains("directive clock-back"), "{said}");
    let faults = |world: &World| world.relay(&["status", "--json"]).json()["faults"].to_string();
    assert!(faults(&world).contains("the clock says"), "{}", faults(&world));
    let ahead = *times(&world, "import").last().unwrap();
    assert!(ahead > now().plus(Duration::from_hours(24 * 198)));
    assert_eq!(times(&world, "access").last(), Some(&ahead));

    // What is no way back: a time that the clock does not say, one to come, another moment than the one that stands.
    let print = |officer: &str, time: &str| {
        let args = ["directive", "clock-back", time, "--officer", officer, "--reason", "battery"];
        world.relay(&args).expect(0).out
    };
    let good = print("officer", &time);
    let off = Timestamp::from_secs(now().secs() - 3 * 86_400).to_string();
    let soon = now().plus(Duration::from_hours(20)).to_string();
    let later = ahead.plus(Duration::from_secs(1)).to_string();
    for wrong in [good.replace(&time, &off), good.replace(&time, &soon), good.replace(&ahead.to_string(), &later)] {
        assert_ne!(wrong, good);
        assert_eq!(statement_refused(hand_in_directive(&world, &wrong, &world.officer)), "statement-clock");
    }
    assert_eq!(statement_refused(hand_in_directive(&world, &good, &world.custodian)), "statement-signer");

    // One officer, however often, is one.
    let first = hand_in_directive(&world, &good, &world.officer).expect(0).json();
    assert!(first["directives"][0]["clock"].is_null(), "{first}");
    assert_eq!(statement_refused(hand_in_directive(&world, &good, &world.officer)), "statement-repeated");
    hand_in_directive(&world, &good.replace("battery", "once more"), &world.officer).expect(0);
    stopped(&world);
    let second = print("second", &time);
    let turned = hand_in_directive(&world, &second, &world.second).expect(0).json();
    assert!(turned["directives"][0]["clock"].is_string(), "{turned}");
    // Nobody prints what would not count.
    let again = ["directive", "clock-back", &time, "--officer", "officer", "--reason", "x"];
    assert!(world.relay(&again).expect(3).err.contains("there is nothing to turn back"));

    // It is today again: for what comes in, and in both logs.
    world.import(&third).expect(0);
    let today = |log: &str| *times(&world, log).last().unwrap() < now().plus(Duration::from_mins(1));
    assert!(today("import"));
    let told = world.relay(&["log", "show"]).expect(0).out;
    assert!(told.contains("the clock may go back to"), "{told}");
    let server = Server::start(&world, "serve");
    std::process::Command::new("curl").args(["-s", "-d", "x", &server.url("/submit")]).output().unwrap();
    drop(server);
    world.relay(&["settle"]).expect(0);
    assert!(today("access"));
    assert_eq!(faults(&world), "[]");
    world.fsck();
    for log in ["import", "access"] {
        world.relay(&["log", "verify", "--log", log]).expect(0);
        // What was appended since is found, whatever was dated by the wrong clock.
        let since = world.relay(&["log", "show", "--log", log, "--since", &now().to_string()]).expect(0);
        let all = world.relay(&["log", "show", "--log", log]).expect(0).out;
        assert!(all.ends_with(&since.out), "{}", since.out);
    }

    // What was signed for that once does not count again, and the log tells all of it.
    assert_eq!(statement_refused(hand_in_directive(&world, &second, &world.second)), "statement-repeated");
    let once_more = second.replace("battery", "again");
    assert_eq!(statement_refused(hand_in_directive(&world, &once_more, &world.second)), "statement-clock");
    fs::write(world.state().join("trust/trust.json"), b"{}").unwrap();
    repair(&world, &[("officer", &world.officer), ("second", &world.second)], &[]).expect(0);
    world.import(&world.bundle("feed", 4, OTHER)).expect(0);
    world.fsck();
}

/// An officer whose key was denied since is none of the two.
#[test]
fn a_denied_officer_does_not_turn_the_clock_back() {
    if !has("faketime") {
        return;
    }
    let world = ran_ahead();
    let time = now().to_string();
    direct(&world, "officer", &world.officer, &["clock-back", &time]).expect(0);
    direct(&world, "second", &world.second, &["deny-key", &id(&world.officer)]).expect(0);
    direct(&world, "second", &world.second, &["clock-back", &time]).expect(0);
    world.import(&world.bundle("feed", 3, ONE)).expect(1);
}

/// Two officers say within a day what time it is: an order of one that was left over answers no second one of a later
/// day.
#[test]
fn an_old_order_turns_no_clock_back() {
    if !has("faketime") {
        return;
    }
    let world = ran_ahead();
    let time = now().to_string();
    direct(&world, "officer", &world.officer, &["clock-back", &time]).expect(0);
    let when = in_days(3);
    let later = format!("{}Z", when.replace(' ', "T"));
    let by = |officer: &str, key: &Key, reason: &str| {
        let order = ["directive", "clock-back", &later, "--officer", officer, "--reason", reason];
        let printed = at(&world, &when, &order).expect(0).out;
        let path = world.path("c.txt");
        fs::write(&path, &printed).unwrap();
        fs::write(world.path("c.txt.minisig"), key.sign(printed.as_bytes(), "x")).unwrap();
        let signature = world.path("c.txt.minisig");
        at(&world, &when, &["directive", "hand-in", "--json", signature.to_str().unwrap()]).expect(0).json()
    };
    let turned = by("second", &world.second, "battery");
    assert!(turned["directives"][0]["clock"].is_null(), "{turned}");
    // Said again today, it counts.
    let turned = by("officer", &world.officer, "battery, again");
    assert!(turned["directives"][0]["clock"].is_string(), "{turned}");
}

/// An officer of one feed says a time that is ahead of the relay's clock, within what is let pass: imports go on, and
/// by a replay of the log as well.
#[test]
fn no_officer_sets_a_time_ahead_of_the_clock() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let ahead = now().plus(Duration::from_mins(9));
    direct(&world, "officer", &world.officer, &["clock", &ahead.to_string()]).expect(0);
    world.import(&world.bundle("feed", 2, OTHER)).expect(0);
    fs::write(world.state().join("trust/trust.json"), b"{}").unwrap();
    repair(&world, &[("officer", &world.officer), ("second", &world.second)], &[]).expect(0);
    world.import(&world.bundle("feed", 3, ONE)).expect(0);
    let floor = world.relay(&["status", "--json"]).expect(0).json()["floor"].as_str().unwrap().to_owned();
    assert!(floor.parse::<Timestamp>().unwrap() <= now(), "{floor}");
    world.fsck();
}

/// Nor do two who turn the clock back, where it was set back once more between the one and the other.
#[test]
fn no_two_officers_turn_the_clock_back_to_a_time_ahead_of_it() {
    if !has("faketime") {
        return;
    }
    let world = ran_ahead();
    direct(&world, "officer", &world.officer, &["clock-back", &now().to_string()]).expect(0);
    let before = Timestamp::from_secs(now().secs() - 300);
    let at_time = |time: Timestamp| time.to_string().replace('T', " ").replace('Z', "");
    let (when, later) = (at_time(before), at_time(before.plus(Duration::from_mins(2))));
    let before = before.to_string();
    let order = ["directive", "clock-back", &before, "--officer", "second", "--reason", "battery"];
    let printed = at(&world, &when, &order).expect(0).out;
    let signature = world.sign_text(&printed, &world.second);
    let turned = at(&world, &when, &["directive", "hand-in", "--json", signature.to_str().unwrap()]).expect(0).json();
    assert!(turned["directives"][0]["clock"].is_string(), "{turned}");
    let third = world.bundle("feed", 3, ONE);
    at(&world, &later, &["import", "--operator", "operator", third.to_str().unwrap()]).expect(0);
}

/// A clock that is far ahead is believed by an officer's word on the time, and by no other order: what is handed in
/// beside one is judged by the same clock, and nothing is imported.
#[test]
fn no_other_order_confirms_a_clock() {
    if !has("faketime") {
        return;
    }
    let world = World::new();
    world.publish("feed", 1, ONE);
    let far = "2031-05-01 12:00:00";
    for feed in ["two", "auto"] {
        let order = ["directive", "deny-feed", feed, "--officer", "officer", "--reason", "x"];
        let text = at(&world, far, &order).expect(0).out;
        let signature = world.officer.sign(text.as_bytes(), "x");
        let item = serde_json::json!({ "at": now(), "text": text.as_bytes(), "signature": signature.as_bytes() });
        fs::write(world.state().join(format!("inbox/{feed}.json")), item.to_string()).unwrap();
    }
    let settled = at(&world, far, &["settle", "--json"]).expect(0).json();
    assert_eq!(settled["directives"].as_array().unwrap().len(), 2, "{settled}");
    let second = world.bundle("feed", 2, OTHER);
    at(&world, far, &["import", "--operator", "operator", second.to_str().unwrap()]).expect(1);
    world.import(&second).expect(0);
}
