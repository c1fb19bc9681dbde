//! The DNS sinkhole, driven by dig and by packets that dig would not send.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::support::*;

const ZONE: &str = "$TTL 300\n@ IN SOA ns.site.example. admin.site.example. 1 3600 600 86400 60\n@ IN NS ns\nns IN A 10.0.0.1\n\
    relay IN A 10.0.0.2\nwww IN CNAME relay\n";
const NAMES: &str = r#"
[[dns.zone]]
name = "site.example"
file = "site.zone"
[[dns.name]]
name = "database.clamav.net"
addresses = ["10.0.0.2"]
[[dns.name]]
name = "www.virustotal.com"
addresses = ["10.0.0.2"]
[[dns.name]]
name = "*.vendor.example"
"#;

/// A relay with a sinkhole; `more` goes into its table.
fn world(more: &str) -> World {
    let long =
        format!("[[dns.name]]\nname = \"long.example\"\ntext = [{}]\n", vec![format!("\"{:0250}\"", 1); 8].join(","));
    let world = World::with_config(&format!("{CONFIG}[dns]\nlisten = [\"127.0.0.1:0\"]\n{more}{NAMES}{long}"));
    std::fs::write(world.state().join("site.zone"), ZONE).unwrap();
    world
}

struct Sinkhole {
    daemon: Daemon,
    address: SocketAddr,
}

impl Sinkhole {
    fn start(command: &mut Command) -> Self {
        let (daemon, line) = Daemon::start(command, "by TCP");
        let address = line.split(' ').find_map(|word| word.parse().ok()).unwrap();
        Self { daemon, address }
    }

    /// Asks it to stop, and gives how it ended and what it told.
    fn stop(self) -> (Option<i32>, String) {
        self.daemon.stop_telling()
    }

    fn dig(&self, args: &[&str]) -> String {
        let port = self.address.port().to_string();
        let mut command = Command::new("dig");
        command.args(["@127.0.0.1", "-p", &port, "+tries=1", "+time=3"]).args(args);
        run(&mut command).out
    }

    /// Sends a packet and gives the answer, if one comes.
    fn packet(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket.send_to(bytes, self.address).unwrap();
        let mut answer = [0; 8192];
        let (length, from) = socket.recv_from(&mut answer).ok()?;
        assert_eq!(from, self.address, "the answer comes from where was asked");
        Some(answer[..length].to_vec())
    }
}

/// A look-up of `name`, class IN, as a packet.
fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

fn code(answer: &[u8]) -> u8 {
    assert_eq!((answer[0], answer[1], answer[2] & 0x80), (0x12, 0x34, 0x80), "{answer:?}");
    answer[3] & 0xf
}

fn recorded(world: &World) -> Vec<Value> {
    world.relay(&["settle"]).expect(0);
    world.attempts()
}

#[test]
fn dig_gets_what_the_config_says_and_nothing_else() {
    if !has("dig") {
        return;
    }
    let world = world("");
    let sinkhole = Sinkhole::start(&mut world.command(&["sinkhole"]));
    for way in ["+notcp", "+tcp"] {
        let short = |args: &[&str]| sinkhole.dig(&[&["+short", way], args].concat());
        assert_eq!(short(&["relay.site.example"]), "10.0.0.2\n");
        assert_eq!(short(&["WWW.site.example", "A"]), "relay.site.example.\n10.0.0.2\n");
        assert_eq!(short(&["database.clamav.net"]), "10.0.0.2\n");
        assert_eq!(short(&["site.example", "NS"]), "ns.site.example.\n");
        for (name, status) in [
            ("none.site.example", "NXDOMAIN"),
            ("any.vendor.example", "NXDOMAIN"),
            ("www.elsewhere.example", "REFUSED"),
            ("com", "REFUSED"),
        ] {
            let told = sinkhole.dig(&[way, name]);
            assert!(told.contains(&format!("status: {status}")), "{name}: {told}");
            assert!(!told.contains(" ra") && told.contains("recursion requested but not available"), "{told}");
        }
        assert!(sinkhole.dig(&[way, "relay.site.example", "AAAA"]).contains("status: NOERROR"), "it exists");
        assert!(sinkhole.dig(&[way, "+opcode=notify", "site.example"]).contains("status: NOTIMP"));
        assert!(sinkhole.dig(&[way, "+edns=1", "+noednsneg", "site.example"]).contains("status: BADVERS"));
    }
    assert!(sinkhole.dig(&["site.example", "AXFR"]).contains("Transfer failed"));
    // Two kilobytes do not arrive by UDP: dig is told so, and asks again by TCP.
    let whole = sinkhole.dig(&["long.example", "TXT"]);
    assert!(whole.contains("Truncated, retrying in TCP mode") && whole.contains("ANSWER: 8"), "{whole}");
    let cut = sinkhole.dig(&["+ignore", "long.example", "TXT"]);
    assert!(cut.contains(" tc ") && cut.contains("ANSWER: 0"), "{cut}");
    assert_eq!(sinkhole.stop().0, Some(0));
}

