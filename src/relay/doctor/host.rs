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
/// The keeper's user and group, and the group that may append to the server's journal.
const KEEPER: &str = "gaprelay";
const JOURNAL_GROUP: &str = "gaprelay-journal";
/// The group of the sinkhole's user, which may append to its journal.
const SINKHOLE_GROUP: &str = "gaprelay-sinkhole";
/// The group of the pages' user, which may append to the slot of the inbox.
const REVIEW_GROUP: &str = "gaprelay-review";
/// Most seconds by which the hardware clock may differ from the system clock.
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
pub(super) fn mounts(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "mounts";
    let Some(media) = mounted(&subject.host) else {
        let found = "the mounts cannot be listed: /proc/self/mountinfo cannot be read";
        return report.unseen(CHECK, found, "Mount /proc: mount -t proc proc /proc.");
    };
    let good = if media.is_empty() {
        "no medium is mounted"
    } else {
        "each mounted medium is read-only, with nodev, nosuid and noexec"
    };
    for Mounted { place, options, .. } in media {
        let place = place.display();
        let lacks: Vec<&str> = WANTED.iter().copied().filter(|flag| !options.iter().any(|has| has == flag)).collect();
        if lacks.contains(&"ro") {
            let next = "Unmount the medium, then mount it again with -o ro,nodev,nosuid,noexec (on ext4 also noload).";
            report.bad(CHECK, format!("the medium at {place} is mounted writable"), next);
        } else if !lacks.is_empty() {
            let next = "Unmount the medium, then mount it again with -o ro,nodev,nosuid,noexec.";
            report.weak(CHECK, format!("the medium at {place} is mounted without {}", lacks.join(",")), next);
        }
    }
    if !report.has(CHECK) {
        report.good(CHECK, good);
    }
}

/// Programs that mount disks by themselves: they read a medium, and may write to it, before anybody has looked at it.
pub(super) fn mounters(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "auto-mounters";
    let Ok(processes) = fs::read_dir(subject.path("/proc")) else {
        let found = "the processes cannot be listed: /proc cannot be read";
        return report.unseen(CHECK, found, "Mount /proc: mount -t proc proc /proc.");
    };
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).ok();
    let mut running: Vec<String> = processes.flatten().filter_map(name).map(|name| name.trim().to_owned()).collect();
    running.sort();
    running.dedup();
    for program in running.iter().filter(|name| MOUNTERS.contains(&name.as_str())) {
        let next = "Remove the program, or stop its service for good: systemctl mask --now SERVICE (such as udisks2 or autofs).";
        let found = format!("{program} is running: this program can mount every disk that is plugged in");
        report.bad(CHECK, found, next);
    }
    if !report.has(CHECK) {
        report.good(CHECK, "no program that mounts disks by itself is running");
    }
}

/// USB buses on which a device that is plugged in is used before somebody allows it.
pub(super) fn usb(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "usb";
    let buses = fs::read_dir(subject.path("/sys/bus/usb/devices")).into_iter().flatten().flatten();
    let open: Vec<String> = buses
        .filter(|bus| fs::read_to_string(bus.path().join("authorized_default")).is_ok_and(|text| text.trim() != "0"))
        .map(|bus| bus.file_name().to_string_lossy().into_owned())
        .collect();
    if open.is_empty() {
        report.good(CHECK, "no USB bus uses a new device before somebody allows it");
    } else {
        let next = "Install gaprelay-usb.rules, which `gaprelay deployment DIR` writes: it denies new devices (authorized_default=0). First add the keyboard of the console to that file, or nobody can type there.";
        report.weak(CHECK, format!("any new device on {} is used before somebody allows it", open.join(", ")), next);
    }
}

/// Forwarding and default routes: a relay forwards nothing, and needs no route to other networks.
pub(super) fn network(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "network";
    for path in ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"] {
        if subject.text(path).is_some_and(|text| text.trim() != "0") {
            let name = path.trim_start_matches("/proc/sys/").replace('/', ".");
            let next = format!(
                "Turn forwarding off: sysctl -w {name}=0. To keep it off after a restart, write {name} = 0 into a file in /etc/sysctl.d."
            );
            report.bad(CHECK, format!("this host forwards packets between networks ({name} is on)"), &next);
        }
    }
    // Destination 0 in hex with mask 0 is the default route (proc_net_route: Iface Destination Gateway …).
    let routes = subject.text("/proc/net/route").unwrap_or_default();
    let defaults = routes.lines().skip(1).filter(|line| line.split('\t').nth(1) == Some("00000000"));
    for line in defaults {
        let interface = line.split('\t').next().unwrap_or_default();
        let next = "If each agent is in a network to which this host has a route of its own, remove the default route (ip route del default): the relay needs none.";
        report.weak(CHECK, format!("there is a default route through {interface}"), next);
    }
    if !report.has(CHECK) {
        report.good(CHECK, "this host forwards no packets, and has no IPv4 default route");
    }
}

