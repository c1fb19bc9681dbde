//! Command line of `gaprelay log`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use base::Timestamp;
use bundle::ReleaseId;
use config::export::ExportFormat;

/// Subcommands of `log`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print the entries of a log, oldest first.
    Show(LogShow),
    /// Check a log: its bytes against its signed head, and against kept receipts. Or check one receipt offline.
    Verify(LogVerify),
    /// Make the hashes of a log anew from its entries, where `log verify` says that stored hashes are missing or were
    /// changed.
    Rebuild(LogRebuild),
    /// Print the proof that an entry is in the log, or that the log only grew since it had a given size.
    Prove(LogProve),
    /// Print the receipt of an import, or the receipt of the log as it is now, for the paper book.
    Receipt(LogReceipt),
    /// Write entries as lines for a SIEM, to standard output, a file or the local syslog socket.
    Export(LogExport),
    /// Have a witness on another machine sign the head of the log, so that nobody can rewrite the log unseen.
    Witness {
        /// Subcommand.
        #[command(subcommand)]
        command: WitnessCommand,
    },
}

/// Subcommands of `log witness`.
#[derive(Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// On the relay: print the request to a witness: the newest head, with the proof that the log only grew.
    Request {
        /// Number of entries under the head that the witness signed last. Default: that of the newest head handed in.
        #[arg(long, value_name = "SIZE")]
        old: Option<u64>,
    },
    /// On the relay: hand in a head that a witness signed.
    HandIn {
        /// File with the output of `log witness sign`, or with the request and, after it, the answer of a witness
        /// service; - reads standard input.
        file: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// On the relay: print the witness policy with the key of the log (C2SP tlog-policy), for tools of other people.
    Policy,
    /// On the witness: make the folder of a new witness, with a new key.
    Init {
        /// Folder to make; it must not exist.
        dir: PathBuf,
        /// Name of the key: a host and a path, for example desk1.example/witness.
        #[arg(long, value_name = "HOST/PATH")]
        name: String,
    },
    /// On the witness: accept requests about a log from now on.
    Know {
        /// Folder of the witness.
        dir: PathBuf,
        /// Public key of the log, or the file that holds it (log/import/vkey). Get it from the officers of that relay.
        #[arg(long, value_name = "VKEY")]
        log_key: String,
    },
    /// On the witness: check a request, and print the head with the signature of this witness.
    Sign {
        /// Folder of the witness.
        dir: PathBuf,
        /// File with the output of `log witness request`; - reads standard input.
        request: PathBuf,
    },
    /// On the witness: answer add-checkpoint requests over HTTP (C2SP tlog-witness) until the process gets SIGTERM.
    Serve {
        /// Folder of the witness.
        dir: PathBuf,
        /// Address and port to listen on.
        #[arg(long, value_name = "IP:PORT")]
        listen: std::net::SocketAddr,
        /// Process id of the supervisor; this process ends with it.
        #[arg(long, hide = true, value_name = "PID")]
        supervised: Option<i32>,
    },
    /// On the witness: show its public key, and the newest head of each log that it signed.
    Show {
        /// Folder of the witness.
        dir: PathBuf,
    },
}

/// Arguments of `log show`.
#[derive(Debug, Args)]
pub(crate) struct LogShow {
    /// Log to use: `import` or `access`.
    #[arg(long, value_enum, default_value_t = WhichLog::Import)]
    pub log: WhichLog,
    /// Show only the newest N entries.
    #[arg(long, value_name = "N", conflicts_with = "since")]
    pub last: Option<u64>,
    /// Show only entries from this time on, in UTC, for example 2026-11-24T06:00:00Z, or a day, 2026-11-24.
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub since: Option<Timestamp>,
    /// Print JSON, one entry on each line.
    #[arg(long)]
    pub json: bool,
}

/// Parses a time, or a day as its beginning (UTC).
fn time_or_day(text: &str) -> Result<Timestamp, &'static str> {
    if text.len() == 10 { format!("{text}T00:00:00Z").parse() } else { text.parse() }
}

