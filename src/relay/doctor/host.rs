//! Checks of a host's files: mounts, services, users, modes, clock, space.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use indicatif::BinaryBytes;
use rustix::fs::statvfs;

use super::{ExaminedHost, HostReport};
use crate::doctor::deployment;
use crate::rights::RIGHTS;
use media::mounted::{Mounted, mounted};
use sandbox::rights::User;

/// Programs that mount what is plugged in, by their process's name (15 bytes at most, proc(5)).
const MOUNTERS: &[&str] =
    &["udisksd", "automount", "gvfs-udisks2-vo", "usbmount", "pmount", "devmon", "udiskie", "autofs"];
/// Mount options that a medium needs.
const WANTED: &[&str] = &["ro", "nodev", "nosuid", "noexec"];
/// The keeper's user and group, and the group that may append to the journal.
const KEEPER: &str = "gaprelay";
const JOURNAL_GROUP: &str = "gaprelay-journal";
/// The group of the pages' user, which may append to the slot of the inbox.
const REVIEW_GROUP: &str = "gaprelay-review";
/// The clock of the machine may differ from the system's by so many seconds.
const DRIFT: u64 = 60;

const USERS: &str = "Install the users: gaprelay deployment DIR, then systemd-sysusers DIR/gaprelay.sysusers.conf.";

impl ExaminedHost<'_> {
    /// Path of a file of the host.
    fn path(&self, path: &str) -> PathBuf {
        self.host.join(path.trim_start_matches('/'))
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }
}

/// Mounts below the media folders, and of removable disks.
pub(super) fn mounts(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "mounts";
    let Some(media) = mounted(&patient.host) else {
        return report.unseen(CHECK, "the mounts cannot be listed", "Mount /proc.");
    };
    for Mounted { place, options, .. } in media {
        let place = place.display();
        let lacks: Vec<&str> = WANTED.iter().copied().filter(|flag| !options.iter().any(|has| has == flag)).collect();
        if lacks.contains(&"ro") {
            let next = "Unmount it; mount media with -o ro,nodev,nosuid,noexec (ext4 with noload too).";
            report.bad(CHECK, format!("{place} is mounted writable"), next);
        } else if !lacks.is_empty() {
            let next = "Mount media with -o ro,nodev,nosuid,noexec.";
            report.weak(CHECK, format!("{place} lacks {}", lacks.join(",")), next);
        }
    }
    if !report.has(CHECK) {
        report.good(CHECK, "no medium is mounted otherwise than it should be");
    }
}

/// Whatever mounts by itself reads a medium, and may write to it, before anybody looked.
pub(super) fn mounters(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "auto-mounters";
    let Ok(processes) = fs::read_dir(patient.path("/proc")) else {
        return report.unseen(CHECK, "the processes cannot be listed", "Mount /proc.");
    };
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).ok();
    let mut running: Vec<String> = processes.flatten().filter_map(name).map(|name| name.trim().to_owned()).collect();
    running.sort();
    running.dedup();
    for program in running.iter().filter(|name| MOUNTERS.contains(&name.as_str())) {
        let next = "Remove it, or stop it for good: systemctl mask --now its service (udisks2, autofs).";
        report.bad(CHECK, format!("{program} runs: it mounts every disk that is plugged in"), next);
    }
    if !report.has(CHECK) {
        report.good(CHECK, "none runs");
    }
}

/// True if a device that is plugged in is used before somebody allows it.
pub(super) fn usb(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "usb";
    let buses = fs::read_dir(patient.path("/sys/bus/usb/devices")).into_iter().flatten().flatten();
    let open: Vec<String> = buses
        .filter(|bus| fs::read_to_string(bus.path().join("authorized_default")).is_ok_and(|text| text.trim() != "0"))
        .map(|bus| bus.file_name().to_string_lossy().into_owned())
        .collect();
    if open.is_empty() {
        report.good(CHECK, "no bus takes a new device by itself");
    } else {
        let next = "Deny new devices (authorized_default=0): see gaprelay-usb.rules of `gaprelay deployment`. List the console's keyboard there first.";
        report.weak(CHECK, format!("{} take any new device", open.join(", ")), next);
    }
}

