//! Epochs of a feed: the answer of a keyring to a fast-forward.

use serde::{Deserialize, Serialize};

/// A feed whose versions were led too far ahead: the answer to a fast-forward (TUF 1.0.34, section 1.5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The feed.
    pub feed: String,
    /// Counted from 1; rises whenever the feed's versions are put back.
    pub number: u64,
    /// The highest version that still counts. Those accepted above it are void: no longer published, and never
    /// used again.
    pub highest: u64,
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.feed, self.number, self.highest)
    }
}

impl std::str::FromStr for Epoch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not an epoch of the form FEED NUMBER HIGHEST";
        let [feed, number, highest] = text.split(' ').collect::<Vec<_>>()[..] else { return Err(wrong) };
        let number_of = |text: &str| text.parse().map_err(|_| wrong);
        Ok(Self { feed: feed.into(), number: number_of(number)?, highest: number_of(highest)? })
    }
}
