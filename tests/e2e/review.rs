//! The officers' pages: through curl as they are, and in a real browser; with hostile text in every
//! place where somebody else may write, and hostile code inside.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use base::clock::now;

use super::support::*;

const FEED: &str = r#"
relay = "test"
[media]
writable = "a folder of the test"
[[feed]]
name = "feed"
kinds = ["clamav-hashes"]
[[channel]]
name = "channel"
feeds = ["feed"]
[review]
names = ["relay.site.example"]
"#;

/// A world whose tests' own account reads in this role.
fn world(role: &str) -> World {
    let uid = rustix::process::getuid().as_raw();
    World::with_config(&format!("{FEED}[[review.reader]]\nuser = \"{uid}\"\nrole = \"{role}\"\n"))
}

/// Hands in as a browser would; gives the page of the outcome, after a settle.
fn hand_in(pages: &Pages, world: &World, release: &str, statement: &str, signature: &str) -> String {
    fs::write(world.path("handed.txt"), statement.replace('\n', "\r\n")).unwrap();
    fs::write(world.path("handed.minisig"), signature).unwrap();
    let statement = format!("statement=<{}", world.path("handed.txt").display());
    let signature = format!("signature=@{}", world.path("handed.minisig").display());
    let page = if release == "/keys" { release.to_owned() } else { format!("/imports/{release}") };
    let answer = pages.curl(&page, &["-F", &statement, "-F", &signature]);
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    let place = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().trim().to_owned();
    assert!(pages.get(&place).contains("Waiting for the keeper"));
    world.relay(&["settle"]);
    pages.get(&place)
}

/// One release served, a weaker one that waits, and attempts with hostile text.
fn busy(role: &str) -> World {
    let world = world(role);
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("b.hdb", HASHES, "clamav-hashes")]);
    let script: &[u8] = b"#!/bin/sh\n";
    let files: &[File<'_>] = &[
        ("<b onload=alert(1)>.hdb", script, "clamav-hashes"),
        ("a.hdb", b"44d88612fea8a8f36de82e1278abb02a:68:Other\n", "clamav-hashes"),
    ];
    world.import(&world.bundle("feed", 2, files)).expect(0);
    let server = Server::start(&world, "serve");
    for hostile in ["<script>alert(1)</script>", "\u{202e}gnp.exe", "<img src=x onerror=alert(1)>", &"A".repeat(10_000)]
    {
        let mut command = Command::new("curl");
        run(command.args(["-s", "-A", hostile, "-F", "sample=x", &server.url("/upload")]));
    }
    for (agent, path) in [("<i>updater</i>/1", "/channel/a.hdb"), ("ClamAV/1.4.6 (OS: Linux)", "/channel/b.hdb")] {
        run(Command::new("curl").args(["-s", "-o", "/dev/null", "-A", agent, &server.url(path)]));
    }
    server.stop();
    world.relay(&["settle"]).expect(0);
    world
}

