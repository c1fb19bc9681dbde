//! `config.toml`: the doc comment of each field is its manual. Unknown keys are refused; each fault is shown with line
//! and column. `gaprelay init` writes an annotated example.
//!
//! Runs in every process of the relay, which reads it before it confines itself; and in `gaprelay-pack`.

#![forbid(unsafe_code)]

pub mod dns;
mod explain;
pub mod export;
pub(crate) mod feed;
pub mod origin;
pub mod policy;
pub mod review;
pub mod state;
pub mod tuf;
pub(crate) mod witness;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use base::name::{self, is_name};
use base::span::Span;
use base::{Fault, Limits, quoted};
use sandbox::{Layer, Terms, Waiver};
use serve::journal::LARGEST;

pub use feed::{Feed, Suppress};
pub use policy::Classification;

/// The annotated example that `init` writes.
pub const EXAMPLE: &str = include_str!("config.example.toml");

/// Names that no channel may have.
const RESERVED: [&str; 2] = ["v2", "taxii2"];

/// The whole config.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this relay: part of its logs' origins, fixed at `init`. 1 to 64 of `a-z 0-9 . _ -`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub relay: Spanned<String>,
    /// Classification of this relay's network: `unclassified`, `restricted`, `confidential`, `secret` or
    /// `top-secret`. The policy of that name holds for feeds that name none. Default `secret`.
    #[serde(default)]
    pub classification: Classification,
    /// Readers of the state folder.
    #[serde(default)]
    pub state: state::StateConfig,
    /// Limits of an import.
    #[serde(default)]
    pub limits: Limits,
    /// Rules for mounts of media.
    #[serde(default)]
    pub media: Media,
    /// Rules for dates.
    #[serde(default)]
    pub clock: Clock,
    /// Retention of former sets.
    #[serde(default)]
    pub publish: Publish,
    /// Server for agents.
    #[serde(default)]
    pub serve: serve::Settings,
    /// DNS queries that are answered.
    #[serde(default)]
    pub dns: dns::Dns,
    /// The officers' pages.
    #[serde(default)]
    pub review: review::ReviewConfig,
    /// Witnesses of the import log; none, if left out.
    #[serde(default)]
    pub witness: Option<witness::WitnessConfig>,
    /// The repository for TUF clients; none, if left out.
    #[serde(default)]
    pub tuf: Option<tuf::Tuf>,
    /// Export of the logs' entries; none, if left out.
    #[serde(default)]
    pub export: Option<export::Export>,
    /// Layers of the confinement that this site does without, each with the reason.
    #[serde(default)]
    pub without: Vec<Without>,
    /// The site's own policies, beside those that ship with the program.
    #[serde(rename = "policy", default)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<inspect::ContentPolicy>"))]
    pub policies: Vec<Spanned<inspect::ContentPolicy>>,
    /// From whom this site takes what, by its classification. No rule, if left out; `init` writes one.
    #[serde(rename = "origin", default)]
    pub origins: Vec<origin::OriginRule>,
    /// The feeds this relay takes; all others are refused.
    #[serde(rename = "feed", default)]
    pub feeds: Vec<Feed>,
    /// The folders agents read.
    #[serde(rename = "channel", default)]
    pub channels: Vec<Channel>,
}

/// Rules for mounts of media.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Why this site takes media that are mounted writable, and who decided: 1 to 300 characters. Such a
    /// medium is refused, if left out. The reason is logged with each one.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub writable: Option<Spanned<String>>,
}

/// Rules for dates.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// Time by which a bundle may be dated ahead of our clock. Default 10 minutes.
    pub tolerance: Span,
    /// Time by which our clock may be ahead of all that the relay has seen (signers' dates, its own log). Beyond that
    /// imports stop until an officer confirms the time, and the log goes on with the last time it had. Default 365
    /// days.
    pub ahead: Span,
}

/// Retention of former sets.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// Sets of each channel that `gc` keeps, the present one included. Default 5, at least 2.
    pub keep_sets: u64,
}

/// A layer of the confinement that this host may lack. Without such an entry a missing layer is a
/// fault at start. The reason is logged, and shown by `status`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Without {
    /// `namespaces`, `landlock` or `seccomp`.
    pub layer: Layer,
    /// Why the site accepts it, and who decided: 1 to 300 characters.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub reason: Spanned<String>,
}

/// One channel: a folder agents read.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Name: the first part of the URL's path.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub name: Spanned<String>,
    /// The feeds it joins. No two may bring the same path.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub feeds: Vec<Spanned<String>>,
    /// Names in the certificates of the agents that may read it, and what only it shows; needs
    /// `serve.client_authorities`. For all others it is not there (404), and that they asked is recorded. Everybody
    /// may, if left out.
    #[serde(default)]
    pub certificates: Vec<String>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { tolerance: Span(Duration::from_mins(10)), ahead: Span(Duration::from_hours(365 * 24)) }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self { keep_sets: 5 }
    }
}