#[test]
fn look_ups_that_show_something_are_recorded() {
    let world = world("");
    let sinkhole = Sinkhole::start(&mut world.command(&["sinkhole"]));
    let (md5, sha1) = ("44d88612fea8a8f36de82e1278abb02f", "3395856ce81f2b7382dee72602f798b642f14140");
    let sha256 = "275a021bbfb6489e54d471899f7db9d1.663fc695ec2fe2a2c4538aabf651fd0f";
    let tunnel = "nbswy3dpeb3w64tmmqqho2lun5xgo4lpnzssa5djnztq.t.elsewhere.example";
    let cases = [
        (format!("{md5}.hash.cymru.com"), 16, "cymru-mhr", true),
        (format!("{sha256}.hash.cymru.com"), 1, "cymru-mhr", true),
        (format!("a1b2.{sha1}.5.samples.sophosxl.net"), 16, "sophos-samples", true),
        ("0.0.0.0.1.0.0.4e.13vb7.avqs.mcafee.com".into(), 1, "trellix-gti", true),
        (format!("{sha1}.look-up.elsewhere.example"), 1, "dns-hash", true),
        (format!("{sha256}.elsewhere.example"), 1, "dns-hash", true),
        (tunnel.into(), 16, "dns-data", true),
        // Answered, and recorded: whoever asks wants to send.
        ("www.virustotal.com".into(), 1, "virustotal", true),
        ("current.cvd.clamav.net".into(), 16, "clamav-update", false),
        ("time.elsewhere.example".into(), 1, "dns-foreign", false),
        // Told with the one before.
        ("www.elsewhere.example".into(), 28, "dns-foreign", false),
        // This site's names, and where it leads its own updates, are no refusals.
        ("relay.site.example".into(), 1, "", false),
        (format!("{sha1}.site.example"), 1, "", false),
        ("database.clamav.net".into(), 1, "", false),
    ];
    for (name, kind, label, _) in &cases {
        let answer = sinkhole.packet(&query(name, *kind)).unwrap();
        let expected = match name.as_str() {
            "www.virustotal.com" | "relay.site.example" | "database.clamav.net" => 0,
            name if name.ends_with(".site.example") => 3,
            _ => 5,
        };
        assert_eq!(code(&answer), expected, "{name} {label}");
    }
    assert_eq!(sinkhole.stop().0, Some(0));
    let attempts = recorded(&world);
    let mut count = 0;
    for (name, kind, label, submission) in cases.iter().filter(|case| !case.2.is_empty()) {
        let found =
            attempts.iter().find(|a| a["label"] == *label && (a["host"] == name.as_str() || *label == "dns-foreign"));
        let found = found.unwrap_or_else(|| panic!("{label} {name}: {attempts:#?}"));
        assert_eq!((&found["submission"], &found["agent"]), (&(*submission).into(), &"127.0.0.1".into()));
        let method = found["method"].as_str().unwrap();
        assert!(method.starts_with("DNS ") && (*kind != 16 || method == "DNS TXT"), "{found}");
        count += 1;
    }
    assert_eq!(attempts.len(), count, "{attempts:#?}");
    let foreign: u64 =
        attempts.iter().filter(|a| a["label"] == "dns-foreign").map(|a| a["count"].as_u64().unwrap()).sum();
    assert_eq!(foreign, 2, "{attempts:#?}");
    let told = world.relay(&["refusals", "--by", "product", "--submissions"]).expect(0).out;
    assert!(told.contains("DNS A at") && told.contains("dns-hash: A DNS look-up had a digest in its name"), "{told}");
}

