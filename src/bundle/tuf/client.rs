//! The rules of a TUF client (TUF 1.0.34, section 5), run on a repository before agents see it: what a stock client
//! would refuse is never published.

use std::collections::BTreeMap;

use crate::tuf::{Delegated, Listing, Meta, TufRole, TufRoot, TufTargets, open, refuse};
use base::{Refusal, Timestamp};

/// Metadata files by name, as a client asks for them: `1.root.json`, `timestamp.json`, `7.snapshot.json`, …
pub type Files = BTreeMap<String, String>;

/// A repository that a stock client takes.
#[derive(Debug)]
pub struct CheckedTree {
    /// The newest root.
    pub root: TufRoot,
    /// Targets that the snapshot names.
    pub snapshot: Listing,
    /// The top-level targets.
    pub targets: TufTargets,
    /// The delegated roles whose metadata a client takes, by name.
    pub roles: BTreeMap<String, TufTargets>,
    /// Roles whose metadata a client does not take, with the reason, mostly expiry. Their targets cannot be had.
    pub unusable: BTreeMap<String, String>,
}

/// Walks the roots from the first on: each signed by the one before it and by itself; the last must not be expired.
/// Refusal: `tuf-refused`.
pub fn walk_roots(files: &Files, now: Timestamp) -> Result<TufRoot, Refusal> {
    let mut last: Option<TufRoot> = None;
    for version in 1_u64.. {
        let name = format!("{version}.root.json");
        let Some(text) = files.get(&name) else { break };
        // Who it says its own keys are, is only believed once they, and those before them, have signed it.
        let claimed: TufRoot = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|file| serde_json::from_value(file.get("signed")?.clone()).ok())
            .ok_or_else(|| refuse(format!("{name} cannot be read as TUF metadata")))?;
        let by = last.as_ref().unwrap_or(&claimed);
        open::<TufRoot>(&name, "root", text, &by.keys, role(by, "root")?)?;
        let root: TufRoot = open(&name, "root", text, &claimed.keys, role(&claimed, "root")?)?;
        if root.version != version {
            return Err(refuse(format!("{name} says that its version is {}", root.version)));
        }
        last = Some(root);
    }
    let root = last.ok_or_else(|| refuse("the repository has no 1.root.json".into()))?;
    let count = files.keys().filter(|name| name.ends_with(".root.json")).count() as u64;
    if count != root.version {
        let missing = root.version + 1;
        return Err(refuse(format!("{missing}.root.json is missing: the repository has {count} root files")));
    }
    if root.expires <= now {
        return Err(refuse(format!("{}.root.json expired {}", root.version, root.expires)));
    }
    if !root.consistent_snapshot {
        return Err(refuse(format!("{}.root.json does not set consistent_snapshot to true", root.version)));
    }
    Ok(root)
}

/// The keys of one of the four roles of a root.
pub fn role<'a>(root: &'a TufRoot, name: &str) -> Result<&'a TufRole, Refusal> {
    root.roles.get(name).ok_or_else(|| refuse(format!("{}.root.json has no role {name}", root.version)))
}