/// A name with its number, of /etc/passwd or /etc/group.
fn number(table: &str, name: &str) -> Option<u32> {
    let mut fields =
        table.lines().map(|line| line.split(':')).find_map(|mut f| (f.next() == Some(name)).then_some(f))?;
    fields.nth(1)?.parse().ok()
}

/// Users and groups: one user for each role, and one group for the server's journal.
pub(super) fn users(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "users";
    let (Some(passwd), Some(groups)) = (subject.text("/etc/passwd"), subject.text("/etc/group")) else {
        let found = "the users cannot be listed: /etc/passwd or /etc/group cannot be read";
        return report.unseen(CHECK, found, "Make both files readable: chmod a+r /etc/passwd /etc/group.");
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
                let next = format!("Give the user an id that no other user has: usermod --uid NUMBER {name}.");
                let found = format!("the user {name} has the user id {id}, as root or another role's user has");
                report.bad(CHECK, found, &next);
            }
            Some(id) => seen.push(id),
        }
    }
    let members = groups.lines().find_map(|line| line.strip_prefix(JOURNAL_GROUP)?.rsplit(':').next());
    let allowed = ["gaprelay-server"];
    match members {
        None => report.weak(CHECK, format!("there is no group {JOURNAL_GROUP}"), USERS),
        Some(members) => {
            for member in members.split(',').filter(|member| !member.is_empty() && !allowed.contains(member)) {
                let next = format!(
                    "Remove the user from the group (gpasswd --delete {member} {JOURNAL_GROUP}): its members can write false entries for the access log in the name of the server."
                );
                report.bad(CHECK, format!("the user {member} is in the group {JOURNAL_GROUP}"), &next);
            }
        }
    }
    if !report.has(CHECK) {
        report.good(CHECK, "each role has a user of its own");
    }
}

/// Permissions: which accounts may read keys, and change what is trusted.
pub(super) fn modes(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "modes";
    let state = subject.state;
    let look =
        |path: &Path| fs::metadata(path).ok().map(|meta| (meta.uid(), meta.gid(), meta.permissions().mode() & 0o7777));
    if look(state).is_some_and(|(uid, ..)| uid == 0) {
        let next = format!(
            "Give the state folder to the user gaprelay: chown -R gaprelay:gaprelay {}, then systemd-tmpfiles --create.",
            state.display()
        );
        report.weak(CHECK, "root owns the state folder, so the keeper runs as root", &next);
    }
    if look(state).is_some_and(|(_, _, mode)| mode & 0o007 != 0) {
        let next = format!(
            "Take the permission away: chmod 0750 {}. Give accounts that are to read it the group of the folder.",
            state.display()
        );
        report.bad(CHECK, "other accounts may read the state folder: logs, agents and statements", &next);
    }
    if let Some(group) = &subject.config.state.group {
        let groups = subject.text("/etc/group").unwrap_or_default();
        let wanted = group.parse().ok().or_else(|| number(&groups, group));
        if look(state).is_some_and(|(_, gid, _)| Some(gid) != wanted) {
            let next = format!(
                "Give it the group: chgrp {group} {}. Units need it too: SupplementaryGroups={group}.",
                state.display()
            );
            report.weak(
                CHECK,
                format!("the state folder does not have the group {group}, which config.toml names"),
                &next,
            );
        }
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
            let next = "Take the write permission away: chmod go-w PATH, for each path named.";
            report.bad(CHECK, format!("other users may write to {}", path.display()), next);
        }
    }
    let secret = |path: &Path, report: &mut HostReport, group: u32, next: &str| {
        if look(path).is_some_and(|(_, _, mode)| mode & (0o007 | group) != 0) {
            report.bad(CHECK, format!("other users may read or change the key {}", path.display()), next);
        }
    };
    for key in ["log/import.key", "log/access.key"] {
        let next = "Take the permissions away: chmod go-rwx FILE. If somebody may have copied the key, tell the officers: with the key anybody can write another history of the log. `gaprelay help backup` says how to begin anew.";
        secret(&state.join(key), report, 0o070, next);
    }
    for key in [&subject.config.serve.tls_key, &subject.config.review.tls_key].into_iter().flatten() {
        let next = "Take the permissions away: chmod o-rwx,g-w FILE. If somebody may have copied the key, make a new key and a new certificate.";
        secret(&state.join(key), report, 0o020, next);
    }
    for (file, group) in [
        ("log/access/journal", JOURNAL_GROUP),
        ("log/access/journal-sinkhole", SINKHOLE_GROUP),
        ("inbox/slot", REVIEW_GROUP),
    ] {
        match look(&state.join(file)) {
            Some((_, _, mode)) if mode & 0o002 != 0 => {
                let next = format!("Take the permission away: chmod 0660 {}.", state.join(file).display());
                report.bad(CHECK, format!("every user may append to {file}"), &next);
            }
            Some((_, gid, mode)) => {
                let number = subject.text("/etc/group").and_then(|groups| number(&groups, group));
                if number.is_some_and(|number| number != gid || mode & 0o020 == 0) {
                    let next = "Install gaprelay.tmpfiles.conf (`gaprelay deployment DIR`), then run systemd-tmpfiles --create: a service that does not start as root needs this permission.";
                    report.weak(CHECK, format!("the group {group} may not append to {file}"), next);
                }
            }
            None if state.join(file).try_exists().unwrap_or(true) => {
                let found = format!("the permissions of {file} cannot be seen");
                report.unseen(CHECK, found, "Run `gaprelay doctor` as root.");
            }
            None => {
                let next = format!(
                    "Find out who removed the file, then make it again, empty, as root: install -m 0660 -o {KEEPER} -g {group} /dev/null {}",
                    state.join(file).display()
                );
                report.bad(CHECK, format!("the file {file} is missing in the state folder"), &next);
            }
        }
    }
    if !report.has(CHECK) {
        report.good(CHECK, "no other user may read a key, or change the state folder");
    }
}

