//! Drawing of each scene. Everything that somebody else wrote was escaped by whoever read it, and is escaped once more
//! here.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Table};

use super::boxes::{BOLD, REVERSED, framed, say};
use super::job::Job;
use super::{Console, Question, Scene, result};
use crate::state::progress::{BundleState, Progress};
use base::limits::human;
use base::quoted::{printable, quoted_os};

/// Draws the whole screen.
pub(crate) fn draw(console: &Console<'_>, frame: &mut Frame<'_>) {
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(footer(console))])
            .areas(frame.area());
    let relay = printable(console.config.relay.get_ref());
    let title = format!(" gaprelay · {relay} · operator: {} ", shown_name(&console.operator));
    frame.render_widget(Paragraph::new(title).style(REVERSED), top);
    scene(console, &console.scene, frame, body);
    foot(console, frame, bottom);
}

fn scene(console: &Console<'_>, scene: &Scene, frame: &mut Frame<'_>, body: Rect) {
    match scene {
        Scene::Idle => idle(console, frame, body),
        Scene::Asking(question, text) => asking(question, text, frame, body),
        Scene::Running(job, stopping) => running(console, job, *stopping, frame, body),
        Scene::Done(done) => result::over(done, frame, body),
        Scene::Verdicts(_, id, list) => result::verdicts(id, list, console.scroll, frame, body),
        Scene::Receipt(done) => result::receipt(done, frame, body),
        Scene::Help(_) => help(console.relay.is_some(), frame, body),
        Scene::Leaving => leaving(frame, body),
    }
}

fn shown_name(name: &str) -> String {
    if name.trim().is_empty() { "nobody yet".into() } else { printable(name) }
}

fn idle(console: &Console<'_>, frame: &mut Frame<'_>, body: Rect) {
    let [media, state] = Layout::vertical([Constraint::Min(6), Constraint::Length(8)]).areas(body);
    let mut lines = Vec::new();
    if console.media.is_empty() {
        lines.push(Line::styled("Put a medium in.", BOLD));
        lines.push(Line::from("No medium is mounted. This screen looks again every second."));
        for disk in &console.plugged {
            let name = printable(&disk.name);
            lines.push(Line::default());
            lines.push(Line::from(format!(
                "/dev/{name} ({}) is plugged in, but not mounted. An administrator mounts it with:",
                human(disk.size)
            )));
            lines.push(Line::from(format!("  mount -o ro,nodev,nosuid,noexec /dev/{name} /media/gaprelay")));
        }
        lines.push(Line::default());
        lines.push(Line::from("Or press p, and type the folder where the medium is mounted."));
    } else {
        lines.push(Line::styled("Choose the medium, and press Enter.", BOLD));
        for (place, medium) in console.media.iter().enumerate() {
            let writable = !medium.options.iter().any(|option| option == "ro");
            let note = if writable { "   mounted WRITABLE: the relay may refuse it" } else { "" };
            let mark = if place == console.chosen { "> " } else { "  " };
            let style = if place == console.chosen { REVERSED } else { Style::new() };
            lines.push(Line::styled(format!("{mark}{}{note}", quoted_os(&medium.place)), style));
        }
    }
    say(frame, media, "1. Medium", lines);
    say(frame, state, "This relay", standing(console));
}

