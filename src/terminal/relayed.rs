//! Lines that other processes of ours write to standard error, on their way to ours. A worker or service reads what
//! strangers made, and may have been taken over: it never holds the operator's terminal, only a pipe to a process that
//! does. In scope: that no line does anything to a terminal, is taken for another's, or drowns the others. Out of
//! scope: what is true of it.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tracing::{Level, warn};

use super::diagnostics::{ascii, priority};
use super::note;
use base::quoted::whole;

/// Longest line, in bytes; what is longer becomes several.
const LONGEST: u64 = 16 << 10;
/// Most lines of a worker that are shown.
const MOST: usize = 200;
/// Time for which a service has a budget.
const MINUTE: Duration = Duration::from_mins(1);
/// Most lines of a service that are shown in a minute.
const LINES: usize = 600;
/// Most bytes of them.
const BYTES: usize = 128 << 10;

/// Process whose lines are relayed.
#[derive(Clone, Debug)]
pub enum Speaker {
    /// Worker of this role, which reads what strangers made: its lines are shown as its own, and so many at most.
    Worker(&'static str),
    /// Service under a supervisor: its diagnostics, in their form, each with its name.
    Service(Arc<ServiceLines>),
}

/// Lines of one service, however often it is started: its name, and how much it has said in this minute.
#[derive(Debug)]
pub struct ServiceLines {
    name: &'static str,
    spent: Mutex<MinuteBudget>,
}

/// Lines and bytes of a service since the minute began.
#[derive(Debug)]
struct MinuteBudget {
    since: Instant,
    lines: usize,
    bytes: usize,
    left_out: u64,
}

impl ServiceLines {
    /// Begins the first minute of a service.
    pub fn new(name: &'static str) -> Self {
        Self { name, spent: Mutex::new(MinuteBudget { since: Instant::now(), lines: 0, bytes: 0, left_out: 0 }) }
    }

    /// Shows a line, if the budget has room for it.
    fn show(&self, line: &str) {
        let name = self.name;
        let mut spent = self.spent();
        if spent.begin_minute(Instant::now()) {
            self.tell_left_out(&mut spent);
        }
        if spent.has_room_for(line) {
            let priority = level_of(name, line).map(priority).unwrap_or_default();
            // In one piece; nobody may be reading, and the work goes on.
            let _ = std::io::stderr().write_all(format!("{priority}{}\n", labelled(name, line)).as_bytes());
        } else if spent.left_out == 1 {
            warn!(service = name, "the {name} says more than is shown of it; the rest of this minute is counted only");
        }
    }

    /// Tells how many lines were left out, if any were.
    fn tell_left_out(&self, spent: &mut MinuteBudget) {
        let (name, left_out) = (self.name, std::mem::take(&mut spent.left_out));
        if left_out > 0 {
            warn!(service = name, left_out, "lines of the {name} that were left out: {left_out}");
        }
    }

    fn spent(&self) -> MutexGuard<'_, MinuteBudget> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MinuteBudget {
    /// Begins the next minute if this one is over.
    fn begin_minute(&mut self, now: Instant) -> bool {
        let is_over = now.duration_since(self.since) >= MINUTE;
        if is_over {
            (self.since, self.lines, self.bytes) = (now, 0, 0);
        }
        is_over
    }

    /// Takes a line from the budget, or counts it as left out.
    fn has_room_for(&mut self, line: &str) -> bool {
        let (lines, bytes) = (self.lines + 1, self.bytes.saturating_add(line.len()));
        let has_room = lines <= LINES && bytes <= BYTES;
        if has_room {
            (self.lines, self.bytes) = (lines, bytes);
        } else {
            self.left_out += 1;
        }
        has_room
    }
}

/// Relays lines until the last process that can write them has ended.
pub fn relay_lines(from: impl Read, speaker: Speaker) {
    let mut from = BufReader::new(from);
    let mut count = 0_usize;
    loop {
        let mut line = Vec::new();
        match (&mut from).take(LONGEST).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            // Nobody writes any more. An error of a pipe means the same.
            Ok(0) | Err(_) => break,
        }
        let line = whole(String::from_utf8_lossy(&line).trim_end_matches('\n'));
        // What is not shown is read all the same: nobody waits for room to write.
        match &speaker {
            Speaker::Service(service) => service.show(&line),
            Speaker::Worker(role) => {
                count = count.saturating_add(1);
                match count {
                    ..MOST => note(format_args!("the {role} says: {}", line.trim_start_matches("gaprelay: "))),
                    MOST => note(format_args!("the {role} says more than {MOST} lines; the rest is not shown")),
                    _ => {}
                }
            }
        }
    }
    if let Speaker::Service(service) = speaker {
        service.tell_left_out(&mut service.spent());
    }
}

