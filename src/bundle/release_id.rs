//! Names of releases: a feed and a version.

use std::fmt;
use std::str::FromStr;

use base::name::is_name;

/// A feed and a version: `clamav-daily/27412`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseId {
    /// The feed.
    pub feed: String,
    /// The version.
    pub version: u64,
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.feed, self.version)
    }
}

impl FromStr for ReleaseId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not a release of the form FEED/VERSION, such as clamav-daily/27412";
        let (feed, number) = text.rsplit_once('/').ok_or(wrong)?;
        let version: u64 = number.parse().map_err(|_| wrong)?;
        if !is_name(feed) || version == 0 || version.to_string() != number {
            return Err(wrong);
        }
        Ok(Self { feed: feed.to_owned(), version })
    }
}
