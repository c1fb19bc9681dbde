//! Time: whole seconds since 1970 in UTC, written `2026-11-20T06:00:00Z` (RFC 3339, section 5.6,
//! with `T`, `Z` and no fraction). The system clock is read here and nowhere else; everything
//! that judges a date is handed a [`Timestamp`].

use std::fmt;
use std::str::FromStr;
use std::thread::ThreadId;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const FORM: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
/// 9999-12-31T23:59:59Z: the last moment the form can write.
const LAST: u64 = 253_402_300_799;

/// A moment in UTC: seconds since 1970-01-01T00:00:00Z, at most the end of the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(u64);

/// Time of the system clock.
pub fn now() -> Timestamp {
    Timestamp::from_secs(since_1970().as_secs())
}

/// Time of the system clock since 1970 with its fractions, to compare the times of files with.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Processor time of this process since its start, of all its threads together.
pub fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Limit of the processor time that a piece of work takes, in whole seconds of its thread's. Work that moves to another
/// thread begins anew.
pub struct WorkTimer {
    most: u64,
    began: Instant,
    thread: ThreadId,
    /// Seconds that the thread had worked then.
    worked: u64,
}

impl WorkTimer {
    /// From now on.
    pub fn new(most: u64) -> Self {
        Self { most, began: Instant::now(), thread: std::thread::current().id(), worked: Self::worked() }
    }

    /// True if all of it was used.
    pub fn is_up(&mut self) -> bool {
        if self.thread != std::thread::current().id() {
            *self = Self::new(self.most);
        }
        // No thread works longer than time passes, and that clock costs no call of the kernel.
        self.began.elapsed().as_secs() >= self.most && Self::worked().saturating_sub(self.worked) >= self.most
    }

    fn worked() -> u64 {
        u64::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec).unwrap_or_default()
    }
}

impl Timestamp {
    /// The moment `secs` seconds after the start of 1970; later than the year 9999 becomes its end.
    pub fn from_secs(secs: u64) -> Self {
        Self(secs.min(LAST))
    }

    /// Seconds since the start of 1970.
    pub fn secs(self) -> u64 {
        self.0
    }

    /// This moment and `span` more.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_secs(self.0.saturating_add(span.as_secs()))
    }

    /// Time since this moment at `now`; zero if it lies ahead.
    pub fn age(self, now: Self) -> Duration {
        Duration::from_secs(now.0.saturating_sub(self.0))
    }

    /// For the HTTP date headers (RFC 9110, section 5.6.7).
    pub fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = i64::try_from(self.0).map_err(|_| fmt::Error)?;
        let moment = OffsetDateTime::from_unix_timestamp(secs).map_err(|_| fmt::Error)?;
        f.write_str(&moment.format(FORM).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not a UTC time of the form 2026-11-20T06:00:00Z, from 1970 on";
        let moment = PrimitiveDateTime::parse(text, FORM).map_err(|_| wrong)?;
        let stamp = u64::try_from(moment.assume_utc().unix_timestamp()).map_err(|_| wrong)?;
        // A form the parser takes but does not write itself (a signed year, say) is not ours.
        let stamp = Self(stamp);
        if stamp.0 > LAST || stamp.to_string() != text {
            return Err(wrong);
        }
        Ok(stamp)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(stamp: Timestamp) -> Self {
        stamp.to_string()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
            "description": "a UTC time, RFC 3339, whole seconds"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_only() {
        let text = "2026-11-20T06:00:00Z";
        assert_eq!(text.parse::<Timestamp>().unwrap().secs(), 1_795_154_400);
        assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        for bad in [
            "2026-11-20 06:00:00Z",
            "2026-11-20T06:00:00",
            "2026-11-20T06:00:00+00:00",
            "2026-11-20T06:00:00.5Z",
            "2026-02-30T06:00:00Z",
            "+2026-11-20T06:00:00Z",
            "1969-12-31T23:59:59Z",
            "",
        ] {
            assert!(bad.parse::<Timestamp>().is_err_and(|e| e.contains("UTC time")), "{bad}");
        }
    }
}
