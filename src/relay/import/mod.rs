//! The import: why it is safe, from top to bottom.
//!
//! First `read`: everything that is wanted comes off the medium, each byte once, and nothing of
//! it is decompressed, parsed or believed before its signatures hold. Then the medium may go.
//! Then `admit`, bundle by bundle: nothing counts before the trust file says so, and that is one
//! step; whatever is cut before it leaves the former state.

pub mod progress_writer;
pub mod rotation;
pub mod thin;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::keeper::Keeper;
use crate::log::Event;
use crate::state::{Release, Staging};
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Digest, Error, Fault, Operator, Reason, Refusal, quoted};
use config::{Feed, policy};
use inspect::{Asked, Demands, Examination, Verdict};
use media::{Document, Medium, Mount, Spooled, Surveyed};
use rotation::Rotated;

use bundle::{Envelope, Manifest, Rules, Seen, Verified, trust};

/// Free space that an import leaves alone, in bytes.
const RESERVE: u64 = 16 << 20;

/// How far an import is, for whoever shows it.
pub enum Progress<'a> {
    /// A medium was searched: how many bundles, and what could not be looked at.
    Surveyed(&'a Surveyed),
    /// A bundle's payload of so many bytes is read off the medium.
    Reading(&'a str, u64),
    /// A bundle of so many bytes is unpacked and inspected.
    Unpacking(&'a str, u64),
    /// So many bytes more.
    Bytes(u64),
    /// How a medium is mounted.
    Mounted(&'a Mount),
    /// Whether a medium's names, lengths and times are what they were before.
    Unchanged(bool),
    /// Everything wanted is in the spool: the media may be removed.
    MediaDone,
    /// A bundle is judged.
    Judged(&'a Judged),
}

/// Takes the progress.
pub type Watch<'a> = &'a mut dyn FnMut(Progress<'_>);

/// What became of one bundle.
pub struct Judged {
    /// Its folder, escaped.
    pub bundle: String,
    /// Feed and version, once they could be believed.
    pub release: Option<(String, u64)>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a bundle.
pub enum Outcome {
    /// It is a release now.
    Imported(Box<Release>),
    /// The keyring of this version is in force.
    KeyringReplaced(u64),
    /// Exactly this was accepted before.
    AlreadyHere,
    /// It is not acceptable.
    Refused(Refusal),
    /// We could not do our work.
    Failed(Fault),
}

/// A bundle off the medium: in the spool, or why not.
struct Taken {
    bundle: String,
    manifest: Option<Digest>,
    release: Option<(String, u64)>,
    content: Result<Content, Error>,
}

enum Content {
    New(Spooled),
    AlreadyHere(Verified),
}

/// The processes that see what this one must not: a reader for each medium, and the examiner.
pub struct Workers {
    /// Each path given, with its mount, if there is one, and the reader's side of it.
    pub media: Vec<(PathBuf, Option<Mount>, Medium)>,
    /// The disks that were set read-only before anything was read.
    pub disks: Vec<String>,
    /// Unpacks and looks inside.
    pub examination: Examination,
}

/// Imports every bundle on the media. Each gets its own outcome; a fault of ours that concerns
/// them all stops the import.
pub fn import(
    keeper: &mut Keeper,
    workers: Workers,
    operator: &Operator,
    watch: Watch<'_>,
) -> Result<Vec<Judged>, Fault> {
    // No date can be judged by a clock that is behind what was already seen.
    keeper.check_clock()?;

    let Workers { media, disks, mut examination } = workers;
    let mut all = Vec::new();
    let mut judged = Vec::new();
    for (path, mount, medium) in media {
        all.extend(read(keeper, &path, (mount, &disks), medium, operator, (&mut judged, watch))?);
    }
    watch(Progress::MediaDone);

    // Older versions first, so that one medium may bring several of one feed.
    all.sort_by(|a, b| a.release.cmp(&b.release));
    for taken in all {
        judged.push(judge(keeper, taken, &mut examination, operator, watch)?);
    }
    Ok(judged)
}

/// Searches one medium, puts the keyrings on it in force, and reads what is wanted of it into the spool.
fn read(
    keeper: &mut Keeper,
    path: &Path,
    (mount, disks): (Option<Mount>, &[String]),
    mut medium: Medium,
    operator: &Operator,
    (judged, watch): (&mut Vec<Judged>, Watch<'_>),
) -> Result<Vec<Taken>, Fault> {
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
        watch(Progress::Mounted(mount));
    }
    let survey = match check_mount(writable, accepted.as_deref()).and_then(|()| medium.survey()) {
        Ok(survey) => survey,
        Err(error) => {
            keeper.append(vec![match &error {
                Error::Refused(Refusal { reason, detail }) => {
                    Event::MediumRefused { reason: *reason, detail: detail.clone() }
                }
                Error::Fault(fault) => Event::ImportFailed { fault: quoted(&fault.to_string()).to_string() },
            }])?;
            return Ok(vec![Taken { bundle: quoted_os(path), manifest: None, release: None, content: Err(error) }]);
        }
    };
    watch(Progress::Surveyed(&survey));
    // The root itself is called what the operator called it.
    let root = quoted_os(path.file_name().unwrap_or(path.as_os_str()));
    let named = |folder: &String| if folder.is_empty() { root.clone() } else { folder.clone() };
    let of = |wanted| {
        let numbered = survey.bundles.iter().enumerate().filter(move |(_, (document, _))| *document == wanted);
        numbered.map(|(number, (_, folder))| (number, named(folder))).collect::<Vec<_>>()
    };
    // Keyrings first: what else is there may be signed by keys that they bring, or take away.
    for (bundle, rotated) in rotation::follow(keeper, &mut medium, &of(Document::Keyring), operator)? {
        let outcome = match rotated {
            Ok(Rotated::InForce(version)) => Outcome::KeyringReplaced(version),
            Ok(Rotated::AlreadyHere(_)) => Outcome::AlreadyHere,
            Err(error) => failed(error),
        };
        judged.push(Judged { bundle, release: None, outcome });
        judged.last().into_iter().for_each(|judged| watch(Progress::Judged(judged)));
    }
    let mut pending = 0;
    let mut taken = Vec::new();
    for (number, bundle) in of(Document::Manifest) {
        let envelope = medium.envelope(number);
        let manifest = envelope.as_ref().ok().map(|envelope| Digest::of(&envelope.document));
        let verified = envelope.and_then(|envelope| Ok(believe(keeper, envelope, operator)?));
        let release = verified.as_ref().ok().map(|v| (v.manifest().feed.clone(), v.manifest().version));
        let content = verified.and_then(|v| fetch(keeper, v, (&mut medium, number, &bundle), &mut pending, watch));
        taken.push(Taken { bundle, manifest, release, content });
    }
    let (bundles, unrelated) = (survey.bundles.len() as u64, survey.unrelated);
    // Nothing of ours can have written to it; that nothing at all has is shown, not assumed.
    let unchanged = medium.is_unchanged().unwrap_or(false);
    watch(Progress::Unchanged(unchanged));
    keeper.append(vec![Event::MediumRead { bundles, unrelated, unchanged }])?;
    Ok(taken)
}

/// That what we must not write to cannot be written to, unless the site has said why it may.
fn check_mount(writable: bool, accepted: Option<&str>) -> Result<(), Error> {
    if writable && accepted.is_none() {
        return Err(Error::refused(Reason::MediumWritable, "it is mounted writable"));
    }
    Ok(())
}

/// A manifest that can be believed: signed by whom the keyring asks for, for a feed we want, today.
fn believe(keeper: &Keeper, envelope: Envelope, operator: &Operator) -> Result<Verified, Refusal> {
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
    keeper.config.feed(name).ok_or_else(|| Refusal::new(Reason::FeedUnknown, format!("the config has no feed {name}")))
}

/// The payload in the spool, if the bundle is new and there is room for all that it signs for.
fn fetch(
    keeper: &Keeper,
    verified: Verified,
    (medium, number, bundle): (&mut Medium, usize, &str),
    pending: &mut u64,
    watch: Watch<'_>,
) -> Result<Content, Error> {
    let manifest = verified.manifest();
    // A rollback or an equivocation is refused before its payload costs anything.
    let known = keeper.trust.feed(&manifest.feed);
    if known.check(&verified)? == Seen::Before {
        return Ok(Content::AlreadyHere(verified));
    }
    thin::check_held(keeper, &verified)?;
    let needed = manifest.payload.size + manifest.carried_bytes() + RESERVE;
    let free = free_space(&keeper.state.spool())?.saturating_sub(*pending);
    if needed > free {
        return Err(Fault::Space { needed, free }.into());
    }
    *pending += manifest.carried_bytes();
    watch(Progress::Reading(bundle, manifest.payload.size));
    let name = format!("payload-{}", verified.digest());
    let spool = keeper.state.spool();
    let spooled = medium.payload(number, verified, &spool, &name, &mut |bytes| watch(Progress::Bytes(bytes)))?;
    Ok(Content::New(spooled))
}

fn free_space(path: &Path) -> Result<u64, Fault> {
    let stat = rustix::fs::statvfs(path).map_err(Into::into).during("measure", path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives one bundle its outcome: intent, act, outcome.
fn judge(
    keeper: &mut Keeper,
    taken: Taken,
    examination: &mut Examination,
    operator: &Operator,
    watch: Watch<'_>,
) -> Result<Judged, Fault> {
    let started =
        Event::ImportStarted { bundle: taken.bundle.clone(), manifest: taken.manifest, operator: operator.clone() };
    let bundle = taken.bundle;
    let admitted = match taken.content {
        // Nothing is stored for a bundle refused on the medium: intent and outcome in one step.
        Err(error) => {
            let admitted = Err(error);
            keeper.append(vec![started, event(keeper, &admitted, None, taken.release.as_ref())])?;
            admitted
        }
        Ok(Content::AlreadyHere(verified)) => {
            keeper.append(vec![started, event(keeper, &Ok(None), Some(&verified), None)])?;
            Ok(None)
        }
        Ok(Content::New(spooled)) => {
            keeper.append(vec![started])?;
            watch(Progress::Unpacking(&bundle, spooled.verified().manifest().carried_bytes()));
            let admitted = admit(keeper, spooled, examination, operator, watch);
            keeper.append(vec![event(keeper, &admitted, None, taken.release.as_ref())])?;
            admitted
        }
    };
    let outcome = match admitted {
        Ok(Some(release)) => Outcome::Imported(Box::new(release)),
        Ok(None) => Outcome::AlreadyHere,
        Err(error) => failed(error),
    };
    let judged = Judged { bundle, release: taken.release, outcome };
    watch(Progress::Judged(&judged));
    Ok(judged)
}

fn failed(error: Error) -> Outcome {
    match error {
        Error::Refused(refusal) => Outcome::Refused(refusal),
        Error::Fault(fault) => Outcome::Failed(fault),
    }
}

/// From the spool to a release. `None`: another bundle of this import brought exactly this.
#[expect(clippy::needless_pass_by_value, reason = "taken in: the spool's copy goes with it")]
fn admit(
    keeper: &mut Keeper,
    spooled: Spooled,
    examination: &mut Examination,
    operator: &Operator,
    watch: Watch<'_>,
) -> Result<Option<Release>, Error> {
    let verified = spooled.verified();
    let manifest = verified.manifest();

    // 1. Still a version above all that was accepted, this import's other bundles included.
    let mut known = keeper.trust.feed(&manifest.feed);
    if known.check(verified)? == Seen::Before {
        return Ok(None);
    }

    // 2. Each artifact comes out of the one canonical archive the manifest admits, with its signed
    //    digest; it gets its verdict; what is withheld is not kept. What is stripped is
    //    new bytes, which are examined as if they had come in so.
    let wanted = feed(keeper, verified)?.clone();
    let policy = keeper.config.policy_of(&wanted)?;
    let demands = keeper.config.demands(manifest, verified.signers())?;
    let asks = demands.iter().any(|demand| demand.asked == Asked::Agreement);
    let by_others = || keeper.state.signed_by_others(&keeper.trust, &manifest.publisher);
    let agreed = if asks { by_others()? } else { BTreeSet::new() };
    let demands = Demands { rules: &demands, agreed: Some(&agreed) };
    let terms = policy::terms(&wanted, &policy, verified.signers(), demands);
    let id = bundle::ReleaseId { feed: manifest.feed.clone(), version: manifest.version };
    let mut staging = Staging::new(&keeper.state, &id)?;
    let mut step = |bytes| watch(Progress::Bytes(bytes));
    let mut verdicts = examination.unpack(&spooled, terms, &mut staging, &mut step)?;
    verdicts.extend(thin::take_held(keeper, verified, terms, examination, &mut staging)?);
    verdicts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    check_complete(verified, &verdicts)?;

    // 3. Everything is on the disk, and nobody sees it yet.
    let release = staging.commit(verified, &verdicts, operator, keeper.now)?;

    // 4. From this step on it counts.
    known.accept(manifest.version, verified.digest());
    let mut trust = keeper.trust.clone();
    trust.feeds.insert(manifest.feed.clone(), known);
    trust.floor = trust.floor.max(manifest.issued.min(keeper.now));
    keeper.trust(trust)?;
    Ok(Some(release))
}

/// Every artifact of the manifest has exactly one verdict.
fn check_complete(verified: &Verified, verdicts: &[Verdict]) -> Result<(), Fault> {
    let artifacts = &verified.manifest().artifacts;
    let same = artifacts.len() == verdicts.len()
        && artifacts.iter().zip(verdicts).all(|(a, v)| a.path == v.path && a.sha256 == v.sha256);
    if same { Ok(()) } else { Err(Fault::Internal("an artifact has no verdict, or two")) }
}

/// The log's entry for an outcome.
fn event(
    keeper: &Keeper,
    admitted: &Result<Option<Release>, Error>,
    verified: Option<&Verified>,
    release: Option<&(String, u64)>,
) -> Event {
    let accepted = |(feed, version): &(String, u64)| keeper.trust.accepted(feed, *version);
    match admitted {
        Ok(Some(release)) => Event::Imported {
            feed: release.feed.clone(),
            version: release.version,
            manifest: release.manifest,
            verdicts: release.verdicts,
            counts: release.counts,
            signers: release.signers.clone(),
            after_interruption: false,
        },
        Ok(None) => {
            let known = release.and_then(|known| Some((known.0.clone(), known.1, accepted(known)?)));
            let given = verified.map(|v| (v.manifest().feed.clone(), v.manifest().version, v.digest()));
            let (feed, version, manifest) = given.or(known).unwrap_or((String::new(), 0, Digest([0; 32])));
            Event::AlreadyHere { feed, version, manifest }
        }
        Err(error) => {
            let is_twofold = matches!(error, Error::Refused(r) if r.reason == Reason::VersionEquivocation);
            Event::failure(error, release.filter(|_| is_twofold).and_then(accepted))
        }
    }
}