#[test]
fn pages_say_what_came_in_what_was_kept_back_and_who_tried_to_send() {
    let world = busy("officer");
    let pages = Pages::start(&world);
    let issued = format!("issued {}", now());
    let current = format!("/imports/feed/2?decision=approve&officer=officer&reason=ok&{}", issued.replace(' ', "="));
    for (path, words) in [
        ("/", vec!["feed/2", "No fault found", "feed/1", "fresh", "That is its own word", "Refused, by day"]),
        ("/imports", vec!["feed/1", "feed/2", "held (0 of 1 approvals)"]),
        (
            "/imports/feed/2",
            vec![
                "this release weakens detection",
                "b.hdb is missing in this release, and agents have it now",
                "kind-script",
                "custodian",
                "operator (as ",
                "opened medium",
            ],
        ),
        (
            current.as_str(),
            vec!["gaprelay-approval/2\nrelay test/import/1\nrelease feed/2\n", issued.as_str(), "Hand in"],
        ),
        // What would not count is not shown: the time in the address is over, or is to come.
        (
            "/imports/feed/2?decision=approve&officer=officer&reason=ok&issued=2026-01-01T00:00:00Z",
            vec!["no statement was made", "[statement-expired]"],
        ),
        (
            "/imports/feed/2?decision=approve&officer=officer&reason=ok&issued=2098-01-01T00:00:00Z",
            vec!["no statement was made", "[statement-clock]"],
        ),
        (
            "/refusals",
            vec![
                "tried to send",
                "What to do:",
                "127.0.0.1",
                "By vendor and kind",
                "By agent",
                "Last request, and what to do on that agent",
            ],
        ),
        ("/log", vec!["imported feed/2", "channel channel now shows set 1"]),
        ("/log?log=access", vec!["tried to send"]),
        ("/log?words=publish-started", vec!["publishing set 1 in channel channel started"]),
        (
            "/log?kind=published&since=2026-01-01&until=2999-01-01",
            vec!["channel channel now shows set 1", "selected>published"],
        ),
        ("/log?kind=published&until=2026-01-01", vec!["No entry passes the filter."]),
        ("/log?since=2999-01-01", vec!["No entry passes the filter."]),
        ("/log?since=nonsense&until=%27%3E&kind=%22", vec!["imported feed/2"]),
        ("/keys", vec!["custodian", "usable", "Limits", "clamav-hashes"]),
    ] {
        let page = pages.get(path);
        assert_eq!(status(&page), "200", "{path}: {page}");
        for word in words {
            assert!(page.contains(word), "{path} lacks {word}: {page}");
        }
        assert!(page.contains("content-security-policy: default-src 'none'; style-src 'self'"), "{page}");
        assert!(page.contains("cache-control: no-store") && page.contains("<title>") && page.contains("lang=\"en\""));
        for injected in ["<script", "<img", "<b onload", "\u{202e}", "http://", "https://", "style=\""] {
            let body = page.split_once("\r\n\r\n").unwrap().1.replace("http://www.w3.org", "");
            assert!(!body.contains(injected), "{path} has {injected}: {page}");
        }
    }
    // An entry is shown whole, however long.
    let long = pages.get("/log?log=access");
    assert!(long.contains("&quot;bytes_received&quot;:") && long.contains("&quot;user_agent&quot;:"), "{long}");
    // A filtered view as a file: lines of an export, each as the log has it, and only those that are left.
    for (query, count) in [
        ("format=json&kind=imported", 2),
        ("format=ocsf&kind=imported", 3),
        ("format=cef&log=access&words=upload", 2),
        ("format=cef&since=2999-01-01", 0),
    ] {
        let answer = pages.get(&format!("/log/export?{query}"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-disposition: attachment; filename=\""), "{head}");
        assert_eq!(body.lines().count(), count, "{query}: {body}");
        fs::write(world.path("lines"), body).unwrap();
        let lines = world.path("lines");
        let args = ["log", "verify", "--export", lines.to_str().unwrap()];
        world.relay(&[&args[..], &["--filtered"]].concat()).expect(0);
        if query.ends_with("kind=imported") {
            assert!(
                world.relay(&args).expect(4).err.contains("are missing before this line"),
                "it is not a whole export"
            );
        }
    }
    assert_eq!(status(&pages.get("/log/export?format=exe")), "404");
    // The statement as a file is byte for byte what the command line prints.
    // Receipts and proofs are those of the command line, and are believed without the log.
    let page = pages.get("/imports/feed/2");
    let bounded = world.relay(&["log", "receipt"]).expect(0).out;
    assert!(page.contains(&bounded) && page.contains("aria-label=\"QR code of the text above\""), "{bounded}");
    let vkey = world.state().join("log/import/vkey");
    for (path, line) in
        [("/imports/feed/2/receipt", ["log", "receipt", "feed/2"]), ("/log/import/2.tlog-proof", ["log", "prove", "2"])]
    {
        let proof = pages.get(path).split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(proof, world.relay(&line).expect(0).out);
        fs::write(world.path("proof"), proof).unwrap();
        let proof = world.path("proof");
        let args = ["log", "verify", "--receipt", proof.to_str().unwrap(), "--log-key", vkey.to_str().unwrap()];
        world.relay(&args).expect(0);
    }
    for path in
        ["/log/import/999.tlog-proof", "/log/other/1.tlog-proof", "/log/import/x.tlog-proof", "/log/../1.tlog-proof"]
    {
        assert_eq!(status(&pages.get(path)), "404", "{path}");
    }
    let file = pages.get("/imports/feed/2/statement.txt?decision=refuse&officer=officer&reason=too%20weak");
    let line = ["approve", "feed/2", "--decision", "refuse", "--officer", "officer", "--reason", "too weak"];
    assert_eq!(file.split_once("\r\n\r\n").unwrap().1, world.relay(&line).expect(0).out);
    for (path, expected) in [
        ("/nowhere", "404"),
        ("/imports/feed/9", "404"),
        ("/imports/../../etc/passwd", "404"),
        ("/imports/feed%2f1", "404"),
        ("/imports/feed/2/statement.txt", "404"),
        ("/imports/feed/2?from=99999999999999999999", "200"),
        ("/imports/feed/2?decision=approve&reason=%0a%0a", "200"),
        ("/log?before=nonsense", "200"),
        ("/log?before=18446744073709551615&words=%22%5c%00", "200"),
        ("/handed-in/x?from=0&release=%3Cb%3E", "200"),
    ] {
        let answer = pages.curl(path, &["--path-as-is"]);
        assert_eq!(status(&answer), expected, "{path}: {answer}");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        assert_eq!(status(&pages.curl("/", &["-X", method])), "405", "{method}");
    }
    // Only by our names; only from our own pages.
    assert_eq!(status(&pages.curl("/", &["-H", "Host: evil.example"])), "421");
    assert_eq!(status(&pages.curl("/", &["-H", "Host: relay.site.example:8443"])), "200");
    let foreign = ["-F", "statement=x", "-F", "signature=y", "-H", "Origin: http://evil.example"];
    assert_eq!(status(&pages.curl("/imports/feed/2", &foreign)), "403");
    // What is too long or no form is not taken.
    fs::write(world.path("long"), "x".repeat(200_000)).unwrap();
    let long = format!("statement=<{}", world.path("long").display());
    assert_eq!(status(&pages.curl("/imports/feed/2", &["-F", &long, "-H", "Expect:"])), "413");
    for args in [
        &["-d", "statement=x"][..],
        &["-F", "statement=x"],
        &["-F", "signature=x"],
        &["-d", "", "-H", "Content-Type: multipart/form-data; boundary=x"],
    ] {
        assert_eq!(status(&pages.curl("/imports/feed/2", args)), "400", "{args:?}");
    }
    // Nothing but what the pages proved of themselves.
    let slot = fs::read_to_string(world.state().join("inbox/slot")).unwrap();
    assert_eq!(slot.lines().filter(|line| !line.is_empty()).count(), 1, "{slot}");
    pages.stop();
}

