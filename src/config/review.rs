//! The part of the config that says who may read the officers' pages.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::revocations_problem;
use base::quoted;

/// The officers' pages. They hold no power: what decides is a signature.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReviewConfig {
    /// The Unix socket to show them on, such as `/run/gaprelay/review.sock`. A relative path begins at
    /// the state folder. None, if left out: then `up` shows no pages.
    pub socket: Option<PathBuf>,
    /// Addresses to show them on by TLS, as `IP:PORT`, to readers with a certificate. None by default. It needs
    /// the three files below.
    pub listen: Vec<SocketAddr>,
    /// Certificate chain of the pages in PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Private key in PEM.
    pub tls_key: Option<PathBuf>,
    /// Certificates of the authorities that issue readers' certificates, in PEM. Without a certificate of theirs
    /// nobody is answered.
    pub client_authorities: Option<PathBuf>,
    /// Revocation lists of those authorities, in PEM: the name of a file in the state's `tls` folder, which is read
    /// again when it changes. It ends what a revoked certificate has open.
    pub client_revocations: Option<String>,
    /// Host names that browsers call the pages by, beside `localhost`, `127.0.0.1` and `[::1]`. Ports
    /// are ignored; a page asked for by any other name is not shown.
    pub names: Vec<String>,
    /// Readers of the pages; nobody else may read them.
    #[serde(rename = "reader")]
    pub readers: Vec<ReaderConfig>,
}

/// A person who may read the pages.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReaderConfig {
    /// The person's account on this host: its name, or its number. For the Unix socket.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub user: Option<Spanned<String>>,
    /// The name in the person's certificate: its first DNS name, or `sha256:` and the digest of the certificate
    /// where it has none. For TLS. A reader has an account, a certificate, or both.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub certificate: Option<Spanned<String>>,
    /// Role of the reader.
    pub role: ReaderRole,
}

/// Role of a reader: the pages that they may see, and what they may do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ReaderRole {
    /// Sees everything and hands in signed statements.
    Officer,
    /// Sees everything.
    Auditor,
    /// Sees what came in and where it stands; not who tried to send something.
    Operator,
}

impl ReviewConfig {
    /// True if `up` shows the pages.
    pub fn is_shown(&self) -> bool {
        self.socket.is_some() || !self.listen.is_empty()
    }

    /// Faults of the table, each with its place.
    pub fn problems(&self) -> Vec<(usize, String)> {
        let mut problems = Vec::new();
        let (mut users, mut certificates) = (BTreeSet::new(), BTreeSet::new());
        for reader in &self.readers {
            if reader.user.is_none() && reader.certificate.is_none() {
                let missing = "a [[review.reader]] needs an account (user), a certificate, or both";
                problems.push((0, missing.to_owned()));
            }
            let keys = [("user", &reader.user, &mut users), ("certificate", &reader.certificate, &mut certificates)];
            for (key, name, seen) in keys {
                let Some(name) = name else { continue };
                let (at, text) = (name.span().start, name.get_ref());
                if text.is_empty() {
                    problems.push((at, format!("{key} of a [[review.reader]] is empty")));
                } else if !seen.insert(text) {
                    problems.push((at, format!("the {key} \"{}\" is named twice: leave one reader out", quoted(text))));
                }
            }
        }
        let files = [&self.tls_certificate, &self.tls_key, &self.client_authorities];
        if !self.listen.is_empty() && files.iter().any(|file| file.is_none()) {
            let needs = "review.listen needs review.tls_certificate, review.tls_key and review.client_authorities";
            problems.push((0, needs.to_owned()));
        }
        let authorities = self.client_authorities.is_some();
        problems.extend(
            revocations_problem("review", self.client_revocations.as_deref(), authorities).map(|problem| (0, problem)),
        );
        problems
    }
}
