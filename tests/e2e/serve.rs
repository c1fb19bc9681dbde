//! The HTTP contract, requirement by requirement, on a running server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::support::*;

/// The attempts in the access log once the server has stopped or told them.
fn attempts(world: &World) -> Vec<Value> {
    world.relay(&["settle"]);
    world.attempts()
}

fn world() -> World {
    let world = World::new();
    let list: Vec<u8> = digests(2000);
    let files: &[File<'_>] = &[
        ("a.hdb", HASHES, "clamav-hashes"),
        ("odd name+%;[x]é.hdb", HASHES, "clamav-hashes"),
        ("r/site.rules", RULES, "suricata-rules"),
        ("z.txt", &list, "sha256-list"),
    ];
    world.publish("feed", 1, files);
    world
}

#[test]
fn files_are_served_as_clients_need_them() {
    let world = world();
    let server = Server::start(&world, "serve");
    // R1: GET and HEAD, the same validators and length; HTTP/1.0 without a Host.
    let whole = server.get("/c/a.hdb", "");
    assert_eq!((whole.status, whole.body.as_bytes()), (200, HASHES));
    let head = server.ask("HEAD", "/c/a.hdb", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["etag", "last-modified", "content-length", "accept-ranges"] {
        assert_eq!(whole.header(name), head.header(name), "{name}");
        assert!(whole.header(name).is_some(), "{name}");
    }
    assert_eq!(Answer::of(&server.raw(b"GET /c/a.hdb HTTP/1.0\r\n\r\n")).body.as_bytes(), HASHES);
    // R1: keep-alive and pipelining.
    let one = format!("GET /c/a.hdb HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let last = format!("GET /c/a.hdb HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    assert_eq!(server.raw(format!("{one}{one}{last}").as_bytes()).matches("200 OK").count(), 3);
    // R2, R13: what is missing is 404, short and plain.
    let missing = server.get("/c/main.cld", "");
    assert_eq!(
        (missing.status, missing.header("content-type"), missing.body.as_str()),
        (404, Some("text/plain"), "Not found.\n")
    );
    for path in [
        "/c",
        "/c/",
        "/c/..",
        "/c/../c/a.hdb",
        "/c/%2e%2e/c/a.hdb",
        "/C/a.hdb",
        "/c/a.hdb/",
        "/c//../c/a.hdb",
        "/c/%2e%2e//c/a.hdb",
        "/c//%00/a.hdb",
        "/etc/passwd",
        "/c/%00",
    ] {
        assert_eq!(server.get(path, "").status, 404, "{path}");
    }
    // Clients join a base that ends in a slash with a path that begins with one.
    for path in ["//c/a.hdb", "/c//a.hdb", "//c//a.hdb", "/c/%2fa.hdb"] {
        assert_eq!(server.get(path, "").body.as_bytes(), HASHES, "{path}");
    }
    // R6: ranges.
    let part = server.get("/c/z.txt", "Range: bytes=0-511\r\n");
    assert_eq!((part.status, part.body.len(), part.header("content-range")), (206, 512, Some("bytes 0-511/130000")));
    assert_eq!(server.get("/c/z.txt", "Range: bytes=130000-\r\n").header("content-range"), Some("bytes */130000"));
    assert_eq!(server.get("/c/z.txt", "Range: bytes=-10\r\n").body.len(), 10);
    // R5, R12: conditions; a length of zero is no body.
    let tag = whole.header("etag").unwrap().to_owned();
    let since = whole.header("last-modified").unwrap().to_owned();
    assert_eq!(server.get("/c/a.hdb", &format!("If-None-Match: {tag}\r\n")).status, 304);
    assert_eq!(server.ask("HEAD", "/c/a.hdb", &format!("If-None-Match: {tag}\r\n")).status, 304);
    assert_eq!(server.get("/c/a.hdb", &format!("If-Modified-Since: {since}\r\nContent-Length: 0\r\n")).status, 304);
    // R8, R9, R10, R26: no coding, queries ignored, names decoded once, Upgrade ignored.
    let coded = server
        .get("/c/a.hdb?version=7&x=%zz", "Accept-Encoding: gzip, br\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n");
    assert_eq!((coded.status, coded.header("content-encoding"), coded.body.as_bytes()), (200, None, HASHES));
    assert_eq!(server.get("/c/odd%20name+%25;%5Bx%5D%C3%A9.hdb", "").status, 200);
    // R11: the port does not matter; absolute form for an own name.
    assert_eq!(
        Answer::of(&server.raw(b"GET /c/a.hdb HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n")).status,
        200
    );
    assert_eq!(
        Answer::of(
            &server.raw(b"GET http://localhost:3128/c/a.hdb HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        )
        .status,
        200
    );
    // R18: digests beside the file, bare.
    let md5 = server.get("/c/r/site.rules.md5", "").body;
    assert!(md5.len() == 32 && md5.bytes().all(|b| b.is_ascii_hexdigit()), "{md5}");
    assert_eq!(server.get("/c/a.hdb.sha256", "").body, base::Digest::of(HASHES).to_string());
    // End to end: manifest and signatures as they came, blobs by digest, the log.
    let manifest = server.get("/-/feeds/feed/manifest.json", "").body;
    assert_eq!(manifest.as_bytes(), fs::read(world.path("stick/feed-1/manifest.json")).unwrap());
    assert_eq!(server.get("/-/feeds/feed/manifest.json.minisig", "").status, 200);
    let blob = server.get(&format!("/-/blobs/sha256/{}", base::Digest::of(HASHES)), "");
    assert_eq!((blob.body.as_bytes(), blob.header("cache-control")), (HASHES, Some("max-age=31536000, immutable")));
    let set = server.get("/-/channels/c/release.json", "").body;
    let logged = world.log("import").iter().rfind(|e| e["type"] == "published").unwrap()["set"].clone();
    assert_eq!(logged, base::Digest::of(set.as_bytes()).to_string());
    assert!(server.get("/-/log/import/checkpoint", "").body.starts_with("test/import/1\n"));
    assert_eq!(server.get("/-/log/import.key", "").status, 404);
    assert_eq!(server.get("/-/log/import/../import.key", "").status, 404);
    assert_eq!(server.get("/-/log/import/tile/0/../../key", "").status, 404);
    assert!(server.get("/-/health", "").body.starts_with("ok\nfeed 1 fresh\n"));
    let metrics = server.get("/-/metrics", "");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    for line in [
        "gaprelay_feed_version{feed=\"feed\",channel=\"c\",freshness=\"fresh\"} 1\n",
        "# TYPE gaprelay_requests counter\ngaprelay_requests_total ",
        "gaprelay_feed_expires_timestamp_seconds{feed=\"feed\",channel=\"c\"} 4070908800\n",
        "gaprelay_import_running 0\n",
        "# EOF\n",
    ] {
        assert!(metrics.body.contains(line), "{line} {}", metrics.body);
    }
    // Prometheus' own parser reads it, and can refuse it.
    if let Some(python) = python_with("prometheus_client") {
        let read = |text: &str| {
            fs::write(world.path("metrics"), text).unwrap();
            let code = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as read\nprint(len(list(read(open(sys.argv[1]).read()))))";
            run(Command::new(&python).args(["-c", code]).arg(world.path("metrics")))
        };
        assert!(read(&metrics.body).expect(0).out.trim().parse::<u32>().unwrap() >= 15);
        assert_ne!(read(&metrics.body.replace("# EOF", "")).code, Some(0));
    }
    assert_eq!(whole.header("gaprelay-freshness"), Some("fresh"));
    // R25: none of this was an attempt.
    assert_eq!(server.stop(), Some(0));
    assert_eq!(attempts(&world), Vec::<Value>::new());
}

/// Metrics have each series once, though two channels show the same feed.
#[test]
fn a_feed_in_two_channels_is_told_of_by_channel() {
    let world = World::with_config(&format!("{CONFIG}\n[[channel]]\nname = \"d\"\nfeeds = [\"feed\"]\n"));
    world.publish("feed", 1, ONE);
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/-/health", "").body, "ok\nfeed 1 fresh\n");
    let metrics = server.get("/-/metrics", "").body;
    for channel in ["c", "d"] {
        let line = format!("gaprelay_feed_version{{feed=\"feed\",channel=\"{channel}\",freshness=\"fresh\"}} 1\n");
        assert_eq!(metrics.matches(&line).count(), 1, "{metrics}");
    }
}

#[test]
fn what_is_not_a_download_is_refused_and_recorded() {
    let world = world();
    let server = Server::start(&world, "serve");
    let own = format!("Host: {}\r\n", server.address);
    let body = "x".repeat(3_000_000);
    let put = format!(
        "PUT /c/a.hdb HTTP/1.1\r\n{own}Content-Length: {}\r\nAuthorization: Basic c2VjcmV0\r\n\r\n{body}",
        body.len()
    );
    let cases: Vec<(String, u16, &str, bool)> = vec![
        (put, 405, "upload", true),
        (
            format!(
                "POST /x HTTP/1.1\r\n{own}Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n"
            ),
            405,
            "form-upload",
            true,
        ),
        ("CONNECT www.clamav.net:443 HTTP/1.1\r\nHost: www.clamav.net:443\r\n\r\n".into(), 405, "clamav-submit", true),
        (
            "GET http://www.virustotal.com/api/v3/files/x HTTP/1.1\r\nHost: www.virustotal.com\r\n\r\n".into(),
            421,
            "virustotal",
            true,
        ),
        ("GET /daily.cvd HTTP/1.1\r\nHost: database.clamav.net\r\n\r\n".into(), 421, "clamav-update", false),
        ("GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(), 421, "foreign-name", false),
        (
            format!("GET /api/v3/files/44d88612fea8a8f36de82e1278abb02f?apikey=SECRET HTTP/1.1\r\n{own}\r\n"),
            404,
            "virustotal",
            true,
        ),
        // However many slashes a client joins its base with.
        (format!("POST //api//v3/files HTTP/1.1\r\n{own}Content-Length: 1\r\n\r\nx"), 405, "virustotal", true),
        (format!("GET /servers/getVersion HTTP/1.1\r\n{own}Authorization: SECRET\r\n\r\n"), 404, "misp-push", true),
        (format!("PROPFIND / HTTP/1.1\r\n{own}\r\n"), 405, "webdav", true),
        (format!("OPTIONS * HTTP/1.1\r\n{own}\r\n"), 405, "method", false),
        (format!("GET /c/a.hdb HTTP/1.1\r\n{own}Content-Length: 5\r\n\r\nhello"), 400, "request-body", true),
        (
            format!("GET /c/a.hdb HTTP/1.1\r\n{own}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            400,
            "request-body",
            true,
        ),
        (format!("GET /c/a.hdb HTTP/1.1\r\n{own}Host: other\r\n\r\n"), 400, "smuggling", true),
        (
            format!("POST /c/a.hdb HTTP/1.1\r\n{own}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            405,
            "upload",
            true,
        ),
        (format!("GET /c/a.hdb HTTP/1.1\r\n{own}X : y\r\n\r\n"), 400, "malformed-request", false),
        (format!("GET /c/a.hdb HTTP/1.1\r\n{own}Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400, "", false),
        ("GET /c/a.hdb HTTP/1.1\r\n\r\n".into(), 400, "no-host", false),
        ("POST /c/a.hdb HTTP/1.1\r\nUser-Agent: sender/1\r\nContent-Length: 1\r\n\r\nx".into(), 405, "upload", true),
        ("\x05\x02\0\x01".into(), 0, "socks", true),
        ("\x04\x01\0\x50\x7f\0\0\x01\0".into(), 0, "socks", true),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 0, "http2", true),
        ("\x7f\x7f".into(), 0, "not-http", true),
    ];
    for (request, status, label, _) in &cases {
        let began = Instant::now();
        let text = server.raw(request.as_bytes());
        assert!(began.elapsed() < Duration::from_secs(5), "{label}: not closed at once");
        assert!(!text.contains("100 Continue"), "{label}");
        let answer = Answer::of(&text);
        assert_eq!(answer.status, *status, "{label}: {text}");
        if *status != 0 && !label.is_empty() && *label != "malformed-request" {
            assert_eq!(answer.header("connection"), Some("close"), "{label}");
            assert_eq!(answer.header("content-type"), Some("text/plain"), "{label}");
        }
        if *status == 405 {
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{label}");
        }
    }
    assert_eq!(server.stop(), Some(0));
    let attempts = attempts(&world);
    for (request, status, label, submission) in cases.iter().filter(|c| !c.2.is_empty()) {
        let found =
            attempts.iter().any(|a| a["label"] == *label && a["status"] == *status && a["submission"] == *submission);
        assert!(found, "{label}: {request:.60} is not in {attempts:#?}");
    }
    for by in ["agent", "product", "day"] {
        let lines = world.relay(&["refusals", "--by", by, "--json"]).expect(0).json();
        let schema = include_str!("../../schemas/json-refusals.json");
        assert!(jsonschema::is_valid(&serde_json::from_str(schema).unwrap(), &lines), "{lines:#}");
        let lines = lines.as_array().unwrap();
        for label in cases.iter().map(|c| c.2).filter(|label| !label.is_empty()) {
            let line = lines.iter().find(|line| line["label"] == label).unwrap();
            let count: u64 =
                attempts.iter().filter(|a| a["label"] == label).map(|a| a["count"].as_u64().unwrap()).sum();
            assert_eq!((line["count"].as_u64(), line["agents"].as_u64()), (Some(count), Some(1)), "{label}");
            assert!(!line["meaning"].as_str().unwrap().contains("does not know"), "{label} is not explained");
        }
        let words = world.relay(&["refusals", "--by", by, "--submissions"]).expect(0).out;
        // Which of them came last is a matter of a second's tick.
        assert!(["POST /c/a.hdb", "PUT /c/a.hdb"].iter().any(|last| words.contains(last)), "{words}");
        assert!(words.contains("what to do: Remove the API key") && !words.contains("foreign-name"), "{words}");
    }
    let text = serde_json::to_string(&attempts).unwrap();
    assert!(!text.contains("SECRET") && !text.contains("c2VjcmV0"), "a credential was kept: {text}");
    assert!(!text.contains("xxxx"), "bytes of an upload were kept");
    let upload = attempts.iter().find(|a| a["method"] == "PUT").unwrap();
    assert_eq!(upload["declared_length"], "3000000");
    assert_eq!(upload["agent"], "127.0.0.1");
    assert!(upload["bytes_received"].as_u64().unwrap() > 100);
}

#[test]
fn a_flood_is_counted_and_hides_nothing() {
    let world = world();
    let server = Server::start(&world, "serve");
    for _ in 0..300 {
        server.ask("POST", "/x", "");
    }
    server.ask("PUT", "/needle", "");
    server.stop();
    let attempts = attempts(&world);
    let lines: Vec<_> = attempts.iter().filter(|a| a["target"] == "/x").collect();
    assert!(lines.len() <= 3, "{} lines", lines.len());
    assert_eq!(lines.iter().map(|a| a["count"].as_u64().unwrap()).sum::<u64>(), 300);
    assert!(attempts.iter().any(|a| a["target"] == "/needle"), "{attempts:?}");
}

/// However loud an agent is, the upload of another is a line of its own, and so is its own.
#[test]
fn a_flood_of_one_agent_hides_no_other() {
    let world = world();
    let server = Server::start(&world, "serve");
    let ask = |from: &str, line: &str| {
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
        let from: std::net::SocketAddrV4 = format!("{from}:0").parse().unwrap();
        rustix::net::bind(&socket, &from).unwrap();
        rustix::net::connect(&socket, &server.address.parse::<std::net::SocketAddrV4>().unwrap()).unwrap();
        let mut stream = TcpStream::from(socket);
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
        stream.write_all(head.as_bytes()).unwrap();
        let _ = stream.read(&mut [0; 64]);
    };
    for number in 0..1100 {
        ask("127.0.0.2", &format!("DELETE /{number}?q={number}"));
    }
    ask("127.0.0.2", &format!("DELETE /{}", "x".repeat(900)));
    ask("127.0.0.2", &format!("DELETE /{}", "y".repeat(300)));
    ask("127.0.0.2", "PUT /own");
    ask("127.0.0.3", "PUT /needle");
    server.stop();
    let attempts = attempts(&world);
    let of = |agent: &str, target: &str| {
        attempts.iter().any(|a| a["agent"] == agent && a["target"] == target && a["label"] != "flood")
    };
    assert!(of("127.0.0.3", "/needle"), "{attempts:?}");
    assert!(of("127.0.0.2", "/own") && of("127.0.0.2", "/0?q=0"), "{attempts:?}");
    let longest = format!("/{}… (701 more)", "x".repeat(199));
    assert!(of("127.0.0.2", &longest), "the longest is not kept: {attempts:?}");
    assert!(attempts.len() < 40, "{} entries", attempts.len());
    assert_eq!(attempts.iter().map(|a| a["count"].as_u64().unwrap()).sum::<u64>(), 1104);
}

#[test]
fn nothing_is_served_before_the_first_publication() {
    let world = World::new();
    let server = Server::start(&world, "serve");
    let early = server.get("/c/a.hdb", "");
    assert_eq!((early.status, early.header("retry-after")), (503, Some("30")));
    assert_eq!(server.get("/-/health", "").status, 503);
    world.publish("feed", 1, ONE);
    until("it is served", || server.get("/c/a.hdb", "").status == 200);
}

/// R14: whoever loads during a publish gets one set or the other, whole.
#[test]
fn a_publish_reaches_a_running_server_without_a_wrong_byte() {
    let world = World::new();
    let content = |version: u64| -> Vec<u8> {
        (0..8000_u64)
            .flat_map(|i| format!("{}\n", base::Digest::of(&(i * 1000 + version).to_be_bytes())).into_bytes())
            .collect()
    };
    let names = |version: u64| -> Vec<u8> { format!("44d88612fea8a8f36de82e1278abb02f:{version}:Test\n").into_bytes() };
    let publish = |version: u64| {
        let (large, small) = (content(version), names(version));
        world.publish("feed", version, &[("l.txt", &large, "sha256-list"), ("s.hdb", &small, "clamav-hashes")]);
    };
    publish(1);
    let server = Server::start(&world, "serve");
    // A download that began before goes on with the bytes it began with.
    let mut slow = server.connect();
    write!(slow, "GET /c/l.txt HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address).unwrap();
    let mut first = [0; 1000];
    slow.read_exact(&mut first).unwrap();
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = std::collections::BTreeSet::new();
                    while !stop.load(Ordering::Relaxed) {
                        let answer = server.get("/c/l.txt", "");
                        assert_eq!(answer.status, 200);
                        let version = (1..=6).find(|v| content(*v) == answer.body.as_bytes());
                        let version =
                            version.unwrap_or_else(|| panic!("bytes of no version, {} of them", answer.body.len()));
                        let digest = base::Digest::of(answer.body.as_bytes()).to_string();
                        assert_eq!(answer.header("etag"), Some(format!("\"{digest}\"").as_str()));
                        seen.insert(version);
                    }
                    seen
                })
            })
            .collect();
        for version in 2..=6 {
            publish(version);
            until("the new release is served", || server.get("/c/s.hdb", "").body.as_bytes() == names(version));
        }
        world.relay(&["gc", "--yes"]).expect(0);
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().flat_map(|r| r.join().unwrap()).collect::<std::collections::BTreeSet<_>>()
    });
    assert!(seen.len() >= 2, "{seen:?}");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    let all = [first.as_slice(), &rest].concat();
    let text = String::from_utf8(all).unwrap();
    assert_eq!(Answer::of(&text).body.as_bytes(), content(1));
    // R4: the date only moves forward, a withdrawal included.
    // Several publishes within one second count ahead of the clock; until it has caught up there is no date.
    let date = || server.get("/c/s.hdb", "").header("last-modified").map(str::to_owned);
    until("it has a date", || date().is_some());
    let before = date().unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    world.decide("feed/6", "second", &world.second, "withdraw").expect(0);
    until("the last release is served", || server.get("/c/s.hdb", "").body.as_bytes() == names(5));
    until("it has a date", || date().is_some());
    let conditional = server.get("/c/s.hdb", &format!("If-Modified-Since: {before}\r\n"));
    assert_eq!((conditional.status, conditional.body.as_bytes()), (200, names(5).as_slice()));
}

#[test]
fn limits_hold_and_a_stop_lets_downloads_finish() {
    let config = CONFIG.replace(
        "listen = [\"127.0.0.1:0\"]",
        "listen = [\"127.0.0.1:0\"]\nconnections_per_address = 3\nheader_timeout = \"1s\"\nstall_timeout = \"2s\"",
    );
    let world = World::with_config(&config);
    let list: Vec<u8> = digests(200_000);
    world.publish("feed", 1, &[("l.txt", &list, "sha256-list")]);
    let server = Server::start(&world, "serve");
    // A slow head is closed; so is the oldest of an agent's connections without a request under way when a fourth
    // comes.
    let mut held: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /c/l").unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.get("/-/health", "").status, 200);
    for stream in &mut held {
        let began = Instant::now();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty() && began.elapsed() < Duration::from_secs(5));
    }
    drop(held);
    // A download under way ends whole after a stop was asked for.
    let mut slow = server.connect();
    write!(slow, "GET /c/l.txt HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).unwrap();
    let mut first = [0; 1000];
    slow.read_exact(&mut first).unwrap();
    server.daemon.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(&server.address).is_err() || server.raw(b"GET / HTTP/1.0\r\n\r\n").is_empty());
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    let text = String::from_utf8([first.as_slice(), &rest].concat()).unwrap();
    assert!(Answer::of(&text).body.as_bytes() == list, "the download was cut");
}

/// A connection from this address of the loopback network.
fn connect_from(server: &Server, host: u8) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    connect(&socket, &server.address.parse::<std::net::SocketAddr>().unwrap()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Addresses that take all connections, idle or in the middle of downloads that they do not take, keep no other from
/// its updates, and end no download of one that has fewer.
#[test]
fn some_agents_keep_no_other_from_its_updates() {
    let config = CONFIG.replace(
        "listen = [\"127.0.0.1:0\"]",
        "listen = [\"127.0.0.1:0\"]\nconnections = 12\nconnections_per_address = 4",
    );
    let world = World::with_config(&config);
    let list: Vec<u8> = digests(200_000);
    world.publish("feed", 1, &[("l.txt", &list, "sha256-list")]);
    let server = Server::start(&world, "serve");
    // An honest agent begins a download, and is slow.
    let mut slow = server.connect();
    write!(slow, "GET /c/l.txt HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address).unwrap();
    let mut first = [0; 1000];
    slow.read_exact(&mut first).unwrap();
    let mut crowd = Vec::new();
    for host in [2, 3, 4] {
        for number in 0..4 {
            let mut stream = connect_from(&server, host);
            if number > 0 {
                write!(stream, "GET /c/l.txt HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).unwrap();
            }
            crowd.push(stream);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for host in 10..40 {
        let mut stream = connect_from(&server, host);
        write!(stream, "GET /-/health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address).unwrap();
        let mut out = String::new();
        let _ = stream.read_to_string(&mut out);
        assert_eq!(Answer::of(&out).status, 200, "{host}: {out}");
    }
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    let text = String::from_utf8([first.as_slice(), &rest].concat()).unwrap();
    assert!(Answer::of(&text).body.as_bytes() == list, "the download was cut");
    // What one of them tries to send is on record, though its place was wanted.
    let crowd: Vec<TcpStream> = (0..12).map(|number| connect_from(&server, 50 + number / 4)).collect();
    let mut upload = connect_from(&server, 60);
    write!(upload, "PUT /x HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\n", server.address).unwrap();
    // As long as it takes to be read, which is not as long as its end is waited for.
    std::thread::sleep(Duration::from_millis(300));
    let others: Vec<TcpStream> = (0..12).map(|number| connect_from(&server, 70 + number)).collect();
    drop((upload, others, crowd));
    server.stop();
    world.relay(&["settle"]).expect(0);
    assert!(world.attempts().iter().any(|attempt| attempt["agent"] == "127.0.0.60"), "{:?}", world.attempts());
}

#[test]
fn up_settles_and_serves_and_starts_the_server_again() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let mut server = Server::start(&world, "up");
    assert_eq!(server.get("/c/a.hdb", "").status, 200);
    server.ask("POST", "/x", "");
    // The timer takes the evidence into the log.
    until("the attempt is in the log", || world.log("access").iter().any(|a| a["label"] == "upload"));
    server.daemon.signal(Signal::TERM);
    assert_eq!(server.daemon.wait(), Some(0));
    assert!(TcpStream::connect(&server.address).is_err(), "the server outlived its supervisor");
    // Nor does it where the supervisor had no time to say anything.
    let killed = Server::start(&world, "up");
    killed.daemon.signal(Signal::KILL);
    until("the server has ended as well", || TcpStream::connect(&killed.address).is_err());
}

/// A state has one supervisor, and an address one program: whoever comes second says so and ends, and takes nothing
/// away.
#[test]
fn a_second_up_and_one_that_cannot_bind_end() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let first = Server::start(&world, "up");
    let ran = world.relay(&["up", "--listen", "127.0.0.1:0"]).expect(2);
    let holder = format!("another `gaprelay up` (process {}) runs on", first.daemon.id());
    assert!(ran.err.contains(&holder), "{}", ran.err);
    assert_eq!(first.get("/c/a.hdb", "").status, 200);
    assert_eq!(first.stop(), Some(0));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = world.relay(&["up", "--listen", &address]).expect(1);
    assert!(ran.err.contains(&format!("cannot listen on {address}")), "{}", ran.err);
}

/// The list of vendors' endpoints comes in as content does: signed, inspected, approved, withdrawn.
#[test]
fn a_bundle_brings_new_endpoints() {
    let config = CONFIG.replace("[serve]\n", "[serve]\nendpoints = \"relay/endpoints.json\"\n")
        + "[[feed]]\nname = \"endpoints\"\nkinds = [\"gaprelay-endpoints\"]\n[[channel]]\nname = \"relay\"\nfeeds = [\"endpoints\"]\n";
    let world = World::with_config(&config);
    world.publish("feed", 1, ONE);
    let list = |paths: &str| {
        format!(
            r#"[{{"label":"new-cloud","submission":true,"hosts":["up.new.example"],"paths":["{paths}"],"headers":[],
            "meaning":"The new product tried to send a sample.","remedy":"Set upload=no in its policy."}}]"#
        )
    };
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/new/v1/samples/x", "").status, 404);
    let (good, bad) = (list("/new/v1/samples"), list("/"));
    world.publish("endpoints", 1, &[("endpoints.json", good.as_bytes(), "gaprelay-endpoints")]);
    until("the new list holds", || {
        server.get("/new/v1/samples/x", "");
        world.relay(&["settle"]).expect(0);
        world.attempts().iter().any(|attempt| attempt["label"] == "new-cloud")
    });
    server.get("/x", "Host: up.new.example\r\n");
    let told = world.relay(&["refusals"]).expect(0).out;
    assert!(told.contains("Set upload=no in its policy."), "{told}");
    // What ships stays known beside it.
    server.get("/api/v3/files/x", "X-Apikey: k\r\n");
    server.stop();
    world.relay(&["settle"]).expect(0);
    assert!(world.attempts().iter().any(|attempt| attempt["label"] == "virustotal"));
    // One that empties a label which ships is held as what suppresses, and empties nothing.
    let less = r#"[{"label":"virustotal","submission":false,"hosts":[],"paths":[],"headers":[],
        "meaning":"Nothing to see here.","remedy":"Nothing needs to be done."}]"#;
    world.import(&world.bundle("endpoints", 2, &[("endpoints.json", less.as_bytes(), "gaprelay-endpoints")])).expect(0);
    let shown = world.relay(&["show", "endpoints/2"]).expect(0).out;
    assert!(shown.contains("0 of 2 approvals"), "{shown}");
    world.decide("endpoints/2", "officer", &world.officer, "approve");
    let said = world.decide("endpoints/2", "second", &world.second, "approve");
    assert!(world.relay(&["status"]).out.contains("endpoints"), "{}{}", said.out, said.err);
    let server = Server::start(&world, "serve");
    let count = |label: &str| {
        world.relay(&["settle"]).expect(0);
        world.attempts().iter().filter(|attempt| attempt["label"] == label && attempt["submission"] == true).count()
    };
    let before = count("virustotal");
    server.get("/api/v3/urls/y", "");
    server.stop();
    assert!(count("virustotal") > before, "what ships is a floor");
    // A list that would take downloads for attempts never gets in.
    let refused = world.bundle("endpoints", 3, &[("endpoints.json", bad.as_bytes(), "gaprelay-endpoints")]);
    world.import(&refused).expect(0);
    let shown = world.relay(&["show", "endpoints/3", "--json"]).expect(0).json();
    assert_eq!(shown["verdicts"][0]["reason"], "kind-unknown", "{shown}");
    // Withdrawn, it is forgotten.
    world.decide("endpoints/2", "officer", &world.officer, "withdraw").expect(0);
    world.decide("endpoints/1", "officer", &world.officer, "withdraw").expect(0);
    let server = Server::start(&world, "serve");
    let before = world.attempts().len();
    assert_eq!(server.get("/new/v1/samples/y", "").status, 404);
    server.stop();
    world.relay(&["settle"]).expect(0);
    assert_eq!(world.attempts().len(), before);
}

/// 100 000 refused uploads: the record stays small, the memory flat, and agents are served.
#[test]
fn a_large_flood_costs_little_and_stops_nobody() {
    let world = world();
    let server = Server::start(&world, "serve");
    let memory = || -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", server.daemon.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let flood = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..count / 4 {
                        let mut stream = server.connect();
                        let head = "POST /c/a.hdb HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
                        let _ = stream.write_all(head.as_bytes());
                        let mut answer = [0; 64];
                        let _ = stream.read(&mut answer);
                    }
                });
            }
            let end = Instant::now() + Duration::from_millis(200);
            while Instant::now() < end {
                assert_eq!(server.get("/c/a.hdb", "").status, 200);
            }
        });
    };
    flood(4_000);
    let before = memory();
    flood(96_000);
    let after = memory();
    assert!(after < before + 8 * 1024, "{before} kB before, {after} kB after");
    assert_eq!(server.get("/c/a.hdb", "").body.as_bytes(), HASHES);
    server.ask("PUT", "/needle", "");
    server.stop();
    let written = fs::metadata(world.state().join("log/access/journal")).unwrap().len();
    assert!(written < 64 << 10, "{written} bytes of record");
    let attempts = {
        world.relay(&["settle"]).expect(0);
        world.attempts()
    };
    let uploads = attempts.iter().filter(|a| a["target"] == "/c/a.hdb");
    let counted: u64 = uploads.map(|a| a["count"].as_u64().unwrap()).sum();
    let dropped = 100_000 - counted;
    assert!(counted >= 90_000, "{counted} counted, {dropped} only in the metrics");
    assert!(attempts.len() < 40 && attempts.iter().any(|a| a["target"] == "/needle"), "{attempts:?}");
}