/// A fault in the config, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// Faults of the config.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl Config {
    /// Reads and checks a config; the problems are all that could be found.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let config: Self = toml::from_str(text).map_err(|e| vec![toml_problem(text, &e)])?;
        let problems = config.problems(text);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// As [`Config::parse`], with the faults as one, each line naming the file.
    pub fn parse_file(text: &str, path: &Path) -> Result<Self, Fault> {
        Self::parse(text).map_err(|problems| {
            let shown: Vec<_> = problems.iter().map(|p| format!("{}: {p}", path.display())).collect();
            Fault::Config(shown.join("\n"))
        })
    }

    /// The feed of this name.
    pub fn feed(&self, name: &str) -> Option<&Feed> {
        self.feeds.iter().find(|feed| feed.name.get_ref() == name)
    }

    /// Channels that show a feed.
    pub fn channels_of(&self, feed: &str) -> Vec<&Channel> {
        self.channels.iter().filter(|channel| channel.feeds.iter().any(|it| it.get_ref() == feed)).collect()
    }

    /// Terms of the confinement.
    pub fn terms(&self) -> Terms {
        Terms { only: None, waived: self.without.iter().map(|without| without.layer).collect() }
    }

    /// Plan of the server.
    pub fn plan(&self) -> serve::ServePlan {
        let channel = |channel: &Channel| serve::plan::ServedChannel {
            name: channel.name.get_ref().clone(),
            certificates: channel.certificates.clone(),
        };
        serve::ServePlan {
            settings: self.serve.clone(),
            channels: self.channels.iter().map(channel).collect(),
            feeds: self.feeds.iter().map(|feed| (feed.name.get_ref().clone(), feed.ageing())).collect(),
            has_tuf: self.tuf.is_some(),
        }
    }

    /// The layers it does without, for the log and for every status.
    pub fn waivers(&self) -> Vec<Waiver> {
        self.without.iter().map(|w| Waiver { layer: w.layer, reason: quoted(w.reason.get_ref()).to_string() }).collect()
    }

    fn problems(&self, text: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |at: usize, message: String| problems.push(problem(text, at, message));
        let mut check_name = |name: &Spanned<String>, what: &str, seen: &mut BTreeSet<String>| {
            let shown = quoted(name.get_ref());
            if !is_name(name.get_ref()) {
                add(name.span().start, format!("{what} \"{shown}\" is not a name: {}", name::RULE));
            } else if !seen.insert(name.get_ref().clone()) {
                add(name.span().start, format!("{what} \"{shown}\" stands twice: leave one of the two out"));
            }
        };
        check_name(&self.relay, "relay", &mut BTreeSet::new());
        let (mut feeds, mut channels) = (BTreeSet::new(), BTreeSet::new());
        self.feeds.iter().for_each(|feed| check_name(&feed.name, "feed", &mut feeds));
        self.channels.iter().for_each(|channel| check_name(&channel.name, "channel", &mut channels));
        for (at, message) in
            self.feeds.iter().flat_map(Feed::problems).chain(self.policy_problems()).chain(self.origin_problems())
        {
            add(at, message);
        }
        for channel in &self.channels {
            if RESERVED.contains(&channel.name.get_ref().as_str()) {
                let message = "this name is reserved, since clients of container registries and of TAXII look there: \
                    give the channel another name";
                add(channel.name.span().start, message.into());
            }
            if channel.feeds.is_empty() {
                add(
                    channel.name.span().start,
                    "a channel needs at least one feed, as in feeds = [\"clamav-daily\"]".into(),
                );
            }
            if !channel.certificates.is_empty() && self.serve.client_authorities.is_none() {
                add(channel.name.span().start, "channel.certificates needs serve.client_authorities".into());
            }
            let mut joined = BTreeSet::new();
            for feed in &channel.feeds {
                let shown = quoted(feed.get_ref());
                if !feeds.contains(feed.get_ref()) {
                    add(feed.span().start, format!("there is no feed \"{shown}\""));
                } else if !joined.insert(feed.get_ref()) {
                    add(feed.span().start, format!("feed \"{shown}\" stands twice in the channel"));
                }
            }
        }
        let serve = &self.serve;
        let relay = self.relay.span().start;
        if serve.tls_certificate.is_some() != serve.tls_key.is_some() {
            add(relay, "set both serve.tls_certificate and serve.tls_key, or neither".into());
        }
        if serve.tls_key.is_none() && serve.client_authorities.is_some() {
            add(relay, "serve.client_authorities needs serve.tls_certificate and serve.tls_key".into());
        }
        let authorities = serve.client_authorities.is_some();
        if let Some(problem) = revocations_problem("serve", serve.client_revocations.as_deref(), authorities) {
            add(relay, problem);
        }
        let channel = serve.endpoints.as_ref().map(|path| path.split_once('/').map_or("", |(channel, _)| channel));
        if channel.is_some_and(|channel| !channels.contains(channel)) {
            let shown = quoted(serve.endpoints.as_deref().unwrap_or_default());
            let message =
                format!("serve.endpoints \"{shown}\" does not begin with a channel of this config: write CHANNEL/PATH");
            add(relay, message);
        }
        if serve.journal.0 > LARGEST {
            add(relay, "serve.journal must be at most \"1 GiB\": no process may append more than that".into());
        }
        if serve.client_certificate_required && serve.client_authorities.is_none() {
            add(relay, "serve.client_certificate_required needs serve.client_authorities".into());
        }
        for reason in self.without.iter().map(|without| &without.reason).chain(&self.media.writable) {
            if !(1..=300).contains(&reason.get_ref().trim().chars().count()) {
                let message = "this setting weakens the relay: give the reason in 1 to 300 characters, and who decided";
                add(reason.span().start, message.into());
            }
        }
        for (at, message) in self.dns.problems().into_iter().chain(self.review.problems()) {
            add(at, message);
        }
        for message in self.tuf.iter().flat_map(|tuf| tuf.problems(&feeds)) {
            add(relay, message);
        }
        if let Some(problem) = self.export.as_ref().and_then(export::Export::problem) {
            add(relay, problem.into());
        }
        if self.publish.keep_sets < 2 {
            add(relay, "publish.keep_sets must be at least 2, so that a release can be withdrawn".into());
        }
        if serve.connections == 0 || serve.connections_per_address == 0 || self.limits.ratio == 0 {
            add(relay, "serve.connections, serve.connections_per_address and limits.ratio must be at least 1".into());
        }
        problems
    }
}

