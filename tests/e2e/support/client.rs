//! Stock clients and senders' tools, as people run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::{TOP, pack, skipped};
use super::world::{Ran, World, run};

/// Vendor-signed test databases; they stay outside the repository.
pub(crate) fn testdata() -> Option<PathBuf> {
    let folder =
        std::env::var_os("GAPRELAY_TESTDATA").map_or(TOP.join("../shared/testdata"), Into::into).join("clamav");
    let found = folder.is_dir();
    if !found {
        skipped("the vendor-signed databases are not here (GAPRELAY_TESTDATA)");
    }
    found.then_some(folder)
}

/// The packer about to pack a folder as a version of a feed.
pub(crate) fn build(folder: &Path, feed: &str, version: u64, out: &Path) -> Command {
    let mut command = pack();
    command.arg("build").arg(folder).args(["--feed", feed, "--version", &version.to_string()]);
    command.args(["--publisher", "example", "--origin", "CH", "--out"]).arg(out);
    command
}

/// A bundle of the vendor's database of this version, with its increments and signatures.
pub(crate) fn vendor_bundle(world: &World, data: &Path, version: u64, increments: std::ops::Range<u64>) -> PathBuf {
    let vendor = world.path(&format!("vendor-{version}"));
    fs::create_dir(&vendor).unwrap();
    let copy = |from: String, to: &str| fs::copy(data.join(from), vendor.join(to)).unwrap();
    copy(format!("test-{version}.cvd"), "test.cvd");
    copy(format!("test-{version}.cvd.sign"), &format!("test-{version}.cvd.sign"));
    for n in increments {
        copy(format!("test-{n}.cdiff"), &format!("test-{n}.cdiff"));
        copy(format!("test-{n}.cdiff.sign"), &format!("test-{n}.cdiff.sign"));
    }
    let out = world.path(&format!("stick/test-{version}"));
    run(&mut build(&vendor, "feed", version, &out)).expect(0);
    world.sign(&out, "feed", version);
    out
}

/// Key pairs of stock minisign, without passwords: `NAME.key` and `NAME.pub` for each.
pub(crate) fn minisign_keys(folder: &Path, names: &[&str]) {
    for name in names {
        let (secret, public) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pub")));
        run(Command::new("minisign").args(["-G", "-W", "-s"]).arg(secret).arg("-p").arg(public)).expect(0);
    }
}

/// Runs freshclam once for one database.
pub(crate) fn freshclam(world: &World, database: &str, settings: &str) -> Ran {
    let (conf, data) = (world.path("freshclam.conf"), world.path("clamav"));
    fs::create_dir_all(&data).unwrap();
    let who = if rustix::process::geteuid().is_root() { "DatabaseOwner root\n" } else { "" };
    let always = "MaxAttempts 1\nConnectTimeout 5\nTestDatabases no\nDNSDatabaseInfo no";
    fs::write(&conf, format!("DatabaseDirectory {}\n{who}{always}\n{settings}\n", data.display())).unwrap();
    run(Command::new("freshclam").arg("--config-file").arg(&conf).args(["--stdout", "--update-db", database]))
}

/// Runs suricata-update once for one address; what it merges lies in `suricata/rules/suricata.rules`.
pub(crate) fn suricata_update(world: &World, url: &str) -> Ran {
    run(Command::new("suricata-update")
        .args(["--no-test", "--no-reload", "--force", "--suricata-version", "7.0.3", "--suricata-conf", "/dev/null"])
        .args(["--url", url, "--data-dir"])
        .arg(world.path("suricata"))
        .arg("--output")
        .arg(world.path("suricata/rules")))
}