/// A person who opens the relay's address sees what it is, and which channels are open.
#[test]
fn the_index_says_what_this_is_and_names_the_open_channels() {
    let world = World::new();
    let server = Server::start(&world, "serve");
    let get = || run(Command::new("curl").args(["-sS", "-w", " %{http_code}"]).arg(server.url("/"))).expect(0).out;
    assert!(get().contains("Nothing is published yet") && get().ends_with("503"), "{}", get());
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")]);
    let until = Instant::now() + Duration::from_secs(10);
    while !get().ends_with("200") && Instant::now() < until {}
    let told = get();
    assert!(told.contains("one-way relay") && told.contains("\n  /c/\n"), "{told}");
    assert!(world.attempts().is_empty(), "the index was taken for an attempt");
}

/// Cuts a stored file while it is served, as a failing disk or somebody on this machine could.
fn cut(path: &Path, length: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Whoever can write to the store takes files away from agents, and gives them no others: before the server starts,
/// while it runs, in place or by another file, in a blob or in a pack with others.
#[test]
fn a_file_that_was_changed_on_the_disk_is_not_sent() {
    let world = World::new();
    let large = digests(20_000);
    let name = base::Digest::of(&large).to_string();
    let files: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("b.txt", &large, "sha256-list")];
    world.publish("feed", 1, files);
    world.publish("auto", 1, &[("c.rules", RULES, "suricata-rules")]);
    let blob = world.state().join("blobs/sha256").join(&name[..2]).join(&name);
    let pack = world.state().join("releases/feed/1/pack");
    assert_eq!((blob.metadata().unwrap().len(), pack.metadata().unwrap().len()), (1_300_000, HASHES.len() as u64));
    // The server looks at a file at most fifty times in a second.
    let pause = || std::thread::sleep(Duration::from_millis(100));
    let change = |path: &Path, text: &[u8]| {
        fs::OpenOptions::new().write(true).open(path).unwrap().write_all(text).unwrap();
        pause();
    };
    change(&blob, b"00");
    let server = Server::start(&world, "serve");
    let until_it_is = |path: &str, bytes: Option<&[u8]>, what: &str| {
        until(what, || {
            let got = server.get(path, "");
            let is_whole = got.status == 200;
            let published: &[u8] = if path.ends_with("a.hdb") { HASHES } else { &large };
            assert!(
                if is_whole { got.body.as_bytes() == published } else { got.status == 503 },
                "{what}: other bytes came"
            );
            is_whole == bytes.is_some()
        });
    };
    let blob_path = format!("/-/blobs/sha256/{name}");
    for path in ["/c/b.txt", &blob_path] {
        assert_eq!(server.get(path, "").status, 503, "{path}");
        assert_eq!(server.get(path, "Range: bytes=70-80\r\n").status, 503, "{path}");
    }
    assert_eq!(server.get("/c/a.hdb", "").body.as_bytes(), HASHES);
    change(&blob, &large[..2]);
    until_it_is("/c/b.txt", Some(&large), "put right");
    until_it_is(&blob_path, Some(&large), "put right, by digest");
    change(&blob, b"00");
    until_it_is("/c/b.txt", None, "changed while it is served");
    fs::write(world.path("whole"), &large).unwrap();
    fs::rename(world.path("whole"), &blob).unwrap();
    until_it_is("/c/b.txt", Some(&large), "repaired with a copy");
    fs::write(world.path("other"), digests(19_999)).unwrap();
    fs::rename(world.path("other"), &blob).unwrap();
    pause();
    until_it_is("/c/b.txt", None, "replaced by another file");
    fs::remove_file(&blob).unwrap();
    assert!(Command::new("mkfifo").arg(&blob).status().unwrap().success());
    pause();
    until_it_is("/c/b.txt", None, "replaced by a pipe");
    change(&pack, &[b'0'; 4]);
    until_it_is("/c/a.hdb", None, "changed in a pack");
    change(&pack, &HASHES[..4]);
    until_it_is("/c/a.hdb", Some(HASHES), "put right in a pack");
    assert_eq!(server.get("/c/c.rules", "").body.as_bytes(), RULES, "all others are served");
    let (code, said) = server.daemon.stop_telling();
    assert!(code == Some(0) && said.contains(&name) && said.contains("gaprelay fsck"), "{said}");
    // One that starts now does not wait for a pipe, and serves what is whole.
    change(&pack, b"0000");
    let server = Server::start(&world, "serve");
    assert_ne!(server.get("/c/b.txt", "").status, 200);
    for _ in 0..5 {
        assert_eq!(server.get("/c/a.hdb", "").status, 503);
    }
    let (_, said) = server.daemon.stop_telling();
    let name = base::Digest::of(HASHES).to_string();
    assert_eq!(said.lines().filter(|line| line.contains(&name)).count(), 1, "told once: {said}");
}