/// Arguments of `log verify`.
#[derive(Debug, Args)]
pub(crate) struct LogVerify {
    /// Log to check. Default: both.
    #[arg(long, value_enum, conflicts_with = "dir")]
    pub log: Option<WhichLog>,
    /// Folder with a copy of a log to check, instead of the logs in the state folder.
    #[arg(long, value_name = "DIR", requires = "log_key")]
    pub dir: Option<PathBuf>,
    /// File that somebody kept outside the relay: the six lines of the paper book, a checkpoint, or the receipt of an
    /// import; - reads standard input. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,
    /// Check this receipt of an import (C2SP tlog-proof) without any log.
    #[arg(long, value_name = "FILE", requires = "log_key", conflicts_with_all = ["dir", "log", "against", "grown"])]
    pub receipt: Option<PathBuf>,
    /// Check, without any log, that the log only grew since the checkpoint of --against was kept. FILE is the output of
    /// `log prove --grown-from`.
    #[arg(long, value_name = "FILE", requires = "log_key", requires = "against", conflicts_with_all = ["dir", "log"])]
    pub grown: Option<PathBuf>,
    /// Check that the lines of this file, made by `log export`, are those of the logs, from the first entry to the
    /// newest; - reads standard input. With --log: of that log only.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["receipt", "grown", "against", "dir"])]
    pub export: Option<PathBuf>,
    /// With --export: do not report entries that the file leaves out, as a filtered file does.
    #[arg(long, requires = "export")]
    pub filtered: bool,
    /// Public key of the log, or the file that holds it (log/import/vkey), from a source that you trust.
    #[arg(long, alias = "key", value_name = "VKEY")]
    pub log_key: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `log rebuild`.
#[derive(Debug, Args)]
#[command(after_help = "\
Only what follows from the entries is made anew: hashes, and the files of officers' statements. Files that do not belong to the log are
removed from its folder tile/, and named. Entries, the checkpoint and the keys are never changed:
if the entries are not those of the signed head, nothing is done. Copy the folder of the log
first if the damage is to be investigated.")]
pub(crate) struct LogRebuild {
    /// Log to use. Default: both.
    #[arg(long, value_enum)]
    pub log: Option<WhichLog>,
}

/// Arguments of `log export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line names its entry and the size of the signed head. `gaprelay log verify --export FILE`
compares the lines with the logs. Formats: schemas/export.md.")]
pub(crate) struct LogExport {
    /// Export as the section `[export]` of the config says, until stopped. `up` and the systemd unit use this.
    #[arg(long, conflicts_with_all = ["format", "log", "since", "follow", "out", "syslog", "framed", "cursor"])]
    pub configured: bool,
    /// Format of the lines.
    #[arg(long, value_enum, default_value_t = ExportFormat::Ocsf)]
    pub format: ExportFormat,
    /// Log to export. Default: both.
    #[arg(long, value_enum)]
    pub log: Option<WhichLog>,
    /// Export only entries from this time on, in UTC, for example 2026-11-24T06:00:00Z, or a day, 2026-11-24. If the
    /// file of --cursor exists, the export continues from there instead.
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub since: Option<Timestamp>,
    /// Continue with new entries as they come, until stopped.
    #[arg(long)]
    pub follow: bool,
    /// Append the lines to this file instead of printing them.
    #[arg(long, value_name = "FILE", conflicts_with = "syslog")]
    pub out: Option<PathBuf>,
    /// Send each line to this local syslog socket, framed as RFC 5424 says. Default SOCKET: /dev/log.
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = "/dev/log")]
    pub syslog: Option<PathBuf>,
    /// Frame the lines as RFC 5424 says, also in a file.
    #[arg(long)]
    pub framed: bool,
    /// File that records how far the export has come. The next export continues from there: no entry is lost; after a
    /// power cut some may come twice.
    #[arg(long, value_name = "FILE")]
    pub cursor: Option<PathBuf>,
    /// Process id of the supervisor; this process ends with it. `up` starts the export so.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
}

/// Arguments of `log prove`.
#[derive(Debug, Args)]
pub(crate) struct LogProve {
    /// Number of the entry, counted from 0, as `log show` prints it.
    #[arg(required_unless_present = "grown_from")]
    pub entry: Option<u64>,
    /// Prove instead that the log only grew since it had this many entries.
    #[arg(long, value_name = "SIZE", conflicts_with = "entry")]
    pub grown_from: Option<u64>,
    /// Log to use: `import` or `access`.
    #[arg(long, value_enum, default_value_t = WhichLog::Import)]
    pub log: WhichLog,
}

/// Arguments of `log receipt`.
#[derive(Debug, Args)]
pub(crate) struct LogReceipt {
    /// Release as FEED/VERSION, for example clamav-daily/27412: prints the proof of its import (C2SP tlog-proof).
    /// Without a release: prints the six lines for the paper book about the import log as it is now.
    pub release: Option<ReleaseId>,
}

/// Logs of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichLog {
    /// Imports, verdicts, statements, publications.
    Import,
    /// Refused attempts of agents to send something out.
    Access,
}