#[test]
fn packets_that_are_no_look_up_start_nothing() {
    let world = world("");
    let sinkhole = Sinkhole::start(&mut world.command(&["sinkhole"]));
    let good = query("relay.site.example", 1);
    let with = |at: usize, byte: u8| {
        let mut packet = good.clone();
        packet[at] = byte;
        packet
    };
    // An answer is never answered, nor is what has no header.
    for packet in [with(2, 0x81), with(2, 0x80), vec![], vec![0; 11], b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        // "T" has the answer's bit clear in the third byte: that one is answered as malformed.
        let answer = sinkhole.packet(&packet);
        assert!(answer.is_none_or(|answer| packet.starts_with(b"GET") && answer[3] & 0xf == 1), "{packet:?}");
    }
    let two = [with(5, 2), good[12..].to_vec()].concat();
    let mut endless = query("", 1);
    endless.splice(12..13, [0xc0, 12]);
    let update = with(2, 0x28);
    let chaos = [&good[..good.len() - 1], &[3]].concat();
    for (packet, expected) in [
        (two, 1),
        (endless, 1),
        (with(5, 9), 1),
        (with(7, 200), 1),
        (good[..good.len() - 3].to_vec(), 1),
        (vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff], 1),
        ([good.clone(), vec![0; 5000]].concat(), 0),
        (update, 4),
        (chaos, 5),
        (query("site.example", 252), 5),
        (good.clone(), 0),
    ] {
        let answer = sinkhole.packet(&packet).unwrap_or_else(|| panic!("no answer to {packet:?}"));
        assert_eq!(code(&answer), expected, "{packet:?}");
        assert!(answer.len() < 600);
    }
    let mut stream = TcpStream::connect(sinkhole.address).unwrap();
    // Two at once, then a length that never comes true.
    let framed = [&u16::try_from(good.len()).unwrap().to_be_bytes()[..], &good].concat();
    stream.write_all(&[framed.clone(), framed, vec![0xff, 0xff, 1]].concat()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answers = vec![0; 2 * usize::from(u16::from_be_bytes(length)) + 2];
    stream.read_exact(&mut answers).unwrap();
    // One address cannot take all the room: beyond its share, its connection that was used longest ago ends.
    let crowd: Vec<_> = (0..40).map(|_| TcpStream::connect(sinkhole.address).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(300));
    let turned_away = crowd.iter().filter(|open| {
        open.set_nonblocking(true).unwrap();
        (&mut &**open).read(&mut [0]).is_ok_and(|length| length == 0)
    });
    assert_eq!(turned_away.count(), 40 - 16, "sixteen are open");
    drop(crowd);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "two answers, then the end");
    assert_eq!(sinkhole.stop().0, Some(0));
    let attempts = recorded(&world);
    assert!(attempts.iter().all(|a| a["label"] == "dns-refused" && a["submission"] == false), "{attempts:#?}");
    for asked in ["DNS answer", "DNS malformed", "DNS UPDATE", "DNS AXFR"] {
        assert!(
            attempts.iter().any(|a| a["method"].as_str().unwrap().eq_ignore_ascii_case(asked)),
            "{asked}: {attempts:#?}"
        );
    }
}

#[test]
fn only_the_agents_networks_are_answered() {
    let world = world("agents = [\"10.0.0.0/8\"]\n");
    let sinkhole = Sinkhole::start(&mut world.command(&["sinkhole"]));
    assert_eq!(sinkhole.packet(&query("relay.site.example", 1)), None);
    assert_eq!(sinkhole.packet(&query("44d88612fea8a8f36de82e1278abb02f.hash.cymru.com", 1)), None);
    let mut stream = TcpStream::connect(sinkhole.address).unwrap();
    let good = query("tcp.elsewhere.example", 1);
    stream.write_all(&[&u16::try_from(good.len()).unwrap().to_be_bytes()[..], &good].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty());
    assert_eq!(sinkhole.stop().0, Some(0));
    let labels: Vec<_> = recorded(&world).iter().map(|a| a["label"].as_str().unwrap().to_owned()).collect();
    assert_eq!(labels, ["cymru-mhr", "dns-foreign"], "recorded all the same");
}

