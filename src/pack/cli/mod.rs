//! The command line of `gaprelay-pack`.

mod args;
mod args_tuf;
mod examples;
mod keyring;
mod tuf;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use args::{Build, Check, Pack, PackCommand};
use base::error::IoContext as _;
use base::limits::human;
use base::{Error, Fault, Limits, Reason, Refusal, Timestamp, clock, durable, quoted};
use clap::Parser as _;
use config::{Classification, Config, policy as policies};
use inspect::{ContentPolicy, Counts, Kind, VerdictKind};
use terminal::help::{Group, overview};
use terminal::{Ended, offline};

use crate::ring;

/// Validity of a bundle if nothing else is said.
const VALID: Duration = Duration::from_hours(30 * 24);

/// The commands, by what they are for.
const GROUPS: &[Group] = &[
    ("Bundles", &["build", "check"]),
    ("Keys", &["keyring", "tuf"]),
    ("Help", &["help", "explain", "kinds", "completions", "man"]),
];

/// Runs it.
pub fn main() -> ExitCode {
    terminal::set_program("gaprelay-pack");
    if std::env::args_os().len() < 2 {
        terminal::say(overview::<Pack>("gaprelay-pack", GROUPS).trim_end());
        return ExitCode::from(2);
    }
    terminal::exit(run(Pack::parse()))
}

/// Shows a refusal with the step that helps on this side, where there is one: the step of the table is for people of
/// the relay, who did not make the file.
fn refused(outcome: Result<Ended, Error>, step: fn(Reason) -> Option<&'static str>) -> Result<Ended, Error> {
    match outcome {
        Err(Error::Refused(refusal)) => match step(refusal.reason) {
            Some(step) => {
                terminal::note(format_args!("refused: {refusal}"));
                terminal::hint(step);
                Ok(Ended::Refused)
            }
            None => Err(Error::Refused(refusal)),
        },
        other => other,
    }
}

/// Next step where a folder cannot be made into a bundle.
fn build_step(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::ManifestValue => {
            "Correct the option that is named (--feed, --version, --label, --publisher, --origin), then build again."
        }
        Reason::ManifestDates => "Give a time with --expires that is later than that of --issued.",
        Reason::ManifestTooLarge
        | Reason::ArtifactCountLimit
        | Reason::UnpackedTooLarge
        | Reason::PayloadTooLarge
        | Reason::RatioLimit => "Pack fewer files into one bundle: divide the folder into several feeds.",
        Reason::EntryType => "Take that entry out of the folder, or put a copy of the file itself in its place.",
        Reason::PathCharacter
        | Reason::PathTooLong
        | Reason::PathTooDeep
        | Reason::PathCollision
        | Reason::PathFileAndFolder
        | Reason::PathReserved
        | Reason::PathClash => "Rename that file in the folder, or take it out; then run the command again.",
        Reason::FeedUnknown => "Give --feed the name of a [[feed]] of that config.",
        _ => return None,
    })
}

fn run(pack: Pack) -> Result<Ended, Error> {
    match pack.command {
        PackCommand::Build(args) => refused(build(args), build_step),
        PackCommand::Check(args) => check(&args),
        PackCommand::Keyring { command } => keyring::run(&command),
        PackCommand::Tuf { command } => tuf::run(&command),
        PackCommand::Offline(offline) => offline::run::<Pack>(&offline, "gaprelay-pack", GROUPS),
    }
}

/// Time that an option gives.
fn time(option: &str, text: Option<&str>, otherwise: Timestamp) -> Result<Timestamp, Fault> {
    let wrong = |text: &str, e: &str| {
        let next = format!("Give the time in UTC, as in {option} 2026-11-20T06:00:00Z; or leave the option out.");
        Fault::usage(format!("{option}: \"{}\" is {e}", quoted(text)), next)
    };
    text.map_or(Ok(otherwise), |text| text.parse::<Timestamp>().map_err(|e| wrong(text, e)))
}

fn build(args: Build) -> Result<Ended, Error> {
    let issued = time("--issued", args.issued.as_deref(), clock::now())?;
    let expires = time("--expires", args.expires.as_deref(), issued.plus(VALID))?;
    let out = args.out.unwrap_or_else(|| format!("{}-{}", args.feed, args.version).into());
    let (policy, kinds) = policy_for(&args.feed, args.config.as_deref(), args.policy.as_deref())?;
    let scratch = durable::temporary_folder()?;
    let plan = crate::BuildPlan {
        folder: args.dir,
        label: args.label.unwrap_or_else(|| format!("{} {}", args.feed, args.version)),
        out: out.clone(),
        feed: args.feed,
        version: args.version,
        publisher: args.publisher,
        origin: args.origin,
        issued,
        expires,
        base: args.base,
        policy,
        kinds,
        strip: args.strip.then(|| scratch.path().to_owned()),
        tuf: args.tuf_sign.map(|key| (key, scratch.path().join("tuf.json"))),
        keep_unrecognised: args.keep_unrecognised,
        sign: args.sign,
        limits: Limits::default(),
    };
    let made = crate::build(&plan)?;
    let manifest = &made.manifest;
    let rows = manifest.artifacts.iter().map(|artifact| {
        let carried = if artifact.carried { "carried" } else { "left out" };
        vec![
            quoted(&artifact.path).to_string(),
            human(artifact.size).to_string(),
            artifact.kind.clone(),
            carried.into(),
        ]
    });
    terminal::table(&["path", "size", "kind", "payload"], rows.collect());
    foresee(&made, &plan.policy.name, args.strip, args.explain);
    terminal::say(format_args!(
        "made {}: payload {}, expires {}",
        out.display(),
        human(manifest.payload.size),
        manifest.expires
    ));
    let comment = manifest.trusted_comment();
    let path = out.join("manifest.json");
    if let Some(signature) = &made.signature {
        terminal::say(format_args!("signed: {}", signature.display()));
    } else {
        terminal::hint("have the manifest signed; each signer makes a file of their own:");
        terminal::hint(format_args!(
            "minisign -S -s YOUR.key -m '{0}' -x '{0}.YOURNAME.minisig' -t '{comment}'",
            path.display()
        ));
    }
    terminal::hint(format_args!("gaprelay-pack check '{}' --keyring KEYRING", out.display()));
    Ok(Ended::Well)
}

