//! Command line of `gaprelay`: the source of its help, completions and man pages.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::args_keyring::{DirectiveCommand, RelayKeyringCommand, RepairArgs};
use super::args_log::LogCommand;
use super::args_policy::PolicyCommand;
use super::args_tuf::TufCommand;
use super::examples;
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
#[command(mut_subcommands(examples::add))]
pub(crate) struct RelayArgs {
    /// State folder of the relay: config, keyring, logs, releases.
    #[arg(long, global = true, env = "GAPRELAY_STATE", default_value = "/var/lib/gaprelay", value_name = "DIR")]
    pub state: PathBuf,
    /// Diagnostics of the services.
    #[command(flatten)]
    pub log: LogArgs,
    /// Subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands of `gaprelay`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the state folder, with a commented example of config.toml.
    Init(InitArgs),
    /// Import every bundle found on a medium or in a folder.
    Import(Import),
    /// Print the statement that an officer signs about a release, or hand in a signed one.
    Approve(ApproveArgs),
    /// Apply handed-in statements, publish what is approved, and record refused attempts.
    Settle(SettleArgs),
    /// Show which releases are served, held for approval, or stale.
    Status {
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List all releases and the state of each.
    Releases {
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one release: signers, statements, and each verdict with its reason.
    Show {
        /// Release as FEED/VERSION, for example clamav-daily/27412.
        release: ReleaseId,
        /// Compare the release, rule by rule, with the one that agents have now; changes that weaken detection come
        /// first.
        #[arg(long)]
        diff: bool,
        /// With --diff: show all changes, not only the first 20 of each kind.
        #[arg(long, requires = "diff")]
        full: bool,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Serve published content to agents until the process gets SIGTERM.
    Serve(Serve),
    /// Answer DNS queries for the names in the config only, and record all other queries.
    Sinkhole(SinkholeArgs),
    /// Show officers web pages: imports, removed content, and agents that tried to send something out.
    Review(ReviewArgs),
    /// Run the whole relay: server, settling on a timer, and all other services that the config turns on.
    Up(Up),
    /// Show, check and export the transparency logs.
    Log {
        /// Subcommand.
        #[command(subcommand)]
        command: LogCommand,
    },
    /// List agents: what each pulled and when, which are behind, which would not accept an older version.
    Agents {
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List attempts to send something out: which agent, what, and how to turn that off.
    Refusals(RefusalsArgs),
    /// Test the isolation: try every way out of each confined process, show what stops it, and log the result.
    Selftest(SelfTestArgs),
    /// Compare this host with what the relay needs, and show what to correct; changes nothing.
    Doctor(DoctorArgs),
    /// Write systemd units, users, firewall rules and USB rules for this host into a folder.
    Deployment {
        /// Existing folder to write into.
        out: PathBuf,
    },
    /// Show the keyring in force: which keys may sign what, which are denied, and what revoked keys brought in.
    Keyring {
        /// Subcommand.
        #[command(subcommand)]
        command: RelayKeyringCommand,
    },
    /// Print a directive for an officer to sign, or hand in a signed one: deny a key, a feed or a country; withdraw
    /// all that a key brought in; accept one expired bundle; confirm or turn back the clock.
    Directive {
        /// Subcommand.
        #[command(subcommand)]
        command: DirectiveCommand,
    },
    /// Show the repository for TUF clients: the relay's public key, and the published versions.
    Tuf {
        /// Subcommand.
        #[command(subcommand)]
        command: TufCommand,
    },
    /// Rebuild damaged trust state from the import log, with the signatures of two officers.
    Repair(RepairArgs),
    /// Check config.toml, and show line and column of each mistake.
    CheckConfig {
        /// File to check. Default: config.toml of the state folder.
        file: Option<PathBuf>,
    },
    /// Show and try policies: which content is cleared, stripped or withheld, and why.
    Policy {
        /// Subcommand.
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Check every file, record and log of the state folder; changes nothing.
    Fsck {
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List what is no longer needed; with --yes, remove it.
    Gc {
        /// Remove the listed sets, releases and files. Without --yes nothing is removed.
        #[arg(long)]
        yes: bool,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Commands that need neither state nor network.
    #[command(flatten)]
    Offline(Offline),
    /// Confined process that another process of the relay starts.
    #[command(hide = true)]
    Worker {
        /// Process to run.
        #[command(subcommand)]
        worker: Worker,
    },
}

/// Arguments of `selftest`.
#[derive(Debug, Args)]
pub(crate) struct SelfTestArgs {
    /// Test with all layers together only; skip the tests without layers and with each layer alone.
    #[arg(long, conflicts_with = "layer")]
    pub short: bool,
    /// Test with this layer alone, to show what it stops. The result is not logged.
    #[arg(long, value_parser = layer(), value_name = "LAYER")]
    pub layer: Option<Layer>,
    /// Test this role only. May be given several times. Default: all roles.
    #[arg(long, value_enum, value_name = "ROLE")]
    pub role: Vec<ProcessRole>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Folder that holds the files of another host, instead of `/`.
    #[arg(long, hide = true, value_name = "DIR")]
    pub host: Option<PathBuf>,
}

/// Arguments of `settle`.
#[derive(Debug, Args)]
pub(crate) struct SettleArgs {
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Repeat every 5 seconds until stopped: for a service of its own, where `gaprelay up` is not used.
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Process id of the supervisor; settling repeats until that process ends. `up` starts it so.
    #[arg(long, hide = true, value_name = "PID", conflicts_with = "json")]
    pub supervised: Option<i32>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// First keyring of the relay, made with `gaprelay-pack keyring new`.
    #[arg(long, value_name = "FILE", required_unless_present = "print_config")]
    pub keyring: Option<PathBuf>,
    /// Config to start with. Default: the commented example.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the commented example of config.toml, and do nothing else.
    #[arg(long, conflicts_with_all = ["keyring", "config"])]
    pub print_config: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Folder where a medium is mounted, or folder of a bundle. Without PATH, a full-screen form asks for the medium.
    pub paths: Vec<PathBuf>,
    /// Name of the person who imports. Default: the name of the logged-in user. Both names are recorded, and neither
    /// of them may approve what is imported.
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Options that the supervisor passes to the keeper.
    #[command(flatten)]
    pub keeper: crate::cli::args_import::KeeperArgs,
}

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// Releases as FEED/VERSION, for example clamav-daily/27412: one statement may decide on several.
    #[arg(required = true, value_name = "RELEASE")]
    pub releases: Vec<ReleaseId>,
    /// Decision that the statement makes.
    #[arg(long, value_enum, default_value_t = Decide::Approve)]
    pub decision: Decide,
    /// With --decision downgrade: number of the incident that is the cause, as your site counts incidents.
    #[arg(long, value_name = "NUMBER", requires = "until")]
    pub incident: Option<String>,
    /// With --decision downgrade: time when newer content is due again, in UTC, for example 2026-11-24T06:00:00Z.
    #[arg(long, value_name = "TIME", requires = "incident")]
    pub until: Option<Timestamp>,
    /// Name of the officer, as the keyring has it; written into the statement.
    #[arg(long, value_name = "NAME", required_unless_present = "signature")]
    pub officer: Option<String>,
    /// Reason for the decision, one line; written into the statement.
    #[arg(long, value_name = "TEXT", required_unless_present = "signature")]
    pub reason: Option<String>,
    /// Time in which the statement may be handed in, for example 12h or 7d; at most 31d. Default: 48h.
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "signature")]
    pub valid_for: Option<Duration>,
    /// Signature file that `minisign -S` made. With this option the statement is handed in.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["officer", "reason"])]
    pub signature: Option<PathBuf>,
    /// Statement that was signed. Default: the path of the signature without .minisig.
    #[arg(long, value_name = "FILE", requires = "signature")]
    pub statement: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Reads a time such as `12h` or `7d`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "it is not a time such as 12h or 7d".to_owned())
}

/// Decisions of an officer about a release.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Decide {
    /// The release may be published.
    Approve,
    /// The release must not be published. This is final, and one officer is enough.
    Refuse,
    /// The release must no longer be published. This is final.
    Withdraw,
    /// The release may be published although its content is older than what agents have (a downgrade ticket).
    Downgrade,
}

/// Arguments of `serve`, and of the server that `up` starts.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on. May be given several times. Default: serve.listen of the config.
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Public key of the import log, or the file that holds it (log/import/vkey), kept outside of the state folder:
    /// then nobody who can write there shows a set by a key of their own. Default: the key in the state folder.
    #[arg(long, value_name = "VKEY")]
    pub log_key: Option<String>,
    /// Process id of the supervisor; this process ends with it. `up` starts its server so.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
}

impl Serve {
    /// The same options as arguments of a command line.
    pub(crate) fn to_args(&self) -> Vec<String> {
        let listen = self.listen.iter().flat_map(|address| ["--listen".to_owned(), address.to_string()]);
        let key = self.log_key.iter().flat_map(|key| ["--log-key".to_owned(), key.clone()]);
        listen.chain(key).collect()
    }
}

/// Arguments of `up`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// Options of the server.
    #[command(flatten)]
    pub serve: Serve,
    /// Time between two self-tests of the isolation, for example 30m, 1h or 1d; at least 1s.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub prove: Span,
    /// Show a full-screen console where operators import a medium and get the receipt. The relay stops when the
    /// console ends.
    #[arg(long)]
    pub kiosk: bool,
}