#[test]
fn up_keeps_it_running() {
    let world = world("");
    let up = Sinkhole::start(&mut world.command(&["up", "--listen", "127.0.0.1:0"]));
    assert_eq!(code(&up.packet(&query("relay.site.example", 1)).unwrap()), 0);
    let children = |pid: u32| -> Vec<u32> {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_whitespace().map(|id| id.parse().unwrap()).collect()
    };
    let is = |pid: &u32, word: &str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|part| part == word.as_bytes())
    };
    let resolver = children(up.daemon.id()).into_iter().find(|pid| is(pid, "sinkhole")).unwrap();
    let post = children(resolver).into_iter().find(|pid| is(pid, "post")).unwrap();
    let kill = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    // A resolver without its post ends, and both are started again.
    kill(post);
    let mut second = None;
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(100));
        second = children(up.daemon.id()).into_iter().find(|pid| *pid != resolver && is(pid, "sinkhole"));
        if second.is_some_and(|pid| !children(pid).is_empty()) {
            break;
        }
    }
    let second = second.expect("started again");
    let posts = children(second);
    // A post never outlives its resolver.
    kill(second);
    for _ in 0..100 {
        if !std::path::Path::new(&format!("/proc/{}", posts[0])).exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!std::path::Path::new(&format!("/proc/{}", posts[0])).exists());
    let (code, told) = up.stop();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("the sinkhole process ended"), "{told}");
}

/// A UDP forwarder that was taken over does not go on when the process that started it is gone, nor when the resolver
/// is.
#[test]
fn no_forwarder_outlives_its_supervisor() {
    let world = world("");
    let children = |pid: u32| -> Vec<u32> {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_whitespace().map(|id| id.parse().unwrap()).collect()
    };
    let has_word = |pid: u32, word: &str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|part| part == word.as_bytes())
    };
    let signal = |pid: u32, signal| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    for of in ["supervisor", "resolver"] {
        let mut sinkhole = Sinkhole::start(&mut world.command(&["sinkhole"]));
        let supervisor = sinkhole.daemon.id();
        // Neither is started by a process that is confined: the kernel would let that end nobody.
        let status = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
        assert!(status.contains("Seccomp:\t0"), "{status}");
        let post = children(supervisor).into_iter().find(|pid| has_word(*pid, "post")).unwrap();
        let resolver = children(supervisor).into_iter().find(|pid| has_word(*pid, "--pipes")).unwrap();
        // It looks at its sockets no more.
        signal(post, rustix::process::Signal::STOP);
        signal(if of == "supervisor" { supervisor } else { resolver }, rustix::process::Signal::KILL);
        sinkhole.daemon.wait();
        for _ in 0..100 {
            if !has_word(post, "post") && !has_word(resolver, "sinkhole") {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(!has_word(post, "post"), "the forwarder outlives the {of}");
        assert!(!has_word(resolver, "sinkhole"), "the resolver outlives the {of}");
    }
}

#[test]
fn a_config_that_cannot_be_answered_from_is_told() {
    let told = |more: &str| {
        let world = World::new();
        std::fs::write(world.state().join("config.toml"), format!("{CONFIG}[dns]\n{more}")).unwrap();
        let checked = world.relay(&["check-config"]);
        assert_eq!(checked.code, Some(2), "{more}: {} {}", checked.out, checked.err);
        assert_eq!(world.relay(&["sinkhole"]).code, Some(2), "{more}");
        checked.err
    };
    assert!(told("listen = [\"0.0.0.0:53\"]\n").contains("column 11: dns.listen needs each address by itself"));
    assert!(told("agents = [\"10.0.0.0/33\"]\n").contains("column 11"));
    let listen = "listen = [\"127.0.0.1:0\"]\n";
    assert!(told(&format!("{listen}[[dns.zone]]\nname = \"a.example\"\nfile = \"missing\"\n")).contains("missing"));
    assert!(told(&format!("{listen}[[dns.name]]\nname = \"a..b\"\n")).contains("is not a name"));
    assert!(told(&format!("{listen}[[dns.name]]\nname = \"a.b\"\n[[dns.name]]\nname = \"A.b.\"\n")).contains("twice"));
    let none = World::new().relay(&["sinkhole"]);
    assert!(none.code == Some(2) && none.err.contains("dns.listen"), "{}", none.err);
}

#[test]
fn hostile_code_inside_it_gets_nowhere() {
    let world = world("");
    let library = shim(world.dir.path(), "hostile");
    for role in ["sinkhole", "post"] {
        let sinkhole = Sinkhole::start(hostile(&mut world.command(&["sinkhole"]), &library, role, "9"));
        std::thread::sleep(Duration::from_millis(1500));
        // Hostile or not, it answers.
        assert_eq!(code(&sinkhole.packet(&query("relay.site.example", 1)).unwrap()), 0);
        let told = sinkhole.stop().1;
        // The post's own work, and only that: the firewall must see to where.
        let work: &[&str] = if role == "post" { &["sendto: SUCCEEDED"] } else { &[] };
        assert_eq!(got_through(&told, role), work, "{role}: {told}");
    }
}
