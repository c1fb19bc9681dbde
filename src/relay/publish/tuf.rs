//! Makes the repository that TUF clients read, and switches to it. Its form is `serve::tree`.
//!
//! Root, targets and the roles of feeds are signed offline and stand in it byte for byte. The relay signs timestamp,
//! snapshot and its notices, with a key that can sign no content.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use crate::state::{SMALL, State, Trust};
use base::name::json_number;
use base::proven::ProvenFile;
use base::{Digest, Fault, Refusal, Timestamp, durable};
use bundle::ReleaseId;
use bundle::tuf::client::{CheckedTree, Files, check};
use bundle::tuf::{Listing, Meta, NOTICE, TufKey, TufTarget, TufTargets, canonical, file, signed_part, target_name};
use inspect::{Kind, Verdict};
use serve::published::TUF;
use serve::set::{BytesPlace, CurrentSet, SetFile, SetMember};
use serve::tree::{FORMAT, Tree, TreeFile};

/// Longest metadata file, in bytes.
const LONGEST_METADATA: u64 = 64 << 20;
/// Name of the tree in the log.
pub(crate) const CHANNEL: &str = TUF;

/// Sources of a tree: metadata that was signed offline, and sets that are published.
pub(crate) struct TreeParts {
    /// `1.root.json`, … by name.
    pub roots: Files,
    /// `targets.json`.
    pub targets: String,
    /// The metadata of each feed's role, of the releases that are published.
    pub feeds: BTreeMap<String, String>,
    /// Set that each channel shows.
    pub sets: BTreeMap<String, Digest>,
    /// The files that channels show.
    pub files: Vec<ShownFile>,
    /// Artifacts that are withheld, stripped or behind, for the relay's notice.
    pub notice: Value,
    /// The import log's signed head, for agents as its outside memory.
    pub checkpoint: String,
}

/// File that a channel shows.
pub(crate) struct ShownFile {
    /// The file.
    pub file: SetFile,
    /// The release that it is of.
    pub release: ReleaseId,
    /// Digest of that release's manifest.
    pub manifest: Digest,
}

/// The version that metadata says it has, before anybody has checked it: good to name it by.
pub(crate) fn claimed_version(text: &str) -> u64 {
    let file: Option<Value> = serde_json::from_str(text).ok();
    file.and_then(|file| file.get("signed")?.get("version")?.as_u64()).unwrap_or_default()
}

/// Makes the tree of this version, signed by the relay until `expires`, and runs the rules of a client on it that
/// knows the former one. Refusal: `tuf-refused`.
pub(crate) fn make_tree(
    parts: &TreeParts,
    former: Option<&Tree>,
    key: &SigningKey,
    version: u64,
    (now, expires): (Timestamp, Timestamp),
) -> Result<Tree, Refusal> {
    let public = TufKey::ed25519(key.verifying_key().as_bytes());
    let sign = |signed: Value| -> Result<String, Refusal> {
        let bytes = canonical(&signed)?;
        Ok(file(&signed, &[(public.id(), key.sign(&bytes).to_bytes())]))
    };
    let (metadata, sets) = (parts.roots.clone(), parts.sets.clone());
    let (targets, releases) = (BTreeMap::new(), BTreeMap::new());
    let mut tree = Tree { format: FORMAT.into(), version, made: now, sets, metadata, targets, releases };
    let mut snapshot = BTreeMap::new();
    let mut add = |tree: &mut Tree, role: &str, text: String, version: u64| {
        snapshot.insert(format!("{role}.json"), Meta { version });
        tree.metadata.insert(format!("{version}.{role}.json"), text);
    };
    add(&mut tree, "targets", parts.targets.clone(), claimed_version(&parts.targets));

    // The role of a feed never steps back: after a withdrawal the newest that clients know stays, and what it
    // signed is not served.
    let known = former.map(feed_metadata).unwrap_or_default();
    for (feed, text) in known.iter().chain(&parts.feeds) {
        let newest =
            [known.get(feed), parts.feeds.get(feed)].into_iter().flatten().max_by_key(|it| claimed_version(it));
        let text = newest.unwrap_or(text);
        add(&mut tree, feed, text.clone(), claimed_version(text));
    }

    // What the relay says itself.
    let said = [("relay--notice.json", parts.notice.to_string()), ("relay--checkpoint", parts.checkpoint.clone())];
    let mut targets = BTreeMap::new();
    for (name, text) in said {
        let (size, sha256) = (text.len() as u64, Digest::of(text.as_bytes()));
        let hashes = BTreeMap::from([("sha256".to_owned(), sha256.to_string())]);
        targets.insert(name.to_owned(), TufTarget { length: size, hashes });
        let place = BytesPlace::Inline(text);
        tree.targets.insert(format!("{sha256}.{name}"), TreeFile { size, sha256, place, release: None });
    }
    let notice = TufTargets { version, expires, targets, delegations: None };
    add(&mut tree, NOTICE, sign(signed_part("targets", &notice)?)?, version);
    let listing = Listing { version, expires, meta: snapshot };
    tree.metadata.insert(format!("{version}.snapshot.json"), sign(signed_part("snapshot", &listing)?)?);
    let listing = Listing { version, expires, meta: BTreeMap::from([("snapshot.json".into(), Meta { version })]) };
    tree.metadata.insert("timestamp.json".into(), sign(signed_part("timestamp", &listing)?)?);

    let checked = check(&tree.metadata, former.map(|former| &former.metadata), now)?;
    take_targets(&mut tree, &checked, &parts.files);
    Ok(tree)
}

