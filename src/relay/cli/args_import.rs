//! What `import` tells the process that it starts to do the work.

use clap::Args;

/// The keeper of an import, as its supervisor starts it.
#[derive(Debug, Args)]
pub struct Keeper {
    /// Be the keeper, for this process, which started us.
    #[arg(long, hide = true, value_name = "PID")]
    pub supervised: Option<i32>,
    /// The pipes by which it provides examiners.
    #[arg(long, hide = true, value_name = "NUMBERS", value_delimiter = ',', requires = "supervised")]
    pub pipes: Vec<u32>,
    /// A disk that it has set read-only.
    #[arg(long, hide = true, value_name = "NAME")]
    pub disk: Vec<String>,
}