/// Checks a repository as a client does that has seen the `former` one. Refusal: `tuf-refused`.
pub fn check(files: &Files, former: Option<&Files>, now: Timestamp) -> Result<CheckedTree, Refusal> {
    let get = |name: &str| files.get(name).ok_or_else(|| refuse(format!("the repository has no {name}")));
    // 1. The roots; those that were seen stay what they were.
    let root = walk_roots(files, now)?;
    let seen = former.into_iter().flatten().filter(|(name, _)| name.ends_with(".root.json"));
    if let Some((name, _)) = seen.into_iter().find(|(name, text)| files.get(*name) != Some(text)) {
        return Err(refuse(format!("{name} differs from the file of that name that clients have")));
    }
    // 2. The timestamp, and the snapshot that it names. Neither steps back.
    let fresh = |name: &str, expires: Timestamp| {
        if expires > now { Ok(()) } else { Err(refuse(format!("{name} expired {expires}"))) }
    };
    let timestamp: Listing =
        open("timestamp.json", "timestamp", get("timestamp.json")?, &root.keys, role(&root, "timestamp")?)?;
    fresh("timestamp.json", timestamp.expires)?;
    let version = timestamp.meta.get("snapshot.json").map_or(0, |meta| meta.version);
    let name = format!("{version}.snapshot.json");
    let snapshot: Listing = open(&name, "snapshot", get(&name)?, &root.keys, role(&root, "snapshot")?)?;
    fresh(&name, snapshot.expires)?;
    if snapshot.version != version {
        return Err(refuse(format!("{name} says that its version is {}", snapshot.version)));
    }
    if let Some((timestamp_before, snapshot_before)) = former.and_then(listings) {
        let behind = timestamp.version < timestamp_before.version || snapshot.version < snapshot_before.version;
        let back = snapshot_before
            .meta
            .iter()
            .find(|(name, before)| snapshot.meta.get(*name).is_none_or(|meta: &Meta| meta.version < before.version));
        if behind {
            let (now, before) = (timestamp.version, timestamp_before.version);
            let (newer, older) = (snapshot.version, snapshot_before.version);
            return Err(refuse(format!(
                "the repository goes back: timestamp {now} after {before}, snapshot {newer} after {older}"
            )));
        }
        if let Some((name, before)) = back {
            return Err(refuse(format!(
                "the snapshot leaves {name} out or goes back: clients have version {}",
                before.version
            )));
        }
    }
    // 3. The top-level targets.
    let named = |name: &str| snapshot.meta.get(name).map(|meta| meta.version);
    let read = |name: &str, keys, role: &TufRole| -> Result<TufTargets, Refusal> {
        let version =
            named(&format!("{name}.json")).ok_or_else(|| refuse(format!("the snapshot names no {name}.json")))?;
        let name = format!("{version}.{name}.json");
        let targets: TufTargets = open(&name, "targets", get(&name)?, keys, role)?;
        if targets.version != version {
            return Err(refuse(format!("{name} says that its version is {}", targets.version)));
        }
        fresh(&name, targets.expires).map(|()| targets)
    };
    let targets = read("targets", &root.keys, role(&root, "targets")?)?;
    // 4. The delegated roles, each by itself: one that is expired takes nothing from the others.
    let (mut roles, mut unusable) = (BTreeMap::new(), BTreeMap::new());
    for (delegated, keys) in delegations(&targets) {
        let name = &delegated.name;
        if named(&format!("{name}.json")).is_none() {
            continue;
        }
        match read(name, keys, &delegated.role()).and_then(|it| check_names(delegated, it)) {
            Ok(targets) => _ = roles.insert(name.clone(), targets),
            Err(refusal) => _ = unusable.insert(name.clone(), refusal.detail),
        }
    }
    Ok(CheckedTree { root, snapshot, targets, roles, unusable })
}

/// The delegated roles of the top-level targets, each with the keys that are known there.
pub fn delegations(targets: &TufTargets) -> impl Iterator<Item = (&Delegated, &BTreeMap<String, crate::tuf::TufKey>)> {
    targets.delegations.iter().flat_map(|it| it.roles.iter().map(move |role| (role, &it.keys)))
}

fn check_names(delegated: &Delegated, targets: TufTargets) -> Result<TufTargets, Refusal> {
    match targets.targets.keys().find(|name| !delegated.is_for(name)) {
        Some(name) => Err(refuse(format!("role {} may not sign the target {}", delegated.name, base::quoted(name)))),
        None => Ok(targets),
    }
}

/// The timestamp and snapshot of a repository that was checked before.
fn listings(files: &Files) -> Option<(Listing, Listing)> {
    let read = |name: &str| -> Option<Listing> {
        let file: serde_json::Value = serde_json::from_str(files.get(name)?).ok()?;
        serde_json::from_value(file.get("signed")?.clone()).ok()
    };
    let timestamp = read("timestamp.json")?;
    let snapshot = read(&format!("{}.snapshot.json", timestamp.meta.get("snapshot.json")?.version))?;
    Some((timestamp, snapshot))
}
