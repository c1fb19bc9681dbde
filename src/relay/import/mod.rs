//! Import of bundles, written as the argument for its safety, from top to bottom.
//!
//! Each station takes the type of the one before it (the drawing is in [the crate](crate)), which nobody else can make,
//! so that no step can be left out. First `read_medium`: everything that is wanted is read off the medium, each byte
//! once, and nothing of it is decompressed, parsed or believed before its signatures hold. Then the medium may be
//! removed. Then `admit`, bundle by bundle: nothing counts before the trust file says so, and that is one step; a cut
//! before it leaves the former state. Where a step fails, a comment says why it is safe to stop there, or to go on.

mod names;
mod outcome;
mod shown;

pub(crate) mod progress_writer;
pub(crate) mod rotation;
pub(crate) mod thin;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) use outcome::{ImportOutcome, JudgedBundle, ProgressEvent, ProgressWatch};

use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::beside::beside;
use crate::state::{Release, Staging};
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Digest, Error, Fault, Operator, Reason, Refusal, quoted};
use config::{Feed, policy};
use inspect::{Demands, Examiners, OriginDemand, examine};
use media::{Document, Medium, MediumBundle, Mount, Spooled, Surveyed};
use names::taken_names;
use outcome::{copy_event, outcome_event};
use rotation::KeyringOutcome;
use shown::signed_by_others;

use bundle::{Envelope, Manifest, Novelty, ReleaseId, Rules, Verified, trust};

/// Free space that an import leaves unused, in bytes.
const RESERVE: u64 = 16 << 20;

/// Bundle read off the medium: its payload is in the spool, or the error says why not.
struct FetchedBundle {
    bundle: String,
    manifest: Option<Digest>,
    release: Option<(String, u64)>,
    content: Result<BundleContent, Error>,
    /// Folders with the same manifest, whose payload was not read: this bundle's outcome is theirs.
    copies: Vec<String>,
}

impl FetchedBundle {
    /// Payload in the spool.
    fn pending(&self) -> Option<&Spooled> {
        match &self.content {
            Ok(BundleContent::New(spooled)) => Some(spooled),
            Ok(BundleContent::AlreadyHere(_)) | Err(_) => None,
        }
    }
}

enum BundleContent {
    New(Spooled),
    AlreadyHere(Verified),
}

/// Worker processes, which see what the keeper must not: a reader for each medium, and an examiner for each bundle.
pub(crate) struct Workers {
    /// Media: each path given, its mount, if there is one, and its reader.
    pub media: Vec<(PathBuf, Option<Mount>, Medium)>,
    /// Disks that were set read-only before anything was read.
    pub disks: Vec<String>,
    /// Examiners, which unpack and inspect.
    pub examiners: Box<dyn Examiners>,
}

/// Imports every bundle on the media. Each gets its own outcome; a fault of the relay that concerns all of them stops
/// the import. `between` runs after each bundle that was read, and each that was judged.
pub(crate) fn import(
    keeper: &mut Keeper,
    workers: Workers,
    operator: &Operator,
    watch: ProgressWatch<'_>,
    between: &mut dyn FnMut(&mut Keeper),
) -> Result<Vec<JudgedBundle>, Fault> {
    // No date can be judged by a clock that is behind the newest time on record. Stopping is safe: nothing was read.
    keeper.check_clock()?;

    let Workers { media, disks, mut examiners } = workers;
    let mut all = Vec::new();
    let mut judged = Vec::new();
    for (path, mount, medium) in media {
        // A fault here is of the log or of the state. Stopping is safe: what was spooled is swept at the next start,
        // and an intent without an outcome becomes `interrupted` then.
        read_medium(keeper, &path, (mount, &disks), medium, operator, (&mut all, &mut judged, watch), between)?;
    }
    watch(ProgressEvent::MediaDone);

    // Older versions first, so that one medium may bring several of one feed.
    all.sort_by(|a, b| a.release.cmp(&b.release));
    for taken in all {
        // Stopping is safe between two bundles, and in one: those before it count, those after it do not exist.
        judged.extend(judge_bundle(keeper, taken, &mut *examiners, operator, watch)?);
        // What officers hand in meanwhile does not wait for the last bundle.
        between(keeper);
    }
    Ok(judged)
}

