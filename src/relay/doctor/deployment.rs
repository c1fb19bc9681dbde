//! Files that make a host a relay: units, users, firewall, rules for USB. They lie in
//! `scripts/deploy` and are part of the program, so that a console without internet has them too.

use std::path::Path;

use base::{Fault, durable};

macro_rules! shipped {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../../../scripts/deploy/", $name)))),*] };
}

/// Units of systemd.
pub(crate) const UNITS: &[(&str, &str)] = shipped! {
    "gaprelay-export.service"
    "gaprelay-keeper.service"
    "gaprelay-review.service"
    "gaprelay-review.socket"
    "gaprelay-selftest.service"
    "gaprelay-selftest.timer"
    "gaprelay-server.service"
    "gaprelay-server.socket"
    "gaprelay-sinkhole.service"
    "gaprelay-sinkhole.socket"
    "gaprelay-tripwires.socket"
};

/// Other files: firewall, users, permissions, USB.
pub(crate) const OTHERS: &[(&str, &str)] = shipped! {
    "gaprelay-usb.rules"
    "gaprelay.nft"
    "gaprelay.sysusers.conf"
    "gaprelay.tmpfiles.conf"
};

/// Writes all of these files into a folder that exists. Fault: a file cannot be written.
pub(crate) fn write(folder: &Path) -> Result<usize, Fault> {
    for (name, text) in UNITS.iter().chain(OTHERS) {
        durable::replace_output(&folder.join(name), text.as_bytes())?;
    }
    Ok(UNITS.len() + OTHERS.len())
}
