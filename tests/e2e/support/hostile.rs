//! Hostile code inside a role, by the library of `tests/e2e/hostile.c`: what it tries, and what came of it.

use std::path::Path;
use std::process::Command;

/// Has a command load hostile code, which tries to escape in this role, to this port of the host where it can.
pub(crate) fn hostile<'a>(command: &'a mut Command, library: &Path, role: &str, port: &str) -> &'a mut Command {
    command.env("LD_PRELOAD", library).env("HOSTILE", "escape").env("HOSTILE_ROLE", role).env("HOSTILE_PORT", port)
}

/// Of all that hostile code inside a role tried, to the end, what was not denied.
#[track_caller]
pub(crate) fn got_through(told: &str, role: &str) -> Vec<String> {
    let begin = format!("hostile {role}: ");
    // Of a worker, the process that started it says so.
    let words = |line: &str| line.split_once(&begin).map(|(_, words)| words.to_owned());
    let mut tried: Vec<String> = told.lines().filter_map(words).collect();
    assert!(tried.len() >= 10 && tried.iter().any(|line| line.starts_with("end:")), "{role} did not try: {told}");
    tried.retain(|line| !line.contains("not permitted") && !line.contains("denied"));
    tried
}