/// Searches one medium, puts the keyrings on it in force, and reads what is wanted of it into the spool.
fn read_medium(
    keeper: &mut Keeper,
    path: &Path,
    (mount, disks): (Option<Mount>, &[String]),
    medium: Medium,
    operator: &Operator,
    (all, judged, watch): (&mut Vec<FetchedBundle>, &mut Vec<JudgedBundle>, ProgressWatch<'_>),
    between: &mut dyn FnMut(&mut Keeper),
) -> Result<(), Fault> {
    let accepted = keeper.config.media.writable.as_ref().map(|reason| quoted(reason.get_ref()).to_string());
    let writable = mount.as_ref().is_some_and(|mount| mount.writable);
    keeper.append(vec![Event::MediumOpened {
        medium: quoted_os(path),
        mount: mount.as_ref().map(|mount| mount.flags.join(" ")).unwrap_or_default(),
        disk: (!disks.is_empty()).then(|| disks.join(" ")),
        writable: accepted.clone().filter(|_| writable),
        operator: operator.clone(),
    }])?;
    if let Some(mount) = &mount {
        watch(ProgressEvent::Mounted(mount));
    }
    let mut surveyed = match check_mount(writable, accepted.as_deref()).and_then(|()| medium.survey()) {
        Ok(surveyed) => surveyed,
        // Passing over this medium is safe: none of its bytes but names was seen, and its refusal is logged.
        Err(error) => {
            keeper.append(vec![match &error {
                Error::Refused(Refusal { reason, detail }) => {
                    Event::MediumRefused { reason: *reason, detail: detail.clone() }
                }
                Error::Fault(fault) => Event::fault(fault),
            }])?;
            let (bundle, copies) = (quoted_os(path), Vec::new());
            all.push(FetchedBundle { bundle, manifest: None, release: None, content: Err(error), copies });
            return Ok(());
        }
    };
    watch(ProgressEvent::Surveyed(&surveyed));
    // A bundle in the root of the medium gets the name that the operator gave for the medium.
    let root = quoted_os(path.file_name().unwrap_or(path.as_os_str()));
    let of = |surveyed: &Surveyed, wanted| -> Vec<(MediumBundle, String)> {
        let these = surveyed.bundles().iter().filter(|bundle| bundle.document() == wanted);
        let name = |folder: &str| if folder.is_empty() { root.clone() } else { folder.to_owned() };
        these.map(|bundle| (bundle.clone(), name(bundle.folder()))).collect()
    };
    // Keyrings first: what else is there may be signed by keys that they bring, or take away. One that is refused
    // leaves the former in force, by which everything else is judged.
    let keyrings = of(&surveyed, Document::Keyring);
    for (bundle, rotated) in rotation::take_keyrings(keeper, &mut surveyed, &keyrings, operator)? {
        let outcome = match rotated {
            Ok(KeyringOutcome::InForce(version)) => ImportOutcome::KeyringReplaced(version),
            Ok(KeyringOutcome::AlreadyHere) => ImportOutcome::AlreadyHere,
            Err(error) => error.into(),
        };
        judged.push(JudgedBundle { bundle, release: None, outcome });
        judged.last().into_iter().for_each(|judged| watch(ProgressEvent::Judged(judged)));
    }
    for (found, bundle) in of(&surveyed, Document::Manifest) {
        // Each of the three may fail for this bundle alone. Going on is safe: the error is its outcome, which is logged
        // with its intent, and a payload that was begun goes with the value that was to hold it.
        let envelope = surveyed.envelope(&found);
        let manifest = envelope.as_ref().ok().map(|envelope| Digest::of(&envelope.document));
        let verified = envelope.and_then(|envelope| Ok(verify_manifest(keeper, envelope, operator)?));
        let release = verified.as_ref().ok().map(|v| (v.manifest().feed.clone(), v.manifest().version));
        let is_same = |other: &&mut FetchedBundle| {
            // Of the same signers as well: what it may bring depends on them.
            let signed = |verified: &Verified| (verified.digest(), verified.signers().to_vec());
            let this = verified.as_ref().ok().map(signed);
            this.is_some() && other.pending().map(|spooled| signed(spooled.verified())) == this
        };
        if let Some(first) = all.iter_mut().find(is_same) {
            first.copies.push(bundle);
            continue;
        }
        let unpacked = |other: &FetchedBundle| other.pending().map_or(0, |s| s.verified().manifest().carried_bytes());
        let pending = all.iter().map(unpacked).sum();
        let content = verified.and_then(|v| spool_payload(keeper, v, (&mut surveyed, &found, &bundle), pending, watch));
        all.push(FetchedBundle { bundle, manifest, release, content, copies: Vec::new() });
        // No act is open but the reading of the medium, which has its own outcome.
        between(keeper);
    }
    let (bundles, unrelated) = (surveyed.bundles().len() as u64, surveyed.unrelated());
    // The relay cannot have written to the medium; that nothing else has is checked, not assumed. Going on is safe
    // whatever the result: what was read is believed for its signatures, even if the medium was removed by now.
    let unchanged = surveyed.is_unchanged().unwrap_or(false);
    watch(ProgressEvent::Unchanged(unchanged));
    keeper.append(vec![Event::MediumRead { bundles, unrelated, unchanged }])
}

/// Checks that the medium is mounted read-only, unless the config says why it need not be. Refusal: `medium-writable`.
fn check_mount(writable: bool, accepted: Option<&str>) -> Result<(), Error> {
    if writable && accepted.is_none() {
        return Err(Error::refused(
            Reason::MediumWritable,
            "the medium is mounted writable, so a program on this machine could write to it",
        ));
    }
    Ok(())
}

/// Verifies a manifest: signed by the keys that the keyring asks for, for a feed of the config, and valid today.
/// Stopping anywhere is safe: of the bundle nothing but a small envelope was read, and nothing is kept.
fn verify_manifest(keeper: &Keeper, envelope: Envelope, operator: &Operator) -> Result<Verified, Refusal> {
    let waived = |manifest: &Manifest, digest| keeper.is_waived(&manifest.feed, digest, operator);
    let rules = Rules {
        keyring: &keeper.keyring,
        limits: &keeper.config.limits,
        clock_tolerance: keeper.config.clock.tolerance.0,
        now: keeper.now,
        waived: &waived,
    };
    let verified = bundle::verify(envelope, &rules)?;
    let feed = feed(keeper, &verified)?;
    bundle::check_algorithms(&verified, &feed.algorithms)?;
    keeper.config.demands(verified.manifest(), verified.signers())?;
    if !waived(verified.manifest(), verified.digest()) {
        trust::check_age(&verified, feed.refuse_after.map(|span| span.0), keeper.now)?;
        keeper.trust.feed(&verified.manifest().feed).check_jump(verified.manifest().version, feed.jump)?;
    }
    Ok(verified)
}

fn feed<'a>(keeper: &'a Keeper, verified: &Verified) -> Result<&'a Feed, Refusal> {
    let name = &verified.manifest().feed;
    keeper
        .config
        .feed(name)
        .ok_or_else(|| Refusal::new(Reason::FeedUnknown, format!("config.toml has no feed named {name}")))
}

