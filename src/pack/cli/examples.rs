//! Example of each command, shown below its help and in its man page.

use clap::Command;

use terminal::examples::{self, CommandExample};

/// Examples, without the name of the program.
const EXAMPLES: &[CommandExample] = &[
    (
        "build",
        "build vendor --feed site-rules --version 1 --publisher example --origin CH --sign custodian.key --out site-rules-1",
    ),
    ("check", "check site-rules-1 --keyring keyring.toml"),
    ("keyring", "keyring show keyring.toml"),
    (
        "keyring new",
        "keyring new --root root.pub --key name=acme,role=custodian,public=custodian.pub,publisher=acme,origin=CH --require role=custodian,signers=1 --out keyring.toml",
    ),
    ("keyring draft", "keyring draft keyring.toml --out keyring-2 --revoke \"j.doe=lost laptop\""),
    ("keyring show", "keyring show keyring-2"),
    ("keyring assemble", "keyring assemble keyring-2 --former keyring.toml root1.minisig root2.minisig"),
    ("keyring check", "keyring check keyring-2 --former keyring.toml"),
    ("tuf", "tuf sign trust/1.root.json --key root2.pem"),
    (
        "tuf root",
        "tuf root --root root1.pub --targets targets.pub --relay \"$(cat relay.hex)\" --expires 2027-11-26T00:00:00Z --sign root1.pem --out trust",
    ),
    (
        "tuf targets",
        "tuf targets --feed site=site.pub --relay \"$(cat relay.hex)\" --expires 2027-11-26T00:00:00Z --sign targets.pem --out trust",
    ),
    ("tuf sign", "tuf sign trust/1.root.json --key root2.pem"),
];

/// Adds its example to a command of the first level, and theirs to its subcommands.
pub(super) fn add(command: Command) -> Command {
    examples::add(command, "gaprelay-pack", EXAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Pack;

    #[test]
    fn each_visible_command_has_an_example_that_works_as_typed() {
        assert_eq!(examples::faults::<Pack>("gaprelay-pack", EXAMPLES), Vec::<String>::new());
    }
}
