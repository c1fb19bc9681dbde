//! Small pictures as SVG, each with its numbers in words for those who do not see it.

use maud::{Markup, html};

/// Bars side by side, one for each day or agent: name and number. Colour says nothing that the height
/// and the title do not.
pub fn bars(title: &str, rows: &[(String, u64)]) -> Markup {
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
