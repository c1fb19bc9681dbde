//! Mounts of a medium, and the disk under it. The tests that mount need root and a loop device;
//! elsewhere they say that they were skipped.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::support::*;

/// A stick: an image with a file system, as a block device, mounted.
struct Stick {
    device: String,
    at: PathBuf,
}

impl Stick {
    /// The folder's content on a stick mounted with these options. `None` where that cannot be done.
    fn plug(world: &World, options: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
            skipped("mounting needs root and loop devices");
            return None;
        }
        if !has("losetup") || !has("mkfs.ext4") {
            return None;
        }
        let (image, at) = (world.path("stick.img"), world.path("mounted"));
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-d"]).arg(world.path("stick")).arg(&image)).expect(0);
        // From here on it is detached again, whatever happens.
        let stick = Self { device: attach(&image), at };
        run(Command::new("mount").args(["-o", options, &stick.device]).arg(&stick.at)).expect(0);
        Some(stick)
    }

    fn is_read_only(&self) -> bool {
        is_read_only(&self.device)
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.at));
        detach(&self.device);
    }
}

/// Attaches an image to a loop device that can be written to. A device that was set read-only stays so for whatever is
/// attached to it next: one that something else has left like that is put right first.
fn attach(image: &Path) -> String {
    for _ in 0..8 {
        let made = run(Command::new("losetup").args(["--find", "--show"]).arg(image)).expect(0);
        let device = made.out.trim().to_owned();
        if !is_read_only(&device) {
            return device;
        }
        detach(&device);
    }
    panic!("each loop device is set read-only, and stays so");
}

/// Detaches a loop device, and leaves it writable to whoever takes it next.
fn detach(device: &str) {
    run(Command::new("losetup").args(["--detach", device]));
    run(Command::new("blockdev").args(["--setrw", device]));
}

fn is_read_only(device: &str) -> bool {
    run(Command::new("blockdev").args(["--getro", device])).expect(0).out.trim() == "1"
}

fn strict() -> World {
    World::with_config(&CONFIG.replace("[media]\nwritable = \"tests import from plain folders\"\n", ""))
}

/// Much enough that an import can be watched.
fn content() -> Vec<u8> {
    let (mut lines, mut state) = (String::new(), 1_u64);
    for number in 0..1_000_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        writeln!(lines, "{state:016x}{:016x}:{number}:Test-{number}", state.rotate_left(17)).unwrap();
    }
    cvd(&[("test.hdb", lines.as_bytes())], |info| info)
}

#[test]
fn a_writable_mount_is_refused_unless_the_site_says_why() {
    let world = strict();
    let folder = world.bundle("feed", 1, ONE);
    let before = world.stored();
    let refused = world.import(&folder).expect(3);
    assert_eq!(refused.json()["bundles"][0]["refused"]["reason"], "medium-writable", "{}", refused.out);
    assert_eq!(world.stored(), before);
    let types: Vec<_> = world.log("import").iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types[1..3], ["medium-opened", "medium-refused"]);
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let opened = world.log("import").into_iter().find(|event| event["type"] == "medium-opened").unwrap();
    assert_eq!(opened["writable"], "tests import from plain folders", "{opened}");
    let read = world.log("import").into_iter().find(|event| event["type"] == "medium-read").unwrap();
    assert_eq!(read["unchanged"], true, "{read}");
}

/// A second import of a stick waits until the first has set back what it found: it takes the first's setting not for
/// the disk's own, and goes not on reading a disk that the first has made writable again.
#[test]
fn a_second_import_of_a_stick_waits_for_the_first() {
    use rustix::fs::{FlockOperation, flock};
    let world = strict();
    world.bundle("feed", 1, ONE);
    let Some(stick) = Stick::plug(&world, "ro,nodev,nosuid,noexec,noload") else { return };
    let set = |to: &str| drop(run(Command::new("blockdev").args([to, &stick.device])).expect(0));
    // As an import that has begun holds it.
    let held = fs::File::open(&stick.device).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    set("--setro");
    let mut command = world.command(&["import", stick.at.to_str().unwrap()]);
    let mut second = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(world.log("import").len(), 1, "it did not wait");
    set("--setrw");
    drop(held);
    let mut told = String::new();
    second.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(second.wait().unwrap().success(), "{told}");
    assert!(told.contains("waiting until another import"), "{told}");
    let opened = world.log("import").into_iter().find(|event| event["type"] == "medium-opened").unwrap();
    assert!(stick.device.ends_with(opened["disk"].as_str().unwrap()), "{opened}");
    assert!(!stick.is_read_only(), "it set back what it had found");
}

