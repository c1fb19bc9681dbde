//! Index in memory of all that is published: every path with its bytes, ready to be handed out. Built anew when
//! a channel's pointer changes and swapped in as a whole; a download goes on with what it began with.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderValue;

use super::audience::Audience;
use super::content::{Contents, Proof, StoredContent};
use super::freshness::FeedState;
use super::plan::ServePlan;
use super::published::{Published, TUF};
use crate::set::{BytesPlace, CurrentSet, Set, SetMember, sums};
use crate::tree::TreeFile;
use base::{Digest, Fault, Timestamp};
use bundle::ReleaseId;
use guard::Guard;

/// Index of the paths that agents can get.
pub struct Index {
    paths: HashMap<String, Arc<ServedItem>>,
    blobs: HashMap<Digest, Arc<ServedItem>>,
    /// Each feed served, with its freshness.
    pub feeds: Vec<Arc<FeedState>>,
    /// Each channel with what it serves.
    pub channels: Vec<(String, CurrentSet)>,
    /// The repository for TUF clients that is served.
    pub tree: Option<CurrentSet>,
    /// Contents of the store in it.
    contents: HashMap<Digest, Arc<StoredContent>>,
    /// For whom what is added next is there.
    audience: Audience,
    /// Knows submission clients; replaced with the sets, since a set may hold its list.
    pub guard: Arc<Guard>,
}

/// One file, ready to be handed out.
#[derive(Clone)]
pub struct ServedItem {
    /// Bytes; those of the store, if they are from there.
    pub bytes: Bytes,
    /// Content of the store that they are, which has to be proven before they are handed out.
    pub(crate) stored: Option<Arc<StoredContent>>,
    /// Strong validator: the digest in quotes.
    pub etag: HeaderValue,
    /// When it was published here.
    pub modified: Timestamp,
    /// The same as a header.
    pub last_modified: HeaderValue,
    /// Content type.
    pub content_type: HeaderValue,
    /// True if the bytes can never change at this path.
    pub immutable: bool,
    /// The feed it came from.
    pub feed: Option<Arc<FeedState>>,
    /// True for a file that the relay made beside an artifact.
    pub is_side_file: bool,
    /// For whom it is there.
    pub audience: Audience,
}

impl ServedItem {
    /// SHA-256 of the bytes, in hex.
    pub(crate) fn digest(&self) -> &str {
        self.etag.to_str().unwrap_or_default().trim_matches('"')
    }
}

impl Index {
    fn empty() -> Result<Self, Fault> {
        Ok(Self {
            paths: HashMap::new(),
            blobs: HashMap::new(),
            feeds: Vec::new(),
            channels: Vec::new(),
            tree: None,
            contents: HashMap::new(),
            audience: Audience::default(),
            guard: Arc::new(Guard::shipped()?),
        })
    }

    /// Loads what the pointers of the config's channels name: one that was taken out of it is served to nobody. One
    /// that is damaged is left out, and its fault given, with the effect in words: the others keep being served. No
    /// pointer that `former`, the index until now, shows a set by may be gone.
    pub fn load(
        published: &Published,
        plan: &ServePlan,
        now: Timestamp,
        former: Option<&Self>,
    ) -> Result<(Self, Vec<(Fault, String)>), Fault> {
        let (mut index, mut faults) = (Self::empty()?, Vec::new());
        let mut contents = Contents::new(published, former.map(|former| &former.contents));
        for channel in &plan.channels {
            let shown = former.and_then(|former| former.shown(&channel.name));
            let newest = published.newest(&channel.name);
            let current = newest.and_then(|newest| not_lost(published, &channel.name, newest, shown));
            let current = current.unwrap_or_else(|fault| {
                let effect =
                    if shown.is_some() { "keeps serving the set that it served before" } else { "serves nothing" };
                faults.push((fault, format!("the channel {} {effect}", channel.name)));
                shown
            });
            let set = current.map(|current| {
                let served = former.filter(|_| shown == Some(current));
                served
                    .and_then(|former| former.set_of(&channel.name, current))
                    .map_or_else(|| published.set(&channel.name, current), Ok)
            });
            let set = set.transpose();
            let loaded =
                set.and_then(|set| Self::load_channel(&mut contents, plan, &channel.name, current.zip(set), now));
            match loaded {
                Ok(part) => {
                    part.paths.into_iter().for_each(|(path, item)| join(&mut index.paths, path, item));
                    part.blobs.into_iter().for_each(|(digest, item)| join(&mut index.blobs, digest, item));
                    index.feeds.extend(part.feeds);
                    index.channels.extend(part.channels);
                }
                Err(fault) => {
                    faults.push((fault, format!("the channel {} is not served, all others are", channel.name)));
                }
            }
        }
        let tree = if plan.has_tuf { index.add_tree(&mut contents, former) } else { Ok(()) };
        if let Err(fault) = tree {
            faults.push((fault, "the repository for TUF clients is not served, the channels are".to_owned()));
        }
        let lost = "this file is not sent, all others are";
        let (known, unreadable) = contents.into_parts();
        index.contents = known;
        faults.extend(unreadable.into_iter().map(|fault| (fault, lost.to_owned())));
        match index.published_guard(plan) {
            Ok(guard) => index.guard = Arc::new(guard),
            // What is published must not depend on the record: the list that ships does for now.
            Err(fault) => {
                let effect = "only the list of endpoints that ships with the program is used";
                faults.push((fault, effect.to_owned()));
            }
        }
        Ok((index, faults))
    }