/// The metadata of feeds' roles, by feed.
fn feed_metadata(tree: &Tree) -> BTreeMap<String, String> {
    let of = |(name, text): (&String, &String)| {
        let (_, role) = name.strip_suffix(".json")?.split_once('.')?;
        let is_feed = !matches!(role, "root" | "targets" | "snapshot" | NOTICE);
        is_feed.then(|| (role.to_owned(), text.clone()))
    };
    tree.metadata.iter().filter_map(of).collect()
}

/// Targets that are served: files that a role has signed under the name of their feed and path, byte for byte.
fn take_targets(tree: &mut Tree, checked: &CheckedTree, files: &[ShownFile]) {
    for ShownFile { file: served, release, manifest } in files {
        let name = target_name(&served.feed, &served.path);
        let signed = checked.roles.get(&*served.feed).and_then(|role| role.targets.get(&name));
        let digest = served.sha256.to_string();
        if signed.is_some_and(|it| it.length == served.size && it.hashes.get("sha256") == Some(&digest)) {
            let release = release.to_string();
            tree.releases.insert(release.clone(), *manifest);
            let place = served.place.clone();
            let kept = TreeFile { size: served.size, sha256: served.sha256, place, release: Some(release) };
            tree.targets.insert(format!("{digest}.{name}"), kept);
        }
    }
}

/// Roles of feeds in a tree, with their versions, as the log has them.
pub(crate) fn feed_roles(tree: &Tree) -> Vec<String> {
    feed_metadata(tree).iter().map(|(feed, text)| format!("{feed}/{}", claimed_version(text))).collect()
}

/// Takes targets of these releases out of a tree, whose metadata stays as it is; of those that `shown` still has, the
/// bytes stay. Gives whether there were any. A target of no known release is taken out if it is not shown.
pub(crate) fn take_out(
    tree: &mut Tree,
    has_fallen: impl Fn(&str, Digest) -> bool,
    shown: impl FnOnce() -> Vec<ShownFile>,
) -> bool {
    let fallen: Vec<&String> = tree.releases.iter().filter(|(id, it)| has_fallen(id, **it)).map(|(id, _)| id).collect();
    let is_of_them = |target: &TreeFile| match &target.release {
        Some(release) => fallen.contains(&release),
        None => !matches!(target.place, BytesPlace::Inline(_)),
    };
    let mut out: Vec<String> =
        tree.targets.iter().filter(|(_, target)| is_of_them(target)).map(|(name, _)| name.clone()).collect();
    if out.is_empty() {
        return false;
    }
    // What another release has under that name, too, is of that one now.
    for ShownFile { file, release, manifest } in shown() {
        let name = format!("{}.{}", file.sha256, target_name(&file.feed, &file.path));
        if let (true, Some(target)) = (out.contains(&name), tree.targets.get_mut(&name)) {
            (target.place, target.release) = (file.place, Some(release.to_string()));
            tree.releases.insert(release.to_string(), manifest);
            out.retain(|it| *it != name);
        }
    }
    tree.targets.retain(|name, _| !out.contains(name));
    let used: Vec<&String> = tree.targets.values().filter_map(|target| target.release.as_ref()).collect();
    tree.releases.retain(|id, _| used.contains(&id));
    true
}

impl State {
    /// The relay's key for TUF: its secret seed, hex. It lies beside the logs' keys.
    pub fn tuf_key_path(&self) -> PathBuf {
        self.root().join("log/tuf.key")
    }

    /// Keeps a tree, durably; it is served once the pointer names it.
    pub fn keep_tree(&self, tree: &Tree) -> Result<CurrentSet, Fault> {
        let set = durable::replace_json(&self.tuf_path(&format!("{}.json", tree.version)), tree)?;
        Ok(CurrentSet { generation: tree.version, set })
    }

    /// Removes all trees but those of these versions.
    pub fn remove_trees_but(&self, kept: &[u64]) -> Result<(), Fault> {
        for name in durable::names(&self.root().join("tuf"))? {
            let version = json_number(&name);
            if version.is_some_and(|version| !kept.contains(&version)) {
                durable::remove(&self.tuf_path(&name))?;
            }
        }
        Ok(())
    }
}

/// An artifact in the relay's notice.
pub(crate) fn notice_entry(feed: &str, version: u64, path: &str, why: &str) -> Value {
    json!({ "feed": feed, "version": version, "target": target_name(feed, path), "why": why })
}

/// Paths and texts of a release's TUF metadata.
pub(crate) fn read_metadata(state: &State, trust: &Trust, member: &SetMember) -> Result<Vec<(String, String)>, Fault> {
    let id = ReleaseId { feed: member.feed.clone(), version: member.version };
    let release = state.release(trust, &id)?;
    let verdicts = state.verdicts(&release)?;
    let mut found = Vec::new();
    let is_tuf = |verdict: &&Verdict| verdict.shown == Some(Kind::TufMetadata);
    let packed = state.pack_index(&release)?;
    for verdict in verdicts.iter().filter(is_tuf) {
        let Some((sha256, size)) = verdict.kept().filter(|(_, size)| *size <= LONGEST_METADATA) else { continue };
        let (path, offset) = if size < SMALL {
            let missing =
                || Fault::damaged(format!("the pack of release {id}"), "a file that the verdicts name is not in it");
            (state.release_path(&id).join("pack"), packed.get(&sha256).ok_or_else(missing)?.offset)
        } else {
            (state.blob_path(sha256), 0)
        };
        let file = ProvenFile::open_part(&path, (offset, size), sha256)?;
        let mut text = vec![0; usize::try_from(file.length()).unwrap_or_default()];
        file.read_at(0, &mut text)?;
        found.push((verdict.path.clone(), String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(found)
}
