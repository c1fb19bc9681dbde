//! Result of an import on the screen: each bundle's outcome, the next step, the receipt.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use super::Done;
use super::boxes::{BOLD, REVERSED, framed, say};
use super::job::{ImportSummary, ShownBundle};
use crate::report::qr_code::half_blocks;
use base::quoted::printable;
use bundle::ReleaseId;
use inspect::{Counts, Verdict, VerdictKind};

/// A QR code's modules: dark on light, whatever the terminal's colours are.
const PAPER: Style = Style::new().fg(ratatui::style::Color::Black).bg(ratatui::style::Color::White);

pub(super) fn over(done: &Done, frame: &mut Frame<'_>, body: Rect) {
    let Some(outcome) = &done.outcome else {
        let mut lines = vec![Line::styled("The import stopped before it had a result.", BOLD), Line::default()];
        lines.extend(done.said.iter().map(|said| Line::from(said.clone())));
        if done.said.is_empty() {
            lines.push(Line::from("The import gave no cause. To see one, an administrator runs: gaprelay import PATH"));
        }
        return say(frame, body, "3. Result", lines);
    };
    let rows = u16::try_from(outcome.bundles.len()).unwrap_or(u16::MAX).clamp(1, 8) + 3;
    let [list, rest] = Layout::vertical([Constraint::Length(rows), Constraint::Min(6)]).areas(body);
    outcomes(outcome, done.chosen, frame, list);
    let paper = receipt_lines(outcome);
    let code = qr(&outcome.receipt);
    let (width, height) = size(&code);
    // The picture where there is room for it and the lines; r shows it alone.
    let fits = usize::from(rest.height) >= code.len() + paper.len() + 2 && rest.width > width + 30;
    let right = if fits { width + 2 } else { 43 };
    let [next, receipt] = Layout::horizontal([Constraint::Min(20), Constraint::Length(right)]).areas(rest);
    say(frame, next, "4. What to do now", advice(done, outcome));
    let block = framed("Receipt, for the paper book");
    let inner = block.inner(receipt);
    frame.render_widget(block, receipt);
    let picture = if fits { height } else { 0 };
    // A relay with a long name takes a line more.
    let lines = u16::try_from(paper.len()).unwrap_or(u16::MAX) + u16::from(!fits);
    let [text, picture, _] =
        Layout::vertical([Constraint::Length(lines), Constraint::Length(picture), Constraint::Min(0)]).areas(inner);
    frame.render_widget(Paragraph::new(paper).wrap(Wrap { trim: false }), text);
    if fits {
        frame.render_widget(Paragraph::new(code).style(PAPER), picture);
    }
}

fn outcomes(outcome: &ImportSummary, chosen: usize, frame: &mut Frame<'_>, area: Rect) {
    let room = usize::from(area.height.saturating_sub(3)).max(1);
    let rows = outcome.bundles.iter().enumerate().skip(chosen.saturating_sub(room - 1)).map(|(place, bundle)| {
        let count =
            |number: fn(&Counts) -> u64| bundle.counts.as_ref().map_or("-".into(), |counts| number(counts).to_string());
        let mark = if place == chosen { ">" } else { " " };
        let cells = [
            format!("{mark} {}", name(bundle)),
            count(|counts| counts.cleared),
            count(|counts| counts.withheld),
            word(bundle),
        ];
        Row::new(cells.map(Cell::from)).style(if place == chosen { REVERSED } else { Style::new() })
    });
    let widths = [Constraint::Fill(2), Constraint::Length(8), Constraint::Length(8), Constraint::Fill(2)];
    let table = Table::new(rows, widths).header(Row::new(["  release", "cleared", "withheld", "outcome"]).style(BOLD));
    frame.render_widget(table.block(framed("3. Result")), area);
}

fn name(bundle: &ShownBundle) -> String {
    match (&bundle.feed, bundle.version) {
        (Some(feed), Some(version)) => printable(&format!("{feed}/{version}")),
        _ => printable(&bundle.bundle),
    }
}

fn word(bundle: &ShownBundle) -> String {
    match (&bundle.refused, &bundle.fault) {
        (Some(why), _) => format!("REFUSED: {}", why.reason),
        (_, Some(_)) => "FAILED".into(),
        _ if bundle.published => "published".into(),
        _ if is_held(bundle) => "waits for officers".into(),
        _ if bundle.outcome == "imported" => "not published".into(),
        _ => bundle.outcome.replace('-', " "),
    }
}

/// True if an imported release waits for officers.
fn is_held(bundle: &ShownBundle) -> bool {
    bundle.standing.as_ref().is_some_and(|shown| shown.standing == "held")
}

