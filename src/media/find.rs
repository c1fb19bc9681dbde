//! Bundles under a medium: folders that hold `manifest.json` beside a signature or a payload.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::base::quoted::quoted_os;
use crate::base::{Limits, Reason, Refusal};

/// A folder that looks like a bundle.
#[derive(Clone, Debug)]
pub struct Found {
    /// The path given on the command line.
    pub root: PathBuf,
    /// The bundle's folder below `root`; empty if it is the root itself.
    pub folder: PathBuf,
    /// Names of its signature files, sorted.
    pub signatures: Vec<std::ffi::OsString>,
}

impl Found {
    /// The folder's name for the eye, escaped.
    pub fn shown(&self) -> String {
        let name = if self.folder == Path::new("") { self.root.file_name() } else { Some(self.folder.as_os_str()) };
        quoted_os(name.unwrap_or(self.root.as_os_str()))
    }
}

/// What lies under one path.
#[derive(Debug, Default)]
pub struct Survey {
    /// The bundles, by folder name.
    pub bundles: Vec<Found>,
    /// Files and folders that belong to none.
    pub unrelated: u64,
    /// Folders that could not be listed, escaped, with the reason.
    pub unreadable: Vec<String>,
}

/// Looks for bundles in `root` and all folders below it. Links are not followed.
/// Refusals: `medium-entry-limit`, `medium-unreadable` (where the root itself cannot be listed).
pub fn find(root: &Path, limits: &Limits) -> Result<Survey, Refusal> {
    let mut survey = Survey::default();
    let depth = usize::try_from(limits.medium_depth).unwrap_or(usize::MAX);
    let mut entries: u64 = 0;
    for entry in WalkDir::new(root).follow_links(false).follow_root_links(true).max_depth(depth).sort_by_file_name() {
        entries += 1;
        if entries > limits.medium_entries {
            let detail = format!("more than {} files and folders", limits.medium_entries);
            return Err(Refusal::new(Reason::MediumEntryLimit, detail));
        }
        match entry {
            Ok(entry) if entry.file_type().is_dir() => match bundle_in(root, entry.path()) {
                Some(found) => survey.bundles.push(found),
                None => survey.unrelated += u64::from(entry.depth() > 0),
            },
            Ok(_) => survey.unrelated += 1,
            Err(e) if e.depth() == 0 => {
                return Err(Refusal::new(Reason::MediumUnreadable, format!("it cannot be listed: {}", why(&e))));
            }
            Err(e) => {
                let place = e.path().map(quoted_os).unwrap_or_default();
                survey.unreadable.push(format!("{place}: {}", why(&e)));
            }
        }
    }
    let inside: u64 = survey.bundles.iter().map(|b| 2 + b.signatures.len() as u64).sum();
    survey.unrelated = survey.unrelated.saturating_sub(inside);
    Ok(survey)
}

/// The system's words, without the path that walkdir puts before them.
fn why(error: &walkdir::Error) -> String {
    quoted_os(error.io_error().map_or_else(|| error.to_string(), ToString::to_string))
}

/// `folder` as a bundle, if it holds a manifest and something that belongs to it.
fn bundle_in(root: &Path, folder: &Path) -> Option<Found> {
    // A link or a FIFO of that name counts as there: it is refused when opened, not passed over.
    let exists = |name: &str| folder.join(name).symlink_metadata().is_ok();
    if !exists("manifest.json") {
        return None;
    }
    let mut signatures: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| is_signature_name(name))
        .collect();
    signatures.sort_unstable();
    if signatures.is_empty() && !exists("payload.tar.gz") {
        return None;
    }
    let below = folder.strip_prefix(root).ok()?.to_owned();
    Some(Found { root: root.to_owned(), folder: below, signatures })
}

/// `manifest.json.minisig` or `manifest.json.<anything>.minisig`.
fn is_signature_name(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"manifest.json.") && name.ends_with(b".minisig")
}
