//! The part of the config that says who may read the officers' pages.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

/// The officers' pages. They hold no power: what decides is a signature.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Review {
    /// The Unix socket to show them on, such as `/run/gaprelay/review.sock`. A relative path begins at
    /// the state folder. None, if left out: then `up` shows no pages.
    pub socket: Option<PathBuf>,
    /// Host names that browsers call the pages by, beside `localhost`, `127.0.0.1` and `[::1]`. Ports
    /// are ignored; a page asked for by any other name is not shown.
    pub names: Vec<String>,
    /// Who may read them; nobody else.
    #[serde(rename = "reader")]
    pub readers: Vec<Reader>,
}

/// A person who may read the pages.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// The person's account on this host: its name, or its number.
    #[cfg_attr(test, schemars(with = "String"))]
    pub user: Spanned<String>,
    /// What they may see and do.
    pub role: ReaderRole,
}

/// What a reader may see and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ReaderRole {
    /// Sees everything and hands in signed statements.
    Officer,
    /// Sees everything.
    Auditor,
    /// Sees what came in and where it stands; not who tried to send something.
    Operator,
}

impl Review {
    /// Whether `up` shows the pages.
    pub fn is_shown(&self) -> bool {
        self.socket.is_some()
    }

    /// What is wrong with it, and where.
    pub fn problems(&self) -> Vec<(usize, String)> {
        let mut problems = Vec::new();
        for (number, reader) in self.readers.iter().enumerate() {
            let user = reader.user.get_ref();
            if user.is_empty() {
                problems.push((reader.user.span().start, "a reader without an account".to_owned()));
            } else if self.readers.iter().take(number).any(|former| former.user.get_ref() == user) {
                problems.push((reader.user.span().start, format!("{user} is named twice")));
            }
        }
        problems
    }
}