/// A set that is damaged while it is served stays served, which the keeper tells, while another channel goes on; what
/// is withdrawn from a damaged set leaves it.
#[test]
fn a_set_that_is_damaged_while_it_is_served_stays_served() {
    let world = World::with_config(&CONFIG.replace("officers = 2", "officers = 1"));
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")]);
    world.publish("auto", 1, &[("c.rules", RULES, "suricata-rules")]);
    let server = Server::start(&world, "serve");
    let channel = world.state().join("channels/c");
    let set = |folder: &Path| {
        let sets = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let number =
            |path: &Path| path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
        sets.filter(|path| number(path).is_some()).max_by_key(|path| number(path)).unwrap()
    };
    fs::write(set(&channel), "{}").unwrap();
    world.import(&world.bundle("two", 1, &[("d.hdb", HASHES, "clamav-hashes")])).expect(4);
    world.decide("two/1", "officer", &world.officer, "approve").expect(4);
    until("the other channel is served", || server.get("/two/d.hdb", "").status == 200);
    assert_eq!(server.get("/c/a.hdb", "").body.as_bytes(), HASHES, "and what is damaged on the disk as before");
    world.decide("feed/1", "officer", &world.officer, "withdraw");
    until("it has left", || server.get("/c/a.hdb", "").status == 404);
    assert_eq!(server.get("/c/c.rules", "").body.as_bytes(), RULES);
    server.stop();
}