    /// Set of a channel that the index shows.
    pub(crate) fn shown(&self, channel: &str) -> Option<CurrentSet> {
        self.channels.iter().find(|(name, _)| name == channel).map(|(_, current)| *current)
    }

    /// Set that the index shows, as it was read: its file may have been damaged since, and what is served stays served.
    fn set_of(&self, channel: &str, current: CurrentSet) -> Option<(Vec<u8>, Set)> {
        let item = self.paths.get(&release_path(channel))?;
        Published::read_set(channel, current, item.bytes.to_vec())
    }

    /// Recogniser of submission clients, by the list that ships and the published one.
    pub fn published_guard(&self, plan: &ServePlan) -> Result<Guard, Fault> {
        let item = plan.settings.endpoints.as_ref().and_then(|path| self.get(&format!("/{path}")));
        let Some(item) = item else { return Guard::shipped() };
        if item.stored.as_ref().is_some_and(|stored| stored.proof_at_once() != Proof::Holds) {
            return Err(Fault::damaged(item.digest(), "the bytes of this published file were changed"));
        }
        Guard::with(&item.bytes)
    }

    /// Only the channel that holds the list of endpoints, for whoever shows the record.
    pub fn guard_of(published: &Published, plan: &ServePlan, now: Timestamp) -> Result<Guard, Fault> {
        let channel = plan.settings.endpoints.as_ref().and_then(|path| Some(path.split_once('/')?.0));
        let Some(channel) = channel else { return Guard::shipped() };
        let Some(current) = published.newest(channel)? else { return Guard::shipped() };
        let shown = Some((current, published.set(channel, current)?));
        Self::load_channel(&mut Contents::new(published, None), plan, channel, shown, now)?.published_guard(plan)
    }

    fn load_channel(
        contents: &mut Contents<'_>,
        plan: &ServePlan,
        channel: &str,
        shown: Option<(CurrentSet, (Vec<u8>, Set))>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let mut index = Self::empty()?;
        let Some((current, (bytes, set))) = shown else { return Ok(index) };
        let mut dates: HashMap<Timestamp, HeaderValue> = HashMap::new();
        let known = plan.channels.iter().find(|it| it.name == channel);
        let Some(known) = known else { return Ok(index) };
        index.audience = Audience::of(&known.certificates);
        index.feeds = set
            .releases
            .iter()
            .map(|member| {
                let ageing = plan.feeds.get(&member.feed).copied().unwrap_or_default();
                Arc::new(FeedState::new(member, (channel, &index.audience), ageing, now))
            })
            .collect();
        for file in &set.files {
            let (bytes, stored) = match &file.place {
                BytesPlace::Sums => (Bytes::from(sums(&set.files)), None),
                _ => contents.find(file.sha256, file.size, &file.place)?,
            };
            let item = Arc::new(ServedItem {
                bytes,
                stored,
                etag: etag(file.sha256),
                modified: file.modified,
                last_modified: dates.entry(file.modified).or_insert_with(|| http_date(file.modified)).clone(),
                content_type: HeaderValue::from_static(match file.place {
                    BytesPlace::Inline(_) | BytesPlace::Sums => "text/plain",
                    _ => "application/octet-stream",
                }),
                immutable: false,
                feed: index.feeds.iter().find(|feed| *feed.name == *file.feed).cloned(),
                is_side_file: matches!(file.place, BytesPlace::Inline(_) | BytesPlace::Sums),
                audience: index.audience.clone(),
            });
            join(&mut index.blobs, file.sha256, Arc::clone(&item));
            index.paths.insert(format!("/{channel}/{}", file.path), item);
        }
        index.add(release_path(channel), (bytes.into(), None), set.published);
        for member in &set.releases {
            index.add_evidence(contents, member, set.published);
        }
        index.channels.push((channel.to_owned(), current));
        Ok(index)
    }