#[test]
fn the_whole_disk_is_set_read_only_and_restored() {
    let world = strict();
    world.bundle("feed", 1, &[("big.cvd", &content(), "clamav-cvd")]);
    let Some(stick) = Stick::plug(&world, "ro,nodev,nosuid,noexec,noload") else { return };
    assert!(!stick.is_read_only(), "a loop device begins writable");
    let (done, seen) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                seen.fetch_or(stick.is_read_only(), Ordering::Relaxed);
            }
        });
        world.import(&stick.at).expect(0);
        done.store(true, Ordering::Relaxed);
    });
    assert!(seen.into_inner(), "it was never seen read-only");
    assert!(!stick.is_read_only(), "its state was not restored");
    let log = world.log("import");
    let opened = log.iter().find(|event| event["type"] == "medium-opened").unwrap();
    assert_eq!(opened["mount"], "ro nodev nosuid noexec", "{opened}");
    assert_eq!(opened["disk"], stick.device.trim_start_matches("/dev/"), "{opened}");
    assert_eq!(log.iter().find(|event| event["type"] == "medium-read").unwrap()["unchanged"], true);
    // What stops half-way restores it as well.
    let mut child = world.command(&["import", "--operator", "operator", stick.at.to_str().unwrap()]).spawn().unwrap();
    while !stick.is_read_only() && child.try_wait().unwrap().is_none() {}
    run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    child.wait().unwrap();
    assert!(!stick.is_read_only(), "its state was not restored after an interruption");
    world.fsck();
}

/// A disk that cannot be written to, as a card with its switch set: what comes into the same slot next can.
#[test]
fn a_disk_that_is_read_only_is_left_as_it_is() {
    let world = strict();
    world.bundle("feed", 1, ONE);
    let Some(mut stick) = Stick::plug(&world, "ro,nodev,nosuid,noexec,noload") else { return };
    let image = world.path("stick.img");
    run(Command::new("umount").arg(&stick.at)).expect(0);
    detach(&stick.device);
    stick.device = run(Command::new("losetup").args(["--read-only", "--find", "--show"]).arg(&image)).expect(0).out;
    stick.device.truncate(stick.device.trim_end().len());
    run(Command::new("mount").args(["-o", "ro,nodev,nosuid,noexec,noload", &stick.device]).arg(&stick.at)).expect(0);
    assert!(stick.is_read_only());
    world.import(&stick.at).expect(0);
    assert!(stick.is_read_only());
    run(Command::new("umount").arg(&stick.at)).expect(0);
    run(Command::new("losetup").args(["--detach", &stick.device])).expect(0);
    run(Command::new("losetup").arg(&stick.device).arg(&image)).expect(0);
    assert!(!stick.is_read_only(), "the device was set read-only for good");
}

#[test]
fn a_stick_that_something_else_writes_to_is_told() {
    let world = World::new();
    world.bundle("feed", 1, &[("big.cvd", &content(), "clamav-cvd")]);
    let Some(stick) = Stick::plug(&world, "rw,nodev") else { return };
    let (other, done) = (stick.at.join("feed-1/other"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0_u32;
            while !done.load(Ordering::Relaxed) {
                count += 1;
                fs::write(&other, count.to_string()).unwrap();
            }
        });
        let told = world.import(&stick.at);
        done.store(true, Ordering::Relaxed);
        told.expect(0);
    });
    let log = world.log("import");
    let opened = log.iter().find(|event| event["type"] == "medium-opened").unwrap();
    assert_eq!((&opened["mount"], opened.get("disk")), (&"nodev".into(), None), "{opened}");
    assert_eq!(log.iter().find(|event| event["type"] == "medium-read").unwrap()["unchanged"], false);
}

/// What somebody has mounted below the medium is no part of it: it could be written to where the medium cannot.
#[test]
fn what_is_mounted_below_the_medium_is_not_read() {
    if !rustix::process::geteuid().is_root() {
        skipped("mounting needs root");
        return;
    }
    let world = World::new();
    let (stick, elsewhere) = (world.path("stick"), world.path("elsewhere"));
    good(&stick.join("own"), &world.custodian, "auto", 1, ONE);
    good(&elsewhere, &world.custodian, "auto", 2, OTHER);
    fs::create_dir(stick.join("over")).unwrap();
    // A folder over a folder, of the same file system, which the device's number does not show; and a file over a
    // payload.
    good(&stick.join("file"), &world.custodian, "feed", 1, ONE);
    let mount = format!(
        "mount --make-rprivate / && mount --bind {elsewhere} {stick}/over && mount --bind {stick}/file/payload.tar.gz {stick}/file/payload.tar.gz",
        elsewhere = elsewhere.display(),
        stick = stick.display(),
    );
    let import = |args: &str| {
        let script = format!("{mount} && exec {RELAY} import {args} {}", stick.display());
        run(Command::new("unshare").args(["-m", "sh", "-c", &script]).env("GAPRELAY_STATE", world.state())).expect(3)
    };
    let ran = import("--json");
    let report = ran.json();
    let bundles = report["bundles"].as_array().unwrap();
    let told: Vec<String> = bundles
        .iter()
        .map(|b| format!("{} {}", b["bundle"].as_str().unwrap(), b["refused"]["reason"].as_str().unwrap_or("fine")))
        .collect();
    assert_eq!(told, ["own fine", "file medium-mounted-over"], "{report}");
    let ran = import("");
    assert!(ran.err.contains("over: something else is mounted there"), "{}", ran.err);
}
