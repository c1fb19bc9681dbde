//! `gaprelay review`: the officers' pages.

use std::fs::Permissions;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::Signal;

use super::args::Review;
use super::sockets::Sockets;
use super::{Ended, selftest, tui};
use crate::base::error::IoContext as _;
use crate::base::{Error, Fault};
use crate::review::readers::Readers;
use crate::review::run as show;
use crate::sandbox::Role;
use crate::sandbox::worker::end_with;
use crate::store::State;

/// Shows the pages until told to stop.
pub fn run(state: &State, args: &Review, sockets: Sockets) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        end_with(supervisor, Signal::TERM)?;
    }
    let config = state.config()?;
    let socket = args.socket.clone().or_else(|| config.review.socket.as_ref().map(|path| state.root().join(path)));
    let readers = Readers::find(&config.review)?;
    if config.review.readers.is_empty() {
        tui::note("the config names no reader: nobody is shown anything");
        tui::hint("add [[review.reader]] with user and role to the config");
    }
    let proof = selftest::before(state.root(), &[Role::Review], &config)?;
    let listeners = match (sockets.is_empty(), socket) {
        (false, _) => sockets.pages()?,
        (true, Some(path)) => vec![bind(&path)?],
        (true, None) => {
            let wrong = "review.socket names no path: there is nothing to show the pages on";
            return Err(Fault::Config(wrong.into()).into());
        }
    };
    std::env::set_current_dir(state.root()).during("enter", state.root())?;
    let inside = State::open(Path::new("."))?;
    show(&inside, &config, readers, listeners, proof, &mut |told| tui::note(told))?;
    Ok(Ended::Well)
}

/// A socket that every account of this host may knock at: the kernel says which one does. One that is
/// left from before is replaced; anything else at its place is not.
fn bind(path: &Path) -> Result<UnixListener, Fault> {
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        std::fs::remove_file(path).during("replace", path)?;
    }
    let listener = UnixListener::bind(path).during("listen on", path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).during("open to all accounts", path)?;
    Ok(listener)
}