#[test]
fn a_statement_handed_in_counts_only_by_its_signature() {
    let world = busy("officer");
    let pages = Pages::start(&world);
    let good = world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "ok"]).expect(0).out;
    let sign = |text: &str, key: &Key| key.sign(text.as_bytes(), "timestamp:1");
    for (statement, signature, reason) in [
        (good.clone(), sign(&good, &Key::new()), "signature-unknown-key"),
        (good.clone(), sign(&good, &world.custodian), "statement-signer"),
        (good.clone(), sign("other", &world.officer), "signature-invalid"),
        (good.clone(), "<script>".into(), "signature-malformed"),
        ("<script>alert(1)</script>\n".into(), sign(&good, &world.officer), "statement-malformed"),
        (good.replace("feed/2", "feed/7"), sign(&good, &world.officer), "statement-unknown-release"),
    ] {
        let page = hand_in(&pages, &world, "feed/2", &statement, &signature);
        assert!(page.contains("Refused: the signed text does not count") && page.contains(reason), "{reason}: {page}");
        assert!(!page.contains("<script"), "{page}");
        let last = world.log("import").into_iter().rfind(|entry| entry["type"] == "statement-refused").unwrap();
        assert_eq!(last["reason"], reason);
    }
    assert!(world.relay(&["status"]).out.contains("held for approval: feed/2"));
    let page = hand_in(&pages, &world, "feed/2", &good, &sign(&good, &world.officer));
    assert!(page.contains("Accepted: the ") && page.contains("officer"), "{page}");
    assert!(!world.relay(&["status"]).out.contains("held"));
    let again = hand_in(&pages, &world, "feed/2", &good, &sign(&good, &world.officer));
    assert!(
        again.contains("Refused: the signed text does not count") && again.contains("statement-repeated"),
        "{again}"
    );
    // What the pages proved of themselves is in the log, once.
    let proofs = world.log("import").into_iter().filter(|entry| entry["type"] == "self-test").count();
    assert_eq!(proofs, 1);
    // An officer who imported it is not to approve it, here either.
    let own = world.bundle("feed", 3, ONE);
    world.relay(&["import", "--operator", "officer", own.to_str().unwrap()]).expect(0);
    let drafted = pages.get("/imports/feed/3?decision=approve&officer=officer&reason=mine");
    assert!(drafted.contains("[statement-own-import]") && !drafted.contains("gaprelay-approval/2"), "{drafted}");
    let text = world.statement("feed/3", "officer", "approve");
    let page = hand_in(&pages, &world, "feed/3", &text, &sign(&text, &world.officer));
    assert!(
        page.contains("Refused: the signed text does not count") && page.contains("statement-own-import"),
        "{page}"
    );
    pages.stop();
    world.fsck();
}

/// A directive goes through the same slot; the page says what is denied, and what it brought in.
#[test]
fn a_directive_is_handed_in_where_the_keys_are_shown() {
    let world = busy("officer");
    let pages = Pages::start(&world);
    let page = pages.get("/keys");
    assert!(page.contains("The officers of this relay have denied nothing.") && page.contains("sha256:"), "{page}");
    let key = bundle::keyring::RawKey::parse(&world.custodian.base64()).unwrap().id_text();
    let order = ["directive", "deny-key", &key, "--officer", "officer", "--reason", "<b>stolen</b>"];
    let text = world.relay(&order).expect(0).out;
    let page = hand_in(&pages, &world, "/keys", &text, &world.officer.sign(b"other", "x"));
    assert!(page.contains("Refused: the signed text does not count") && page.contains("signature-invalid"), "{page}");
    let page = hand_in(&pages, &world, "/keys", &text, &world.officer.sign(text.as_bytes(), "x"));
    assert!(page.contains("Accepted: the ") && page.contains(&format!("deny key {key}")), "{page}");
    let page = pages.get("/keys");
    for words in [
        &format!("key {key}"),
        "&lt;b&gt;stolen&lt;/b&gt;",
        "Releases signed or approved by keys that are now revoked or denied",
        "feed/2",
        "key-denied",
    ] {
        assert!(page.contains(words) || words == "key-denied" && page.contains("was denied here"), "{words}: {page}");
    }
    assert!(!page.contains("<b>stolen"), "{page}");
    pages.stop();
    world.fsck();
}

