//! Request for a page: its path, its query, its body and the reader who sent it.

use form_urlencoded::parse;
use hyper::body::Bytes;
use hyper::http::request::Parts;

use super::readers::ReaderIdentity;
use bundle::ReleaseId;

/// Request of a browser, with the identity that the kernel or TLS gives for the other end.
pub(crate) struct PageRequest {
    /// Method, path, query and headers.
    pub head: Parts,
    /// Body of a POST; empty for every other method.
    pub body: Bytes,
    /// Account or certificate at the other end of the connection.
    pub sender: ReaderIdentity,
}

impl PageRequest {
    /// Path, which always begins with a slash.
    pub(crate) fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// Value of a field in the query; empty if the query has no such field.
    pub(crate) fn field(&self, name: &str) -> String {
        let query = self.head.uri.query().unwrap_or_default();
        parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// Release that a part of a path names as `FEED/VERSION`; `None` if it names none.
pub(crate) fn release_in_path(path: &str) -> Option<ReleaseId> {
    path.parse().ok()
}
