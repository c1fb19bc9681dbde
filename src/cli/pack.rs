//! `gaprelay-pack`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::args_pack::{Build, Check, KeyringCommand, Pack, PackCommand};
use super::{Ended, offline, tui};
use crate::base::error::IoContext as _;
use crate::base::limits::human;
use crate::base::{Error, Fault, Limits, Reason, Timestamp, clock, durable, quoted};
use crate::config::Config;
use crate::inspect::Counts;
use crate::pack;
use crate::verify::Keyring;

/// How long a bundle is good for if nothing else is said.
const VALID: Duration = Duration::from_hours(30 * 24);

/// Runs the packer.
pub fn run(pack: Pack) -> Result<Ended, Error> {
    match pack.command {
        PackCommand::Build(args) => build(args),
        PackCommand::Check(args) => check(&args),
        PackCommand::Keyring { command } => keyring(&command),
        PackCommand::Offline(offline) => offline::run::<Pack>(&offline, "gaprelay-pack"),
    }
}

fn time(text: Option<&str>, otherwise: Timestamp) -> Result<Timestamp, Fault> {
    text.map_or(Ok(otherwise), |text| text.parse().map_err(|e| Fault::Config(format!("\"{}\": {e}", quoted(text)))))
}

fn build(args: Build) -> Result<Ended, Error> {
    let issued = time(args.issued.as_deref(), clock::now())?;
    let expires = time(args.expires.as_deref(), issued.plus(VALID))?;
    let out = args.out.unwrap_or_else(|| format!("{}-{}", args.feed, args.version).into());
    let plan = pack::Plan {
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
        keep_unrecognised: args.keep_unrecognised,
        sign: args.sign,
        limits: Limits::default(),
    };
    let made = pack::build(&plan)?;
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
    tui::table(&["path", "size", "kind", "payload"], rows.collect());
    for (path, reason) in &made.unrecognised {
        tui::note(format_args!("\"{}\" will be withheld by the relay [{reason}]", quoted(path)));
    }
    tui::say(format_args!(
        "made {}: payload {}, expires {}",
        out.display(),
        human(manifest.payload.size),
        manifest.expires
    ));
    let comment = manifest.trusted_comment();
    let path = out.join("manifest.json");
    if let Some(signature) = &made.signature {
        tui::say(format_args!("signed: {}", signature.display()));
    } else {
        tui::hint("sign it; each signer adds a file of their own:");
        tui::hint(format_args!(
            "minisign -S -s YOUR.key -m '{0}' -x '{0}.YOURNAME.minisig' -t '{comment}'",
            path.display()
        ));
    }
    tui::hint(format_args!("gaprelay-pack check '{}' --keyring KEYRING", out.display()));
    Ok(Ended::Well)
}

fn check(args: &Check) -> Result<Ended, Error> {
    let keyring = Keyring::parse(&std::fs::read(&args.keyring).during("read", &args.keyring)?)?;
    let config = args.config.as_ref().map(|path| read_config(path)).transpose()?;
    let spool = std::env::temp_dir().join(format!("gaprelay-pack-{}", std::process::id()));
    durable::create_dir(&spool)?;
    let checked = pack::check(&args.bundle, &keyring, config.as_ref(), &spool, clock::now());
    durable::remove(&spool)?;
    let checked = checked?;
    let rows = checked
        .verdicts
        .iter()
        .map(|v| vec![v.decision.word().into(), quoted(&v.path).to_string(), v.declared.clone(), v.why()]);
    tui::table(&["verdict", "path", "kind", "reason"], rows.collect());
    // Each reason once, with what to do before anything is signed.
    let reasons: BTreeSet<Reason> = checked.verdicts.iter().filter_map(|verdict| verdict.reason).collect();
    for reason in reasons {
        tui::say(format_args!("{reason}: {}", reason.meaning()));
        tui::hint(reason.next());
    }
    let signers: Vec<_> = checked.signers.iter().map(|s| format!("{} ({})", s.name, s.role)).collect();
    let counts = Counts::of(&checked.verdicts);
    let (feed, version) = &checked.release;
    tui::say(format_args!(
        "{feed}/{version}, signed by {}: the relay would take it; {} cleared, {} stripped, {} withheld",
        signers.join(", "),
        counts.cleared,
        counts.stripped,
        counts.withheld
    ));
    if !checked.left_out.is_empty() {
        tui::say(format_args!("it leaves out {} artifacts, which the relay must hold", checked.left_out.len()));
    }
    tui::hint("whether the version is new there only the relay knows");
    Ok(Ended::Well)
}

fn read_config(path: &Path) -> Result<Config, Fault> {
    let text = std::fs::read_to_string(path).during("read", path)?;
    Config::parse_file(&text, path)
}

fn keyring(command: &KeyringCommand) -> Result<Ended, Error> {
    let KeyringCommand::New { root, root_threshold, key, require, out } = command;
    if out.exists() {
        return Err(Fault::Config(format!("{} exists already", out.display())).into());
    }
    let keyring = pack::ring::new(root, *root_threshold, key, require)?;
    durable::replace(out, pack::ring::to_text(&keyring)?.as_bytes())?;
    tui::say(format_args!("made {}: version 1, {} keys", out.display(), keyring.keys.len()));
    tui::hint(format_args!("on the relay: gaprelay init --keyring {}", out.display()));
    Ok(Ended::Well)
}
