//! `gaprelay selftest`: tries every way out of each confined role, and shows what stopped it.

use std::path::Path;

use super::{args, here, json};
use crate::log::Event;
use crate::rights::ProcessRole;
use crate::state::State;
use base::{Error, Fault, Timestamp};
use config::Config;
use sandbox::Layer;
use sandbox::report::{SelfTest, SelfTested};
use sandbox::rights::Rights;
use sandbox::selftest::{AttemptOutcome, Findings, RoleReport, Row, SelfTestExtent, WORK, run as try_all};
use sandbox::trial::Tried;
use terminal::Ended;
use tracing::error;

/// Largest number of findings of a kind in the entry of the log.
const LOGGED: usize = 50;

/// Tests, prints the result and appends it to the log.
pub(crate) fn run(root: &Path, now: Timestamp, args: &args::SelfTestArgs) -> Result<Ended, Error> {
    let config = State::open(root)?.config()?;
    let roles = if args.role.is_empty() { ProcessRole::ALL.to_vec() } else { args.role.clone() };
    let form = match args.layer {
        Some(layer) => SelfTestExtent::Alone(layer),
        None if args.short => SelfTestExtent::Short,
        None => SelfTestExtent::Full,
    };
    let parts = try_all(root, &rights(&roles), form)?;
    let found = if let SelfTestExtent::Alone(_) = form { Findings::default() } else { Findings::of(&parts) };
    if args.json {
        terminal::say_json(&json::SelfTestJson {
            kernel: kernel(),
            parts: &parts,
            findings: &found.faults,
            exposed: &found.exposed,
        });
    } else if form != SelfTestExtent::Short {
        for part in &parts {
            show(part, form);
        }
    }
    if let SelfTestExtent::Alone(_) = form {
        // One layer alone is a demonstration, not the state of the relay.
        return Ok(Ended::Well);
    }
    let event = Event::SelfTest(result(&config, form, &parts, &found));
    let recorded = here(root, now).and_then(|mut opened| opened.append(vec![event]));
    // A finding is told, and has its own exit status, whether it could be recorded or not.
    if let (Err(fault), false) = (&recorded, found.faults.is_empty()) {
        terminal::note(format_args!("the result of the isolation self-test is not recorded in the log: {fault}"));
    }
    print_findings(&parts, &found)?;
    recorded?;
    Ok(Ended::Well)
}

/// Tests roles that are about to start, in the short form; `None` if the test could not run, which is told: that says
/// nothing of the isolation, whose layers each role takes all the same, or does not start. Faults: an attempt was not
/// stopped, or a layer is missing, so the roles must not start.
pub(crate) fn before(root: &Path, roles: &[ProcessRole], config: &Config) -> Result<Option<SelfTest>, Fault> {
    let parts = match try_all(root, &rights(roles), SelfTestExtent::Short) {
        Ok(parts) => parts,
        Err(fault @ (Fault::Escape(_) | Fault::Unconfined { .. })) => return Err(fault),
        Err(fault) => {
            error!(fault = %fault, "the isolation self-test could not run, and the service starts without: {fault}");
            return Ok(None);
        }
    };
    let found = Findings::of(&parts);
    print_findings(&parts, &found)?;
    Ok(Some(result(config, SelfTestExtent::Short, &parts, &found)))
}

fn rights(roles: &[ProcessRole]) -> Vec<&'static Rights> {
    roles.iter().map(|role| role.rights()).collect()
}

fn print_findings(parts: &[RoleReport], found: &Findings) -> Result<(), Fault> {
    for what in &found.exposed {
        terminal::note(format_args!("not stopped, which config.toml accepts: {what}"));
    }
    for what in &found.faults {
        match what.strip_suffix(WORK) {
            Some(what) => terminal::note(format_args!("STOPPED, but needed for the work of the process: {what}")),
            None => terminal::note(format_args!("NOT STOPPED: {what}")),
        }
    }
    if found.faults.is_empty() {
        return Ok(());
    }
    let tried: usize = parts.iter().map(|part| part.rows.len()).sum();
    let broken: u64 = parts.iter().map(|part| count(part, AttemptOutcome::Broken)).sum();
    let escaped = (found.faults.len() as u64).saturating_sub(broken);
    let needed = if broken == 0 {
        String::new()
    } else {
        format!(", and {broken} were stopped that a process needs for its own work")
    };
    Err(Fault::Escape(format!("of {tried} attempts, {escaped} were not stopped{needed}")))
}

