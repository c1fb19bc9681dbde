//! `gaprelay log export` and `log verify --export`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tracing::info;

use super::args_log::{LogExport, LogVerify, WhichLog};
use super::{log, selftest};
use crate::export::check::{ExportCheckReport, ExportChecker, VerifiedLog};
use crate::export::exporter::LogExporter;
use crate::export::sink::{Cursor, ExportSink};
use crate::rights::ProcessRole;
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault, durable};
use config::export::{Export, ExportFormat};
use sandbox::Grants;
use sandbox::worker::end_with;
use terminal::Ended;
use tlog::check::{LogFinding, check, read_vkey};
use tlog::note::Verifier;

/// Time between two looks for new entries.
const PAUSE: Duration = Duration::from_millis(500);
/// Time between two probes of the isolation.
const PROBE: Duration = Duration::from_mins(1);
/// Number of entries of each log between two savings of the cursor.
const BATCH: u64 = 1000;
/// Longest line of an export that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Writes entries as lines, once or until the process ends.
pub(crate) fn run(state: &State, args: &LogExport) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        end_with(supervisor, Signal::KILL)?;
    }
    let config = state.config()?;
    let plan = if args.configured {
        ExportJob::from_config(state, config.export.as_ref())?
    } else {
        ExportJob::from_args(args)
    };
    let sink = plan.sink.open()?;
    let cursor = plan.cursor.as_deref().map(Cursor::open).transpose()?;
    if plan.follows {
        // A lasting export tests its isolation before it begins; the self-test of the timer logs the result.
        let _ = selftest::before(state.root(), &[ProcessRole::Exporter], &config)?;
    }
    // The destination is open; from here on the process can open nothing but the logs.
    std::env::set_current_dir(state.root()).during("enter", state.root())?;
    let inside = State::open(Path::new("."))?;
    let held = sandbox::enter(
        ProcessRole::Exporter.rights(),
        &Grants { state: inside.root(), medium: None },
        &config.terms(),
    )?;
    if plan.follows {
        info!(role = "exporter", "{held}");
    }
    let which = [WhichLog::Import, WhichLog::Access].into_iter().filter(|log| args.log.is_none_or(|only| only == *log));
    let folders: Vec<PathBuf> = which.map(|which| log::folder(&inside, which)).collect();
    let feed = LogExporter::open(&inside, (plan.format, plan.framed), &folders, args.since, |log| {
        cursor.as_ref()?.position(log)
    })?;
    match go(feed, sink, cursor, plan.follows.then_some(held.filter.is_some())) {
        // The reader of the lines has ended.
        Err(Fault::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => Ok(Ended::Well),
        ended => Ok(ended.map(|()| Ended::Well)?),
    }
}

/// Writes new entries, once or repeatedly if `follow` is given. Its value is true when a system call filter is in
/// force, which is then probed every minute.
fn go(
    mut feed: LogExporter,
    mut sink: ExportSink,
    mut cursor: Option<Cursor>,
    follow: Option<bool>,
) -> Result<(), Fault> {
    let mut proven = Instant::now();
    loop {
        let (written, more) = feed.export_new(BATCH, |line| sink.put(line))?;
        if written > 0 {
            sink.sync()?;
            if let Some(cursor) = &mut cursor {
                cursor.save(feed.positions())?;
            }
        }
        if more {
            continue;
        }
        let Some(has_filter) = follow else { return Ok(()) };
        std::thread::sleep(PAUSE);
        if has_filter && proven.elapsed() >= PROBE {
            proven = Instant::now();
            sandbox::probe()?;
        }
    }
}

/// Settings of an export, from the command line or the config.
struct ExportJob {
    format: ExportFormat,
    framed: bool,
    follows: bool,
    sink: Destination,
    cursor: Option<PathBuf>,
}

/// Destination of the lines.
enum Destination {
    Out,
    File(PathBuf),
    Syslog(PathBuf),
}

impl ExportJob {
    fn from_args(args: &LogExport) -> Self {
        let sink = match (&args.out, &args.syslog) {
            (Some(path), _) => Destination::File(path.clone()),
            (None, Some(path)) => Destination::Syslog(path.clone()),
            (None, None) => Destination::Out,
        };
        let framed = args.framed || args.syslog.is_some();
        Self { format: args.format, framed, follows: args.follow, sink, cursor: args.cursor.clone() }
    }

