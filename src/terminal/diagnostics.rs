//! Diagnostics of the services, by `tracing`, on standard error: plain lines, with a priority for each where the
//! journal reads them (`sd-daemon`(3)), or JSON. No text of others reaches it unescaped; what a command says to a
//! person is not here, and evidence is in the logs.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use clap::{Args, ValueEnum};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, fmt};
use tracing_subscriber::registry::LookupSpan;

use base::quoted;

/// Options of the diagnostics, for every command.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Diagnostics")]
pub struct LogArgs {
    /// Least serious level of the diagnostics that services write to standard error: error, warn, info, debug or trace.
    #[arg(
        long,
        global = true,
        env = "GAPRELAY_LOG",
        value_name = "LEVEL",
        default_value = "info",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub log_level: LogLevel,
    /// Form of the diagnostics: plain (lines of text, with their priority for the journal) or json (one JSON object in
    /// each line).
    #[arg(
        long,
        global = true,
        env = "GAPRELAY_LOG_FORMAT",
        value_name = "FORM",
        default_value = "plain",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub log_format: LogFormat,
}

/// Least serious level that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Faults only.
    Error,
    /// Also what somebody should look at.
    Warn,
    /// Also that a service starts, serves and stops.
    Info,
    /// Also single connections that were not served, and why.
    Debug,
    /// All there is.
    Trace,
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line of text; for the journal, with its priority.
    Plain,
    /// One JSON object a line: time, level, target, message and fields.
    Json,
}

impl LogArgs {
    /// The same options, for the command line of another process of ours.
    pub fn to_args(self) -> [String; 4] {
        let name =
            |value: Option<clap::builder::PossibleValue>| value.map_or_else(String::new, |v| v.get_name().into());
        let (level, format) = (name(self.log_level.to_possible_value()), name(self.log_format.to_possible_value()));
        ["--log-level".into(), level, "--log-format".into(), format]
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Starts reporting in this process. To be called once, before the process confines itself.
pub fn start(args: LogArgs) {
    // A report that cannot be written is lost: nobody reads standard error any more, and the work goes on.
    let builder = fmt().with_max_level(Level::from(args.log_level)).log_internal_errors(false);
    let started = match args.log_format {
        LogFormat::Plain => builder.event_format(PlainLines).with_writer(io::stderr).try_init(),
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_writer(|| Ascii(io::stderr())).try_init()
        }
    };
    // Only a second call fails: then the first one's options hold.
    drop(started);
}

/// Priority of a line for the journal, if standard error leads there (`JOURNAL_STREAM` in `systemd.exec`(5)); else
/// nothing.
pub fn priority(level: Level) -> &'static str {
    if !is_journal() {
        return "";
    }
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let of = |fd: std::os::fd::OwnedFd| std::fs::File::from(fd).metadata();
    let stderr = io::stderr().as_fd().try_clone_to_owned().and_then(of);
    stderr.is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

/// A line of text: the message alone, which says to a person what its fields say to a program.
struct PlainLines;

impl<S, N> FormatEvent<S, N> for PlainLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut message = Message::default();
        event.record(&mut message);
        let level = *event.metadata().level();
        let word = match level {
            Level::ERROR => "fault: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        writeln!(writer, "{}gaprelay: {word}{}", priority(level), quoted::whole(&message.0))
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// The same JSON in ASCII.
pub(crate) fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || (' '..='~').contains(&c) {
            escaped.push(c);
        } else {
            // Writing to a string cannot fail.
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// JSON in ASCII: other characters, which could hide or reorder text on a terminal, become `\u` escapes (RFC 8259,
/// section 7).
struct Ascii<W>(W);

impl<W: Write> Write for Ascii<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(ascii(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_ascii_and_means_the_same() {
        let text = serde_json::to_string(&["a\u{202e}b", "\u{1f980}", "\u{7f}", "\n"]).unwrap();
        let mut out = Vec::new();
        Ascii(&mut out).write_all(text.as_bytes()).unwrap();
        assert!(out.is_ascii() && !out.contains(&0x7f));
        assert_eq!(serde_json::from_slice::<Vec<String>>(&out).unwrap(), ["a\u{202e}b", "\u{1f980}", "\u{7f}", "\n"]);
    }
}
