//! `gaprelay import`: progress while media are read, a table at the end.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::args::Import;
use super::operator::{check_name, operator};
use super::{console, here, json, receipt};
use crate::cli::approve::tell_faults;
use crate::import::progress_writer::ProgressWriter;
use crate::import::{ImportOutcome, JudgedBundle, ProgressEvent, import};
use crate::keeper::Keeper;
use crate::processes::examiners::ExaminerSupervisor;
use crate::processes::sockets::Sockets;
use crate::processes::stderr::StderrRelay;
use crate::processes::worker;
use crate::publish::ReleaseStatus;
use crate::settle::{SettleReport, has_inbox_items, settle, settle_between};
use crate::state::progress::ProgressStep;
use base::error::IoContext as _;
use base::limits::human;
use base::quoted::quoted_os;
use base::{Error, Fault, Reason, Timestamp, clock, quoted};
use media::mount::Guarded;
use sandbox::worker::{end_with, our_id, ourselves, start_awaited, stop};
use terminal::Ended;
use tlog::receipt::paper;

/// Time for a reader to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Imports, settles, and prints the result for each bundle.
pub(crate) fn run(root: &Path, now: Timestamp, args: &Import, sockets: Sockets) -> Result<Ended, Error> {
    let operator = operator(args.operator.as_deref())?;
    if args.paths.is_empty() {
        return console::import(root, args, &operator.name);
    }
    let Some(supervisor) = args.keeper.supervised else { return supervise(root, args) };
    end_with(supervisor, Signal::KILL)?;
    let workers = worker::of_import(root, &args.paths, &args.keeper.disk, sockets.pipes())?;
    let mut keeper = here(root, now)?;
    let keeper = &mut keeper;
    check_name(args.operator.as_deref().unwrap_or(&operator.name), &keeper.keyring)?;
    let mut shown = ProgressDisplay { bar: None, quiet: args.json, opened: false };
    let mut progress_writer = ProgressWriter::begin(&keeper.state, &operator);
    let mut settled = SettleReport::default();
    let mut watch = |progress: ProgressEvent<'_>| {
        progress_writer.show(&progress);
        shown.show(&progress);
    };
    let judged = import(keeper, workers, &operator, &mut watch, &mut |keeper| {
        keeper.look_at_clock(clock::now());
        // A fault here stops no bundle, and is told at the end.
        if has_inbox_items(&keeper.state) {
            settled.extend(settle_between(keeper));
        }
    })?;
    progress_writer.step(ProgressStep::Settling);
    keeper.look_at_clock(clock::now());
    settled.extend(settle(keeper));
    drop(progress_writer);
    let result = result(keeper, &judged, &settled);
    if args.json {
        terminal::say_json(&result);
    } else {
        table(&result);
        receipt::show(&keeper.log.head());
    }
    tell_faults(settled.faults)?;
    if judged.is_empty() {
        let paths: Vec<_> = args.paths.iter().map(quoted_os).collect();
        return Err(Error::refused(Reason::NoBundle, format!("there is no bundle under {}", paths.join(", "))));
    }
    let ended = judged.iter().map(|j| match &j.outcome {
        ImportOutcome::Failed(fault) if matches!(**fault, Fault::Damaged { .. }) => Ended::Damaged,
        ImportOutcome::Failed(_) => Ended::Failed,
        ImportOutcome::Refused(_) => Ended::Refused,
        ImportOutcome::Imported(_) | ImportOutcome::KeyringReplaced(_) | ImportOutcome::AlreadyHere => Ended::Well,
    });
    let rank = |ended: &Ended| match ended {
        Ended::Well | Ended::As(_) => 0,
        Ended::Refused => 1,
        Ended::Failed => 2,
        Ended::Damaged => 3,
    };
    Ok(ended.max_by_key(rank).unwrap_or(Ended::Well))
}

/// Sets the media's disks read-only where we are root, starts the keeper, provides its workers and waits for it. This
/// process reads nothing: not the medium, and of the keeper only that it wants another examiner.
fn supervise(root: &Path, args: &Import) -> Result<Ended, Error> {
    let guarded = if rustix::process::geteuid().is_root() {
        Guarded::guard_all(&args.paths, |disk| {
            terminal::note(format_args!(
                "waiting until another import, or another program, has finished with disk {disk}"
            ));
        })?
    } else {
        Vec::new()
    };
    let mut command = ourselves(root);
    command.args(["import", "--supervised", &our_id()]);
    if args.json {
        command.arg("--json");
    }
    if let Some(operator) = &args.operator {
        command.arg("--operator").arg(operator);
    }
    for disk in &guarded {
        command.arg("--disk").arg(&disk.name);
    }
    let ended = wait_for(root, command, &args.paths)?;
    // However the keeper ended, the disks get their former settings back.
    drop(guarded);
    match (ended.code().and_then(|code| u8::try_from(code).ok()), ended.signal()) {
        (Some(code), _) => Ok(Ended::As(code)),
        (None, Some(libc::SIGINT | libc::SIGTERM | libc::SIGHUP)) => Err(Fault::Interrupted.into()),
        (None, signal) => {
            // The keeper parses nothing unsigned: more often than an attack this is lack of memory.
            Err(Fault::Killed { role: "keeper", signal: signal.unwrap_or_default() }.into())
        }
    }
}

