//! Mounted media, and disks that are plugged in: from the kernel's files, of this host or of a copy of another's.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Folders where media are mounted.
const MEDIA: &[&str] = &["/media", "/mnt", "/run/media"];

/// A mount that is a medium's, by its place or by its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Mount point.
    pub place: PathBuf,
    /// Device, as MAJOR:MINOR.
    pub device: String,
    /// The mount's options.
    pub options: Vec<String>,
}

/// A removable disk, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugged {
    /// Name below /dev.
    pub name: String,
    /// Device, as MAJOR:MINOR.
    pub device: String,
    /// Bytes on it.
    pub size: u64,
}

/// The media that are mounted on the host whose files lie at `host`; none where they cannot be listed.
pub fn mounted(host: &Path) -> Option<Vec<Mounted>> {
    let table = fs::read_to_string(host.join("proc/self/mountinfo")).ok()?;
    let medium = |line: &str| {
        // Number, parent, device, root, place, options, … - type, source, options (proc(5)).
        let mut words = line.split(' ');
        let (device, place, options) = (words.nth(2)?, plain(words.nth(1)?), words.next()?);
        let below = MEDIA.iter().any(|folder| place.starts_with(folder));
        let options = options.split(',').map(str::to_owned).collect();
        (below || is_removable(host, device)).then(|| Mounted { place, device: device.to_owned(), options })
    };
    Some(table.lines().filter_map(medium).collect())
}

/// The removable disks that hold a file system or parts, of which nothing is mounted.
pub fn plugged(host: &Path) -> Vec<Plugged> {
    let mounts = fs::read_to_string(host.join("proc/self/mountinfo")).unwrap_or_default();
    let in_use = |device: &str| mounts.lines().any(|line| line.split(' ').nth(2) == Some(device));
    let mut found = Vec::new();
    for entry in fs::read_dir(host.join("sys/class/block")).into_iter().flatten().flatten() {
        let text = |name: &str| fs::read_to_string(entry.path().join(name)).map(|text| text.trim().to_owned());
        let (Ok(device), Ok(sectors)) = (text("dev"), text("size")) else { continue };
        let size = sectors.parse::<u64>().unwrap_or_default().saturating_mul(512);
        if size > 0 && is_removable(host, &device) && !in_use(&device) {
            found.push(Plugged { name: entry.file_name().to_string_lossy().into_owned(), device, size });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    // Of a disk with parts, the parts are what is mounted.
    let parts: Vec<String> = found.iter().map(|disk| disk.name.clone()).collect();
    found.retain(|disk| !parts.iter().any(|part| part != &disk.name && part.starts_with(&disk.name)));
    found
}

/// True if a block device, MAJOR:MINOR, is a removable disk or a part of one.
fn is_removable(host: &Path, device: &str) -> bool {
    let folder = host.join("sys/dev/block").join(device);
    let flag = |folder: &Path| fs::read_to_string(folder.join("removable")).is_ok_and(|text| text.trim() == "1");
    flag(&folder) || fs::canonicalize(&folder).ok().and_then(|part| part.parent().map(flag)).unwrap_or(false)
}

/// A path of mountinfo: blanks, tabs, line feeds and backslashes stand as `\ooo` (proc(5)).
fn plain(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let octal = more.get(..3).filter(|_| *first == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        let escaped = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { more.get(3..).unwrap_or_default() } else { more };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::durable;

    #[test]
    fn media_are_told_by_their_place_or_their_disk() {
        let host = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = host.path().join(path);
            durable::create_dir(path.parent().unwrap()).unwrap();
            durable::replace(&path, text.as_bytes()).unwrap();
        };
        put(
            "proc/self/mountinfo",
            "36 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
             40 36 8:17 / /media/my\\040stick ro,nosuid,nodev,noexec - vfat /dev/sdb1 ro\n\
             41 36 8:33 / /opt/elsewhere rw - vfat /dev/sdc1 rw\n\
             42 36 0:5 / /mediaeval rw - tmpfs none rw\n",
        );
        put("sys/dev/block/8:33/removable", "1\n");
        let media = mounted(host.path()).unwrap();
        let places: Vec<_> = media.iter().map(|medium| medium.place.to_str().unwrap()).collect();
        assert_eq!(places, ["/media/my stick", "/opt/elsewhere"]);
        assert!(media[0].options.contains(&"ro".to_owned()) && media[1].options == ["rw"]);
        assert_eq!(mounted(Path::new("/nowhere")), None);
        // Plugged in and not mounted: its part, once; one that is mounted is none.
        for (name, device, size) in
            [("sdc1", "8:33", "2048"), ("sdd", "8:48", "4096"), ("sdd1", "8:49", "2048"), ("sde", "8:64", "0")]
        {
            put(&format!("sys/class/block/{name}/dev"), &format!("{device}\n"));
            put(&format!("sys/class/block/{name}/size"), &format!("{size}\n"));
            put(&format!("sys/dev/block/{device}/removable"), "1\n");
        }
        let expected = Plugged { name: "sdd1".into(), device: "8:49".into(), size: 1 << 20 };
        assert_eq!(plugged(host.path()), [expected]);
    }
}
