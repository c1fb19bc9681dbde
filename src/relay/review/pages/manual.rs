//! Pages of the manual, from the texts in this program: a closed network has no browser to the internet.

use maud::html;

use crate::review::ReviewContext;
use crate::review::layout::framed_page;
use crate::review::readers::PageReader;
use crate::review::response::PageResponse;
use terminal::manual;

/// List of the topics.
pub(crate) fn index(context: &ReviewContext, reader: &PageReader) -> PageResponse {
    let body = html! {
        p { "These pages are in the program. On a terminal, " code { "gaprelay help TOPIC" } " prints the same text." }
        dl {
            @for page in manual::PAGES {
                div { dt { a href={ "/manual/" (page.topic) } { (page.topic) } } dd { (page.about) } }
            }
        }
    };
    PageResponse::page(200, framed_page(context.config.relay.get_ref(), reader, "/manual", "Manual", None, &body))
}

/// Page of a topic, as text; `None` if the manual has no such topic.
pub(crate) fn topic(context: &ReviewContext, reader: &PageReader, topic: &str) -> Option<PageResponse> {
    let page = manual::page(topic)?;
    let body = html! {
        p { a href="/manual" { "All topics of the manual" } }
        pre { (page.text) }
    };
    let title = format!("Manual: {}", page.topic);
    let page = framed_page(context.config.relay.get_ref(), reader, "/manual", &title, None, &body);
    Some(PageResponse::page(200, page))
}
