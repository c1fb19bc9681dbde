//! Charts and QR codes as SVG, each with its numbers as text for readers who do not see the picture.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::report::qr_code::modules;

/// QR code of a text, black on white in both colour schemes; the page shows the text itself next to it.
pub(crate) fn qr_code(text: &str) -> Markup {
    let rows = modules(text);
    let mut dark = String::new();
    for (y, row) in rows.iter().enumerate() {
        for (x, _) in row.iter().enumerate().filter(|(_, dark)| **dark) {
            let _ = write!(dark, "M{x} {y}h1v1h-1z");
        }
    }
    html! {
        svg class="code" role="img" aria-label="QR code of the text above" width="212" height="212"
            viewBox={ "0 0 " (rows.len()) " " (rows.len()) } shape-rendering="crispEdges" {
            rect width=(rows.len()) height=(rows.len()) fill="#fff" {}
            path d=(dark) fill="#000" {}
        }
    }
}

/// Bar chart with vertical bars, each with a name and a number. Colour carries no meaning of its own.
pub(crate) fn bars(title: &str, rows: &[(String, u64)]) -> Markup {
    const WIDTH: u64 = 28;
    const HEIGHT: u64 = 80;
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    html! {
        svg class="chart" role="img" aria-label=(title) width=(rows.len() as u64 * WIDTH) height=(HEIGHT + 20)
            viewBox={ "0 0 " (rows.len() as u64 * WIDTH) " " (HEIGHT + 20) } {
            title { (title) }
            @for (place, (name, count)) in (0..).zip(rows) {
                @let height = (count * HEIGHT).div_ceil(most);
                rect x=(place * WIDTH + 4) y=(HEIGHT + 2 - height) width=(WIDTH - 8) height=(height) {
                    title { (name) ": " (count) }
                }
                text x=(place * WIDTH + WIDTH / 2) y=(HEIGHT + 16) text-anchor="middle" {
                    (name.get(name.len().saturating_sub(2)..).unwrap_or_default())
                }
            }
        }
    }
}

/// Bar chart with horizontal bars, each with a name and a number, in the order of `rows`.
pub(crate) fn ranking(title: &str, rows: &[(String, u64)]) -> Markup {
    const WIDTH: u64 = 420;
    const NAME: u64 = 180;
    const ROW: u64 = 20;
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let height = rows.len() as u64 * ROW + 4;
    html! {
        svg class="chart" role="img" aria-label=(title) width=(WIDTH) height=(height) viewBox={ "0 0 " (WIDTH) " " (height) } {
            title { (title) }
            @for (place, (name, count)) in (0..).zip(rows) {
                @let width = (count * (WIDTH - NAME - 60)).div_ceil(most);
                text x=(NAME - 6) y=(place * ROW + 15) text-anchor="end" { (shortened(name)) title { (name) } }
                rect x=(NAME) y=(place * ROW + 4) width=(width) height=(ROW - 6) { title { (name) ": " (count) } }
                text x=(NAME + width + 4) y=(place * ROW + 15) { (count) }
            }
        }
    }
}

/// Beginning of a name, at most as long as its column is wide.
fn shortened(name: &str) -> String {
    const SHOWN: usize = 26;
    if name.chars().count() <= SHOWN {
        return name.to_owned();
    }
    name.chars().take(SHOWN - 1).chain(['…']).collect()
}
