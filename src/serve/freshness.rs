//! Freshness of served content: fresh, ageing, stale or expired. Expired content is served on, and says so.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::audience::Audience;
use super::plan::Ageing;
use crate::set::SetMember;
use base::Timestamp;

/// Age of a feed's content, as a channel shows it.
pub struct FeedState {
    /// Name of the feed.
    pub name: String,
    /// The channel.
    pub channel: String,
    /// For whom the channel is.
    pub audience: Audience,
    /// The version served.
    pub version: u64,
    issued: Timestamp,
    expires: Timestamp,
    back_until: Option<Timestamp>,
    warn_after: Option<Duration>,
    stale_after: Option<Duration>,
    freshness: AtomicU8,
}

const FRESHNESS: [&str; 4] = ["fresh", "ageing", "stale", "expired"];

impl FeedState {
    /// Of a release in a set.
    pub fn new(member: &SetMember, (channel, audience): (&str, &Audience), ageing: Ageing, now: Timestamp) -> Self {
        let state = Self {
            name: member.feed.clone(),
            channel: channel.to_owned(),
            audience: audience.clone(),
            version: member.version,
            issued: member.issued,
            expires: member.expires,
            back_until: member.back_until,
            warn_after: ageing.warn_after,
            stale_after: ageing.stale_after,
            freshness: AtomicU8::new(0),
        };
        state.look(now);
        state
    }

    /// Tells the freshness again.
    pub fn look(&self, now: Timestamp) {
        let fresh = freshness(self.issued, (self.expires, self.back_until), self.warn_after, self.stale_after, now);
        self.freshness.store(fresh, Ordering::Relaxed);
    }

    /// When it was made.
    pub fn issued(&self) -> Timestamp {
        self.issued
    }

    /// When it expires.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// fresh, ageing, stale or expired.
    pub fn freshness(&self) -> &'static str {
        FRESHNESS.get(usize::from(self.freshness.load(Ordering::Relaxed))).copied().unwrap_or("expired")
    }
}

/// The freshness of a release in a set, in a word.
pub fn freshness_word(member: &SetMember, ageing: Ageing, now: Timestamp) -> &'static str {
    let fresh =
        freshness(member.issued, (member.expires, member.back_until), ageing.warn_after, ageing.stale_after, now);
    FRESHNESS.get(usize::from(fresh)).copied().unwrap_or("expired")
}

fn freshness(
    issued: Timestamp,
    (expires, back_until): (Timestamp, Option<Timestamp>),
    warn: Option<Duration>,
    stale: Option<Duration>,
    now: Timestamp,
) -> u8 {
    let age = issued.age(now);
    match () {
        () if expires <= now => 3,
        // Content that was let back for a time is stale when that is over.
        () if stale.is_some_and(|span| age > span) || back_until.is_some_and(|until| until <= now) => 2,
        () if warn.is_some_and(|span| age > span) => 1,
        () => 0,
    }
}
