//! Plan of a server: channels and audiences, as the config of the relay or of another node says it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::settings::Settings;

/// Plan of a server.
#[derive(Clone, Debug, Default)]
pub struct ServePlan {
    /// Settings of the server.
    pub settings: Settings,
    /// The channels; one that is not named is served to nobody.
    pub channels: Vec<ServedChannel>,
    /// When the content of each feed ages.
    pub feeds: BTreeMap<String, Ageing>,
    /// True if there is a repository for TUF clients.
    pub has_tuf: bool,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct ServedChannel {
    /// Name: the first part of the URL's path.
    pub name: String,
    /// Names in the certificates of the agents that may read it; everybody may, if there is none.
    pub certificates: Vec<String>,
}

/// When the content of a feed ages, counted from when it was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ageing {
    /// Age from which the content is ageing.
    pub warn_after: Option<Duration>,
    /// Age from which the content is stale.
    pub stale_after: Option<Duration>,
}
