//! The full-screen forms, in a real terminal (tmux), as an operator who has never read the manual uses them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::support::*;

/// A terminal with a command in it.
struct Terminal<'a> {
    world: &'a World,
    /// Name of the server that holds it: each has its own.
    server: String,
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

impl<'a> Terminal<'a> {
    /// Runs a line of shell, with the relay as `$RELAY`, in a terminal of this size.
    fn run(world: &'a World, size: (u16, u16), line: &str) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let terminal = Self { world, server: format!("t{}", STARTED.fetch_add(1, Ordering::Relaxed)) };
        let line = format!(
            "export GAPRELAY_STATE={} RELAY={RELAY}; {line}; echo \"ended with $?\"; sleep 1000",
            world.state().display()
        );
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, &line]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env("TMUX_TMPDIR", self.world.dir.path()).env_remove("TMUX").env("LC_ALL", "C.UTF-8").args([
            "-u",
            "-L",
            &self.server,
        ]);
        run(command.args(args)).out
    }

    /// Screen at this moment, perhaps half drawn.
    fn look(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The screen, once it has come to rest: a page is drawn in several writes, and a look in between sees half of it.
    fn screen(&self) -> String {
        let mut screen = self.look();
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(40));
            let next = self.look();
            if next == screen {
                break;
            }
            screen = next;
        }
        screen
    }

    #[track_caller]
    fn wait(&self, words: &str) -> String {
        self.wait_by(Self::screen, &[words])
    }

    /// Waits for a screen with all of these words, which do not stay.
    #[track_caller]
    fn catch(&self, words: &[&str]) -> String {
        self.wait_by(Self::look, words)
    }

    #[track_caller]
    fn wait_by(&self, look: fn(&Self) -> String, words: &[&str]) -> String {
        for _ in 0..400 {
            std::thread::sleep(Duration::from_millis(50));
            let screen = look(self);
            if words.iter().all(|word| screen.contains(word)) {
                return screen;
            }
        }
        panic!("no {words:?} on:\n{}", self.screen());
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn write(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Names a folder, and imports from it.
    fn name(&self, path: &Path) {
        self.press("p");
        self.wait("Where is the medium?");
        self.write(path.to_str().unwrap());
        self.press("Enter");
    }
}

fn is_there() -> bool {
    has("tmux")
}

#[test]
fn an_operator_is_led_from_the_medium_to_the_receipt() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let script: &[u8] = b"#!/bin/sh\n";
    world.bundle("feed", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("b<\u{c3}\u{a9}>.hdb", script, "clamav-hashes")]);
    world.bundle("auto", 1, &[("b.hdb", HASHES, "clamav-hashes")]);
    let bad = world.bundle("two", 1, &[("c.hdb", HASHES, "clamav-hashes")]);
    fs::rename(&bad, world.path("stick").join("a\u{1b}[31mred")).unwrap();
    let manifest = world.path("stick").join("a\u{1b}[31mred/manifest.json");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap().replace("\"test\"", "\"tast\"")).unwrap();

    let terminal = Terminal::run(&world, (120, 50), "$RELAY import --operator a.operator");
    let screen = terminal.wait("1. Medium");
    assert!(screen.contains("operator: a.operator") && screen.contains("c: nothing published yet"), "{screen}");
    terminal.press("?");
    assert!(terminal.wait("What happens here").contains("gaprelay explain CODE"));
    terminal.press("Escape");
    terminal.wait("1. Medium");
    terminal.name(&world.path("stick"));
    let screen = terminal.wait("3. Result");
    for words in ["REFUSED: signature-invalid", "waits for officers", "published", "gaprelay-receipt/1", "\u{2588}"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert!(screen.contains("a\\u{1b}[31mred") && !screen.contains('\x1b'), "{screen}");
    // Which one, why, and what to do.
    assert!(screen.contains("The signed file was changed"), "{screen}");
    while !terminal.screen().contains("> feed/1") {
        terminal.press("Down");
        std::thread::sleep(Duration::from_millis(150));
    }
    let screen = terminal.screen();
    assert!(
        screen.contains("You cannot approve what you imported") && screen.contains("Press v to see which"),
        "{screen}"
    );
    terminal.press("v");
    let screen = terminal.wait("1 cleared, 0 stripped, 1 withheld");
    assert!(screen.contains("kind-script: The bytes are a script.") && screen.contains("\\u{"), "{screen}");
    terminal.press("Escape");
    terminal.wait("3. Result");
    // What a camera sees of the picture is the receipt.
    terminal.press("r");
    let receipt = world.relay(&["log", "receipt"]).expect(0).out;
    let screen = terminal.wait("Receipt");
    assert!(receipt.lines().all(|line| screen.contains(line)), "{screen}\n{receipt}");
    terminal.press("x");
    terminal.press("q");
    let screen = terminal.wait("ended with 3");
    assert!(receipt.lines().all(|line| screen.contains(line)), "the receipt stays:\n{screen}");
    let operator = world.log("import").into_iter().find(|entry| entry["type"] == "medium-opened").unwrap();
    assert_eq!(operator["operator"]["name"], "a.operator");
}

