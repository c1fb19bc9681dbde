//! The repository, the built binaries, and the programs of others that this machine has.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::world::run;

pub(crate) const RELAY: &str = env!("CARGO_BIN_EXE_gaprelay");

/// The top of the repository: the nearest folder above the tests' package that has the lock file.
pub(crate) static TOP: LazyLock<PathBuf> = LazyLock::new(|| {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap().to_owned()
});

/// The packer's binary, in the folder of the relay's: Cargo names to tests the binaries of their own package alone.
pub(crate) fn pack_binary() -> PathBuf {
    let path = Path::new(RELAY).with_file_name("gaprelay-pack");
    assert!(path.is_file(), "{} is not there; build it first: cargo build --workspace --bins", path.display());
    path
}

/// A command of the packer.
pub(crate) fn pack() -> Command {
    Command::new(pack_binary())
}

/// Builds `tests/e2e/NAME.c`, a library to be loaded with `LD_PRELOAD`; a machine that builds Rust has
/// a C compiler, since it links with it.
pub(crate) fn shim(dir: &Path, name: &str) -> PathBuf {
    let source = TOP.join(format!("tests/e2e/{name}.c"));
    let library = dir.join(format!("{name}.so"));
    run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl")).expect(0);
    library
}

/// Says that a test, or a part of it, was left out, and why: on its standard output, which is hidden where it passes,
/// and in the file that GAPRELAY_SKIPPED names, if it does.
pub(crate) fn skipped(why: &str) {
    println!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os("GAPRELAY_SKIPPED") {
        let thread = std::thread::current();
        let line = format!("{}: {why}\n", thread.name().unwrap_or("a test"));
        fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// The Python of the clients that Debian has no packages of, if it has this module.
pub(crate) fn python_with(module: &str) -> Option<PathBuf> {
    let python = TOP.join("target/clients/bin/python3");
    let there = python.exists() && run(Command::new(&python).args(["-c", &format!("import {module}")])).code == Some(0);
    if !there {
        skipped(&format!("{module} is not in target/clients"));
    }
    there.then_some(python)
}

/// Go with Debian's copy of `sumdb/note` and `sumdb/tlog`, about to run our driver; none where they are not here.
pub(crate) fn go(cache: &Path) -> Option<Command> {
    if !has("go") || !Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog").exists() {
        skipped("golang-golang-x-mod-dev is not here");
        return None;
    }
    let mut command = Command::new("go");
    command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", cache.join("cache"));
    command.arg("run").arg(TOP.join("tests/e2e/checker.go"));
    Some(command)
}

/// True if a program is installed; a test that needs it says plainly that it was skipped.
pub(crate) fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|paths| {
        std::env::split_paths(&paths).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).is_file())
    });
    if !found {
        assert!(std::env::var_os("GAPRELAY_ALL_CLIENTS").is_none(), "{program} must be here");
        skipped(&format!("{program} is not here"));
    }
    found
}
