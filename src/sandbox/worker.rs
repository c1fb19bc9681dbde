//! Starting processes of ours: our own binary again, and nothing else. They get the descriptors that
//! are passed here, and no other; they end with whoever started them.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

use base::Fault;
use base::error::IoContext as _;

/// Path of our own program, whatever happened to the file that it was started from.
const OURSELVES: &str = "/proc/self/exe";

/// Our own binary, to be started on this state.
pub fn ourselves(state: &Path) -> Command {
    let mut command = Command::new(OURSELVES);
    command.arg0("gaprelay").arg("--state").arg(state);
    command
}

/// Our own binary, to be started with the arguments of this process, as a service that ends with this process.
pub fn ourselves_again() -> Command {
    let mut command = Command::new(OURSELVES);
    command.arg0("gaprelay");
    let given: Vec<_> = std::env::args_os().skip(1).collect();
    // What comes after `--` is no option.
    let options = given.iter().position(|arg| arg == "--").unwrap_or(given.len());
    let (options, others) = given.split_at(options);
    command.args(options).args(["--supervised", &our_id()]).args(others);
    command
}

/// Starts it.
#[expect(clippy::disallowed_methods, reason = "the one place that starts a process: ourselves")]
pub fn start(command: &mut Command) -> Result<Child, Fault> {
    command.spawn().during("start", Path::new(OURSELVES))
}

/// Starts it for a supervisor that waits for several at once; it is killed when nobody waits for it.
/// A Ctrl-C at the terminal reaches the supervisor alone, which stops the others in order.
#[expect(clippy::disallowed_methods, reason = "the one place that starts a process: ourselves")]
pub fn start_awaited(command: Command) -> Result<tokio::process::Child, Fault> {
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).process_group(0).spawn().during("start", Path::new(OURSELVES))
}

/// Asks such a process to end in order. It may have ended by itself; then there is nothing to stop.
pub fn stop(child: &tokio::process::Child) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// As the option that names us to a process we start.
pub fn our_id() -> String {
    std::process::id().to_string()
}

/// Has the kernel stop this process when `parent`, which started it, ends. To be asked for again
/// after the user changed, since the kernel forgets it then.
pub fn end_with(parent: i32, signal: Signal) -> Result<(), Fault> {
    set_parent_process_death_signal(Some(signal)).map_err(Into::into).during("watch", Path::new("the supervisor"))?;
    // It may have ended before we asked.
    if getppid().is_none_or(|id| id.as_raw_nonzero().get() != parent) {
        return Err(Fault::Interrupted);
    }
    Ok(())
}