fn result(config: &Config, form: SelfTestExtent, parts: &[RoleReport], found: &Findings) -> SelfTest {
    let roles = parts.iter().map(|part| SelfTested {
        role: part.role.to_owned(),
        held: part.held.clone(),
        attempts: part.rows.len() as u64,
        stopped: count(part, AttemptOutcome::Stopped),
        not_here: count(part, AttemptOutcome::NotHere),
    });
    SelfTest {
        id: None,
        by: None,
        full: form == SelfTestExtent::Full,
        kernel: kernel(),
        roles: roles.collect(),
        without: config.waivers(),
        exposed: few(&found.exposed),
        findings: few(&found.faults),
    }
}

/// Findings up to the number that an entry takes, and the number of the others.
fn few(found: &[String]) -> Vec<String> {
    let mut few: Vec<String> = found.iter().take(LOGGED).cloned().collect();
    if found.len() > LOGGED {
        few.push(format!("and {} more", found.len() - LOGGED));
    }
    few
}

fn kernel() -> String {
    let name = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    format!("{} {} {}", part(name.sysname()), part(name.release()), part(name.machine()))
}

fn count(part: &RoleReport, outcome: AttemptOutcome) -> u64 {
    part.rows.iter().filter(|row| row.outcome() == outcome).count() as u64
}

fn show(part: &RoleReport, form: SelfTestExtent) {
    terminal::say(format_args!("{}: {}\n{}", part.role, part.may, part.held));
    let with = match form {
        SelfTestExtent::Alone(layer) => format!("with {layer} alone"),
        _ => "stopped by".into(),
    };
    let rows = part.rows.iter().map(|row| {
        let outside = row.outside.map_or("-".into(), |tried| match tried {
            Tried::Done => "succeeds".into(),
            other => format!("not here: {}", words(other)),
        });
        match form {
            SelfTestExtent::Alone(_) => vec![row.attempt.to_owned(), outside, words(row.inside)],
            _ => vec![row.attempt.to_owned(), outside, layers(row), words(row.inside)],
        }
    });
    let mut header = vec!["attempt", "outside", with.as_str()];
    if form == SelfTestExtent::Full {
        header.push("with all");
    }
    terminal::table(&header, rows.collect());
    let stopped: Vec<&Row> = part.rows.iter().filter(|row| row.outcome() == AttemptOutcome::Stopped).collect();
    let twice = stopped.iter().filter(|row| row.alone.len() > 1).count();
    match form {
        SelfTestExtent::Alone(layer) => {
            terminal::say(format_args!("{}: {layer} alone stops {}\n", part.role, stopped.len()));
        }
        _ => terminal::say(format_args!(
            "{}: {} attempts stopped, {twice} of them by two or more layers; {} do not apply on this machine; {} acts of its own work succeed\n",
            part.role,
            stopped.len(),
            count(part, AttemptOutcome::NotHere),
            count(part, AttemptOutcome::Works),
        )),
    }
}

fn layers(row: &Row) -> String {
    match row.outcome() {
        AttemptOutcome::Works => "its own work".into(),
        AttemptOutcome::NotHere => "-".into(),
        AttemptOutcome::Escape => "NOTHING".into(),
        AttemptOutcome::Broken => "its work is STOPPED".into(),
        AttemptOutcome::Stopped => row.alone.iter().map(Layer::to_string).collect::<Vec<_>>().join(" "),
    }
}

fn words(tried: Tried) -> String {
    match tried {
        Tried::Done => "succeeds".into(),
        Tried::Signal(31) => "SIGSYS".into(),
        Tried::Signal(number) => format!("signal {number}"),
        Tried::Errno(number) => NAMES
            .iter()
            .find(|(errno, _)| *errno == number)
            .map_or_else(|| format!("errno {number}"), |(_, name)| (*name).to_owned()),
    }
}

/// Names of the error numbers that attempts get (errno-base.h, errno.h).
const NAMES: &[(i32, &str)] = &[
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::ENXIO, "ENXIO"),
    (libc::EBADF, "EBADF"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::EFAULT, "EFAULT"),
    (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"),
    (libc::EXDEV, "EXDEV"),
    (libc::EFBIG, "EFBIG"),
    (libc::ENODEV, "ENODEV"),
    (libc::EINVAL, "EINVAL"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EROFS, "EROFS"),
    (libc::ENOSYS, "ENOSYS"),
    (libc::ENODATA, "ENODATA"),
    (libc::EOPNOTSUPP, "EOPNOTSUPP"),
    (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
    (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT"),
    (libc::ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"),
    (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (libc::ENETUNREACH, "ENETUNREACH"),
    (libc::ECONNREFUSED, "ECONNREFUSED"),
    (libc::EUSERS, "EUSERS"),
    (libc::ECANCELED, "not tried"),
];