/// Next step for the chosen bundle, and for each channel that does not show all that is due.
fn advice(done: &Done, outcome: &ImportSummary) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if outcome.bundles.is_empty() {
        lines.push(Line::styled("No bundle was found on the medium.", BOLD));
        lines.extend(done.said.iter().map(|said| Line::from(said.clone())));
    }
    if let Some(bundle) = outcome.bundles.get(done.chosen) {
        lines.push(Line::styled(name(bundle), BOLD));
        if let Some(why) = &bundle.refused {
            lines.push(Line::from(printable(&why.detail)));
            lines.push(Line::from(printable(&why.next)));
        } else if let Some(fault) = &bundle.fault {
            lines.push(Line::from(printable(fault)));
            lines.push(Line::from("Tell the administrator. Keep the medium until the cause is known."));
        } else if bundle.published {
            lines.push(Line::from("Agents can get this release now. There is nothing more to do."));
        } else if bundle.outcome == "keyring-replaced" {
            lines.push(Line::from("The new keyring is in force. There is nothing more to do."));
        } else if is_held(bundle) {
            lines.push(Line::from("This release waits for officers: tell them that it is here."));
            lines.push(Line::from("You cannot approve what you imported."));
        } else if bundle.outcome == "imported" {
            lines.push(Line::from("No channel shows this release. Tell the administrator: gaprelay releases shows its state, and gaprelay settle the cause."));
        } else {
            lines.push(Line::from("The same bundle was imported before. There is nothing more to do."));
        }
        if bundle.counts.is_some_and(|counts| counts.withheld > 0) {
            lines.push(Line::from("Press v to see which files were withheld, and why."));
        }
    }
    for (channel, why) in &outcome.stuck {
        lines.push(Line::from(format!("Channel {channel} does not show all that is due: {}", printable(&why.detail))));
        lines.push(Line::from(printable(&why.next)));
    }
    lines.push(Line::default());
    lines.push(Line::from(
        "Take the medium out. Write the receipt into the paper book, or press r and photograph its QR code.",
    ));
    lines
}

fn receipt_lines(outcome: &ImportSummary) -> Vec<Line<'static>> {
    outcome.receipt.lines().map(|line| Line::from(printable(line))).collect()
}

pub(super) fn receipt(done: &Done, frame: &mut Frame<'_>, body: Rect) {
    let Some(outcome) = &done.outcome else { return };
    let code = qr(&outcome.receipt);
    let (width, height) = size(&code);
    let mut lines = receipt_lines(outcome);
    if body.height < height {
        lines.push(Line::default());
        lines.push(Line::from(format!(
            "The QR code needs {height} lines, but this terminal has only {}. Write the six lines into the paper book.",
            body.height
        )));
        return say(frame, body, "Receipt", lines);
    }
    let [picture, text] = Layout::horizontal([Constraint::Length(width), Constraint::Min(20)]).areas(body);
    let [picture, _] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(picture);
    frame.render_widget(Paragraph::new(code).style(PAPER), picture);
    say(frame, text, "Receipt", lines);
}

/// Columns and lines of a picture.
fn size(code: &[Line<'_>]) -> (u16, u16) {
    let columns = code.first().map_or(0, Line::width);
    (u16::try_from(columns).unwrap_or(u16::MAX), u16::try_from(code.len()).unwrap_or(u16::MAX))
}

/// The receipt's picture.
fn qr(text: &str) -> Vec<Line<'static>> {
    half_blocks(text).into_iter().map(|line| Line::styled(line, PAPER)).collect()
}

pub(super) fn verdicts(id: &ReleaseId, list: &[Verdict], scroll: u16, frame: &mut Frame<'_>, body: Rect) {
    let Counts { cleared, stripped, withheld } = Counts::of(list);
    let title = format!("{id}: {cleared} cleared, {stripped} stripped, {withheld} withheld");
    let rows = list.iter().skip(usize::from(scroll)).map(|verdict| {
        let why = verdict.reason.map(|reason| format!("{}: {}", verdict.why(), reason.meaning())).unwrap_or_default();
        let word = match verdict.decision {
            VerdictKind::Cleared => "cleared".into(),
            decision => decision.word().to_uppercase(),
        };
        Row::new([base::quoted(&verdict.path).to_string(), word, why])
    });
    let widths = [Constraint::Fill(2), Constraint::Length(8), Constraint::Fill(3)];
    let table = Table::new(rows, widths).header(Row::new(["file", "verdict", "why"]).style(BOLD));
    frame.render_widget(table.block(framed(&title)), body);
}