/// Waits for the keeper. A signal to this process stops the keeper in order; after any end the disks are restored.
fn wait_for(root: &Path, mut command: Command, media: &[PathBuf]) -> Result<ExitStatus, Fault> {
    let keeper = Path::new("the keeper");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().during("wait for", keeper)?;
    let stderr = Arc::new(StderrRelay::default());
    let ended = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).during("wait for", keeper)?;
        let mut terminate = signal(SignalKind::terminate()).during("wait for", keeper)?;
        let mut hangup = signal(SignalKind::hangup()).during("wait for", keeper)?;
        let (mut examiners, mut ends) = ExaminerSupervisor::start(root, &stderr)?;
        // They end with this process, or where it stops waiting for the keeper.
        let mut readers = Vec::new();
        for path in media {
            let (reader, pipes) = worker::start_reader(root, path, &stderr)?;
            readers.push(reader);
            ends.add(pipes);
        }
        ends.pass_to(&mut command)?;
        command.arg("--").args(media).stdin(Stdio::null());
        let mut child = start_awaited(command)?;
        drop(ends);
        let ended = loop {
            tokio::select! {
                ended = child.wait() => break ended.during("wait for", keeper),
                order = examiners.next_order() => examiners.carry_out(order).await,
                _ = interrupt.recv() => stop(&child),
                _ = terminate.recv() => stop(&child),
                _ = hangup.recv() => stop(&child),
            }
        };
        // One that cannot be ended now ends with this process.
        let _ = examiners.end().await;
        for reader in &mut readers {
            // It ends by itself, since its pipes have ended with the keeper; one that does not is ended.
            if tokio::time::timeout(GRACE, reader.wait()).await.is_err() {
                let _ = reader.kill().await;
            }
        }
        ended
    });
    if ended.is_ok() {
        // All of them are gone, and what they said last is shown.
        stderr.finish();
    }
    ended
}

/// Progress of an import: bars on a terminal, plain lines elsewhere, nothing with `--json`.
struct ProgressDisplay {
    bar: Option<ProgressBar>,
    quiet: bool,
    /// True when at least one medium was opened.
    opened: bool,
}

impl ProgressDisplay {
    fn show(&mut self, progress: &ProgressEvent<'_>) {
        if self.quiet {
            return;
        }
        match progress {
            ProgressEvent::Surveyed(survey) => {
                self.opened = true;
                let (found, other) = (survey.bundles().len(), survey.unrelated());
                let bundles = if found == 1 { "bundle" } else { "bundles" };
                terminal::note(format_args!(
                    "found {found} {bundles}, and {other} other files and folders, which are ignored"
                ));
                for folder in survey.unreadable() {
                    terminal::note(format_args!(
                        "cannot read the folder {folder} on the medium; bundles in it are not imported"
                    ));
                }
            }
            ProgressEvent::Reading(bundle, size) => self.begin("reading", bundle, *size),
            ProgressEvent::Unpacking(bundle, size) => self.begin("inspecting", bundle, *size),
            ProgressEvent::Bytes(bytes) => {
                if let Some(bar) = &self.bar {
                    bar.inc(*bytes);
                }
            }
            ProgressEvent::Mounted(mount) if mount.lacks.is_empty() => {}
            ProgressEvent::Mounted(mount) => {
                terminal::note(format_args!("the medium is mounted without the options {}", mount.lacks.join(", ")));
                terminal::hint("mount media with these options: -o ro,nodev,nosuid,noexec");
            }
            ProgressEvent::Unchanged(true) => {}
            ProgressEvent::Unchanged(false) => {
                self.clear();
                terminal::note(
                    "the medium was removed too early, or another program wrote to the medium while it was read",
                );
                terminal::hint(
                    "imported bundles are valid: their signatures were checked. If nobody removed the medium early, keep it, and tell the administrator",
                );
            }
            ProgressEvent::MediaDone => {
                self.clear();
                if self.opened {
                    terminal::note("you may remove the medium now");
                }
            }
            ProgressEvent::Judged(judged) => {
                self.clear();
                print_failure(judged);
            }
        }
    }