/// Pages that are started on the socket of others end, and leave it theirs; a socket that nobody listens on is
/// replaced.
#[test]
fn pages_do_not_take_the_socket_of_others() {
    let world = World::new();
    let first = Pages::start(&world);
    let socket = first.socket.to_str().unwrap().to_owned();
    let ran = world.relay(&["review", "--socket", &socket]).expect(1);
    assert!(ran.err.contains("Another program listens on that address"), "{}", ran.err);
    // Nor by another name of the same path.
    fs::create_dir(world.path("sub")).unwrap();
    let alias = world.path("sub/../review.sock");
    let ran = world.relay(&["review", "--socket", alias.to_str().unwrap()]).expect(1);
    assert!(ran.err.contains("Another program listens on that address"), "{}", ran.err);
    assert!(first.get("/").starts_with("HTTP/1.1 "));
    first.stop();
    let again = Pages::start(&world);
    assert!(again.get("/").starts_with("HTTP/1.1 "));
}

/// A local account listens on a socket of the same name, in a file system of its own that nobody else sees.
#[test]
fn the_name_of_another_accounts_socket_keeps_no_pages_from_starting() {
    let world = World::new();
    let folder = world.path("run");
    fs::create_dir(&folder).unwrap();
    let socket = folder.join("review.sock");
    let listen = format!(
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind('{}'); s.listen(1); print('there', file=sys.stderr, flush=True); sys.stdin.read()",
        socket.display()
    );
    let line = format!("mount -t tmpfs none {} && exec sleep 60 | python3 -c \"{listen}\"", folder.display());
    if run(Command::new("unshare").args(["-rm", "true"])).code != Some(0) {
        return;
    }
    let (_other, _) = Daemon::start(Command::new("unshare").args(["-rm", "sh", "-c", &line]), "there");
    let mut review = world.command(&["review", "--socket", socket.to_str().unwrap()]);
    let (pages, _) = Daemon::start(&mut review, "pages on");
    assert_eq!(pages.stop(), Some(0));
}

#[test]
fn what_lies_in_the_slot_is_hostile_and_never_lost() {
    let world = busy("officer");
    let good = world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "ok"]).expect(0).out;
    let signature = world.officer.sign(good.as_bytes(), "timestamp:1");
    let line =
        serde_json::json!({ "at": "2026-01-01T00:00:00Z", "text": good.as_bytes(), "signature": signature.as_bytes() });
    let slot = world.state().join("inbox/slot");
    // A proof too long for an entry, which must not stop the keeper for good; one that would move a cursor.
    let proof = |kernel: &str| {
        let role = r#"{"role":"review","held":{"namespaces":true},"attempts":9,"stopped":9,"not_here":0}"#;
        format!(r#"{{"full":true,"kernel":"{kernel}","roles":[{role}]}}"#)
    };
    let mut lines = format!("{}\n{}\n", proof(&"K".repeat(70_000)), proof("\\u001b[2J")).into_bytes();
    lines.extend_from_slice(b"garbage \xff\n{}\n[[[[\n");
    lines.extend_from_slice(format!("{line}\n").as_bytes());
    fs::OpenOptions::new().append(true).open(&slot).unwrap().write_all(&lines).unwrap();
    let ran = world.relay(&["settle"]);
    assert_eq!(fs::metadata(&slot).unwrap().len(), 0);
    assert!(!world.relay(&["status"]).out.contains("held"), "{}", ran.err);
    let refused = |world: &World| world.log("import").iter().filter(|e| e["reason"] == "statement-malformed").count();
    assert_eq!(refused(&world), 4);
    let shown = world.relay(&["log", "show"]).expect(0).out;
    assert!(
        shown.contains("the process review says of itself: full self-test of review on \\u{1b}[2J")
            && !shown.contains('\x1b'),
        "{shown}"
    );
    fs::OpenOptions::new().append(true).open(&slot).unwrap().write_all(format!("{line}\n{line}\n").as_bytes()).unwrap();
    world.relay(&["settle"]);
    let repeated = world.log("import").iter().filter(|e| e["reason"] == "statement-repeated").count();
    assert_eq!(repeated, 1, "the same item twice is one");
    assert!(
        !world.state().join("inbox").read_dir().unwrap().any(|e| e
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "json"))
    );
    world.fsck();
}