/// A service's line with the service's name: after the name of the program, or as a field of a JSON object.
fn labelled(name: &str, line: &str) -> String {
    if let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(line) {
        fields.insert("service".into(), name.into());
        return ascii(&Value::from(fields).to_string());
    }
    format!("gaprelay: {name}: {}", words(name, line))
}

/// Words of a plain line, without the names of the program and of the service, which a supervisor below this one may
/// have put into it.
fn words<'a>(name: &str, line: &'a str) -> &'a str {
    let words = line.strip_prefix("gaprelay: ").unwrap_or(line).trim_start();
    words.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(words)
}

/// Level of a plain line of a service, by the word that it begins with; none of another line, JSON say.
fn level_of(name: &str, line: &str) -> Option<Level> {
    line.strip_prefix("gaprelay: ")?;
    Some(match words(name, line) {
        text if text.starts_with("fault: ") || text.starts_with("refused: ") => Level::ERROR,
        text if text.starts_with("warning: ") => Level::WARN,
        _ => Level::INFO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_level() {
        for (line, level) in [
            ("gaprelay: fault: no", Some(Level::ERROR)),
            ("gaprelay: refused: no", Some(Level::ERROR)),
            ("gaprelay: warning: look", Some(Level::WARN)),
            ("gaprelay: server: fault: no", Some(Level::ERROR)),
            ("gaprelay: serving on http://127.0.0.1:1", Some(Level::INFO)),
            ("  next: do it", None),
            ("{\"message\":\"gaprelay: fault: \"}", None),
        ] {
            assert_eq!(level_of("server", line), level, "{line}");
        }
    }

    #[test]
    fn no_line_of_a_service_passes_for_another_s() {
        for (line, shown) in [
            (
                "gaprelay: fault: the isolation self-test failed",
                "gaprelay: server: fault: the isolation self-test failed",
            ),
            ("gaprelay: gaprelay: keeper: done", "gaprelay: server: gaprelay: keeper: done"),
            ("  next: do it", "gaprelay: server: next: do it"),
            ("gaprelay: server: fault: no", "gaprelay: server: fault: no"),
            ("", "gaprelay: server: "),
            (r#"{"service":"keeper","message":"\u202e"}"#, r#"{"message":"\u202e","service":"server"}"#),
            (r#"{"service":"keeper"} x"#, r#"gaprelay: server: {"service":"keeper"} x"#),
        ] {
            assert_eq!(labelled("server", line), shown);
        }
    }

    #[test]
    fn a_service_has_a_budget_for_each_minute() {
        let start = Instant::now();
        let mut spent = MinuteBudget { since: start, lines: 0, bytes: 0, left_out: 0 };
        let shown = (0..10 * LINES).filter(|_| spent.has_room_for("gaprelay: fault: noise")).count();
        assert_eq!((shown, spent.left_out), (LINES, 9 * LINES as u64));
        assert!(!spent.begin_minute(start + MINUTE / 2) && !spent.has_room_for(""));
        assert!(spent.begin_minute(start + MINUTE) && spent.has_room_for(""));
        let long = "x".repeat(16 << 10);
        let bytes: usize = (0..100).filter(|_| spent.has_room_for(&long)).count() * long.len();
        assert!(bytes <= BYTES && bytes > BYTES / 2, "{bytes}");
    }
}