    fn begin(&mut self, verb: &str, bundle: &str, size: u64) {
        self.clear();
        if !terminal::is_watched() {
            return terminal::note(format_args!("{verb} {bundle} ({})", human(size)));
        }
        let style = ProgressStyle::with_template(
            "{prefix} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        );
        let bar = ProgressBar::new(size).with_prefix(format!("{verb} {bundle}"));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        self.bar = Some(bar);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Prints at once why a bundle was not imported; the table at the end has the rest.
fn print_failure(judged: &JudgedBundle) {
    let name = match &judged.release {
        Some((feed, version)) => format!("{feed} {version}"),
        None => judged.bundle.clone(),
    };
    match &judged.outcome {
        ImportOutcome::Refused(refusal) => {
            terminal::note(format_args!("refused: {name}: {refusal}"));
            terminal::hint(refusal.reason.next());
        }
        ImportOutcome::Failed(fault) => {
            terminal::note(format_args!("fault: {name}: {fault}"));
            terminal::hint(fault.hint());
        }
        ImportOutcome::KeyringReplaced(version) => {
            terminal::note(format_args!("keyring version {version} is in force now"));
            terminal::hint("see which keys it revokes, and what those keys brought in: gaprelay keyring show");
        }
        ImportOutcome::Imported(_) | ImportOutcome::AlreadyHere => {}
    }
}

fn result(keeper: &Keeper, judged: &[JudgedBundle], settled: &SettleReport) -> json::ImportJson {
    let bundles = judged.iter().map(|judged| bundle(keeper, judged)).collect();
    json::ImportJson {
        bundles,
        published: settled.published.iter().cloned().collect(),
        stuck: settled.stuck.iter().map(|(channel, refusal)| (channel.clone(), refusal.into())).collect(),
        receipt: paper(&keeper.log.head()),
    }
}

fn bundle(keeper: &Keeper, judged: &JudgedBundle) -> json::BundleJson {
    let mut bundle = json::BundleJson {
        bundle: judged.bundle.clone(),
        feed: judged.release.as_ref().map(|(feed, _)| feed.clone()),
        version: judged.release.as_ref().map(|(_, version)| *version),
        keyring: None,
        outcome: "imported",
        standing: None,
        published: false,
        signers: Vec::new(),
        counts: None,
        refused: None,
        fault: None,
    };
    match &judged.outcome {
        ImportOutcome::Imported(release) => {
            let id = release.id();
            let feed = keeper.config.feed(&release.feed);
            bundle.standing = feed.map(|feed| keeper.trust.status(release, feed, (&keeper.config, &keeper.keyring)));
            bundle.published = !crate::report::releases::channels_of(&keeper.trust, &keeper.config, &id).is_empty();
            bundle.signers.clone_from(&release.signers);
            bundle.counts = Some(release.counts);
        }
        ImportOutcome::KeyringReplaced(version) => {
            bundle.outcome = "keyring-replaced";
            bundle.keyring = Some(*version);
        }
        ImportOutcome::AlreadyHere => bundle.outcome = "already-here",
        ImportOutcome::Refused(refusal) => {
            bundle.outcome = "refused";
            bundle.refused = Some(refusal.into());
        }
        ImportOutcome::Failed(fault) => {
            bundle.outcome = "failed";
            bundle.fault = Some(quoted(&fault.to_string()).to_string());
        }
    }
    bundle
}

fn table(result: &json::ImportJson) {
    if result.bundles.is_empty() {
        return;
    }
    let rows = result.bundles.iter().map(|bundle| {
        let counts = bundle.counts.unwrap_or_default();
        let count = |n: u64| if bundle.counts.is_some() { n.to_string() } else { "-".into() };
        let signers: Vec<_> = bundle.signers.iter().map(|s| format!("{} ({})", s.name, s.role)).collect();
        let outcome = match (&bundle.refused, &bundle.standing) {
            (Some(why), _) => format!("refused: {}", why.reason),
            (None, _) if bundle.published => "published".into(),
            (None, Some(standing)) => standing.to_string(),
            (None, None) => bundle.outcome.replace('-', " "),
        };
        let version = bundle.version.or(bundle.keyring);
        vec![
            bundle.feed.clone().unwrap_or_else(|| bundle.bundle.clone()),
            version.map_or("-".into(), |v| v.to_string()),
            if signers.is_empty() { "-".into() } else { signers.join(", ") },
            count(counts.cleared),
            count(counts.stripped),
            count(counts.withheld),
            outcome,
        ]
    });
    terminal::table(&["feed", "version", "signed by", "cleared", "stripped", "withheld", "outcome"], rows.collect());
    for (channel, generation) in &result.published {
        terminal::note(format_args!("channel {channel} now shows set {generation}"));
    }
    for (channel, why) in &result.stuck {
        terminal::note(format_args!(
            "channel {channel} does not show all that is due: {} [{}]",
            why.detail, why.reason
        ));
        terminal::hint(why.next);
    }
    for bundle in &result.bundles {
        let (Some(feed), Some(version)) = (&bundle.feed, bundle.version) else { continue };
        if matches!(bundle.standing, Some(ReleaseStatus::Held { .. })) {
            terminal::hint(format_args!(
                "{feed} {version} waits for an officer: gaprelay show {feed}/{version} --diff, then gaprelay approve {feed}/{version}"
            ));
        } else if bundle.counts.is_some_and(|counts| !counts.is_clean()) {
            terminal::hint(format_args!("see what was withheld or stripped, and why: gaprelay show {feed}/{version}"));
        }
    }
}