#[test]
fn each_role_sees_its_part_and_strangers_nothing() {
    let world = busy("operator");
    let pages = Pages::start(&world);
    for (path, expected) in [
        ("/", "200"),
        ("/imports", "200"),
        ("/imports/feed/2", "200"),
        ("/refusals", "403"),
        ("/log", "403"),
        ("/keys", "403"),
        ("/agents", "403"),
    ] {
        assert_eq!(status(&pages.get(path)), expected, "{path}");
    }
    assert!(!pages.get("/").contains("Refused, by day") && !pages.get("/").contains("href=\"/log\""));
    let form = ["-F", "statement=x", "-F", "signature=y"];
    assert_eq!(status(&pages.curl("/imports/feed/2", &form)), "403");
    pages.stop();

    let world = busy("auditor");
    let pages = Pages::start(&world);
    assert_eq!(status(&pages.get("/log")), "200");
    assert_eq!(status(&pages.curl("/imports/feed/2", &form)), "403");
    pages.stop();

    let world = World::with_config(&format!("{FEED}[[review.reader]]\nuser = \"4000000\"\nrole = \"officer\"\n"));
    let pages = Pages::start(&world);
    for path in ["/", "/imports", "/log", "/nowhere"] {
        let page = pages.get(path);
        assert!(status(&page) == "403" && page.contains("review.reader") && !page.contains("test"), "{page}");
    }
    pages.stop();

    let unknown =
        World::with_config(&format!("{FEED}[[review.reader]]\nuser = \"no.such.account\"\nrole = \"officer\"\n"));
    let ran = unknown.relay(&["review", "--socket", "/nowhere/s"]);
    assert!(ran.code == Some(2) && ran.err.contains("no.such.account"), "{}", ran.err);
    let none = World::new().relay(&["review"]);
    assert!(none.code == Some(2) && none.err.contains("review.socket"), "{}", none.err);
    let twice = "[[review.reader]]\nuser = \"root\"\nrole = \"officer\"\n[[review.reader]]\nuser = \"0\"\nrole = \"operator\"\n";
    let ran = World::with_config(&format!("{FEED}{twice}")).relay(&["review", "--socket", "/nowhere/s"]);
    assert!(ran.code == Some(2) && ran.err.contains("named twice"), "{}", ran.err);
    // What is no socket is never replaced.
    fs::write(world.path("file"), "mine").unwrap();
    let ran = world.relay(&["review", "--socket", world.path("file").to_str().unwrap()]);
    assert!(ran.code == Some(1) && fs::read_to_string(world.path("file")).unwrap() == "mine", "{}", ran.err);
}

#[test]
fn damage_is_told_and_what_can_be_shown_is() {
    let world = busy("officer");
    let pages = Pages::start(&world);
    let path = world.state().join("log/access/checkpoint");
    let kept = fs::read(&path).unwrap();
    fs::write(&path, "damaged").unwrap();
    let page = pages.get("/refusals");
    assert!(status(&page) == "500" && page.contains("gaprelay log verify"), "{page}");
    assert_eq!(status(&pages.get("/imports")), "200");
    fs::write(&path, kept).unwrap();
    assert_eq!(status(&pages.get("/refusals")), "200");
    pages.stop();
}

#[test]
fn hostile_code_inside_them_gets_nowhere() {
    let world = busy("officer");
    let library = shim(world.dir.path(), "hostile");
    let pages = Pages::launch(&world, hostile(&mut world.command(&["review"]), &library, "review", "9"));
    // However hostile, it cannot make the slot longer than this.
    let limits = fs::read_to_string(format!("/proc/{}/limits", pages.daemon.id())).unwrap();
    let most = limits.lines().find(|line| line.starts_with("Max file size")).unwrap();
    assert!(most.split_whitespace().filter(|word| *word == "4194304").count() == 2, "{most}");
    // Hostile or not, they are shown.
    assert_eq!(status(&pages.get("/imports")), "200");
    let told = pages.stop();
    assert!(got_through(&told, "review").is_empty(), "{told}");
}

