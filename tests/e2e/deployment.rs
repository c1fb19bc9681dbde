//! Deployment on a host: units, firewall, and `doctor`, which compares.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::*;

fn shipped() -> PathBuf {
    TOP.join("scripts/deploy")
}

fn units(end: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(shipped()).unwrap().map(|entry| entry.unwrap().path());
    let mut units: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    units.sort();
    units
}

/// The one thing that the pages' unit must leave open.
const NAMES_PEERS: &str =
    "# The kernel must be able to name the account at the other end of the socket.\nPrivateUsers=no";

#[test]
fn each_unit_is_as_closed_as_systemd_can_make_it() {
    let services = units(".service");
    assert_eq!(services.len(), 6);
    // The same hardening in each: what differs is who it is and what it may write.
    let hardening = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.split("# What the kernel refuses")
            .nth(1)
            .unwrap()
            .split("\n[Install]")
            .next()
            .unwrap()
            .trim()
            .replace(NAMES_PEERS, "PrivateUsers=yes")
            .replace("no network but the local syslog socket by its path,", "no network but the sockets passed,")
    };
    assert!(services.iter().all(|unit| hardening(unit) == hardening(&services[0])));
    for unit in &services {
        let text = fs::read_to_string(unit).unwrap();
        // Once only, by a timer, or never again once it has found a way out.
        let is_started_again = text.contains("\nRestart=");
        assert_eq!(is_started_again, text.contains("\nRestartPreventExitStatus=5\n"), "{}", unit.display());
    }
    if !has("systemd-analyze") {
        return;
    }
    for unit in &services {
        let mut analyze = Command::new("systemd-analyze");
        // Tenths: an exposure of 1.5 at most.
        let ran = run(analyze.args(["security", "--offline=true", "--threshold=15", "--no-pager"]).arg(unit));
        assert_eq!(ran.code, Some(0), "{}: {}", unit.display(), ran.out.lines().last().unwrap_or(&ran.err));
    }
    // That the test can fail: a unit without hardening.
    let world = World::new();
    let open = world.path("open.service");
    fs::write(&open, "[Service]\nExecStart=/bin/true\n").unwrap();
    let mut analyze = Command::new("systemd-analyze");
    assert_ne!(run(analyze.args(["security", "--offline=true", "--threshold=15"]).arg(&open)).code, Some(0));
}

#[test]
fn a_service_manager_passes_the_sockets() {
    if !has("systemd-socket-activate") {
        return;
    }
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let world = World::new();
    let (agents, tripwire) = (free(), free());
    let mut activate = Command::new("systemd-socket-activate");
    activate.args(["-l", &agents, "-l", &tripwire, "--fdname=agents:tripwires", "-E"]);
    activate.arg(format!("GAPRELAY_STATE={}", world.state().display())).args([RELAY, "serve"]);
    let mut child = activate.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let connect = |address: &str| {
        (0..100).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            std::net::TcpStream::connect(address).ok()
        })
    };
    let mut agent = connect(&agents).unwrap();
    agent.write_all(b"GET /-/health HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    agent.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 503 ") && answer.contains("nothing is published yet"), "{answer}");
    let mut knock = connect(&tripwire).unwrap();
    knock.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    answer.clear();
    knock.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    world.relay(&["settle"]).expect(0);
    assert!(world.attempts().iter().any(|a| a["label"] == "tripwire" && a["listener"] == tripwire.as_str()));

    // `up` would lose them.
    let script = format!("export LISTEN_FDS=1 LISTEN_PID=$$; exec {RELAY} up 3</dev/null");
    let told = run(Command::new("sh").args(["-c", &script]).env("GAPRELAY_STATE", world.state())).expect(2).err;
    assert!(told.contains("cannot use sockets of a service manager"), "{told}");

    // A socket that is none for it is a fault, not a server that answers nobody.
    let packets = free();
    let mut activate = Command::new("systemd-socket-activate");
    activate.args(["-d", "-l", &packets, "-E", &format!("GAPRELAY_STATE={}", world.state().display()), RELAY, "serve"]);
    let child = activate.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        // It listens some time after it was started.
        let _ = socket.send_to(b"x", &packets);
    }
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("is not a listening TCP socket"), "{told}");
}