/// The policy that the relay has for the feed, and the kinds that it may carry there.
fn policy_for(feed: &str, config: Option<&Path>, policy: Option<&str>) -> Result<(ContentPolicy, Vec<Kind>), Error> {
    let config = config.map(read_config).transpose()?;
    let unknown = || Refusal::new(Reason::FeedUnknown, format!("the config has no feed \"{}\"", quoted(feed)));
    let feed = config.as_ref().map(|config| config.feed(feed).ok_or_else(unknown)).transpose()?;
    let kinds = feed.map_or(Kind::ALL.to_vec(), |feed| feed.kinds.get_ref().clone());
    let policy = match (policy, &config, feed) {
        (Some(name), ..) => named(name, config.as_ref())?,
        (None, Some(config), Some(feed)) => config.policy_of(feed)?,
        _ => policies::shipped_for(Classification::default())?,
    };
    Ok((policy, kinds))
}

/// A policy by its name, or in a file.
fn named(name: &str, config: Option<&Config>) -> Result<ContentPolicy, Error> {
    let own = config.and_then(|config| config.policy(name).ok());
    let shipped = || policies::shipped().ok()?.into_iter().find(|policy| policy.name == name);
    match own.or_else(shipped) {
        Some(policy) => Ok(policy),
        None if !Path::new(name).exists() => {
            let next = "Give unclassified, restricted, confidential, secret or top-secret; the name of a policy in the \
                file of --config; or the path of a policy's file.";
            let detail = format!("--policy: \"{}\" is neither the name of a policy nor a file", quoted(name));
            Err(Fault::usage(detail, next).into())
        }
        None => Ok(policies::read(Path::new(name))?),
    }
}

/// Verdicts of the relay on the files.
fn foresee(made: &crate::Made, policy: &str, has_stripped: bool, explain: bool) {
    for refusal in &made.refused {
        terminal::note(format_args!("the relay would refuse the release: {} [{}]", refusal.detail, refusal.reason));
    }
    for verdict in &made.verdicts {
        let path = quoted(&verdict.path);
        match verdict.decision {
            VerdictKind::Cleared => {}
            VerdictKind::Withheld => {
                terminal::note(format_args!("\"{path}\" will be withheld by the relay [{}]", verdict.why()));
            }
            VerdictKind::Stripped if has_stripped => {
                terminal::note(format_args!("\"{path}\" was stripped [{}]", verdict.why()));
            }
            VerdictKind::Stripped => {
                terminal::note(format_args!("\"{path}\" will be stripped by the relay [{}]", verdict.why()));
            }
        }
    }
    if explain {
        terminal::say(format_args!("under policy {policy}:"));
        terminal::verdicts::tell(&made.verdicts);
        let reasons = made.verdicts.iter().filter_map(|verdict| verdict.reason);
        terminal::verdicts::explain(reasons.chain(made.refused.iter().map(|refusal| refusal.reason)));
    } else if !made.refused.is_empty() || made.verdicts.iter().any(|it| it.decision != VerdictKind::Cleared) {
        terminal::hint(
            "--explain shows why, and what to do; --strip leaves out what can be stripped, before the bundle is signed",
        );
    }
}

fn check(args: &Check) -> Result<Ended, Error> {
    let (keyring, _) = ring::read(&args.keyring)?;
    let config = args.config.as_ref().map(|path| read_config(path)).transpose()?;
    let spool = durable::temporary_folder()?;
    let checked = crate::check(&args.bundle, &keyring, config.as_ref(), spool.path(), clock::now())?;
    let rows = checked
        .verdicts
        .iter()
        .map(|v| vec![v.decision.word().into(), quoted(&v.path).to_string(), v.declared.clone(), v.why()]);
    terminal::table(&["verdict", "path", "kind", "reason"], rows.collect());
    // Each reason once, with what to do before anything is signed.
    terminal::verdicts::explain(checked.verdicts.iter().filter_map(|verdict| verdict.reason));
    let signers: Vec<_> = checked.signers.iter().map(|s| format!("{} ({})", s.name, s.role)).collect();
    let counts = Counts::of(&checked.verdicts);
    let (feed, version) = &checked.release;
    terminal::say(format_args!(
        "{feed}/{version}, signed by {}: the relay would take it; {} cleared, {} stripped, {} withheld",
        signers.join(", "),
        counts.cleared,
        counts.stripped,
        counts.withheld
    ));
    if !checked.left_out.is_empty() {
        terminal::say(format_args!(
            "the bundle leaves out {} artifacts, which the relay must hold already",
            checked.left_out.len()
        ));
    }
    terminal::hint(format_args!(
        "copy the folder to the medium; only the relay can tell whether version {version} is newer than what it has"
    ));
    Ok(Ended::Well)
}

fn read_config(path: &Path) -> Result<Config, Fault> {
    let text = std::fs::read_to_string(path).during("read", path)?;
    Config::parse_file(&text, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_stands_in_one_group() {
        assert_eq!(terminal::help::ungrouped::<Pack>(GROUPS), Vec::<String>::new());
    }
}