/// Carries a browser's connections to the Unix socket, as `ssh -L` does.
fn carry(socket: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for browser in listener.incoming().map_while(Result::ok) {
            let Ok(pages) = UnixStream::connect(&socket) else { return };
            let (mut from, mut to) = (browser.try_clone().unwrap(), pages.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut from, mut to) = (pages, browser);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    url
}

#[test]
fn an_officer_works_with_them_in_a_real_browser() {
    if !has("chromedriver") || !has("chromium") {
        return;
    }
    let world = busy("officer");
    let pages = Pages::start(&world);
    let url = carry(pages.socket.clone());
    let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&pictures).unwrap();
    let browse = |args: &[&str]| {
        let script = TOP.join("tests/e2e/browser.py");
        run(Command::new("/usr/bin/python3").arg(script).arg(&url).arg(&pictures).arg("feed/2").args(args))
            .expect(0)
            .out
    };
    let statement = browse(&["draft"]);
    // The same as on the console, but for the time.
    let timeless = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("issued ") && !line.starts_with("until "));
        lines.map(str::to_owned).collect()
    };
    let printed = world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "routine update"]).expect(0);
    assert_eq!(timeless(&statement), timeless(&printed.out));
    let issued = statement.lines().find_map(|line| line.strip_prefix("issued ")).unwrap().to_owned();
    let mut keeper = world.command(&["settle", "--watch"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let file = world.path("statement.txt.minisig");
    for (key, expected) in
        [(&Key::new(), "Refused: the signed text does not count"), (&world.officer, "Accepted: the ")]
    {
        fs::write(&file, key.sign(statement.as_bytes(), "timestamp:1")).unwrap();
        let page = browse(&["hand-in", file.to_str().unwrap(), &issued]);
        assert!(page.contains(expected), "{page}");
    }
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(!world.relay(&["status"]).out.contains("held"));
    pages.stop();
}

/// A head out to a witness and back, by the pages.
#[test]
fn officers_carry_heads_to_a_witness_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let desk = dir.path().join("desk");
    let witness = |command: &str, args: &[&str]| {
        let mut line = Command::new(RELAY);
        run(line.args(["log", "witness", command, desk.to_str().unwrap()]).args(args)).expect(0).out
    };
    let vkey = witness("init", &["--name", "desk.example/witness"]);
    let world = world("officer");
    let config = fs::read_to_string(world.state().join("config.toml")).unwrap();
    let none = Pages::start(&world);
    assert!(none.get("/witnesses").contains("no witness") && none.get("/").contains("no witness"));
    none.stop();
    let policy = format!("\n[witness]\npolicy = \"\"\"\nwitness desk {vkey}quorum desk\n\"\"\"\n");
    fs::write(world.state().join("config.toml"), config + &policy).unwrap();
    witness("know", &["--log-key", world.state().join("log/import/vkey").to_str().unwrap()]);
    let pages = Pages::start(&world);
    assert!(
        pages.get("/").contains("witnesses are due")
            && pages.get("/witnesses").contains("No head has been cosigned yet.")
    );
    let request = pages.get("/witnesses/request.txt?old=0").split_once("\r\n\r\n").unwrap().1.to_owned();
    fs::write(world.path("request"), request).unwrap();
    fs::write(world.path("signed"), witness("sign", &[world.path("request").to_str().unwrap()])).unwrap();
    let hand_in = |file: &str| {
        let answer = pages.curl("/witnesses", &["-F", &format!("signature=@{}", world.path(file).display())]);
        let place = answer.lines().find_map(|l| l.strip_prefix("Location: ").or(l.strip_prefix("location: ")));
        let place = place.unwrap_or_else(|| panic!("{answer}")).trim().to_owned();
        assert!(pages.get(&place).contains("Waiting for the keeper"));
        world.relay(&["settle"]);
        pages.get(&place)
    };
    let told = hand_in("signed");
    assert!(
        told.contains("the cosignature counts")
            && told.contains("witnessed")
            && told.contains("desk.example")
            && told.contains("met"),
        "{told}"
    );
    assert!(hand_in("signed").contains("[cosignature-repeated]"));
    fs::write(world.path("junk"), "<script>alert(1)</script>\n\nx").unwrap();
    let told = hand_in("junk");
    assert!(told.contains("[cosignature-malformed]") && !told.contains("<script>"), "{told}");
    for path in ["/witnesses/request.txt", "/witnesses/request.txt?old=9999", "/witnesses/request.txt?old=x"] {
        assert_eq!(status(&pages.get(path)), "404", "{path}");
    }
    assert_eq!(status(&pages.curl("/witnesses", &["-F", "signature-text="])), "400");
    assert!(pages.get("/").contains("witnessed"));
}