#[test]
fn a_large_import_is_watched_and_can_be_stopped() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let line = b"44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature-With-A-Long-Name\n";
    let large: Vec<u8> = line.iter().copied().cycle().take(line.len() * 6_000_000).collect();
    world.bundle("feed", 1, &[("a.hdb", &large, "clamav-hashes")]);
    drop(large);
    let terminal = Terminal::run(&world, (80, 24), "$RELAY import");
    terminal.wait("1. Medium");
    terminal.name(&world.path("stick"));
    let screen = terminal.catch(&["feed-1", "2. Import", "iB of "]);
    assert!(screen.contains("The medium may be removed now.") || screen.contains("Leave the medium in."), "{screen}");
    terminal.press("Escape");
    terminal.catch(&["Press Esc again to stop the import", "2. Import"]);
    terminal.press("Escape");
    let screen = terminal.wait("stopped before it had a result");
    assert!(screen.contains("3. Result"), "{screen}");
    terminal.press("q");
    terminal.wait("ended with");
    // Nothing of it is kept, and the next import goes through.
    assert!(fs::read_dir(world.state().join("releases")).unwrap().next().is_none());
    world.import(&world.path("stick")).expect(0);
    world.fsck();
}

#[test]
fn without_a_terminal_it_asks_nobody() {
    let world = World::new();
    let ran = world.relay(&["import"]).expect(2);
    assert!(ran.err.contains("names no PATH"), "{}", ran.err);
    assert!(world.relay(&["import", "--json"]).expect(2).err.contains("names no PATH"));
    assert!(world.relay(&["up", "--kiosk"]).expect(2).err.contains("--kiosk needs a terminal"));
}

#[test]
fn a_kiosk_keeps_the_relay_running_and_asks_who_imports() {
    if !is_there() {
        return;
    }
    let world = World::new();
    world.bundle("auto", 1, &[("b.hdb", HASHES, "clamav-hashes")]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let line = format!("$RELAY up --kiosk --listen 127.0.0.1:{port}");
    let terminal = Terminal::run(&world, (80, 24), &line);
    let screen = terminal.wait("serving on http://");
    assert!(screen.contains("relay: running") && screen.contains("operator: nobody yet"), "{screen}");
    // The folder first: the name is asked for, and the import goes on with that folder.
    terminal.name(&world.path("stick"));
    terminal.wait("Who imports?");
    terminal.write("b.operator");
    terminal.press("Enter");
    let screen = terminal.wait("3. Result");
    assert!(screen.contains("published") && screen.contains("Agents can get this release now"), "{screen}");
    let get = || run(Command::new("curl").args(["-s", &format!("http://127.0.0.1:{port}/c/b.hdb")])).out;
    let served = (0..40).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        get().as_bytes() == HASHES
    });
    assert!(served);
    // Whoever comes next names themselves.
    terminal.press("Enter");
    assert!(terminal.wait("c: auto/1 fresh").contains("operator: nobody yet"));
    // Leaving is asked for, and ends all of it in order.
    terminal.press("q");
    terminal.wait("Stop the relay?");
    terminal.press("n");
    terminal.wait("1. Medium");
    terminal.press("q");
    terminal.wait("Stop the relay?");
    terminal.press("y");
    terminal.wait("ended with 0");
    assert_eq!(get(), "");

    // A screen that is killed takes the relay with it.
    drop(terminal);
    let terminal = Terminal::run(
        &world,
        (80, 24),
        &format!("sh -c 'echo $$ > pid; exec {line}'").replace("pid;", &format!("{};", world.path("pid").display())),
    );
    terminal.wait("serving on http://");
    assert_eq!(get().as_bytes(), HASHES);
    let pid: i32 = fs::read_to_string(world.path("pid")).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        get().is_empty()
    });
    assert!(gone);
}

