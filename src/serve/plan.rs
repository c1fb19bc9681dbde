//! What is served and to whom, as the config of whoever serves says it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::settings::Settings;

/// What is served, and to whom.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// How.
    pub settings: Settings,
    /// The channels; one that is not named is served to nobody.
    pub channels: Vec<Channel>,
    /// When the content of each feed ages.
    pub feeds: BTreeMap<String, Ageing>,
    /// Whether there is a repository for TUF clients.
    pub has_tuf: bool,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name: the first part of the URL's path.
    pub name: String,
    /// Names in the certificates of the agents that may read it; everybody may, if there is none.
    pub certificates: Vec<String>,
}

/// When the content of a feed ages, counted from when it was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ageing {
    /// It is ageing after this.
    pub warn_after: Option<Duration>,
    /// It is stale after this.
    pub stale_after: Option<Duration>,
}
