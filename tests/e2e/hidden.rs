//! An agent that hides its attempts to send: in heads that never end or cannot be read, behind requests that are
//! answered, among connections of its own; and one that keeps others out.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::support::*;

const SEND: &str = "HTTP/1.1\r\nHost: www.virustotal.com\r\nX-Apikey: k\r\n";
const GOOD: &str = "GET /c/a.hdb HTTP/1.1\r\nHost: localhost\r\nUser-Agent: freshclam/1\r\n\r\n";

/// A relay that waits so long for a head, with a tripwire at this address.
fn world(serve: &str) -> (World, String) {
    let tripwire = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let serve = format!("listen = [\"127.0.0.1:0\"]\ntripwires = [\"{tripwire}\"]\n{serve}");
    let world = World::with_config(&CONFIG.replace("listen = [\"127.0.0.1:0\"]", &serve));
    world.publish("feed", 1, ONE);
    (world, tripwire)
}

fn connect(from: &str, to: &str) -> TcpStream {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &format!("{from}:0").parse::<SocketAddrV4>().unwrap()).unwrap();
    rustix::net::connect(&socket, &to.parse::<SocketAddrV4>().unwrap()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends a good request and takes its answer; then the connection is used otherwise.
fn after_a_good_one(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(GOOD.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    stream
}

/// Sends the bytes, and waits until the server has ended the connection.
fn say(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn recorded(world: &World, server: Server) -> Vec<Value> {
    server.stop();
    world.relay(&["settle"]).expect(0);
    world.attempts()
}

/// The greeting of a TLS client that wants to reach the server of this name.
fn client_hello(name: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let server_name = [&[0, 0][..], &sized(&sized(&[&[0][..], &sized(name.as_bytes())].concat()))].concat();
    let algorithms = [&[0, 13][..], &sized(&sized(&[4, 3]))].concat();
    let extensions = sized(&[server_name, algorithms].concat());
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[0x16, 3, 1][..], &sized(&message)].concat()
}

/// Heads that never end, that are cut or cannot be read, alone and behind a request that was answered: each is recorded
/// as what its bytes show, and nothing else is.
#[test]
fn an_upload_that_is_no_whole_request_is_recorded_as_one() {
    let (world, _) = world("header_timeout = \"2s\"");
    let server = Server::start(&world, "serve");
    let many: String = (0..120).map(|number| format!("X-{number}: y\r\n")).collect();
    let data = "B".repeat(3000);
    let long = "A".repeat(40_000);
    // Never ended; the first ones together, since each waits for the server's patience to end.
    let open: Vec<TcpStream> = ["POST /open", "GET /api/v3/files/open"]
        .into_iter()
        .map(|line| {
            let mut stream = server.connect();
            stream.write_all(format!("{line} {SEND}X-Data: {}", "S".repeat(15_000)).as_bytes()).unwrap();
            stream
        })
        .collect();
    let cut = |mut stream: TcpStream, text: String| {
        stream.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        drop(stream);
    };
    cut(server.connect(), format!("POST /cut/{} {SEND}X-Data: {data}", "A".repeat(9000)));
    let mut half = server.connect();
    half.write_all(format!("POST /half {SEND}X-Data: {data}").as_bytes()).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    say(half, b"");
    cut(after_a_good_one(&server), format!("POST /second-cut {SEND}X-Data: {data}"));
    cut(server.connect(), format!("{GOOD}POST /pipelined-cut {SEND}X-Data: {data}"));
    say(server.connect(), format!("POST /many {SEND}{many}\r\n").as_bytes());
    say(after_a_good_one(&server), format!("POST /second-many {SEND}{many}\r\n").as_bytes());
    say(server.connect(), format!("{GOOD}POST /pipelined-many {SEND}{many}\r\n").as_bytes());
    say(server.connect(), format!("POST /long/{long} {SEND}\r\n").as_bytes());
    say(server.connect(), format!("POST /length {SEND}Content-Length: 5\r\nContent-Length: 6\r\n\r\n").as_bytes());
    say(server.connect(), b"POST /space HTTP/1.1\r\nX : y\r\nHost:\twww.virustotal.com\r\n\r\n");
    say(after_a_good_one(&server), &client_hello("www.clamav.net"));
    say(after_a_good_one(&server), b"\x05\x01\x00");
    // What is broken and sends nothing is told as that.
    say(server.connect(), format!("GET /broken HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes());
    cut(server.connect(), "GET /left HTTP/1.1\r\nHost: localhost\r\n".into());
    for stream in open {
        say(stream, b"");
    }
    let attempts = recorded(&world, server);
    let find = |target: &str| {
        let found = attempts.iter().find(|a| a["target"].as_str().unwrap().starts_with(target));
        found.unwrap_or_else(|| panic!("{target} is not recorded: {attempts:#?}"))
    };
    for (target, status) in [
        ("/open", 0),
        ("/api/v3/files/open", 0),
        ("/cut/AAAA", 0),
        ("/half", 0),
        ("/second-cut", 0),
        ("/pipelined-cut", 0),
        ("/many", 431),
        ("/second-many", 431),
        ("/pipelined-many", 431),
        ("/long/AAAA", 431),
        ("/length", 400),
        ("/space", 400),
    ] {
        let found = find(target);
        assert_eq!(
            (&found["label"], &found["host"], &found["submission"], &found["status"]),
            (&"virustotal".into(), &"www.virustotal.com".into(), &true.into(), &status.into()),
            "{found:#}"
        );
    }
    assert!(find("/open")["bytes_received"].as_u64().unwrap() > 15_000);
    for (target, label) in [("/broken", "malformed-request"), ("/left", "unanswered-request")] {
        let found = find(target);
        assert!(found["label"] == label && found["submission"] == false, "{found:#}");
    }
    let has = |label: &str, method: &str| attempts.iter().any(|a| a["label"] == label && a["method"] == method);
    assert!(has("clamav-submit", "TLS") && has("socks", "SOCKS"), "{attempts:#?}");
    let text = serde_json::to_string(&attempts).unwrap();
    assert!(!text.contains("a.hdb") && !text.contains("freshclam"), "what was answered is no attempt: {text}");
    assert!(!text.contains("SSSS") && !text.contains("BBBB"), "bytes of an upload were kept");
}

/// Connections of its own hide nothing of what an agent sends on another, whether they are idle or in use.
#[test]
fn an_upload_beside_many_connections_is_recorded() {
    let (world, tripwire) = world("connections_per_address = 3");
    let list = digests(200_000);
    world.publish("feed", 2, &[("a.hdb", HASHES, "clamav-hashes"), ("l.txt", &list, "sha256-list")]);
    let server = Server::start(&world, "serve");
    let idle: Vec<_> = (0..3).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let upload = |path: &str| server.raw(format!("POST {path} {SEND}Content-Length: 9\r\n\r\n").as_bytes());
    assert_eq!(Answer::of(&upload("/beside-idle")).status, 405);
    drop(idle);
    // Downloads under way are not cut for it.
    let download = || {
        let mut stream = server.connect();
        write!(stream, "GET /c/l.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
    };
    let mut busy: Vec<_> = (0..3).map(|_| download()).collect();
    assert_eq!(Answer::of(&upload("/beside-busy")).status, 503);
    assert_eq!(server.get("/c/a.hdb", "").status, 503);
    say(TcpStream::connect(&tripwire).unwrap(), format!("POST /knock {SEND}\r\n").as_bytes());
    for stream in &mut busy {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(&list[list.len() - 1000..]), "a download was cut");
    }
    let attempts = recorded(&world, server);
    for (target, status) in [("/beside-idle", 405), ("/beside-busy", 503), ("/knock", 0)] {
        let found = attempts.iter().find(|a| a["target"] == target);
        let found = found.unwrap_or_else(|| panic!("{target} is not recorded: {attempts:#?}"));
        assert_eq!((&found["label"], &found["status"]), (&"virustotal".into(), &status.into()), "{found:#}");
    }
    assert_eq!(attempts.len(), 3, "a download that gets 503 is no attempt: {attempts:#?}");
}

/// Few holders of all connections keep nobody out who has none, also while theirs are in use.
#[test]
fn who_has_most_connections_gives_way_to_who_has_none() {
    let (world, _) = world("connections = 8\nconnections_per_address = 4");
    let list = digests(200_000);
    world.publish("feed", 2, &[("a.hdb", HASHES, "clamav-hashes"), ("l.txt", &list, "sha256-list")]);
    let server = Server::start(&world, "serve");
    let ask = |from: &str, request: &str| {
        let mut stream = connect(from, &server.address);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let head = "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let download = "GET /c/l.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for request in [head, download] {
        let taken: Vec<_> = ["127.0.0.2", "127.0.0.3"]
            .into_iter()
            .flat_map(|from| (0..4).map(move |_| from))
            .map(|from| {
                let mut stream = ask(from, request);
                stream.read_exact(&mut [0; 40]).unwrap();
                stream
            })
            .collect();
        for from in ["127.0.0.4", "127.0.0.5"] {
            let mut text = String::new();
            ask(from, &GOOD.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).read_to_string(&mut text).unwrap();
            assert_eq!(Answer::of(&text).body.as_bytes(), HASHES, "{from} while others hold {request}");
        }
        say(ask("127.0.0.6", &format!("POST /needle {SEND}Content-Length: 1\r\n\r\n")), b"x");
        drop(taken);
    }
    let attempts = recorded(&world, server);
    let needles = attempts.iter().filter(|a| a["agent"] == "127.0.0.6" && a["label"] == "virustotal");
    assert_eq!(needles.map(|a| a["count"].as_u64().unwrap()).sum::<u64>(), 2, "{attempts:#?}");
}