/// A relay forwards nothing and needs no way out.
pub(super) fn network(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "network";
    for path in ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"] {
        if patient.text(path).is_some_and(|text| text.trim() != "0") {
            let name = path.trim_start_matches("/proc/sys/").replace('/', ".");
            report.bad(
                CHECK,
                format!("packets are forwarded ({name})"),
                "Turn it off: sysctl -w it to 0, and in /etc/sysctl.d.",
            );
        }
    }
    // Destination 0 in hex with mask 0 is the default route (proc_net_route: Iface Destination Gateway …).
    let routes = patient.text("/proc/net/route").unwrap_or_default();
    let defaults = routes.lines().skip(1).filter(|line| line.split('\t').nth(1) == Some("00000000"));
    for line in defaults {
        let interface = line.split('\t').next().unwrap_or_default();
        let next =
            "Remove the default route where all agents are on networks of their own routes: nothing here needs it.";
        report.weak(CHECK, format!("there is a default route by {interface}"), next);
    }
    if !report.has(CHECK) {
        report.good(CHECK, "nothing is forwarded, and there is no default route");
    }
}

/// A name with its number, of /etc/passwd or /etc/group.
fn number(table: &str, name: &str) -> Option<u32> {
    let mut fields =
        table.lines().map(|line| line.split(':')).find_map(|mut f| (f.next() == Some(name)).then_some(f))?;
    fields.nth(1)?.parse().ok()
}

/// One user a role, and one group for the journal.
pub(super) fn users(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "users";
    let (Some(passwd), Some(groups)) = (patient.text("/etc/passwd"), patient.text("/etc/group")) else {
        return report.unseen(CHECK, "the users cannot be listed", "Make /etc/passwd and /etc/group readable.");
    };
    let own = RIGHTS.iter().filter_map(|rights| match rights.user {
        User::Own(name) => Some(name),
        User::OwnerOfState => None,
    });
    let mut seen = vec![0];
    for name in own.chain([KEEPER]) {
        match number(&passwd, name) {
            None => report.weak(CHECK, format!("there is no user {name}"), USERS),
            Some(id) if seen.contains(&id) => {
                report.bad(CHECK, format!("{name} is not a user of its own (number {id})"), USERS);
            }
            Some(id) => seen.push(id),
        }
    }
    let members = groups.lines().find_map(|line| line.strip_prefix(JOURNAL_GROUP)?.rsplit(':').next());
    let allowed = ["gaprelay-server", "gaprelay-sinkhole"];
    match members {
        None => report.weak(CHECK, format!("there is no group {JOURNAL_GROUP}"), USERS),
        Some(members) => {
            for member in members.split(',').filter(|member| !member.is_empty() && !allowed.contains(member)) {
                let next = "Remove it from the group: it could write false evidence.";
                report.bad(CHECK, format!("{member} is in the group {JOURNAL_GROUP}"), next);
            }
        }
    }
    if !report.has(CHECK) {
        report.good(CHECK, "each role has a user of its own");
    }
}

/// Accounts that may read keys, and change what is trusted.
pub(super) fn modes(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "modes";
    let state = patient.state;
    let look =
        |path: &Path| fs::metadata(path).ok().map(|meta| (meta.uid(), meta.gid(), meta.permissions().mode() & 0o7777));
    if look(state).is_some_and(|(uid, ..)| uid == 0) {
        let next = "Give it to the user gaprelay: chown -R gaprelay:gaprelay, then systemd-tmpfiles --create.";
        report.weak(CHECK, "root owns the state folder: the keeper runs as root", next);
    }
    for path in [
        "",
        "config.toml",
        "blobs",
        "channels",
        "keyring",
        "log",
        "log/import",
        "log/access",
        "releases",
        "trust",
        "tuf",
    ] {
        let path = state.join(path);
        if look(&path).is_some_and(|(_, _, mode)| mode & 0o022 != 0) {
            report.bad(CHECK, format!("others may write {}", path.display()), "Take that away: chmod go-w that path.");
        }
    }
    let secret = |path: &Path, report: &mut HostReport, group: u32| {
        if look(path).is_some_and(|(_, _, mode)| mode & (0o007 | group) != 0) {
            let next = "Take that away (chmod o-rwx,g-w); if others could read it for some time, make a new key.";
            report.bad(CHECK, format!("others may read the key {}", path.display()), next);
        }
    };
    for key in ["log/import.key", "log/access.key"] {
        secret(&state.join(key), report, 0o070);
    }
    for key in [&patient.config.serve.tls_key, &patient.config.review.tls_key].into_iter().flatten() {
        secret(&state.join(key), report, 0o020);
    }
    for (file, group) in [("log/access/journal", JOURNAL_GROUP), ("inbox/slot", REVIEW_GROUP)] {
        match look(&state.join(file)) {
            Some((_, _, mode)) if mode & 0o002 != 0 => {
                report.bad(CHECK, format!("anybody may append to {file}"), "Take that away: chmod 0660 that file.");
            }
            Some((_, gid, mode)) => {
                let number = patient.text("/etc/group").and_then(|groups| number(&groups, group));
                if number.is_some_and(|number| number != gid || mode & 0o020 == 0) {
                    let next = "Run systemd-tmpfiles --create (gaprelay.tmpfiles.conf): a process that is not started as root needs it.";
                    report.weak(CHECK, format!("the group {group} may not append to {file}"), next);
                }
            }
            None => report.bad(CHECK, format!("there is no {file}"), "Run `gaprelay fsck`."),
        }
    }
    if !report.has(CHECK) {
        report.good(CHECK, "only their owner may read the keys, and nobody else may change the trust state");
    }
}

