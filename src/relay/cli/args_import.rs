//! Options that `import` passes to the keeper, the process that does the work.

use clap::Args;

/// Options of the keeper of an import, set by its supervisor.
#[derive(Debug, Args)]
pub(crate) struct KeeperArgs {
    /// Process id of the supervisor; makes this process the keeper.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
    /// Numbers of the pipes over which the supervisor provides workers.
    #[arg(long, hide = true, value_name = "NUMBERS", value_delimiter = ',', requires = "supervised")]
    pub pipes: Vec<u32>,
    /// Name of a disk that the supervisor has set read-only.
    #[arg(long, hide = true, value_name = "NAME")]
    pub disk: Vec<String>,
}