/// Problem of a `client_revocations` setting in the table `table`, where authorities are set or not.
pub(crate) fn revocations_problem(table: &str, name: Option<&str>, has_authorities: bool) -> Option<String> {
    let name = name?;
    if !is_name(name) {
        let shown = quoted(name);
        return Some(format!(
            "{table}.client_revocations \"{shown}\" must be the name of a file in the folder tls of the state, \
             such as \"revoked.pem\""
        ));
    }
    (!has_authorities).then(|| format!("{table}.client_revocations needs {table}.client_authorities"))
}

/// Problem of a text that is not TOML, or not of the form asked for.
fn toml_problem(text: &str, error: &toml::de::Error) -> Problem {
    let at = error.span().unwrap_or_default().start;
    problem(text, at, explain::explain(text, at, error.message()))
}

fn problem(text: &str, at: usize, message: String) -> Problem {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Problem { line: before.matches('\n').count() + 1, column: line.chars().count() + 1, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_config() {
        let config = Config::parse(EXAMPLE).unwrap();
        assert_eq!(config.serve.connections, serve::Settings::default().connections);
        assert_eq!(config.limits.manifest, Limits::default().manifest);
    }

    #[test]
    fn every_fault_has_its_place() {
        let text = "relay = \"r\"\n[[feed]]\nname = \"A\"\nkinds = []\n[[channel]]\nname = \"c\"\nfeeds = [\"x\"]\n";
        let shown: Vec<_> = Config::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
        assert!(shown[0].starts_with("line 3, column 8: feed \"A\" is not a name"), "{shown:?}");
        assert_eq!(shown[1], "line 4, column 9: a feed must allow at least one kind");
        assert_eq!(shown[2], "line 7, column 10: there is no feed \"x\"");
        let reserved = "relay = \"r\"\n[[feed]]\nname = \"a\"\nkinds = [\"ip-list\"]\n[[channel]]\nname = \"v2\"\nfeeds = [\"a\"]\n";
        let reserved = Config::parse(reserved).unwrap_err();
        assert!(
            reserved.len() == 1 && reserved[0].line == 6 && reserved[0].message.contains("reserved"),
            "{reserved:?}"
        );
        let unknown = Config::parse("relay = \"r\"\nrelais = 1\n").unwrap_err();
        assert_eq!((unknown[0].line, unknown[0].column), (2, 1));
        let kind = Config::parse("relay = \"r\"\n[[feed]]\nname = \"a\"\nkinds = [\"exe\"]\n").unwrap_err();
        assert_eq!(kind[0].line, 4);
    }
}