    fn from_config(state: &State, export: Option<&Export>) -> Result<Self, Fault> {
        let none = || {
            Fault::Config("config.toml has no section [export] with file or syslog, and --configured needs one: add it, or use --out or --syslog instead of --configured".into())
        };
        let export = export.ok_or_else(none)?;
        let beside = |path: &PathBuf| state.root().join(path);
        let sink = match (&export.file, &export.syslog) {
            (Some(path), _) => Destination::File(beside(path)),
            (None, Some(path)) => Destination::Syslog(beside(path)),
            (None, None) => return Err(none()),
        };
        let framed = export.syslog.is_some();
        Ok(Self { format: export.format, framed, follows: true, sink, cursor: Some(beside(&export.cursor)) })
    }
}

impl Destination {
    fn open(self) -> Result<ExportSink, Fault> {
        Ok(match self {
            Self::File(path) => ExportSink::File(durable::open_append_lines(&path)?, path),
            Self::Syslog(path) => ExportSink::Datagrams(connect(&path)?, path),
            Self::Out => ExportSink::Out,
        })
    }
}

/// Connects to the local syslog socket by its path, before this process is confined. Nothing else outside is ever
/// connected to.
#[expect(clippy::disallowed_methods, reason = "a socket of this host by its path, for the export alone")]
fn connect(path: &Path) -> Result<File, Fault> {
    let socket = UnixDatagram::unbound().during("make", Path::new("a socket"))?;
    socket.connect(path).during("connect to", path)?;
    Ok(File::from(OwnedFd::from(socket)))
}

/// Checks the logs, then compares an export with them.
pub(crate) fn verify(state: &State, path: &Path, key: Option<&Verifier>, args: &LogVerify) -> Result<Ended, Error> {
    let mut logs = Vec::new();
    let mut names = Vec::new();
    let wanted = |which: WhichLog| args.log.is_none_or(|log| log == which);
    for which in [WhichLog::Import, WhichLog::Access].into_iter().filter(|which| wanted(*which)) {
        let folder = log::folder(state, which);
        let beside = read_vkey(&folder)?;
        names.push(beside.name().to_owned());
        let vkey = key.filter(|key| key.name() == beside.name()).unwrap_or(&beside);
        let finding = check(&folder, vkey, |_, _, _| {})?;
        match finding {
            LogFinding::Whole { size, .. } => logs.push(VerifiedLog { origin: vkey.name().to_owned(), folder, size }),
            LogFinding::Files { .. } | LogFinding::Bad { .. } => {
                let next = "See all of it: gaprelay log verify";
                let detail = finding.detail().unwrap_or_default();
                return Err(Fault::damaged(folder.to_string_lossy(), format!("{detail}. {next}")).into());
            }
        }
    }
    if let Some(key) = key.filter(|key| !names.iter().any(|name| name == key.name())) {
        let wrong = format!(
            "the key of --log-key is for the log {}, and the lines are compared with {}",
            key.name(),
            names.join(" and ")
        );
        let next = "Give the key of one of these logs: log/import/vkey or log/access/vkey of the state folder.";
        return Err(Fault::usage(wrong, next).into());
    }
    let reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).during("read", path)?)
    };
    let mut checking = ExportChecker::new(Some(state), &logs, args.filtered);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.by_ref().take(LONGEST).read_until(b'\n', &mut line).during("read", path)? > 0 {
        checking.line(String::from_utf8_lossy(&line).trim_end_matches('\n'))?;
        line.clear();
    }
    let checked = checking.finish();
    if args.json {
        terminal::say_json(&checked);
    } else {
        print(path, &checked);
    }
    // What was not compared is not well.
    let is_well = checked.findings.is_empty() && checked.not_compared == 0;
    Ok(if is_well { Ended::Well } else { Ended::Damaged })
}

fn print(path: &Path, checked: &ExportCheckReport) {
    let path = base::quoted::quoted_os(path);
    for (log, (first, last)) in &checked.logs {
        terminal::say(format_args!("{path}: has entries {first} to {last} of {log}"));
    }
    let repeated =
        if checked.repeated > 0 { format!(" ({} of them repeated)", checked.repeated) } else { String::new() };
    if checked.findings.is_empty() && checked.not_compared == 0 {
        terminal::say(format_args!("{path}: {} lines{repeated}, all in agreement with the logs", checked.lines));
    }
    if checked.not_compared > 0 {
        let many = checked.not_compared;
        terminal::note(format_args!(
            "{path}: {many} lines were not compared: the files that they name are of releases that this relay no longer keeps"
        ));
    }
    for finding in &checked.findings {
        terminal::note(format_args!("{path}: {finding}"));
    }
    if checked.more > 0 {
        terminal::note(format_args!("{path}: and {} more findings", checked.more));
    }
    if !checked.findings.is_empty() {
        terminal::hint(
            "the logs themselves are intact. If somebody filtered the file on purpose, add --filtered; else export again, and find out who could change the file",
        );
    }
}