/// Installed units must be the shipped ones; changes belong into drop-ins, where they are seen.
pub(super) fn units(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "units";
    let folders = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let mut installed = 0;
    for (name, shipped) in deployment::UNITS {
        let found = folders.iter().find_map(|folder| patient.text(&format!("{folder}/{name}")));
        installed += usize::from(found.is_some());
        if found.is_some_and(|text| text != *shipped) {
            let next =
                "Put the shipped one back (`gaprelay deployment`), and your changes into a drop-in: systemctl edit.";
            report.weak(CHECK, format!("{name} is not the shipped one"), next);
        }
    }
    if installed == 0 {
        let next = "Install them (`gaprelay deployment`), or see that what starts the relay gives it as little.";
        report.weak(CHECK, "the units are not installed", next);
    }
    if !report.has(CHECK) {
        report.good(CHECK, format!("{installed} of {} installed, as shipped", deployment::UNITS.len()));
    }
}

/// The record's dates rest on it.
pub(super) fn clock(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "clock";
    if patient.now < patient.newest {
        let next = "Set the clock right: nothing can be imported before it has caught up.";
        report.bad(CHECK, format!("it is {}, but the log has an entry of {}", patient.now, patient.newest), next);
    }
    let hardware = patient.text("/sys/class/rtc/rtc0/since_epoch").and_then(|text| text.trim().parse::<u64>().ok());
    match hardware {
        Some(seconds) if seconds.abs_diff(patient.now.secs()) > DRIFT => {
            let found = format!("the machine's own clock differs by {} s", seconds.abs_diff(patient.now.secs()));
            report.weak(
                CHECK,
                found,
                "Compare both with a clock you trust; then hwclock --systohc, or set the system's.",
            );
        }
        _ => {}
    }
    if !report.has(CHECK) {
        report.good(CHECK, format!("it is {}, later than the log's newest entry", patient.now));
    }
}

/// A bundle must fit twice: as it came, and as what it holds.
pub(super) fn space(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "space";
    let Ok(disk) = statvfs(patient.state) else {
        return report.unseen(CHECK, "the free space cannot be seen", "Run as the user who owns the state folder.");
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let limits = &patient.config.limits;
    let wanted = limits.payload.0.saturating_add(limits.unpacked.0);
    let (has, needs) = (BinaryBytes(free), BinaryBytes(wanted));
    let next = "Give the state folder more room, run `gaprelay gc`, or lower limits.payload and limits.unpacked.";
    if free < limits.payload.0 {
        report.bad(
            CHECK,
            format!("{has} are free, and a payload alone may have {}", BinaryBytes(limits.payload.0)),
            next,
        );
    } else if free < wanted {
        report.weak(CHECK, format!("{has} are free; the largest bundle allowed needs {needs}"), next);
    } else {
        report.good(CHECK, format!("{has} are free; the largest bundle allowed needs {needs}"));
    }
    if disk.f_files > 0 && disk.f_favail < limits.artifacts {
        let found = format!("{} files can be made, and a bundle may have {}", disk.f_favail, limits.artifacts);
        report.weak(CHECK, found, "Use a file system with more inodes, or lower limits.artifacts.");
    }
}