/// What is withdrawn leaves a running server at once, whatever else on the disk is damaged: a file of another release,
/// another channel's pointer, the list of endpoints.
#[test]
fn what_is_withdrawn_leaves_whatever_else_is_damaged() {
    let world = World::new();
    let large = digests(20_000);
    let name = base::Digest::of(&large).to_string();
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")]);
    world.publish("auto", 1, &[("b.txt", &large, "sha256-list"), ("c.rules", RULES, "suricata-rules")]);
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/c/a.hdb", "").status, 200);
    fs::remove_file(world.state().join("blobs/sha256").join(&name[..2]).join(&name)).unwrap();
    fs::remove_file(world.state().join("releases/auto/1/manifest.json")).unwrap();
    fs::create_dir_all(world.state().join("channels/two")).unwrap();
    fs::write(world.state().join("channels/two/pointer"), "junk").unwrap();
    world.decide("feed/1", "officer", &world.officer, "withdraw");
    until("it has left", || server.get("/c/a.hdb", "").status == 404);
    assert_eq!(server.get("/c/c.rules", "").body.as_bytes(), RULES, "all others are served");
    assert_eq!(server.get("/c/b.txt", "").status, 503);
    assert_eq!(server.get("/-/feeds/auto/manifest.json", "").status, 404);
    let (code, said) = server.daemon.stop_telling();
    assert!(code == Some(0) && said.contains(&name) && said.contains("manifest.json"), "{said}");
    assert!(said.matches("channels/two/pointer").count() == 1, "told once: {said}");
}

