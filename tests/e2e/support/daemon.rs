//! Daemons while they run: started, waited for until they are ready, and stopped however the test ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::world::{World, run};

/// A daemon that has said that it is ready; stopped when dropped.
pub(crate) struct Daemon {
    child: Child,
    told: Option<JoinHandle<String>>,
}

impl Daemon {
    /// Starts a command, and gives the line of its standard error in which these words stand.
    pub(crate) fn start(command: &mut Command, words: &str) -> (Self, String) {
        // No terminal, which the service would leave to a process in between.
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains(words)));
        let told = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        let daemon = Self { child, told: Some(told) };
        (daemon, line.unwrap_or_else(|| panic!("it ended before it said: {words}")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Waits until it ends by itself; gives what it told on standard error since it was ready as well.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        (self.wait(), self.told.take().unwrap().join().unwrap())
    }

    /// Asks it to stop, and waits.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Asks it to stop; gives what it told on standard error since it was ready as well.
    pub(crate) fn stop_telling(self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.ended()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Asked, not killed: what it has started itself then ends with it.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// The server for agents, alone or under `up`.
pub(crate) struct Server {
    pub(crate) daemon: Daemon,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(world: &World, subcommand: &str) -> Self {
        Self::launch(&mut world.command(&[subcommand, "--listen", "127.0.0.1:0"]))
    }

    pub(crate) fn launch(command: &mut Command) -> Self {
        let (daemon, line) = Daemon::start(command, "serving on");
        Self { daemon, address: line.rsplit("//").next().unwrap().to_owned() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes and reads to the end of the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut out = Vec::new();
        let _ = stream.read_to_end(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask("GET", path, headers)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let text = self.raw(
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address)
                .as_bytes(),
        );
        Answer::of(&text)
    }

    pub(crate) fn stop(self) -> Option<i32> {
        self.daemon.stop()
    }
}

/// An answer by HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Child processes of a process whose command lines have this word.
pub(crate) fn children(pid: u32, word: &str) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let has_word = |child: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.split('\0').any(|part| part == word)
    };
    list.split_whitespace().filter_map(|child| child.parse().ok()).filter(has_word).collect()
}

/// The officers' pages, on a Unix socket.
pub(crate) struct Pages {
    pub(crate) daemon: Daemon,
    pub(crate) socket: PathBuf,
}

impl Pages {
    pub(crate) fn start(world: &World) -> Self {
        Self::launch(world, &mut world.command(&["review"]))
    }

    pub(crate) fn launch(world: &World, command: &mut Command) -> Self {
        let socket = world.path("review.sock");
        let (daemon, _) = Daemon::start(command.arg("--socket").arg(&socket), "pages on");
        Self { daemon, socket }
    }

    /// Head and body of an answer.
    pub(crate) fn curl(&self, path: &str, args: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-s", "-i", "--max-time", "20", "--unix-socket"]).arg(&self.socket);
        run(command.arg(format!("http://localhost{path}")).args(args)).expect(0).out
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.curl(path, &[])
    }

    /// Stops them, which must end well; gives what they told on standard error.
    pub(crate) fn stop(self) -> String {
        let (code, told) = self.daemon.stop_telling();
        assert_eq!(code, Some(0), "{told}");
        told
    }
}

/// The status of an answer with its head.
pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}
