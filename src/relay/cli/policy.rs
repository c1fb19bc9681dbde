//! `gaprelay policy`: rules of the policies, and trials of a policy without an import.

use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::args_policy::{PolicyCommand, PolicyTest};
use crate::processes::examiners::OwnExaminers;
use crate::state::fsck::digest_of;
use crate::state::{SMALL, State, Trust};
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Digest, Error, Fault, Limits, Reason, Refusal, durable, quoted};
use bundle::{Artifact, ReleaseId};
use config::{Config, policy as policies};
use inspect::flaw::PERMITTABLE;
use inspect::{Action, ContentPolicy, Demands, Examination, InspectionTerms, Kind, Scratch, Verdict, VerdictKind};
use terminal::Ended;

/// Shows, explains or tries policies.
pub(crate) fn run(root: &Path, command: &PolicyCommand) -> Result<Ended, Error> {
    let state = State::open(root)?;
    let config = state.config()?;
    match command {
        PolicyCommand::Show { name } => show(&config, name.as_deref()),
        PolicyCommand::Explain { feed } => {
            crate::cli::policy_explain::explain(&config, &state.keyring(&Trust::load(&state)?)?, feed)
        }
        PolicyCommand::Test(args) => test(&state, &config, args),
    }
}

fn show(config: &Config, name: Option<&str>) -> Result<Ended, Error> {
    let Some(name) = name else {
        let own = config.policies.iter().map(|policy| policy.get_ref().clone());
        let rows = own.chain(policies::shipped()?).map(|policy| {
            let used = |feed: &&config::Feed| config.policy_of(feed).is_ok_and(|used| used.name == policy.name);
            let feeds: Vec<&str> = config.feeds.iter().filter(used).map(|feed| feed.name.get_ref().as_str()).collect();
            vec![policy.name.clone(), feeds.join(" "), policy.about]
        });
        terminal::table(&["policy", "feeds", "purpose"], rows.collect());
        terminal::hint("see the rules of a policy, with reasons: gaprelay policy show NAME");
        return Ok(Ended::Well);
    };
    say(&config.policy(name)?);
    let may: Vec<&str> = PERMITTABLE.iter().map(|reason| reason.code()).collect();
    terminal::hint(format_args!("a policy can permit content with these reason codes only: {}", may.join(", ")));
    Ok(Ended::Well)
}

/// A policy, rule by rule.
fn say(policy: &ContentPolicy) {
    terminal::say(format_args!("{}  {}", policy.name, quoted(&policy.about)));
    for rule in &policy.rules {
        let reasons: Vec<&str> = rule.reasons.iter().map(|reason| reason.code()).collect();
        let kinds: Vec<&str> = rule.kinds.iter().map(|kind| kind.name()).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" in {}", kinds.join(", ")) };
        terminal::say(format_args!("  {:<8} {}{kinds}  [{}]", rule.then.word(), reasons.join(", "), rule.name));
        terminal::say(format_args!("           {}", quoted(&rule.why)));
    }
    terminal::say(format_args!("  {:<8} all other content that may not pass without a rule", policy.otherwise.word()));
}

/// File to inspect: its name, its place, and its declared kind, if any.
struct TestedFile {
    path: String,
    file: PathBuf,
    offset: u64,
    size: u64,
    sha256: Digest,
    declared: Option<String>,
}

fn test(state: &State, config: &Config, args: &PolicyTest) -> Result<Ended, Error> {
    let feed = args.feed.as_ref().map(|name| {
        let unknown = || Refusal::new(Reason::FeedUnknown, format!("config.toml has no feed \"{}\"", quoted(name)));
        config.feed(name).ok_or_else(unknown)
    });
    let feed = feed.transpose()?;
    let policy = match (&args.policy, &args.file, feed) {
        (Some(name), ..) => config.policy(name)?,
        (_, Some(path), _) => policies::parse(&std::fs::read_to_string(path).during("read", path)?)?,
        (_, _, Some(feed)) => config.policy_of(feed)?,
        _ => policies::shipped_for(config.classification)?,
    };
    let kinds = feed.map_or(Kind::ALL, |feed| feed.kinds.get_ref());
    let terms = InspectionTerms {
        kinds,
        policy: &policy,
        may_suppress: true,
        opaque: feed.map(|feed| feed.opaque(&[])).unwrap_or_default(),
        // Files without a bundle have no origin.
        demands: Demands::default(),
    };
    let mut targets = Vec::new();
    for target in &args.targets {
        targets.extend(find(state, target)?);
    }
    let folder = durable::temporary_folder()?;
    let (verdicts, refused) = judge(state, &targets, terms, folder.path(), &config.limits)?;
    if args.json {
        terminal::say_json(&verdicts);
        return Ok(Ended::Well);
    }
    terminal::say(format_args!("under policy {}:", policy.name));
    terminal::verdicts::tell(&verdicts);
    for refusal in &refused {
        terminal::note(format_args!("{} [{}]", refusal.detail, refusal.reason));
    }
    terminal::verdicts::explain(
        verdicts.iter().filter_map(|verdict| verdict.reason).chain(refused.iter().map(|refusal| refusal.reason)),
    );
    terminal::hint(
        "nothing was imported or kept; this test does not check who must approve, nor what agents would lose",
    );
    Ok(Ended::Well)
}