/// Status of the relay, and releases that wait.
fn standing(console: &Console<'_>) -> Vec<Line<'static>> {
    let Some(status) = &console.status else {
        return vec![Line::from(
            "The state of this relay cannot be read. To see why, an administrator runs: gaprelay status",
        )];
    };
    let mut lines = Vec::new();
    for fault in status.faults.iter().take(2) {
        lines.push(Line::styled(format!("FAULT: {}", printable(fault)), BOLD));
    }
    if !status.faults.is_empty() {
        lines.push(Line::from("To see what to do, an administrator runs: gaprelay status"));
    }
    for channel in &status.channels {
        let members: Vec<_> =
            channel.releases.iter().map(|m| format!("{}/{} {}", m.feed, m.version, m.freshness)).collect();
        let shown = if members.is_empty() { "nothing published yet".into() } else { members.join(", ") };
        lines.push(Line::from(format!("{}: {shown}", channel.channel)));
    }
    if !status.held.is_empty() {
        lines.push(Line::from(format!("waiting for officers: {}", status.held.join(", "))));
    }
    lines
}

fn asking(question: &Question, text: &str, frame: &mut Frame<'_>, body: Rect) {
    let (title, words) = match question {
        Question::Place => (
            "Where is the medium?",
            "Type the folder where the medium is mounted, or the folder of one bundle, such as /media/stick:",
        ),
        Question::Operator(_) => {
            ("Who imports?", "Type your name. It is recorded with the import. You cannot approve what you import:")
        }
    };
    let lines = vec![
        Line::from(words),
        Line::default(),
        Line::styled(format!("> {}_", printable(text)), BOLD),
        Line::default(),
        Line::from("Enter: continue     Esc: back"),
    ];
    say(frame, body, title, lines);
}

fn running(console: &Console<'_>, job: &Job, stopping: bool, frame: &mut Frame<'_>, body: Rect) {
    let [what, bar, list] =
        Layout::vertical([Constraint::Length(5), Constraint::Length(3), Constraint::Min(3)]).areas(body);
    let mut lines = Vec::new();
    let progress = console.progress.as_ref();
    match progress {
        None => lines.push(Line::styled(job.said(1).pop().unwrap_or_else(|| "starting".into()), BOLD)),
        Some(progress) => {
            let bundle = progress.bundle.as_deref().map(printable).unwrap_or_default();
            lines.push(Line::styled(format!("{} {bundle}", progress.step.word()), BOLD));
            lines.push(Line::from(if progress.medium_free {
                "The medium may be removed now."
            } else {
                "Leave the medium in."
            }));
        }
    }
    if stopping {
        lines.push(Line::styled("Press Esc again to stop the import; nothing of this bundle is kept.", BOLD));
    }
    say(frame, what, "2. Import", lines);
    let (percent, label) = progress.filter(|progress| progress.total > 0).map_or((0, String::new()), |progress| {
        let label = format!("{} of {}", human(progress.bytes.min(progress.total)), human(progress.total));
        (u16::try_from(progress.percent()).unwrap_or(100), label)
    });
    frame.render_widget(Gauge::default().block(Block::bordered()).percent(percent).label(label), bar);
    if let Some(progress) = progress {
        bundles(progress, frame, list);
    }
}

fn bundles(progress: &Progress, frame: &mut Frame<'_>, area: Rect) {
    let room = usize::from(area.height.saturating_sub(3));
    let skipped = progress.bundles.len().saturating_sub(room);
    let rows = progress.bundles.iter().skip(skipped).map(|bundle| {
        let reason = bundle.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let style = match bundle.state {
            BundleState::Refused | BundleState::Failed => BOLD,
            _ => Style::new(),
        };
        let release = bundle.release.as_deref().map(printable).unwrap_or_default();
        Row::new([printable(&bundle.name), release, format!("{}{reason}", bundle.state.word())]).style(style)
    });
    let widths = [Constraint::Fill(2), Constraint::Fill(1), Constraint::Fill(2)];
    let title = format!("Bundles: {} found", progress.found);
    let table = Table::new(rows, widths).header(Row::new(["folder", "release", "state"]).style(BOLD));
    frame.render_widget(table.block(framed(&title)), area);
}

fn help(kiosk: bool, frame: &mut Frame<'_>, body: Rect) {
    let mut lines = vec![
        Line::styled("What happens here", BOLD),
        Line::from(
            "A medium carries signed bundles. The relay reads each byte of a bundle once, and changes nothing on the medium. It imports a bundle only if keys that it trusts have signed it. It inspects each file, withholds the files that the policy does not allow, and shows the reason.",
        ),
        Line::from(
            "An imported release waits until officers approve it, unless config.toml lets clean releases of its feed pass without approval. You cannot approve what you imported.",
        ),
        Line::default(),
        Line::styled("Keys", BOLD),
        Line::from("Up, Down: choose     Enter: import, continue     p: type a folder     o: change the operator"),
        Line::from("v: show the verdict on each file     r: show the receipt as a QR code     Esc: back"),
        Line::default(),
        Line::from("To see what a code such as signature-threshold means: gaprelay explain CODE"),
    ];
    if kiosk {
        lines.push(Line::from("The relay runs only while this screen is open. q asks before it stops the relay."));
    }
    say(frame, body, "Help", lines);
}

fn leaving(frame: &mut Frame<'_>, body: Rect) {
    let lines = vec![
        Line::styled("Stop the relay?", BOLD),
        Line::from(
            "Until the relay is started again, agents get no content, and their refused requests are not recorded.",
        ),
        Line::default(),
        Line::from("y: stop the relay     any other key: continue"),
    ];
    say(frame, body, "Leave", lines);
}

/// Lines at the bottom: the keys, and in the kiosk the newest messages of the relay.
fn footer(console: &Console<'_>) -> u16 {
    if console.relay.is_some() { 4 } else { 1 }
}

fn foot(console: &Console<'_>, frame: &mut Frame<'_>, area: Rect) {
    let keys = match &console.scene {
        Scene::Idle => "Enter: import   p: type a folder   o: operator   ?: help   q: leave",
        Scene::Asking(..) => "Enter: continue   Esc: back",
        Scene::Running(_, true) => "Esc: stop the import   any other key: continue",
        Scene::Running(_, false) => "Esc: stop",
        Scene::Done(_) if console.relay.is_some() => "Enter: next medium   Up, Down: choose   v: verdicts   r: receipt",
        Scene::Done(_) => "Enter: next medium   Up, Down: choose   v: verdicts   r: receipt   q: leave",
        Scene::Verdicts(..) => "Up, Down, Page: scroll   Esc: back",
        Scene::Receipt(_) | Scene::Help(_) => "any key: back",
        Scene::Leaving => "y: stop the relay   any other key: continue",
    };
    let mut lines = Vec::new();
    if let Some(relay) = &console.relay {
        let running = if relay.job.is_some() {
            "relay: running"
        } else {
            "relay: STOPPED; this screen starts the relay again in a few seconds"
        };
        let said = relay.said.iter().rev().take(2).rev();
        lines.push(Line::styled(running, BOLD));
        lines.extend(said.map(|said| Line::from(format!("  {said}"))));
        lines.resize(3, Line::default());
    }
    lines.push(Line::styled(format!(" {keys} "), REVERSED));
    frame.render_widget(Paragraph::new(lines), area);
}