/// By TLS, to people with a certificate: who has none of the right authority gets no further than the handshake.
#[test]
fn people_with_certificates_read_by_tls() {
    let world = world("officer");
    let ours = Certificates::new();
    ours.issue(&world, "pages", &["relay.site.example", "127.0.0.1"]);
    for (name, number) in [("officer", 7), ("auditor", 8), ("nobody", 9)] {
        ours.issue_numbered(&world, name, &[&format!("{name}.site.example")], Some(number));
    }
    revoke(&world, &ours, &[99]);
    ours.issue(&world, "nameless", &[]);
    Certificates::new().issue(&world, "stranger", &["officer.site.example"]);
    fs::write(world.path("ca.pem"), ours.ca.pem()).unwrap();
    let path = world.state().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let reader = |certificate: &str, role: &str| {
        format!("[[review.reader]]\ncertificate = \"{certificate}\"\nrole = \"{role}\"\n")
    };
    let file = |name: &str| world.path(name).to_str().unwrap().to_owned();
    let listen = "[review]\nlisten = [\"127.0.0.1:0\"]\n";
    fs::write(&path, text.replace("[review]\n", listen)).unwrap();
    assert!(world.relay(&["check-config"]).expect(2).err.contains("review.listen needs"));
    let (certificate, key, ca) = (file("pages.pem"), file("pages.key"), file("ca.pem"));
    let tls = format!(
        "{listen}tls_certificate = \"{certificate}\"\ntls_key = \"{key}\"\nclient_authorities = \"{ca}\"\nclient_revocations = \"revoked.pem\"\n"
    );
    let pem = fs::read_to_string(world.path("nameless.pem")).unwrap();
    let der = data_encoding::BASE64.decode(pem.lines().filter(|l| !l.starts_with('-')).collect::<String>().as_bytes());
    let nameless = format!("sha256:{}", base::Digest::of(&der.unwrap()));
    let readers = [
        reader("officer.site.example", "officer"),
        reader("auditor.site.example", "auditor"),
        reader(&nameless, "operator"),
    ];
    let twice = readers.concat() + &readers[0];
    fs::write(&path, text.replace("[review]\n", &tls) + &twice).unwrap();
    assert!(world.relay(&["check-config"]).expect(2).err.contains("is named twice"));
    fs::write(&path, text.replace("[review]\n", &tls) + &readers.concat()).unwrap();
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("feed", 2, ONE)).expect(0);

    let (pages, told) = Daemon::start(&mut world.command(&["review"]), "pages on https://");
    let port = told.rsplit(':').next().unwrap().to_owned();
    let get = |who: Option<&str>, host: &str, path: &str, more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-i", "--max-time", "10", "--cacert", &ca, "--resolve", &format!("{host}:{port}:127.0.0.1")]);
        if let Some(who) = who {
            curl.args(["--cert", &file(&format!("{who}.pem")), "--key", &file(&format!("{who}.key"))]);
        }
        run(curl.args(more).arg(format!("https://{host}:{port}{path}")))
    };
    let name = "relay.site.example";
    let page = get(Some("officer"), name, "/", &[]).expect(0).out;
    assert!(status(&page) == "200" && page.contains("(certificate officer.site.example), officer"), "{page}");
    assert_eq!(status(&get(Some("officer"), "127.0.0.1", "/log", &[]).expect(0).out), "200");
    assert_eq!(status(&get(Some("auditor"), name, "/log", &[]).expect(0).out), "200");
    assert_eq!(status(&get(Some("nameless"), name, "/", &[]).expect(0).out), "200");
    assert_eq!(status(&get(Some("nameless"), name, "/log", &[]).expect(0).out), "403");
    let turned = get(Some("nobody"), name, "/", &[]).expect(0).out;
    assert!(status(&turned) == "403" && turned.contains("certificate nobody.site.example"), "{turned}");
    // Neither without a certificate, nor with one of somebody else's authority that has the right name.
    for who in [None, Some("stranger")] {
        let ran = get(who, name, "/", &[]);
        assert!(ran.code != Some(0) && ran.out.is_empty(), "{who:?}: {}", ran.out);
    }
    // A statement is handed in here as it is on the socket, by officers.
    let statement = world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "ok"]).expect(0).out;
    fs::write(world.path("s.txt"), &statement).unwrap();
    fs::write(world.path("s.minisig"), world.officer.sign(statement.as_bytes(), "x")).unwrap();
    let (text, signature) = (format!("statement=<{}", file("s.txt")), format!("signature=@{}", file("s.minisig")));
    let origin = format!("Origin: https://{name}:{port}");
    let form = ["-F", &text, "-F", &signature, "-H", &origin];
    assert_eq!(status(&get(Some("auditor"), name, "/imports/feed/2", &form).expect(0).out), "403");
    assert_eq!(status(&get(Some("officer"), name, "/imports/feed/2", &form).expect(0).out), "303");
    world.relay(&["settle"]).expect(0);
    assert!(!world.relay(&["status"]).out.contains("held"));
    // Revoked: what is open ends, and nothing is opened anew; the others read on.
    let mut open = has("openssl").then(|| Open::new(&world, "officer", &port));
    if let Some(open) = &mut open {
        assert_eq!(open.head(name, "/log").as_deref(), Some("HTTP/1.1 200 OK"));
        assert_eq!(open.head(name, "/log").as_deref(), Some("HTTP/1.1 200 OK"));
    }
    revoke(&world, &ours, &[7, 99]);
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        get(Some("officer"), name, "/log", &[]).out.is_empty()
    });
    assert!(gone, "revoked, and still shown");
    assert_eq!(open.and_then(|mut open| open.head(name, "/log")), None);
    assert_eq!(status(&get(Some("auditor"), name, "/log", &[]).expect(0).out), "200");
    // No plain HTTP, and a stop in order.
    assert_ne!(run(Command::new("curl").args(["-s", &format!("http://127.0.0.1:{port}/")])).code, Some(0));
    assert_eq!(pages.stop(), Some(0));
}