/// Files of a stored release, or the files at a path.
fn find(state: &State, target: &Path) -> Result<Vec<TestedFile>, Error> {
    if !target.exists()
        && let Some(id) = target.to_str().and_then(|text| text.parse::<ReleaseId>().ok())
    {
        return stored(state, &id);
    }
    let mut found = Vec::new();
    for entry in WalkDir::new(target).follow_links(false).follow_root_links(true).sort_by_file_name() {
        let entry = entry.map_err(|e| unreadable(target, &e))?;
        if entry.file_type().is_file() {
            let below = entry.path().strip_prefix(target).ok().filter(|below| below.components().next().is_some());
            let path = below.unwrap_or(Path::new(entry.file_name())).to_string_lossy().into_owned();
            let size = entry.path().metadata().during("measure", entry.path())?.len();
            let sha256 = digest_of(entry.path(), 0, size)?;
            found.push(TestedFile { path, file: entry.path().to_owned(), offset: 0, size, sha256, declared: None });
        }
    }
    Ok(found)
}

/// Fault of a path that cannot be read. A missing one may also be meant as a release.
fn unreadable(target: &Path, error: &walkdir::Error) -> Fault {
    let at = quoted_os(error.path().unwrap_or(target));
    match error.io_error().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::NotFound) => Fault::usage(
            format!("there is no file or folder {at}"),
            "Check the spelling of the path. A stored release is named as FEED/VERSION: gaprelay releases lists them.",
        ),
        Some(std::io::ErrorKind::PermissionDenied) => Fault::usage(
            format!("cannot read {at}: permission denied"),
            "Run the command as a user who may read that path, or correct the permissions of that path.",
        ),
        _ => Fault::usage(format!("cannot read {at}: {error}"), "Test a copy of the files on another disk."),
    }
}

/// Stored files of a release; withheld ones were not stored.
fn stored(state: &State, id: &ReleaseId) -> Result<Vec<TestedFile>, Error> {
    let trust = Trust::load(state)?;
    if trust.history(id).is_none() {
        return Err(Error::refused(Reason::StatementUnknownRelease, format!("this relay has no release {id}")));
    }
    let release = state.release(&trust, id)?;
    let packed = state.pack_index(&release)?;
    let mut found = Vec::new();
    for verdict in state.verdicts(&release)? {
        let Some((sha256, size)) = verdict.kept() else { continue };
        let (file, offset) = if size < SMALL {
            let offset = packed.get(&sha256).map_or(0, |packed| packed.offset);
            (state.release_path(id).join("pack"), offset)
        } else {
            (state.blob_path(sha256), 0)
        };
        found.push(TestedFile { path: verdict.path, file, offset, size, sha256, declared: Some(verdict.declared) });
    }
    Ok(found)
}

/// Has confined examiners inspect each file: verdicts, and refusals, each of which would refuse the whole release.
fn judge(
    state: &State,
    targets: &[TestedFile],
    terms: InspectionTerms<'_>,
    folder: &Path,
    limits: &Limits,
) -> Result<(Vec<Verdict>, Vec<Refusal>), Error> {
    let mut examiners = OwnExaminers::new(state.root());
    let mut keep = Scratch::new(folder);
    let mut kinds = kinds_of_undeclared(&mut examiners, targets, terms, &mut keep, limits)?.into_iter();
    let (mut verdicts, mut refused) = (Vec::new(), Vec::new());
    let mut examination = Examination::begin(&mut examiners, terms, &mut keep, limits)?;
    for target in targets {
        let kind = match &target.declared {
            Some(declared) => declared,
            None => kinds.next().flatten().map_or("unknown", Kind::name),
        };
        match inspect(&mut examination, target, kind) {
            Err(Error::Refused(refusal)) => refused.push(refusal),
            done => done?,
        }
    }
    for judged in examination.finish()? {
        match judged {
            Ok(verdict) => verdicts.push(verdict),
            Err(refusal) => refused.push(refusal),
        }
    }
    verdicts.sort_by_key(|verdict| verdict.decision != VerdictKind::Withheld);
    Ok((verdicts, refused))
}

/// Kinds that the bytes of undeclared files show, found by a policy without rules.
fn kinds_of_undeclared(
    examiners: &mut OwnExaminers,
    targets: &[TestedFile],
    terms: InspectionTerms<'_>,
    keep: &mut Scratch,
    limits: &Limits,
) -> Result<Vec<Option<Kind>>, Error> {
    let undeclared: Vec<&TestedFile> = targets.iter().filter(|target| target.declared.is_none()).collect();
    if undeclared.is_empty() {
        return Ok(Vec::new());
    }
    let without_rules =
        ContentPolicy { name: "any".into(), about: String::new(), rules: Vec::new(), otherwise: Action::Withhold };
    let mut examination =
        Examination::begin(examiners, InspectionTerms { policy: &without_rules, ..terms }, keep, limits)?;
    for target in undeclared {
        inspect(&mut examination, target, "")?;
    }
    let shown = |seen: Result<Verdict, Refusal>| seen.ok().and_then(|verdict| verdict.shown);
    Ok(examination.finish()?.into_iter().map(shown).collect())
}

/// Has a file inspected as content of this kind.
fn inspect(examination: &mut Examination<'_>, target: &TestedFile, kind: &str) -> Result<(), Error> {
    let mut file = durable::open(&target.file)?;
    file.seek(SeekFrom::Start(target.offset)).during("read", &target.file)?;
    let (path, kind) = (target.path.clone(), kind.to_owned());
    let artifact = Artifact { path, size: target.size, sha256: target.sha256, kind, carried: true };
    examination.look(&artifact, &file)
}
