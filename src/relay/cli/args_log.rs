//! The command line of `gaprelay log`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use base::Timestamp;
use bundle::ReleaseId;
use config::export::ExportFormat;

/// The logs' subcommands.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print entries, oldest first.
    Show(LogShow),
    /// Check a log from its bytes alone, against what was kept of it, or check a receipt offline.
    Verify(LogVerify),
    /// Print the proof that an entry is in the log, or that the log grew from a size that someone keeps.
    Prove(LogProve),
    /// Print a receipt: of a release's import, or of the log as it is now, for the paper book.
    Receipt(LogReceipt),
    /// Tell entries to a collector (SIEM), in lines to a file or to the local syslog socket.
    Export(LogExport),
    /// Keep an outside memory of relays' logs on an officer's machine, and carry heads to it and back.
    Witness {
        /// What to do.
        #[command(subcommand)]
        command: WitnessCommand,
    },
}

/// The subcommands of `log witness`.
#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// On the relay: print what a witness is to sign, the newest head with the proof that it grew.
    Request {
        /// The size of the head that the witness signed last; by default that of the newest one handed in.
        #[arg(long, value_name = "SIZE")]
        old: Option<u64>,
    },
    /// On the relay: hand in what a witness signed.
    HandIn {
        /// What `sign` printed, or the request with the answer of the call behind it; - reads standard input.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// On the relay: print its policy with the log's key in it (C2SP tlog-policy), for other people's checkers.
    Policy,
    /// On the witness: make a memory, with a key of its own.
    Init {
        /// The folder; it must not exist.
        dir: PathBuf,
        /// The key's name: a host and a path, such as desk1.example/witness.
        #[arg(long)]
        name: String,
    },
    /// On the witness: remember a log from here on.
    Know {
        /// The memory.
        dir: PathBuf,
        /// The log's public key, or the file that holds it, from its officers.
        #[arg(long, value_name = "VKEY")]
        log_key: String,
    },
    /// On the witness: check a request and print it cosigned.
    Sign {
        /// The memory.
        dir: PathBuf,
        /// What `request` printed; - reads standard input.
        request: PathBuf,
    },
    /// On the witness: answer the call add-checkpoint (C2SP tlog-witness) until SIGTERM.
    Serve {
        /// The memory.
        dir: PathBuf,
        /// Where to listen.
        #[arg(long, value_name = "IP:PORT")]
        listen: std::net::SocketAddr,
    },
    /// On the witness: show its key and what it remembers.
    Show {
        /// The memory.
        dir: PathBuf,
    },
}

/// `log show`.
#[derive(Debug, Args)]
pub struct LogShow {
    /// Which log.
    #[arg(long, value_enum, default_value_t = WhichLog::Import)]
    pub log: WhichLog,
    /// Only the newest so many entries.
    #[arg(long, value_name = "N", conflicts_with = "since")]
    pub last: Option<u64>,
    /// Only entries from this moment on, such as 2026-11-24T06:00:00Z or 2026-11-24.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Print JSON, one entry a line.
    #[arg(long)]
    pub json: bool,
}

/// A moment, or the beginning of a day (UTC).
fn moment(text: &str) -> Result<Timestamp, &'static str> {
    if text.len() == 10 { format!("{text}T00:00:00Z").parse() } else { text.parse() }
}

/// `log verify`.
#[derive(Debug, Args)]
pub struct LogVerify {
    /// Which log; both if left out.
    #[arg(long, value_enum, conflicts_with = "dir")]
    pub log: Option<WhichLog>,
    /// A copy of a log, instead of the state's.
    #[arg(long, value_name = "DIR", requires = "log_key")]
    pub dir: Option<PathBuf>,
    /// What someone kept of the log: a bounded receipt, a checkpoint, or a receipt; - reads it from
    /// standard input. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,
    /// Check this receipt (C2SP tlog-proof) alone; no log is needed.
    #[arg(long, value_name = "FILE", requires = "log_key", conflicts_with_all = ["dir", "log", "against", "grown"])]
    pub receipt: Option<PathBuf>,
    /// Check with this proof, from `log prove --grown-from`, that its checkpoint grew from the one kept
    /// (--against); no log is needed.
    #[arg(long, value_name = "FILE", requires = "log_key", requires = "against", conflicts_with_all = ["dir", "log"])]
    pub grown: Option<PathBuf>,
    /// Check that this file of `log export` says what the logs say; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["receipt", "grown", "against", "dir", "log"])]
    pub export: Option<PathBuf>,
    /// With --export: entries may be left out, as in a file of a filtered view.
    #[arg(long, requires = "export")]
    pub filtered: bool,
    /// The public key that signed it: what its vkey file holds, or that file, from a source you trust.
    #[arg(long, alias = "key", value_name = "VKEY")]
    pub log_key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `log export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line names its entry and the size of the signed head. Compare them with the logs by
`gaprelay log verify --export FILE`. Forms: schemas/export.md.")]
pub struct LogExport {
    /// As `[export]` of the config says, until stopped: how `up` and the unit run it.
    #[arg(long, conflicts_with_all = ["format", "log", "since", "follow", "out", "syslog", "framed", "cursor"])]
    pub configured: bool,
    /// The words of the lines.
    #[arg(long, value_enum, default_value_t = ExportFormat::Ocsf)]
    pub format: ExportFormat,
    /// Only this log; both if left out.
    #[arg(long, value_enum)]
    pub log: Option<WhichLog>,
    /// Only entries from this moment on, such as 2026-11-24T06:00:00Z or 2026-11-24; where there is a cursor
    /// that knows better, from there.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Go on with entries as they come, until stopped.
    #[arg(long)]
    pub follow: bool,
    /// Append to this file instead of printing.
    #[arg(long, value_name = "FILE", conflicts_with = "syslog")]
    pub out: Option<PathBuf>,
    /// Send each line to this local syslog socket, in a frame of RFC 5424.
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = "/dev/log")]
    pub syslog: Option<PathBuf>,
    /// Frame lines as RFC 5424 says, also in a file.
    #[arg(long)]
    pub framed: bool,
    /// Remember here how far lines have gone, and go on from there: none is lost at a restart; after a cut some
    /// may come twice.
    #[arg(long, value_name = "FILE")]
    pub cursor: Option<PathBuf>,
    /// End when this process, which started us, ends: how `up` starts it.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
}

/// `log prove`.
#[derive(Debug, Args)]
pub struct LogProve {
    /// Number of the entry, as `log show` has it.
    #[arg(required_unless_present = "grown_from")]
    pub entry: Option<u64>,
    /// Prove instead that the log grew from its first so many entries.
    #[arg(long, value_name = "SIZE", conflicts_with = "entry")]
    pub grown_from: Option<u64>,
    /// Which log.
    #[arg(long, value_enum, default_value_t = WhichLog::Import)]
    pub log: WhichLog,
}

/// `log receipt`.
#[derive(Debug, Args)]
pub struct LogReceipt {
    /// FEED/VERSION, such as clamav-daily/27412: the proof of its import (C2SP tlog-proof). Without it, the
    /// bounded receipt of the import log as it is now.
    pub release: Option<ReleaseId>,
}

/// The two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhichLog {
    /// Imports, verdicts, statements, publications.
    Import,
    /// Attempts to send something out.
    Access,
}