    /// The manifest and its signatures, as they came: an agent can check any artifact end to end.
    fn add_evidence(&mut self, contents: &mut Contents<'_>, member: &SetMember, modified: Timestamp) {
        let id = ReleaseId { feed: member.feed.clone(), version: member.version };
        let folder = contents.published.release_path(&id);
        for name in member.signatures.iter().map(String::as_str).chain(["manifest.json"]) {
            let path = folder.join(name);
            let is_manifest = name == "manifest.json";
            if let Some(found) = contents.open(&path, is_manifest.then_some(member.manifest)) {
                self.add(format!("/-/feeds/{}/{name}", member.feed), found, modified);
            }
        }
    }

    /// The repository for TUF clients.
    fn add_tree(&mut self, contents: &mut Contents<'_>, former: Option<&Self>) -> Result<(), Fault> {
        let published = contents.published;
        let current = not_lost(published, TUF, published.newest(TUF)?, former.and_then(|former| former.tree))?;
        let Some(current) = current else { return Ok(()) };
        let tree = published.tree_of(current)?;
        for (name, kept) in &tree.targets {
            let Some(audience) = self.audience_of(name, kept) else { continue };
            let found = contents.find(kept.sha256, kept.size, &kept.place)?;
            self.audience = audience;
            self.add(format!("/-/tuf/targets/{name}"), found, tree.made);
        }
        self.audience = Audience::default();
        for (name, text) in tree.metadata {
            self.add(format!("/-/tuf/{name}"), (Bytes::from(text), None), tree.made);
        }
        self.tree = Some(current);
        Ok(())
    }

    /// For whom a target is there: as the channels have its bytes, or its feed, where they have moved on since the
    /// repository was made. Nobody, where no channel has either; what the relay says itself is for everybody.
    fn audience_of(&self, name: &str, kept: &TreeFile) -> Option<Audience> {
        if let Some(item) = self.blobs.get(&kept.sha256) {
            return Some(item.audience.clone());
        }
        let widest = |feeds: &mut dyn Iterator<Item = &Arc<FeedState>>| {
            feeds.max_by_key(|feed| (feed.name.len(), feed.audience.is_everybody())).map(|feed| feed.audience.clone())
        };
        if let Some((feed, _)) = kept.release.as_deref().and_then(|id| id.split_once('/')) {
            return widest(&mut self.feeds.iter().filter(|known| *known.name == *feed));
        }
        // A tree of an earlier version says the feed in the target's name alone.
        let (_, name) = name.split_once('.')?;
        if matches!(name, "relay--notice.json" | "relay--checkpoint") {
            return Some(Audience::default());
        }
        let is_of = |feed: &&Arc<FeedState>| name.strip_prefix(&*feed.name).is_some_and(|rest| rest.starts_with("--"));
        widest(&mut self.feeds.iter().filter(is_of))
    }

    fn add(&mut self, path: String, (bytes, stored): (Bytes, Option<Arc<StoredContent>>), modified: Timestamp) {
        let item = ServedItem {
            etag: etag(stored.as_ref().map_or_else(|| Digest::of(&bytes), |stored| stored.sha256())),
            bytes,
            stored,
            modified,
            last_modified: http_date(modified),
            content_type: HeaderValue::from_static(if path.ends_with("json") {
                "application/json"
            } else {
                "text/plain"
            }),
            immutable: false,
            feed: None,
            is_side_file: false,
            audience: self.audience.clone(),
        };
        self.paths.insert(path, Arc::new(item));
    }

