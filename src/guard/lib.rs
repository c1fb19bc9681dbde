//! Recognition of attempts to send something out, or to reach someone else through the relay, by the requests of
//! agents. In scope: a name for each attempt. Out of scope: answering and logging. The vendors' endpoints are data
//! (`endpoints.json`; the form is in `schemas/endpoints.json`), the rules for shapes are here.
//!
//! Runs in the server and the sinkhole, which may read published sets and look-ups, accept connections and append to a
//! journal; and in the examiner, which recognises a list of endpoints by its form. Opens nothing itself.

#![forbid(unsafe_code)]

pub mod list;

use serde::Deserialize;

use base::Fault;

/// One product's endpoints, or a shape of request that is told apart without any.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The name in the record.
    pub label: String,
    /// True for an attempt to send; `false` for a misdirected update.
    pub submission: bool,
    /// Host names; `*.` stands for any sub-domain.
    pub hosts: Vec<String>,
    /// Beginnings of paths on the relay's own name.
    pub paths: Vec<String>,
    /// Names of headers that only such a client sends, lower case.
    pub headers: Vec<String>,
    /// Meaning, in a sentence.
    pub meaning: String,
    /// Remedy on the agent's side, so that it does not happen again.
    pub remedy: String,
}

/// The label of look-ups of names that show nothing: any in the world.
pub const FOREIGN_LOOK_UP: &str = "dns-foreign";

/// The name of what was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// For the record.
    pub name: String,
    /// True for an attempt to send something out.
    pub submission: bool,
}

impl Label {
    /// A label that is no endpoint's.
    pub fn new(name: &str, submission: bool) -> Self {
        Self { name: name.into(), submission }
    }
}

/// Visible parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct ShownRequest<'a> {
    /// Method.
    pub method: &'a str,
    /// The name asked for, if it is not one of the relay's own.
    pub foreign: Option<&'a str>,
    /// Path.
    pub path: &'a str,
    /// Query, empty if there is none.
    pub query: &'a str,
    /// Content-Type as declared, empty if there is none.
    pub content_type: &'a str,
}

/// The endpoints known. Those that ship with the program are a floor: what a published list says can add to it and make
/// an attempt out of what was none, but takes nothing away and lowers nothing.
pub struct Guard {
    shipped: Vec<Endpoint>,
    added: Vec<Endpoint>,
}

impl Guard {
    /// The endpoints that ship with the program.
    pub fn shipped() -> Result<Self, Fault> {
        let endpoints =
            list::shipped().map_err(|_| Fault::Internal("the built-in list of endpoints cannot be read"))?;
        Ok(Self { shipped: endpoints, added: Vec::new() })
    }

    /// Shipped endpoints with those of a published list added. Fault: the list is malformed.
    pub fn with(bytes: &[u8]) -> Result<Self, Fault> {
        let mut guard = Self::shipped()?;
        guard.added = list::parse(bytes).map_err(|wrong| Fault::damaged("the published list of endpoints", wrong))?;
        // Of one label, whichever of the two says that it is an attempt to send is right.
        for added in &mut guard.added {
            for known in guard.shipped.iter_mut().filter(|known| known.label == added.label) {
                known.submission |= added.submission;
                added.submission = known.submission;
            }
        }
        Ok(guard)
    }

    /// The label of a name that is not ours.
    pub fn host(&self, host: &str) -> Option<Label> {
        find_host(&self.shipped, host).or_else(|| find_host(&self.added, host))
    }

    /// The label of a path on our own name that only a submission client asks for.
    pub fn path(&self, path: &str) -> Option<Label> {
        find_path(&self.shipped, path).or_else(|| find_path(&self.added, path))
    }

    /// The label of a header that only a submission client sends. `has` tells whether one is there.
    pub fn header(&self, has: impl Fn(&str) -> bool) -> Option<Label> {
        find_header(&self.shipped, &has).or_else(|| find_header(&self.added, &has))
    }

    /// The label of a request that is refused: by name, then by path, then by its shape. Where an added endpoint would
    /// make less of the request than its shape does, the shape counts.
    pub fn label(&self, ask: ShownRequest<'_>, has_header: impl Fn(&str) -> bool) -> Label {
        let by_endpoint = |endpoints| {
            ask.foreign
                .and_then(|host| find_host(endpoints, host))
                .or_else(|| find_path(endpoints, ask.path))
                .or_else(|| find_header(endpoints, &has_header))
        };
        let shape = || {
            if is_git_push(ask.query) { Label::new("git-push", true) } else { shape(ask) }
        };
        by_endpoint(&self.shipped).unwrap_or_else(|| {
            let shape = shape();
            by_endpoint(&self.added).filter(|label| label.submission || !shape.submission).unwrap_or(shape)
        })
    }

    /// All of them, those that ship first.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.shipped.iter().chain(&self.added)
    }

    /// Explanation of a label.
    pub fn about(&self, label: &str) -> Option<&Endpoint> {
        self.endpoints().find(|e| e.label == label)
    }
}

fn find(endpoints: &[Endpoint], fits: impl Fn(&Endpoint) -> bool) -> Option<Label> {
    endpoints.iter().find(|e| fits(e)).map(|e| Label::new(&e.label, e.submission))
}

