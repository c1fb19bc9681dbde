//! Response to a browser, and the headers that keep a page to this relay.

use maud::Markup;

/// Content security policy: no script runs, only our style sheet loads, forms lead back here, nobody may frame a page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Response to a browser.
pub(crate) struct PageResponse {
    /// HTTP status.
    pub status: u16,
    /// Media type.
    pub media_type: &'static str,
    /// Path to which the browser is sent on; with status 303 only.
    pub location: Option<String>,
    /// File name for a download (letters, dots and dashes); `None` if the browser is to show the body.
    pub file_name: Option<String>,
    /// Body.
    pub body: Vec<u8>,
}

impl PageResponse {
    /// Response 200 of this media type.
    pub(crate) fn new(media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, media_type, location: None, file_name: None, body: body.into() }
    }

    /// Plain text, which the browser shows.
    pub(crate) fn text(text: String) -> Self {
        Self::new("text/plain; charset=utf-8", text)
    }

    /// Plain text, which the browser saves under this name.
    pub(crate) fn file(text: String, name: String) -> Self {
        Self { file_name: Some(name), ..Self::text(text) }
    }

    /// HTML page.
    pub(crate) fn page(status: u16, page: Markup) -> Self {
        Self { status, ..Self::new("text/html; charset=utf-8", page.into_string()) }
    }

    /// Redirect (303) to another page, after a form was handed in.
    pub(crate) fn redirect(location: String) -> Self {
        Self { status: 303, location: Some(location), ..Self::new("text/plain", "") }
    }

    /// Headers: name and value.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers: Vec<(&str, String)> = [
            ("Content-Type", self.media_type),
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        let saved =
            self.file_name.iter().map(|name| ("Content-Disposition", format!("attachment; filename=\"{name}\"")));
        headers.extend(saved);
        headers.extend(self.location.iter().map(|location| ("Location", location.clone())));
        headers
    }
}