/// A medium that is mounted where media are is offered, in a mount namespace of the test's own.
#[test]
fn a_mounted_medium_is_offered() {
    if !is_there() || !rustix::process::geteuid().is_root() {
        skipped("mounting needs root, and the screen tmux");
        return;
    }
    let world = World::new();
    world.bundle("auto", 1, &[("b.hdb", HASHES, "clamav-hashes")]);
    let mount = format!(
        "mount --make-rprivate / && mount -t tmpfs none /mnt && mkdir \"/mnt/a stick\" && mount --bind {} \"/mnt/a stick\" && mount -o remount,bind,ro,nodev,nosuid,noexec \"/mnt/a stick\"",
        world.path("stick").display()
    );
    let terminal = Terminal::run(&world, (100, 40), &format!("unshare -m sh -c '{mount} && exec $RELAY import'"));
    let screen = terminal.wait("/mnt/a stick");
    let writable = screen.lines().find(|line| line.contains("/mnt ") || line.ends_with("/mnt")).unwrap_or_default();
    assert!(screen.contains("mounted WRITABLE") || writable.is_empty(), "{screen}");
    while !terminal.screen().contains("> /mnt/a stick") {
        terminal.press("Down");
        std::thread::sleep(Duration::from_millis(150));
    }
    terminal.press("Enter");
    let screen = terminal.wait("3. Result");
    assert!(screen.contains("auto/1") && screen.contains("published"), "{screen}");
    terminal.press("q");
    terminal.wait("ended with 0");
}

/// A service that was started by hand reads what strangers made: taken over, it can neither write to the terminal nor
/// read what is typed there.
#[test]
fn no_service_that_is_started_by_hand_holds_the_terminal() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let witness = world.path("witness");
    world.relay(&["log", "witness", "init", witness.to_str().unwrap(), "--name", "w.example/1"]).expect(0);
    let socket = world.path("pages.sock");
    for (name, line, ready) in [
        ("server", "serve --listen 127.0.0.1:0".to_owned(), "serving on"),
        ("review", format!("review --socket {}", socket.display()), "pages on"),
        ("keeper", "settle --watch".to_owned(), ""),
        ("witness", format!("log witness serve {} --listen 127.0.0.1:0", witness.display()), ""),
    ] {
        let terminal = Terminal::run(&world, (100, 30), &format!("$RELAY {line}"));
        terminal.wait(ready);
        let pane: u32 = terminal.tmux(&["list-panes", "-F", "#{pane_pid}"]).trim().parse().unwrap();
        let mut service = None;
        until("the service runs below its supervisor", || {
            let supervisor = children(pane, RELAY).into_iter().next();
            service = supervisor.and_then(|supervisor| children(supervisor, "--supervised").into_iter().next());
            service.is_some()
        });
        let service = service.unwrap();
        // Before it has its new place in the process table, the descriptors are still its parent's.
        until("the service is its own program", || fs::read_dir(format!("/proc/{service}/fd")).is_ok());
        for descriptor in fs::read_dir(format!("/proc/{service}/fd")).unwrap() {
            let to = fs::read_link(descriptor.unwrap().path()).unwrap_or_default();
            assert!(!to.starts_with("/dev/pts") && !to.starts_with("/dev/tty"), "{name}: {}", to.display());
        }
        // What a service that was taken over would write.
        let hostile = b"\x1b]0;owned\x07\x1b[2J\x1b[Hgaprelay: fault: root password:\n";
        fs::OpenOptions::new().append(true).open(format!("/proc/{service}/fd/2")).unwrap().write_all(hostile).unwrap();
        let screen = terminal.wait("root password:");
        assert!(screen.contains(&format!("gaprelay: {name}: \\u{{1b}}]0;owned")), "{screen}");
        terminal.press("C-c");
        terminal.wait("ended with 0");
        assert!(!Path::new(&format!("/proc/{service}")).exists(), "{name}");
    }
}
