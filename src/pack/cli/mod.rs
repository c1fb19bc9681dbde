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

use bundle::Keyring;

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
    if std::env::args_os().len() < 2 {
        terminal::say(overview::<Pack>("gaprelay-pack", GROUPS).trim_end());
        return ExitCode::from(2);
    }
    terminal::exit(run(Pack::parse()))
}

fn run(pack: Pack) -> Result<Ended, Error> {
    match pack.command {
        PackCommand::Build(args) => build(args),
        PackCommand::Check(args) => check(&args),
        PackCommand::Keyring { command } => keyring::run(&command),
        PackCommand::Tuf { command } => tuf::run(&command),
        PackCommand::Offline(offline) => offline::run::<Pack>(&offline, "gaprelay-pack", GROUPS),
    }
}

fn time(text: Option<&str>, otherwise: Timestamp) -> Result<Timestamp, Fault> {
    text.map_or(Ok(otherwise), |text| text.parse().map_err(|e| Fault::Config(format!("\"{}\": {e}", quoted(text)))))
}

fn build(args: Build) -> Result<Ended, Error> {
    let issued = time(args.issued.as_deref(), clock::now())?;
    let expires = time(args.expires.as_deref(), issued.plus(VALID))?;
    let out = args.out.unwrap_or_else(|| format!("{}-{}", args.feed, args.version).into());
    let (policy, kinds) = policy_for(&args.feed, args.config.as_deref(), args.policy.as_deref())?;
    let scratch = std::env::temp_dir().join(format!("gaprelay-strip-{}", std::process::id()));
    if args.strip || args.tuf_sign.is_some() {
        durable::create_dir(&scratch)?;
    }
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
        strip: args.strip.then(|| scratch.clone()),
        tuf: args.tuf_sign.map(|key| (key, scratch.join("tuf.json"))),
        keep_unrecognised: args.keep_unrecognised,
        sign: args.sign,
        limits: Limits::default(),
    };
    let made = crate::build(&plan);
    durable::remove(&scratch)?;
    let made = made?;
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
        terminal::hint("sign it; each signer adds a file of their own:");
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
    let unknown = || Refusal::new(Reason::FeedUnknown, format!("the config has no feed {}", quoted(feed)));
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
        None => Ok(policies::parse(&std::fs::read_to_string(name).during("read", Path::new(name))?)?),
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
    } else if made.verdicts.iter().any(|verdict| verdict.decision != VerdictKind::Cleared) {
        terminal::hint("why, and what to do: --explain; to leave such lines out before signing: --strip");
    }
}

fn check(args: &Check) -> Result<Ended, Error> {
    let keyring = Keyring::parse(&std::fs::read(&args.keyring).during("read", &args.keyring)?)?;
    let config = args.config.as_ref().map(|path| read_config(path)).transpose()?;
    let spool = std::env::temp_dir().join(format!("gaprelay-pack-{}", std::process::id()));
    durable::create_dir(&spool)?;
    let checked = crate::check(&args.bundle, &keyring, config.as_ref(), &spool, clock::now());
    durable::remove(&spool)?;
    let checked = checked?;
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
        terminal::say(format_args!("it leaves out {} artifacts, which the relay must hold", checked.left_out.len()));
    }
    terminal::hint("whether the version is new there only the relay knows");
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