/// Change that is made to a host.
enum Harm {
    /// A file of the copy gets this text.
    Text(&'static str, String),
    /// A path of the state gets this mode.
    Mode(&'static str, u32),
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A copy of a host that is as it should be.
fn host(world: &World) -> PathBuf {
    let host = world.path("host");
    let put = |path: &str, text: &str| put(&host.join(path), text);
    put(
        "proc/self/mountinfo",
        "36 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n40 36 8:17 / /media/stick ro,nosuid,nodev,noexec - vfat /dev/sdb1 ro\n",
    );
    put("proc/1/comm", "systemd\n");
    put("proc/sys/net/ipv4/ip_forward", "0\n");
    put("proc/net/route", "Iface\tDestination\tGateway\neth0\t0000000A\t00000000\n");
    put("sys/bus/usb/devices/usb1/authorized_default", "0\n");
    put("sys/dev/block/8:17/removable", "1\n");
    let names = ["", "-reader", "-examiner", "-server", "-sinkhole", "-post", "-review", "-export"];
    let users: Vec<_> =
        names.iter().zip(900..).map(|(name, id)| format!("gaprelay{name}:x:{id}:{id}::/:/bin/false")).collect();
    put("etc/passwd", &format!("root:x:0:0::/root:/bin/sh\n{}\n", users.join("\n")));
    let group = rustix::process::getgid().as_raw();
    let journal = format!("gaprelay-journal:x:{group}:gaprelay-server\n");
    put("etc/group", &format!("{journal}gaprelay-sinkhole:x:{group}:\ngaprelay-review:x:{group}:\n"));
    for unit in units(".service").iter().chain(&units(".socket")).chain(&units(".timer")) {
        let name = unit.file_name().unwrap().to_str().unwrap();
        put(&format!("etc/systemd/system/{name}"), &fs::read_to_string(unit).unwrap());
    }
    let chain = r#"{"chain":{"family":"inet","table":"gaprelay","name":"output","hook":"output","policy":"drop"}}"#;
    put("ruleset.json", &format!("{{\"nftables\":[{chain}]}}"));
    for file in ["log/access/journal", "log/access/journal-sinkhole", "inbox/slot"] {
        fs::set_permissions(world.state().join(file), fs::Permissions::from_mode(0o660)).unwrap();
    }
    host
}

/// Files below `folder` that an account with this group can read.
fn readable(folder: &Path, group: &str) -> Vec<String> {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "54321", "--regid", "54321", "--groups", group, "find"]).arg(folder);
    let found = run(command.args(["-type", "f", "-readable"])).out;
    found.lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn other_accounts_read_nothing_and_the_group_no_key() {
    if !rustix::process::getuid().is_root() || !has("setpriv") {
        return skipped("other accounts can be tried as root only");
    }
    let config = format!("{}\n[state]\ngroup = \"4242\"\n", CONFIG.trim_end());
    let world = World::with_config(&config);
    fs::set_permissions(world.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    world.publish("feed", 1, ONE);
    // Each role reads its part as another account, by the folder's group.
    let server = Server::start(&world, "up");
    assert_eq!(server.get("/c/a.hdb", "").body.as_bytes(), HASHES);
    server.ask("PUT", "/x", "");
    server.stop();
    assert_eq!(world.attempts().len(), 1);
    assert_eq!(readable(&world.state(), "54321"), Vec::<String>::new());
    let group = readable(&world.state(), "4242");
    for file in ["config.toml", "agents.json", "trust.json", "manifest.json", "checkpoint"] {
        assert!(group.iter().any(|name| name == file), "{file}: {group:?}");
    }
    // Nor what processes lock: whoever may open a file may hold a lock on it.
    let closed = ["import.key", "access.key", "lock", "supervisor", "journal", "slot"];
    assert!(!group.iter().any(|name| closed.contains(&name.as_str())), "{group:?}");
    let without = CONFIG.to_owned() + "[state]\ngroup = \"no-such-group\"\n";
    fs::write(world.path("other.toml"), without).unwrap();
    let (ring, other) = (world.path("keyring.toml"), world.path("other.toml"));
    let mut init = Command::new(RELAY);
    init.env("GAPRELAY_STATE", world.path("other")).args(["init", "--keyring"]).arg(ring).arg("--config").arg(other);
    assert!(run(&mut init).expect(2).err.contains("no-such-group"));
    assert!(!world.path("other").exists());
}

#[test]
fn the_doctor_sees_what_is_wrong_and_says_what_to_do() {
    let world =
        World::with_config(&CONFIG.replace("[media]", "[limits]\npayload = \"1 MiB\"\nunpacked = \"1 MiB\"\n[media]"));
    let host = host(&world);
    if rustix::process::getuid().is_root() {
        rustix::fs::chown(world.state(), Some(rustix::fs::Uid::from_raw(900)), None).unwrap();
    }
    let see = |code: i32| -> Vec<Value> {
        let told = world.relay(&["doctor", "--json", "--host", host.to_str().unwrap()]).expect(code).json();
        told["findings"].as_array().unwrap().clone()
    };
    let well = see(0);
    assert!(well.iter().all(|finding| finding["health"] == "good"), "{well:#?}");
    assert_eq!(well.len(), 10, "{well:#?}");

    let read = |path: &str| fs::read_to_string(host.join(path)).unwrap_or_default();
    let (users, groups) = (read("etc/passwd"), read("etc/group"));
    let mount = |place: &str, flags: &str| format!("40 36 8:17 / {place} {flags} - vfat /dev/sdb1 {flags}\n");
    let text = |path: &'static str, text: &str| Harm::Text(path, text.to_owned());
    let open = r#"{"nftables":[{"chain":{"family":"inet","table":"t","name":"o","hook":"output","policy":"accept"}}]}"#;
    let server = "etc/systemd/system/gaprelay-server.service";
    let cases = [
        (
            "mounts",
            "bad",
            "mounted writable",
            text("proc/self/mountinfo", &mount("/media/stick", "rw,nosuid,nodev,noexec")),
        ),
        ("mounts", "weak", "without noexec", text("proc/self/mountinfo", &mount("/media/stick", "ro,nosuid,nodev"))),
        ("mounts", "bad", "/data is mounted writable", text("proc/self/mountinfo", &mount("/data", "rw"))),
        ("auto-mounters", "bad", "udisksd is running", text("proc/77/comm", "udisksd\n")),
        ("usb", "weak", "any new device on usb1", text("sys/bus/usb/devices/usb1/authorized_default", "1\n")),
        ("firewall", "bad", "no output chain with policy drop", text("ruleset.json", open)),
        ("firewall", "unseen", "cannot be listed", text("ruleset.json", "no")),
        ("network", "bad", "forwards packets", text("proc/sys/net/ipv4/ip_forward", "1\n")),
        ("network", "weak", "default route through eth0", text("proc/net/route", "Iface\neth0\t00000000\t010000\n")),
        ("users", "weak", "no user gaprelay-post", text("etc/passwd", &users.replace("gaprelay-post", "other"))),
        ("users", "bad", "gaprelay-server has the user id 0", text("etc/passwd", &users.replace("903:903", "0:0"))),
        (
            "users",
            "bad",
            "eve is in the group",
            text("etc/group", &groups.replace(":gaprelay-server", ":gaprelay-server,eve")),
        ),
        (
            "users",
            "bad",
            "gaprelay-sinkhole is in the group",
            text("etc/group", &groups.replace(":gaprelay-server", ":gaprelay-server,gaprelay-sinkhole")),
        ),
        ("modes", "bad", "other users may read or change the key", Harm::Mode("log/import.key", 0o640)),
        ("modes", "bad", "other users may write", Harm::Mode("trust", 0o775)),
        ("modes", "bad", "other accounts may read the state folder", Harm::Mode("", 0o755)),
        ("modes", "bad", "every user may append", Harm::Mode("log/access/journal", 0o666)),
        ("modes", "weak", "may not append", Harm::Mode("log/access/journal", 0o644)),
        ("modes", "weak", "gaprelay-sinkhole may not append", Harm::Mode("log/access/journal-sinkhole", 0o600)),
        ("modes", "bad", "every user may append", Harm::Mode("inbox/slot", 0o662)),
        ("modes", "weak", "may not append", Harm::Mode("inbox/slot", 0o600)),
        ("units", "weak", "gaprelay-server.service differs", text(server, "x")),
        (
            "clock",
            "weak",
            "hardware clock (read as UTC) differs",
            text("sys/class/rtc/rtc0/since_epoch", "1000000000\n"),
        ),
    ];
    for (check, health, found, harm) in cases {
        let mend = match harm {
            Harm::Text(path, text) => {
                let before = Harm::Text(path, read(path));
                put(&host.join(path), &text);
                before
            }
            Harm::Mode(path, mode) => {
                let at = world.state().join(path);
                let before = Harm::Mode(path, fs::metadata(&at).unwrap().permissions().mode() & 0o7777);
                fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
                before
            }
        };
        let findings = see(i32::from(health == "bad"));
        let wrong: Vec<&Value> = findings.iter().filter(|finding| finding["health"] != "good").collect();
        assert_eq!(wrong.len(), 1, "{check} {found}: {wrong:#?}");
        assert_eq!((&wrong[0]["check"], &wrong[0]["health"]), (&check.into(), &health.into()), "{found}: {wrong:#?}");
        assert!(wrong[0]["found"].as_str().unwrap().contains(found), "{check} {found}: {wrong:#?}");
        assert!(wrong[0]["next"].as_str().unwrap().len() > 10);
        match mend {
            Harm::Text(path, text) => put(&host.join(path), &text),
            Harm::Mode(path, mode) => {
                fs::set_permissions(world.state().join(path), fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    }
    assert!(see(0).iter().all(|finding| finding["health"] == "good"));
    let config = CONFIG.replace("[media]", "[limits]\npayload = \"900000 GiB\"\n[media]");
    fs::write(world.state().join("config.toml"), config).unwrap();
    let full = see(1);
    let space = full.iter().find(|finding| finding["check"] == "space").unwrap();
    assert!(space["health"] == "bad" && space["found"].as_str().unwrap().contains("are free"), "{space}");
    let told = world.relay(&["doctor"]).out;
    assert!(told.contains("auto-mounters") && told.contains("firewall"), "{told}");
}

#[test]
fn the_program_brings_the_files() {
    let world = World::new();
    let out = world.path("deployment");
    assert_eq!(world.relay(&["deployment", out.to_str().unwrap()]).code, Some(2), "there is no such folder");
    fs::create_dir(&out).unwrap();
    world.relay(&["deployment", out.to_str().unwrap()]).expect(0);
    let files = |folder: &Path| -> BTreeMap<_, _> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| (path.file_name().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
    };
    assert_eq!(files(&out), files(&shipped()));
}

/// A network of its own, with a wire to an agent's.
struct Nets(String);

impl Nets {
    fn new() -> Option<Self> {
        let nets = Self(format!("gr{}", std::process::id()));
        let (relay, agent) = (nets.relay(), nets.agent());
        let made = ip(&["netns", "add", &relay])
            && ip(&["netns", "add", &agent])
            && ip(&["-n", &relay, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", &agent]);
        if !made {
            return None;
        }
        for (net, address) in [(&relay, "10.77.0.1/24"), (&agent, "10.77.0.2/24")] {
            assert!(
                ip(&["-n", net, "addr", "add", address, "dev", "wire"])
                    && ip(&["-n", net, "link", "set", "wire", "up"])
            );
            assert!(ip(&["-n", net, "link", "set", "lo", "up"]));
        }
        Some(nets)
    }

    fn relay(&self) -> String {
        format!("{}r", self.0)
    }

    fn agent(&self) -> String {
        format!("{}a", self.0)
    }

    fn command(net: &str, command: &[&str]) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", net]).args(command);
        inside
    }
}

impl Drop for Nets {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.relay()]);
        ip(&["netns", "del", &self.agent()]);
    }
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn the_firewall_lets_only_replies_out() {
    if !rustix::process::getuid().is_root() {
        skipped("a network of its own needs root");
        return;
    }
    if ![has("ip"), has("nft"), has("curl"), has("dig")].iter().all(|has| *has) {
        return;
    }
    let Some(nets) = Nets::new() else {
        skipped("no network of its own can be made");
        return;
    };
    let config = CONFIG.replace("127.0.0.1:0", "10.77.0.1:8080");
    let world = World::with_config(&format!(
        "{config}[dns]\nlisten = [\"10.77.0.1:53\"]\n[[dns.name]]\nname = \"relay.example\"\naddresses = [\"10.77.0.1\"]\n"
    ));
    let leaves = |kind: &str| {
        let script = format!("exec 3<>/dev/{kind}/10.77.0.2/9 && echo x >&3");
        run(&mut Nets::command(&nets.relay(), &["timeout", "2", "bash", "-c", &script])).code == Some(0)
    };
    assert!(leaves("udp"), "without rules a packet leaves");
    let rules = shipped().join("gaprelay.nft");
    // Twice: loading it again replaces it.
    for _ in 0..2 {
        run(&mut Nets::command(&nets.relay(), &["nft", "-f", rules.to_str().unwrap()])).expect(0);
    }
    assert!(!leaves("udp") && !leaves("tcp"), "nothing begins here");
    let mut up = Nets::command(&nets.relay(), &[RELAY, "--state", world.state().to_str().unwrap(), "up"]);
    let server = Server::launch(&mut up);
    let agent = |command: &[&str]| run(&mut Nets::command(&nets.agent(), command));
    let curl = agent(&["curl", "-s", "--max-time", "5", "http://10.77.0.1:8080/-/health"]);
    assert!(curl.out.contains("nothing is published yet"), "{} {}", curl.out, curl.err);
    let mut answers = String::new();
    for _ in 0..20 {
        answers = agent(&["dig", "@10.77.0.1", "+short", "+tries=1", "+time=1", "relay.example"]).out;
        if answers.contains("10.77.0.1") && !answers.contains(";;") {
            break;
        }
    }
    assert_eq!(answers, "10.77.0.1\n");
    assert_eq!(agent(&["dig", "@10.77.0.1", "+short", "+tcp", "relay.example"]).out, "10.77.0.1\n");
    assert!(!leaves("udp") && !leaves("tcp"), "nor while it answers");
    let doctor = run(&mut Nets::command(&nets.relay(), &[RELAY, "--state", world.state().to_str().unwrap(), "doctor"]));
    assert!(doctor.out.contains("only replies leave"), "{}", doctor.out);
    let (code, told) = server.daemon.stop_telling();
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("starting it again"), "{told}");
}
