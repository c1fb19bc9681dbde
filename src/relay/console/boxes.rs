//! Boxes with a title, and text in them.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Paragraph, Wrap};

pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

pub(super) fn framed(title: &str) -> Block<'_> {
    Block::bordered().title(Span::styled(format!(" {title} "), BOLD))
}

pub(super) fn say(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'_>>) {
    let words = Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false }).block(framed(title));
    frame.render_widget(words, area);
}
