//! The command line. Help, completions and man pages are made from here.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::args_keyring::{DirectiveCommand, KeyringCommand, Repair};
use super::args_log::LogCommand;
use super::args_policy::PolicyCommand;
use super::args_tuf::TufCommand;
use crate::processes::worker::Worker;
use crate::report::refusals::GroupBy;
use crate::rights::ProcessRole;
use base::Timestamp;
use base::span::Span;
use bundle::ReleaseId;
use sandbox::Layer;
use terminal::AFTER;
use terminal::diagnostics::LogArgs;
use terminal::offline::Offline;

/// One-way relay for the updates of detection content on air-gapped networks.
#[derive(Debug, Parser)]
#[command(name = "gaprelay", version, after_help = AFTER, disable_help_subcommand = true)]
pub struct Relay {
    /// The state folder.
    #[arg(long, global = true, env = "GAPRELAY_STATE", default_value = "/var/lib/gaprelay", value_name = "DIR")]
    pub state: PathBuf,
    /// Diagnostics of the services.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The relay's subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the state folder, with an annotated config.toml.
    Init(Init),
    /// Import every bundle found under a medium or folder.
    Import(Import),
    /// Print the statement to sign for a release, or hand a signed one in.
    Approve(Approve),
    /// Bring what is published in line with statements, policy and evidence.
    Settle(Settle),
    /// What is served, held and stale.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// All releases and where they stand.
    Releases {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One release: signers, statements, and every verdict with its reason.
    Show {
        /// FEED/VERSION, such as clamav-daily/27412.
        release: ReleaseId,
        /// Show what it changes against what agents have, rule by rule; what makes detection weaker first.
        #[arg(long)]
        diff: bool,
        /// With --diff: show every change, not the first 20 of each kind.
        #[arg(long, requires = "diff")]
        full: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Serve agents until SIGTERM.
    Serve(Serve),
    /// Answer DNS look-ups of the config's names alone, and record what others show.
    Sinkhole(Sinkhole),
    /// Show officers the pages: what came in, what was taken out, who tried to send something.
    Review(Review),
    /// Settle on a timer, serve, and answer look-ups where the config says so, under one supervisor.
    Up(Up),
    /// Look at the transparency logs and check them.
    Log {
        /// What to do.
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Agents: who pulled what and when, who is behind, who will not follow a step back.
    Agents {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Who tried to send something out, what it was, and how to turn it off.
    Refusals(Refusals),
    /// Try every way out of every confined process, show what stops it, and log the result.
    Selftest(SelfTest),
    /// Compare this host with what the relay needs of it, and say what to do; changes nothing.
    Doctor(Doctor),
    /// Write the units, users, firewall and USB rules for this host into a folder.
    Deployment {
        /// The folder; it must exist.
        out: PathBuf,
    },
    /// The keyring in force: who may sign what, what is denied, and what came in by keys that count no longer.
    Keyring {
        /// What to do.
        #[command(subcommand)]
        command: KeyringCommand,
    },
    /// Print a directive for an officer to sign, or hand a signed one in: deny a key, a feed or an origin; withdraw
    /// what a key brought in; waive a bundle's dates; confirm the clock.
    Directive {
        /// What to do.
        #[command(subcommand)]
        command: DirectiveCommand,
    },
    /// The repository for TUF clients: the relay's key, and what is published.
    Tuf {
        /// What to do.
        #[command(subcommand)]
        command: TufCommand,
    },
    /// Make damaged trust state anew from the import log, on the word of two officers.
    Repair(Repair),
    /// Check config.toml; names line and column of each fault.
    CheckConfig {
        /// Another file than the state's config.toml.
        file: Option<PathBuf>,
    },
    /// Policies: what becomes of what content does.
    Policy {
        /// What to do.
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Check every blob, record, pointer and log of the state; changes nothing.
    Fsck {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what is no longer needed; with --yes, remove it.
    Gc {
        /// Remove it.
        #[arg(long)]
        yes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// What needs no state and no network.
    #[command(flatten)]
    Offline(Offline),
    /// A confined process that another one needs.
    #[command(hide = true)]
    Worker {
        /// Which.
        #[command(subcommand)]
        worker: Worker,
    },
}

/// `selftest`.
#[derive(Debug, Args)]
pub struct SelfTest {
    /// With all layers only: not outside, not with each layer alone.
    #[arg(long, conflicts_with = "layer")]
    pub short: bool,
    /// With this layer alone, to show what it is worth; nothing is logged.
    #[arg(long, value_parser = layer(), value_name = "LAYER")]
    pub layer: Option<Layer>,
    /// Only this role; may be given several times.
    #[arg(long, value_enum, value_name = "ROLE")]
    pub role: Vec<ProcessRole>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Where another host's files lie.
    #[arg(long, hide = true, value_name = "DIR")]
    pub host: Option<PathBuf>,
}

/// `settle`.
#[derive(Debug, Args)]
pub struct Settle {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Go on settling, until stopped: for a service of its own, where `up` is not used.
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Go on settling until this process, which started us, ends: how `up` settles.
    #[arg(long, hide = true, value_name = "PID", conflicts_with = "json")]
    pub supervised: Option<i32>,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The first keyring, made with `gaprelay-pack keyring new`.
    #[arg(long, value_name = "FILE", required_unless_present = "print_config")]
    pub keyring: Option<PathBuf>,
    /// A config to start with; an annotated example if left out.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the annotated example of a config, and do nothing else.
    #[arg(long, conflicts_with_all = ["keyring", "config"])]
    pub print_config: bool,
}

/// `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Where a medium is mounted, or a bundle's folder. On a terminal it may be left out: then the screen asks.
    pub paths: Vec<PathBuf>,
    /// Who imports; the user at the console if left out. Neither this name nor that user may approve
    /// what is imported; both are recorded.
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// What the supervisor tells the keeper.
    #[command(flatten)]
    pub keeper: crate::cli::args_import::Keeper,
}

/// `approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// FEED/VERSION, such as clamav-daily/27412.
    pub release: ReleaseId,
    /// What is decided.
    #[arg(long, value_enum, default_value_t = Decide::Approve)]
    pub decision: Decide,
    /// For a downgrade: the number of the incident that it is for.
    #[arg(long, value_name = "NUMBER", requires = "until")]
    pub incident: Option<String>,
    /// For a downgrade: when content that goes forward again is due.
    #[arg(long, value_name = "TIME", requires = "incident")]
    pub until: Option<Timestamp>,
    /// The officer's name in the keyring, for the statement.
    #[arg(long, value_name = "NAME", required_unless_present = "signature")]
    pub officer: Option<String>,
    /// Why, in one line, for the statement.
    #[arg(long, value_name = "TEXT", required_unless_present = "signature")]
    pub reason: Option<String>,
    /// The signature made with `minisign -S`: hands the statement in.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["officer", "reason"])]
    pub signature: Option<PathBuf>,
    /// The signed statement; the signature's path without .minisig if left out.
    #[arg(long, value_name = "FILE", requires = "signature")]
    pub statement: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What an officer can decide.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Decide {
    /// It may be published.
    Approve,
    /// It must not be published; final, and one officer is enough.
    Refuse,
    /// It must no longer be published; final.
    Withdraw,
    /// It may be published although it goes back to older content: a downgrade ticket.
    Downgrade,
}

/// `serve` and `up`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Address to listen on, instead of those in the config; may be given several times.
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Vec<SocketAddr>,
    /// End when this process, which started us, ends: how `up` starts its server.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
}

/// `up`.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// What its server is told.
    #[command(flatten)]
    pub serve: Serve,
    /// Between two self-tests.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub prove: Span,
    /// Show a full-screen console for operators: put a medium in, watch, take the receipt along. The relay runs as
    /// long as it does.
    #[arg(long)]
    pub kiosk: bool,
}

/// `review`.
#[derive(Debug, clap::Args)]
pub struct Review {
    /// Unix socket to show the pages on, instead of the config's. A browser reaches it by, say,
    /// `ssh -L 8443:PATH RELAY`, and then as <http://localhost:8443>.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// End when this process, which started us, ends: how `up` starts its pages.
    #[arg(long, value_name = "PID", hide = true)]
    pub supervised: Option<i32>,
}

/// `sinkhole`.
#[derive(Clone, Debug, Args)]
pub struct Sinkhole {
    /// End when this process, which started us, ends: how `up` starts its sinkhole.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
}

/// `refusals`.
#[derive(Debug, Args)]
pub struct Refusals {
    /// What a line stands for.
    #[arg(long, value_enum, default_value_t = GroupBy::Agent)]
    pub by: GroupBy,
    /// Only what tried to send, without misdirected updates and broken requests.
    #[arg(long)]
    pub submissions: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One of the layers, by its name.
fn layer() -> impl TypedValueParser<Value = Layer> {
    let named = |name: String| Layer::ALL.into_iter().find(|layer| layer.to_string() == name);
    PossibleValuesParser::new(["namespaces", "landlock", "seccomp"])
        .try_map(move |name| named(name).ok_or("there is no such layer"))
}
