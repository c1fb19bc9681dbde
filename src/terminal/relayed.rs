//! Lines that other processes of ours write to standard error, on their way to ours. A worker reads what strangers made, and
//! may have been taken over: it never holds the operator's terminal, only a pipe to a process that does. In scope: that no
//! line does anything to a terminal, is taken for another's, or drowns the others. Out of scope: what is true of it.

use std::io::{BufRead as _, BufReader, Read, Write as _};

use tracing::Level;

use super::diagnostics::priority;
use super::note;
use base::quoted::whole;

/// Longest line, in bytes; what is longer becomes several.
const LONGEST: u64 = 16 << 10;
/// Most lines of a worker that are shown.
const MOST: usize = 200;

/// Process whose lines are relayed.
#[derive(Clone, Copy, Debug)]
pub enum Speaker {
    /// Worker of this role, which reads what strangers made: its lines are shown as its own, and so many at most.
    Worker(&'static str),
    /// Service under a supervisor: its diagnostics, in their form.
    Service,
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
            Ok(0) | Err(_) => return,
        }
        let line = whole(String::from_utf8_lossy(&line).trim_end_matches('\n'));
        match speaker {
            Speaker::Service => {
                let priority = level_of(&line).map(priority).unwrap_or_default();
                // In one piece; nobody may be reading, and the work goes on.
                let _ = std::io::stderr().write_all(format!("{priority}{line}\n").as_bytes());
            }
            Speaker::Worker(role) => {
                // What is not shown is read all the same: nobody waits for room to write.
                count = count.saturating_add(1);
                match count {
                    ..MOST => note(format_args!("the {role} says: {}", line.trim_start_matches("gaprelay: "))),
                    MOST => note(format_args!("the {role} says more than {MOST} lines; the rest is not shown")),
                    _ => {}
                }
            }
        }
    }
}

/// Level of a plain line of a service, by the word that it begins with; none of another line, JSON say.
fn level_of(line: &str) -> Option<Level> {
    Some(match line.strip_prefix("gaprelay: ")? {
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
            ("gaprelay: serving on http://127.0.0.1:1", Some(Level::INFO)),
            ("  next: do it", None),
            ("{\"message\":\"gaprelay: fault: \"}", None),
        ] {
            assert_eq!(level_of(line), level, "{line}");
        }
    }
}