fn find_host(endpoints: &[Endpoint], host: &str) -> Option<Label> {
    let host = host.to_ascii_lowercase();
    find(endpoints, |e| e.hosts.iter().any(|pattern| matches_host(pattern, &host)))
}

fn find_path(endpoints: &[Endpoint], path: &str) -> Option<Label> {
    find(endpoints, |e| e.paths.iter().any(|begin| path.starts_with(begin.as_str())))
}

fn find_header(endpoints: &[Endpoint], has: &impl Fn(&str) -> bool) -> Option<Label> {
    find(endpoints, |e| e.headers.iter().any(|name| has(name)))
}

/// True if a query asks to push into a repository: the files behind it may well be served.
pub fn is_git_push(query: &str) -> bool {
    query.split('&').any(|pair| pair == "service=git-receive-pack")
}

fn shape(ask: ShownRequest<'_>) -> Label {
    match ask.method {
        "CONNECT" => Label::new("proxy-connect", true),
        "PROPFIND" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "LOCK" | "UNLOCK" | "REPORT" | "SEARCH" => {
            Label::new("webdav", true)
        }
        "GET" | "HEAD" if ask.foreign.is_some() => Label::new("foreign-name", false),
        "GET" | "HEAD" => Label::new("request-body", true),
        "OPTIONS" | "TRACE" => Label::new("method", false),
        _ if ask.content_type.starts_with("multipart/form-data") => Label::new("form-upload", true),
        "PUT" | "POST" | "PATCH" => Label::new("upload", true),
        _ => Label::new("method", false),
    }
}

fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(end) => host.ends_with(end) && host.len() > end.len(),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(ask: ShownRequest<'_>) -> (String, bool) {
        let label = Guard::shipped().unwrap().label(ask, |_| false);
        (label.name, label.submission)
    }

    const GET: ShownRequest<'_> = ShownRequest { method: "GET", foreign: None, path: "/", query: "", content_type: "" };

    #[test]
    fn labels() {
        let vt = ShownRequest { path: "/api/v3/files/upload_url", ..GET };
        assert_eq!(label(vt), ("virustotal".into(), true));
        let clam = ShownRequest { method: "CONNECT", foreign: Some("WWW.ClamAV.net"), ..GET };
        assert_eq!(label(clam), ("clamav-submit".into(), true));
        let update = ShownRequest { foreign: Some("database.clamav.net"), path: "/daily.cvd", ..GET };
        assert_eq!(label(update), ("clamav-update".into(), false));
        assert_eq!(label(ShownRequest { foreign: Some("evilclamav.net"), ..GET }), ("foreign-name".into(), false));
        assert_eq!(label(ShownRequest { query: "service=git-receive-pack", ..GET }), ("git-push".into(), true));
        let form = ShownRequest { method: "POST", content_type: "multipart/form-data; boundary=x", ..GET };
        assert_eq!(label(form), ("form-upload".into(), true));
        assert_eq!(label(ShownRequest { method: "PUT", ..GET }), ("upload".into(), true));
        assert_eq!(label(ShownRequest { method: "PROPFIND", ..GET }), ("webdav".into(), true));
        let otx = Guard::shipped().unwrap().label(GET, |name| name == "x-otx-api-key");
        assert_eq!(otx.name, "otx");
    }

    /// A published list that empties what ships, gives its patterns to labels that are no attempts, or names requests
    /// so that their shape would count for nothing.
    #[test]
    fn a_published_list_takes_nothing_away_and_lowers_nothing() {
        let one = |label: &str, submission: bool, hosts: &str, paths: &str| {
            format!(
                r#"{{"label":"{label}","submission":{submission},"hosts":[{hosts}],"paths":[{paths}],"headers":[],
                "meaning":"Nothing to see.","remedy":"Do nothing."}}"#
            )
        };
        let hostile = [
            one("virustotal", false, "", ""),
            one("clamav-update", true, r#""*.virustotal.com""#, r#""/api/v3/files""#),
            one("harmless", false, r#""*.virustotal.com","*.example.net""#, r#""/api/v3/files","/samples/v1""#),
        ];
        let guard = Guard::with(format!("[{}]", hostile.join(",")).as_bytes()).unwrap();
        let label = |ask| guard.label(ask, |name| name == "x-apikey");
        let vt = Label::new("virustotal", true);
        assert_eq!(guard.path("/api/v3/files/upload_url"), Some(vt.clone()));
        assert_eq!(guard.host("www.virustotal.com"), Some(vt.clone()));
        assert_eq!(label(ShownRequest { foreign: Some("www.virustotal.com"), ..GET }), vt);
        assert_ne!(guard.about("virustotal").unwrap().remedy, "Do nothing.");
        // What is added can make more of a label that ships, and of a request; not less of its shape.
        assert_eq!(guard.host("database.clamav.net"), Some(Label::new("clamav-update", true)));
        let tunnel = ShownRequest { method: "CONNECT", foreign: Some("up.example.net"), ..GET };
        let plain = guard.label(tunnel, |_| false);
        assert_eq!(plain, Label::new("proxy-connect", true));
        let upload = ShownRequest { method: "POST", path: "/samples/v1/x", ..GET };
        assert_eq!(guard.label(upload, |_| false), Label::new("upload", true));
        assert_eq!(guard.path("/samples/v1/x"), Some(Label { name: "harmless".into(), submission: false }));
    }
}