    /// The file at a path, which begins with `/` and has been decoded.
    pub fn get(&self, path: &str) -> Option<Arc<ServedItem>> {
        if let Some(item) = self.paths.get(path) {
            return Some(Arc::clone(item));
        }
        let digest = path.strip_prefix("/-/blobs/sha256/")?.parse().ok()?;
        let item = self.blobs.get(&digest)?;
        let content_type = HeaderValue::from_static("application/octet-stream");
        Some(Arc::new(ServedItem { content_type, immutable: true, ..ServedItem::clone(item) }))
    }

    /// True if anything was ever published.
    pub fn is_ready(&self) -> bool {
        !self.channels.is_empty()
    }
}

/// Path at which a channel's set is served.
fn release_path(channel: &str) -> String {
    format!("/-/channels/{channel}/release.json")
}

/// Set to show. Fault: the channel shows one, and its pointer is gone. Whether a pointer is the newest,
/// [`Published::newest`] has checked.
fn not_lost(
    published: &Published,
    channel: &str,
    newest: Option<CurrentSet>,
    shown: Option<CurrentSet>,
) -> Result<Option<CurrentSet>, Fault> {
    if newest.is_some() || shown.is_none() {
        return Ok(newest);
    }
    let path = published.pointer_path(channel);
    let what = "it was removed, and the set that it named is served. `gaprelay settle` puts it right; after a restore from a backup, start the server again";
    Err(Fault::damaged(path.to_string_lossy(), what))
}

fn etag(digest: Digest) -> HeaderValue {
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn http_date(at: Timestamp) -> HeaderValue {
    let text = httpdate::fmt_http_date(at.system_time());
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Puts an item in its place. What another channel has there too is for whoever either is for: what one shows, the
/// other may not keep from anybody. Where they show two versions, what is for everybody stays.
fn join<K: Eq + Hash>(items: &mut HashMap<K, Arc<ServedItem>>, place: K, item: Arc<ServedItem>) {
    match items.entry(place) {
        Entry::Vacant(free) => drop(free.insert(item)),
        Entry::Occupied(mut known) => {
            let ours = Arc::clone(known.get());
            if ours.audience == item.audience || ours.audience.is_everybody() {
                return;
            }
            let audience = ours.audience.with(&item.audience);
            let is_same = ours.etag == item.etag;
            known.insert(if is_same { Arc::new(ServedItem { audience, ..ServedItem::clone(&ours) }) } else { item });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &'static str, names: &[&str]) -> Arc<ServedItem> {
        let mut index = Index::empty().unwrap();
        index.audience = Audience::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        index.add("/a".into(), (Bytes::from(text), None), Timestamp::default());
        index.get("/a").unwrap()
    }

    /// Bytes of the item, and for whom of `a`, `b` and an agent without a name it is there, after these came.
    fn joined(all: &[(&'static str, &[&str])]) -> (Bytes, [bool; 3]) {
        let mut items = HashMap::new();
        for (text, names) in all {
            join(&mut items, "/a", item(text, names));
        }
        let item = &items["/a"];
        (item.bytes.clone(), [Some("a"), Some("b"), None].map(|name| item.audience.has(name)))
    }

    #[test]
    fn what_two_channels_show_is_for_both() {
        for (all, bytes, whom) in [
            (&[("x", &["a"][..]), ("x", &["b"])][..], "x", [true, true, false]),
            (&[("x", &["a"]), ("x", &[])], "x", [true, true, true]),
            (&[("x", &[]), ("x", &["a"])], "x", [true, true, true]),
            (&[("x", &["a"]), ("x", &["a"])], "x", [true, false, false]),
            // Two versions: nobody gets the one that is not for them.
            (&[("x", &["a"]), ("y", &[])], "y", [true, true, true]),
            (&[("x", &[]), ("y", &["a"])], "x", [true, true, true]),
            (&[("x", &["a"]), ("y", &["b"])], "y", [false, true, false]),
        ] {
            assert_eq!(joined(all), (Bytes::from(bytes), whom), "{all:?}");
        }
    }
}