/// Units: the installed ones must be the shipped ones; changes belong into drop-in files, where they are seen.
pub(super) fn units(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "units";
    let folders = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let mut installed = 0;
    for (name, shipped) in deployment::UNITS {
        let found = folders.iter().find_map(|folder| subject.text(&format!("{folder}/{name}")));
        installed += usize::from(found.is_some());
        if found.is_some_and(|text| text != *shipped) {
            let next = "Install the unit again (`gaprelay deployment DIR` writes it), and put your own changes into a drop-in file: systemctl edit UNIT.";
            report.weak(CHECK, format!("the unit {name} differs from the one in this version of gaprelay"), next);
        }
    }
    if installed == 0 {
        let next = "Install the units (`gaprelay deployment DIR` writes them). If something else starts the relay, check that it gives the relay no more rights than the units do.";
        report.weak(CHECK, "the systemd units of gaprelay are not installed", next);
    }
    if !report.has(CHECK) {
        report.good(CHECK, format!("{installed} of {} units are installed, all as shipped", deployment::UNITS.len()));
    }
}

/// Clock: the dates of the logs depend on it.
pub(super) fn clock(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "clock";
    if subject.now < subject.newest {
        let next = "Set the clock of this machine: before the time of the newest entry, nothing can be imported. If the clock is right and had run ahead before, two officers sign a directive: gaprelay directive clock-back.";
        let found =
            format!("the clock says {}, which is before the newest entry of the logs, {}", subject.now, subject.newest);
        report.bad(CHECK, found, next);
    }
    let hardware = subject.text("/sys/class/rtc/rtc0/since_epoch").and_then(|text| text.trim().parse::<u64>().ok());
    match hardware {
        Some(seconds) if seconds.abs_diff(subject.now.secs()) > DRIFT => {
            let found = format!(
                "the hardware clock (read as UTC) differs from the system clock by {} s",
                seconds.abs_diff(subject.now.secs())
            );
            let next = "Compare both with a clock that you trust. If the system clock is right: hwclock --systohc --utc. If the hardware clock is right: hwclock --hctosys --utc.";
            report.weak(CHECK, found, next);
        }
        _ => {}
    }
    if !report.has(CHECK) {
        report.good(CHECK, format!("the clock says {}, which is not before the newest entry of the logs", subject.now));
    }
}

/// Free space: a bundle must fit twice, packed and unpacked.
pub(super) fn space(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    const CHECK: &str = "space";
    let Ok(disk) = statvfs(subject.state) else {
        let next = "Run `gaprelay doctor` as root, or as the user who owns the state folder.";
        return report.unseen(CHECK, "the free space of the state folder cannot be read", next);
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let limits = &subject.config.limits;
    let wanted = limits.payload.0.saturating_add(limits.unpacked.0);
    let (has, needs) = (BinaryBytes(free), BinaryBytes(wanted));
    let next = "Remove old releases (`gaprelay gc`), give the state folder more room, or lower limits.payload and limits.unpacked in config.toml.";
    if free < limits.payload.0 {
        report.bad(
            CHECK,
            format!("{has} are free, but a payload alone may have {}", BinaryBytes(limits.payload.0)),
            next,
        );
    } else if free < wanted {
        report.weak(CHECK, format!("{has} are free; the largest bundle allowed needs {needs}"), next);
    } else {
        report.good(CHECK, format!("{has} are free; the largest bundle allowed needs {needs}"));
    }
    if disk.f_files > 0 && disk.f_favail < limits.artifacts {
        let found = format!(
            "the file system has room for {} more files (inodes), but a bundle may have {}",
            disk.f_favail, limits.artifacts
        );
        report.weak(CHECK, found, "Use a file system with more inodes, or lower limits.artifacts in config.toml.");
    }
}