/// Copies the payload into the spool, if the bundle is new and there is room for everything that its manifest lists.
fn spool_payload(
    keeper: &Keeper,
    verified: Verified,
    (surveyed, found, bundle): (&mut Surveyed, &MediumBundle, &str),
    pending: u64,
    watch: ProgressWatch<'_>,
) -> Result<BundleContent, Error> {
    let manifest = verified.manifest();
    // A rollback, an equivocation or a missing blob is refused before the payload costs anything: none of it was read.
    let known = keeper.trust.feed(&manifest.feed);
    if known.check(&verified)? == Novelty::Before {
        return Ok(BundleContent::AlreadyHere(verified));
    }
    thin::check_held(keeper, &verified)?;
    // Stopping is safe: nothing is written where the disk has no room for all of it.
    let needed = manifest.payload.size + manifest.carried_bytes() + RESERVE;
    let free = free_space(&keeper.state.spool())?.saturating_sub(pending);
    if needed > free {
        return Err(Fault::Space { needed, free }.into());
    }
    watch(ProgressEvent::Reading(bundle, manifest.payload.size));
    let spool = keeper.state.spool();
    // A payload that ends early, or is not the signed one, leaves nothing: its copy is removed with the failure.
    let spooled = surveyed.payload(found, verified, &spool, &mut |bytes| watch(ProgressEvent::Bytes(bytes)))?;
    Ok(BundleContent::New(spooled))
}