/// What is served from a file that was cut ends, by HTTP and by TLS, whether the kernel reads the file or this program;
/// the server lives, tells it, and goes on with every other file.
#[test]
fn a_file_that_is_cut_ends_one_answer_and_not_the_server() {
    for tls in [true, false] {
        let world = World::new();
        let large = digests(600_000);
        let name = base::Digest::of(&large).to_string();
        let files: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("b.txt", &large, "sha256-list")];
        world.publish("feed", 1, files);
        world.publish("auto", 1, &[("c.rules", RULES, "suricata-rules")]);
        let ours = Certificates::new();
        ours.issue(&world, "relay", &["127.0.0.1"]);
        fs::write(world.path("ca.pem"), ours.ca.pem()).unwrap();
        if tls {
            let (certificate, key) = (world.path("relay.pem"), world.path("relay.key"));
            let keys =
                format!("[serve]\ntls_certificate = \"{}\"\ntls_key = \"{}\"", certificate.display(), key.display());
            let config = world.state().join("config.toml");
            let text = fs::read_to_string(&config).unwrap();
            fs::write(&config, text.replace("[serve]", &keys)).unwrap();
        }
        let server = Server::start(&world, "serve");
        let scheme = if tls { "https" } else { "http" };
        let get = |path: &str, args: &[&str]| {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--max-time", "20", "-w", "%{http_code}", "--cacert"]).arg(world.path("ca.pem"));
            curl.args(args).arg(format!("{scheme}://{}{path}", server.address));
            run(&mut curl)
        };
        let blob = world.state().join("blobs/sha256").join(&name[..2]).join(&name);
        assert_eq!(blob.metadata().unwrap().len(), large.len() as u64);
        // Under way: nothing but the bytes of the file comes, and too few of them.
        let out = world.path("out");
        let mut slow = Command::new("curl");
        slow.args(["-s", "--max-time", "60", "--limit-rate", "30M", "-o"]).arg(&out).arg("--cacert");
        slow.arg(world.path("ca.pem")).arg(format!("{scheme}://{}/c/b.txt", server.address));
        let mut slow = slow.spawn().unwrap();
        until("it has begun", || out.metadata().is_ok_and(|meta| meta.len() > 0));
        cut(&blob, 4096 * 5000);
        assert!(!slow.wait().unwrap().success(), "{scheme}: ended as if it were whole");
        let came = fs::read(&out).unwrap();
        assert!(came.len() < large.len() && came == large[..came.len()], "{scheme}: other bytes came");
        // Asked for anew, and in part; and a small file, which lies in a pack with others.
        assert_ne!(get("/c/b.txt", &["-o", "/dev/null", "-f"]).code, Some(0), "{scheme}");
        assert_ne!(get("/c/b.txt", &["-r", "30000000-30000009", "-f"]).code, Some(0), "{scheme}");
        assert_eq!(get("/c/a.hdb", &[]).expect(0).out, format!("{}200", String::from_utf8_lossy(HASHES)));
        cut(&world.state().join("releases/feed/1/pack"), 0);
        let small = get("/c/a.hdb", &["-f"]);
        assert!(small.code != Some(0) && !small.out.contains('\0'), "{scheme}: {}", small.out);
        assert_eq!(get("/c/c.rules", &[]).expect(0).out, format!("{}200", String::from_utf8_lossy(RULES)));
        let told = get("/-/metrics", &[]).expect(0).out;
        let line = told.lines().find_map(|line| line.strip_prefix("gaprelay_files_unreadable_total "));
        assert!(line.is_some_and(|count| count.parse::<u64>().unwrap() >= 2), "{scheme}: {told}");
        let (code, said) = server.daemon.stop_telling();
        assert!(code == Some(0) && said.contains(&name) && said.contains("gaprelay fsck"), "{scheme}: {said}");
    }
}