/// Connections that are opened and left idle: by strangers, who are nobody yet, and by a reader's own account.
#[test]
fn idle_connections_keep_no_reader_out() {
    let world = world("operator");
    let ours = Certificates::new();
    ours.issue(&world, "pages", &["relay.site.example", "127.0.0.1"]);
    ours.issue(&world, "officer", &["officer.site.example"]);
    fs::write(world.path("ca.pem"), ours.ca.pem()).unwrap();
    let file = |name: &str| world.path(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (file("pages.pem"), file("pages.key"), file("ca.pem"));
    let tls = format!(
        "[review]\nsocket = \"review.sock\"\nlisten = [\"127.0.0.1:0\"]\ntls_certificate = \"{certificate}\"\ntls_key = \"{key}\"\nclient_authorities = \"{ca}\"\n"
    );
    let reader = "[[review.reader]]\ncertificate = \"officer.site.example\"\nrole = \"officer\"\n";
    let path = world.state().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[review]\n", &tls) + reader).unwrap();
    let socket = world.state().join("review.sock");
    let (pages, told) = Daemon::start(&mut world.command(&["review"]), "pages on https://");
    let port: u16 = told.rsplit(':').next().unwrap().trim().parse().unwrap();

    let strangers: Vec<_> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let by_socket: Vec<_> = (0..100).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let mut curl = Command::new("curl");
    curl.args(["-s", "-i", "--max-time", "5", "--cacert", &ca, "--cert", &file("officer.pem"), "--key"]);
    let page = run(curl.arg(file("officer.key")).arg(format!("https://127.0.0.1:{port}/log"))).expect(0).out;
    assert_eq!(status(&page), "200", "{page}");
    let mut curl = Command::new("curl");
    curl.args(["-s", "-i", "--max-time", "5", "--unix-socket"]).arg(&socket).arg("http://localhost/");
    assert_eq!(status(&run(&mut curl).expect(0).out), "200");
    drop((strangers, by_socket));
    assert_eq!(pages.stop(), Some(0));
}

/// An import as it goes on: on the first page, which needs no script for it, and in the metrics.
#[test]
fn a_running_import_is_seen_while_it_runs() {
    let world = world("operator");
    let line = b"44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature-With-A-Long-Name\n";
    let large: Vec<u8> = line.iter().copied().cycle().take(line.len() * 1_200_000).collect();
    let folder = world.bundle("feed", 1, &[("a.hdb", &large, "clamav-hashes")]);
    drop(large);
    let pages = Pages::start(&world);
    let server = Server::start(&world, "serve");
    assert!(!pages.get("/").contains("An import is running"));
    let metric = |name: &str| -> u64 {
        let page = server.get("/-/metrics", "").body;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("gaprelay_{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {page}")).parse().unwrap()
    };
    assert_eq!(metric("import_running"), 0);
    let mut import = world.command(&["import", "--json", "--operator", "<b>o</b>"]);
    let mut child = import.arg(&folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut seen, mut counted) = (None, false);
    while child.try_wait().unwrap().is_none() {
        let page = pages.get("/");
        if page.contains("<progress ") {
            seen = Some(page);
        }
        counted |= metric("import_running") == 1 && metric("import_step_total_bytes") > 0;
    }
    let page = seen.expect("the page shows it");
    assert!(counted, "the metrics show it");
    assert!(page.contains("An import is running") && page.contains("http-equiv=\"refresh\" content=\"2\""), "{page}");
    assert!(page.contains("feed-1") && page.contains("&lt;b&gt;o") && !page.contains("<b>o"), "{page}");
    // Over: nothing runs, and what is left says how it ended.
    let page = pages.get("/");
    assert!(!page.contains("An import is running") && page.contains("content=\"60\""), "{page}");
    assert_eq!(metric("import_running"), 0);
    let left: serde_json::Value =
        serde_json::from_slice(&fs::read(world.state().join("progress/import.json")).unwrap()).unwrap();
    let schema = serde_json::from_str(include_str!("../../schemas/progress.json")).unwrap();
    assert!(jsonschema::is_valid(&schema, &left), "{left}");
    assert_eq!((&left["step"], &left["bundles"][0]["state"]), (&"ended".into(), &"imported".into()));
    // One that was cut stands still, and is not taken for one that runs; junk is nothing.
    let cut = left
        .to_string()
        .replace("\"ended\"", "\"reading\"")
        .replace(left["updated"].as_str().unwrap(), "2026-01-01T00:00:00Z");
    for text in [cut.as_str(), "junk", ""] {
        fs::write(world.state().join("progress/import.json"), text).unwrap();
        assert!(!pages.get("/").contains("An import is running"));
        assert_eq!(metric("import_running"), 0);
    }
    server.stop();
    pages.stop();
}
