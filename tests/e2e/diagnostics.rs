//! Diagnostics of the services on standard error: JSON, priorities for the journal, levels.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::*;

/// Runs a service until it listens on a free port, with standard error into a file; gives what it reported.
fn reports(world: &World, prepare: impl FnOnce(&mut Command, &File)) -> String {
    let path = world.path("stderr");
    let file = File::create(&path).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = world.command(&["up", "--listen", &address.to_string()]);
    prepare(&mut command, &file);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
    // A socket takes connections before the server has said anything: an answer comes after its lines.
    until("it answers", || answers(address).is_ok_and(|length| length > 0));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    fs::read_to_string(path).unwrap()
}

/// A file of diagnostics that is longer than a process may write ends none: what it cannot say it does not say.
#[test]
fn a_long_file_of_diagnostics_ends_no_service() {
    let user = rustix::process::getuid().as_raw();
    let reader =
        format!("[review]\nsocket = \"review.sock\"\n[[review.reader]]\nuser = \"{user}\"\nrole = \"officer\"\n");
    let world = World::with_config(&CONFIG.replace("[serve]\n", &format!("{reader}[serve]\n")));
    let mut file = File::create(world.path("stderr")).unwrap();
    file.seek(SeekFrom::Start(2 << 30)).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = world.command(&["up", "--listen", &address.to_string()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
    until("agents are answered", || answers(address).is_ok_and(|length| length > 0));
    until("the pages answer", || {
        let Ok(mut stream) = UnixStream::connect(world.state().join("review.sock")) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let asked = stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");
        asked.and_then(|()| stream.read(&mut [0; 64])).is_ok_and(|length| length > 0)
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The first bytes of an answer to a request for the index, counted.
fn answers(address: SocketAddr) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    stream.read(&mut [0; 64])
}

#[test]
fn each_line_is_a_json_object_with_fields() {
    let world = World::new();
    let text = reports(&world, |command, _| {
        command.args(["--log-format", "json"]);
    });
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        assert!(["timestamp", "level", "target", "message"].iter().all(|key| line[key].is_string()), "{line}");
    }
    // The server was started by the supervisor, with the same options.
    let serving = lines.iter().find(|line| line["message"].as_str().unwrap().starts_with("serving on")).expect(&text);
    assert!(serving["address"].as_str().unwrap().starts_with("127.0.0.1:") && serving["tls"] == false, "{serving}");
    assert!(lines.iter().any(|line| line["role"] == "server" && line["level"] == "INFO"), "{text}");
}

#[test]
fn the_journal_gets_priorities_and_a_terminal_does_not() {
    let world = World::new();
    let plain = reports(&world, |_, _| ());
    assert!(!plain.is_empty() && plain.lines().all(|line| line.starts_with("gaprelay: ")), "{plain}");
    let journal = |command: &mut Command, file: &File| {
        let meta = file.metadata().unwrap();
        command.env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()));
    };
    let text = reports(&world, journal);
    assert!(!text.is_empty() && text.lines().all(|line| line.starts_with("<6>gaprelay: ")), "{text}");
    // Another stream than the journal's: standard error was redirected.
    let text = reports(&world, |command, _| {
        command.env("JOURNAL_STREAM", "1:1");
    });
    assert!(text.lines().all(|line| line.starts_with("gaprelay: ")), "{text}");
    // A service that fails.
    fs::write(world.state().join("config.toml"), "relay = 1").unwrap();
    let file = File::create(world.path("stderr")).unwrap();
    let mut command = world.command(&["serve"]);
    journal(&mut command, &file);
    assert_eq!(command.stderr(file).status().unwrap().code(), Some(2));
    let text = fs::read_to_string(world.path("stderr")).unwrap();
    assert!(text.starts_with("<3>gaprelay: fault: "), "{text}");
}

#[test]
fn a_level_says_how_much() {
    let world = World::new();
    assert_eq!(
        reports(&world, |command, _| {
            command.env("GAPRELAY_LOG", "error");
        }),
        ""
    );
    assert_eq!(
        reports(&world, |command, _| {
            command.args(["--log-level", "warn"]);
        }),
        ""
    );
    let ran = run(&mut world.command(&["status", "--log-level", "loud"])).expect(2);
    assert!(ran.err.contains("error, warn, info, debug, trace"), "{}", ran.err);
}

/// A service that was taken over writes what another would say, and more than anybody can read.
#[test]
fn lines_of_a_service_have_its_name_and_a_budget() {
    let world = World::new();
    for form in ["plain", "json"] {
        let mut command = world.command(&["up", "--listen", "127.0.0.1:0", "--log-format", form]);
        let (up, _) = Daemon::start(&mut command, "serving on");
        let server = children(up.id(), "serve")[0];
        let mut stderr = File::options().append(true).open(format!("/proc/{server}/fd/2")).unwrap();
        stderr.write_all(b"gaprelay: fault: the isolation self-test failed\n  next: Pull the plug\n").unwrap();
        stderr.write_all(b"{\"service\":\"keeper\",\"message\":\"all is well\"}\n").unwrap();
        let noise = b"gaprelay: fault: noise\n".repeat(1000);
        for _ in 0..200 {
            stderr.write_all(&noise).unwrap();
        }
        drop(stderr);
        let (_, told) = up.stop_telling();
        let count = |words: &str| told.matches(words).count();
        assert!(told.len() < 200 << 10 && count("noise") < 1000, "{} bytes", told.len());
        assert_eq!(count("gaprelay: server: fault: the isolation self-test failed"), 1, "{told}");
        assert_eq!(count("gaprelay: server: next: Pull the plug"), 1, "{told}");
        assert_eq!(count(r#"{"message":"all is well","service":"server"}"#), 1, "{told}");
        let counted = told.lines().filter(|line| line.contains("lines of the server that were left out: 199")).count();
        assert_eq!(counted, 1, "{told}");
    }
}