fn free_space(path: &Path) -> Result<u64, Fault> {
    let stat = rustix::fs::statvfs(path).map_err(Into::into).during("read the free space of", path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives one bundle and its copies their outcomes: intent, act, outcome. Where the log does not take the intent nothing
/// is done; where it does not take the outcome, the next start finds out by the trust file whether the act happened,
/// and says so.
fn judge_bundle(
    keeper: &mut Keeper,
    taken: FetchedBundle,
    examiners: &mut dyn Examiners,
    operator: &Operator,
    watch: ProgressWatch<'_>,
) -> Result<Vec<JudgedBundle>, Fault> {
    let started = |bundle: &str| Event::ImportStarted {
        bundle: bundle.to_owned(),
        manifest: taken.manifest,
        operator: operator.clone(),
    };
    let bundle = taken.bundle;
    let admitted = match taken.content {
        // Nothing is stored for a bundle refused on the medium: intent and outcome in one step.
        Err(error) => {
            let admitted = Err(error);
            keeper.append(vec![started(&bundle), outcome_event(keeper, &admitted, None, taken.release.as_ref())])?;
            admitted
        }
        Ok(BundleContent::AlreadyHere(verified)) => {
            keeper.append(vec![started(&bundle), outcome_event(keeper, &Ok(None), Some(&verified), None)])?;
            Ok(None)
        }
        Ok(BundleContent::New(spooled)) => {
            keeper.append(vec![started(&bundle)])?;
            watch(ProgressEvent::Unpacking(&bundle, spooled.verified().manifest().carried_bytes()));
            let admitted = admit(keeper, spooled, examiners, operator, watch);
            keeper.append(vec![outcome_event(keeper, &admitted, None, taken.release.as_ref())])?;
            admitted
        }
    };
    let outcome = match admitted {
        Ok(Some(release)) => ImportOutcome::Imported(Box::new(release)),
        Ok(None) => ImportOutcome::AlreadyHere,
        Err(error) => error.into(),
    };
    let release = taken.release;
    let copy = |bundle| JudgedBundle { bundle, release: release.clone(), outcome: outcome.of_copy() };
    let copies: Vec<JudgedBundle> = taken.copies.into_iter().map(copy).collect();
    for copy in &copies {
        keeper.append(vec![started(&copy.bundle), copy_event(keeper, copy)])?;
    }
    let mut judged = vec![JudgedBundle { bundle, release, outcome }];
    judged.extend(copies);
    for judged in &judged {
        watch(ProgressEvent::Judged(judged));
    }
    Ok(judged)
}

/// Makes a release of a spooled bundle. `None`: another bundle of this import brought exactly the same.
fn admit(
    keeper: &mut Keeper,
    spooled: Spooled,
    examiners: &mut dyn Examiners,
    operator: &Operator,
    watch: ProgressWatch<'_>,
) -> Result<Option<Release>, Error> {
    // 1. Signed by keys that count now: since it was read a keyring may have come into force, or officers may have
    //    denied one. And still a version above all that was accepted, this import's other bundles included. Stopping is
    //    safe: the payload was not inspected, and its copy is removed with `spooled`.
    let spooled = spooled.verified_again(|envelope| verify_manifest(keeper, envelope, operator))?;
    let verified = spooled.verified();
    let manifest = verified.manifest();
    if keeper.trust.feed(&manifest.feed).check(verified)? == Novelty::Before {
        return Ok(None);
    }
    let name = manifest.feed.clone();

    // 2. The terms on which the feed accepts it: by now a name of a file may be another feed's, and an agreement of
    //    another publisher refused or denied. Stopping is safe for the same reason.
    let wanted = feed(keeper, verified)?.clone();
    let policy = keeper.config.policy_of(&wanted)?;
    let demands = keeper.config.demands(manifest, verified.signers())?;
    let asks = demands.iter().any(|demand| demand.asked == OriginDemand::Agreement);
    let agreed = if asks { signed_by_others(keeper, &manifest.publisher)? } else { BTreeSet::new() };
    let taken = taken_names(keeper, manifest)?;
    let demands = Demands { rules: &demands, agreed: Some(&agreed), taken: Some(&taken) };
    let terms = policy::terms(&wanted, &policy, verified.signers(), demands);

    // 3. Each artifact comes out of the one canonical archive the manifest admits, or out of our own store where a thin
    //    bundle leaves it out, with its signed digest, and gets its one verdict; what is withheld is not kept. What is
    //    stripped is new bytes, which are examined as if they had come in so, by a process that never saw the old ones.
    //    Stopping is safe: everything kept so far is in a staging folder that nobody reads, and is removed with it.
    let held = thin::HeldArtifacts::of(keeper, verified)?;
    let id = ReleaseId { feed: name.clone(), version: verified.manifest().version };
    let served = keeper.trust.shown_beside(&keeper.config, &id);
    let staging = Staging::new(&keeper.state, verified)?;
    let mut open = |artifact: &_| held.open(artifact);
    let limits = &keeper.config.limits;
    let mut step = |bytes| watch(ProgressEvent::Bytes(bytes));
    let examined = examine(spooled, terms, examiners, staging, &mut open, limits, &mut step)?;

    // 4. Everything is on the disk, and nobody sees it yet. Stopping is safe: a release that the trust file does not
    //    name does not exist, and the next import of the same bundle removes what a cut left of it.
    let beside = beside((&keeper.state, &keeper.trust), &keeper.config, &name)?;
    let release = Staging::commit(examined, (&keeper.trust, served.as_ref(), &beside), operator, keeper.now)?;

    // 5. From this step on it counts. Stopping is safe: the trust file is replaced as a whole, or not.
    let mut trust = keeper.trust.clone();
    let mut known = trust.feed(&release.feed);
    let shown = trust.shown_versions(&release.feed);
    known.accept(release.version, release.manifest, &shown);
    trust.feeds.insert(release.feed.clone(), known);
    trust.keep(&release.id(), Some(release.record()?));
    trust.drop_histories();
    trust.drop_waivers_of(release.manifest);
    trust.floor = trust.floor.max(release.issued.min(keeper.now));
    keeper.replace_trust(trust)?;
    Ok(Some(release))
}