/// Arguments of `review`.
#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    /// Unix socket to show the pages on. Default: review.socket of the config. A browser on another machine reaches
    /// the socket by `ssh -L 8443:PATH RELAY`, and then opens <http://localhost:8443>.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Process id of the supervisor; this process ends with it. `up` starts the pages so.
    #[arg(long, value_name = "PID", hide = true)]
    pub supervised: Option<i32>,
}

/// Arguments of `sinkhole`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SinkholeArgs {
    /// Process id of the supervisor; this process ends with it. `up` starts its sinkhole so.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
    /// Numbers of the sockets that the supervisor passes; makes this process the resolver.
    #[arg(long, hide = true, value_name = "NUMBERS", value_delimiter = ',', requires = "supervised")]
    pub pipes: Vec<u32>,
    /// Addresses of the UDP forwarders, whose sockets are the first of those.
    #[arg(long, hide = true, value_name = "ADDRESSES", value_delimiter = ',', requires = "supervised")]
    pub forwarders: Vec<SocketAddr>,
}

/// Arguments of `refusals`.
#[derive(Debug, Args)]
pub(crate) struct RefusalsArgs {
    /// Grouping of the lines: one line for each agent, product or day.
    #[arg(long, value_enum, default_value_t = GroupBy::Agent)]
    pub by: GroupBy,
    /// Show only attempts to send something out; leave out misdirected updates and malformed requests.
    #[arg(long)]
    pub submissions: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Parser of the name of a layer.
fn layer() -> impl TypedValueParser<Value = Layer> {
    let named = |name: String| Layer::ALL.into_iter().find(|layer| layer.to_string() == name);
    PossibleValuesParser::new(["namespaces", "landlock", "seccomp"])
        .try_map(move |name| named(name).ok_or("there is no such layer"))
}
