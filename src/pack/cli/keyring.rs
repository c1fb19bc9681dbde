//! `gaprelay-pack keyring`: the first keyring, and the ceremony that leads from one to the next.

use std::path::Path;

use crate::ceremony::{self, KeyringChanges, pair};
use crate::cli::args::{Draft, PackKeyringCommand};
use crate::cli::refused;
use crate::ring::{self, fault};
use base::quoted::quoted_os;
use base::word_list::word_list;
use base::{Digest, Error, Reason, clock, durable, quoted};
use bundle::Keyring;
use bundle::keyring::RawKey;
use bundle::succession::trusted_comment;
use terminal::Ended;

/// Next step where a keyring that is being made contradicts itself.
fn draft_step(reason: Reason) -> Option<&'static str> {
    let is_wrong = matches!(reason, Reason::KeyringMalformed | Reason::KeyWeak);
    is_wrong.then_some("Correct the option that is named, or name another file; then run the same command again.")
}

/// Next step where a signature is not by a root key.
fn assemble_step(reason: Reason) -> Option<&'static str> {
    let is_foreign = reason == Reason::SignatureUnknownKey;
    is_foreign.then_some(
        "Give signatures by root keys only; `gaprelay-pack keyring show FILE` lists the root keys by key id.",
    )
}

/// Does what the arguments say.
pub(super) fn run(command: &PackKeyringCommand) -> Result<Ended, Error> {
    let outcome = carry_out(command);
    match command {
        PackKeyringCommand::New { .. } | PackKeyringCommand::Draft(_) => refused(outcome, draft_step),
        PackKeyringCommand::Assemble { .. } => refused(outcome, assemble_step),
        PackKeyringCommand::Show { .. } | PackKeyringCommand::Check { .. } => outcome,
    }
}

fn carry_out(command: &PackKeyringCommand) -> Result<Ended, Error> {
    match command {
        PackKeyringCommand::New { root, root_threshold, key, require, out } => {
            if out.exists() {
                return Err(exists(out));
            }
            let keyring = ring::new(root, *root_threshold, key, require)?;
            let text = ring::to_text(&keyring)?;
            durable::replace_output(out, text.as_bytes())?;
            terminal::say(format_args!("made {}: version 1, {} keys", out.display(), keyring.keys.len()));
            say_aloud(Digest::of(text.as_bytes()));
            terminal::hint(format_args!("on the relay: gaprelay init --keyring {}", out.display()));
            Ok(Ended::Well)
        }
        PackKeyringCommand::Draft(args) => draft(args),
        PackKeyringCommand::Show { keyring } => {
            let (keyring, digest) = ring::read(keyring)?;
            show(&keyring);
            say_aloud(digest);
            Ok(Ended::Well)
        }
        PackKeyringCommand::Assemble { dir, former, signatures } => {
            let (former, _) = ring::read(former)?;
            let ids = ceremony::assemble(dir, &former, signatures)?;
            terminal::say(format_args!("added to {}: the signatures by root keys {}", dir.display(), ids.join(", ")));
            terminal::hint(format_args!("gaprelay-pack keyring check '{}' --former FILE", dir.display()));
            Ok(Ended::Well)
        }
        PackKeyringCommand::Check { dirs, former } => {
            let (former, _) = ring::read(former)?;
            for (next, changes) in ceremony::check(dirs, &former)? {
                let (version, signers) = (next.keyring().version, next.signers().join(", "));
                terminal::say(format_args!(
                    "keyring {version}, signed by root keys {signers}: a relay that has keyring {} would take it",
                    version - 1
                ));
                for change in changes {
                    terminal::say(format_args!("  {change}"));
                }
                say_aloud(next.digest());
            }
            terminal::hint(
                "copy each folder to the medium; a relay with an older keyring takes them one after the other",
            );
            Ok(Ended::Well)
        }
    }
}

fn draft(args: &Draft) -> Result<Ended, Error> {
    if args.out.exists() {
        return Err(exists(&args.out));
    }
    let (former, _) = ring::read(&args.former)?;
    let number = |(feed, text): (String, String)| match text.parse() {
        Ok(highest) => Ok((feed, highest)),
        Err(_) => Err(fault(
            &format!("--epoch: \"{}\" is not a number", quoted(&text)),
            "Give the highest version of the feed that still counts, as in --epoch site-rules=41.",
        )),
    };
    let changes = KeyringChanges {
        add: args.add.clone(),
        remove: args.remove.clone(),
        revoke: args.revoke.iter().map(|text| pair("--revoke", "KEY=WHY", text)).collect::<Result<_, _>>()?,
        add_root: args.add_root.clone(),
        remove_root: args.remove_root.clone(),
        root_threshold: args.root_threshold,
        require: args.require.clone(),
        epoch: args
            .epoch
            .iter()
            .map(|text| pair("--epoch", "FEED=HIGHEST", text).and_then(number))
            .collect::<Result<_, _>>()?,
        lift: args.lift.clone(),
    };
    let next = ceremony::draft(&former, &changes, args.on.unwrap_or_else(clock::now))?;
    let (path, text) = (args.out.join("keyring.toml"), ring::to_text(&next)?);
    durable::create_dir(&args.out)?;
    durable::replace_output(&path, text.as_bytes())?;
    terminal::say(format_args!("drafted {}: version {}", path.display(), next.version));
    for change in ceremony::differences(&former, &next) {
        terminal::say(format_args!("  {change}"));
    }
    say_aloud(Digest::of(text.as_bytes()));
    let (old, new) = (former.root.threshold, next.root.threshold);
    terminal::hint(format_args!(
        "have the keyring signed by {old} root keys of version {} and {new} of version {}, each where the key is kept:",
        former.version, next.version
    ));
    terminal::hint(format_args!(
        "minisign -S -s ROOT.key -m keyring.toml -x NAME.minisig -t '{}'",
        trusted_comment(next.version)
    ));
    terminal::hint(format_args!("gaprelay-pack keyring assemble '{}' --former FILE NAME.minisig…", args.out.display()));
    Ok(Ended::Well)
}

/// Fault: the path of the output is taken.
fn exists(out: &Path) -> Error {
    let next = "Name another path with --out, or move the existing one away first.";
    fault(&format!("{} exists already", quoted_os(out)), next)
}

fn say_aloud(digest: Digest) {
    terminal::say(format_args!("sha256:{digest}, as words to read aloud:"));
    terminal::say(word_list(digest));
}

fn show(keyring: &Keyring) {
    let id = |public: &str| RawKey::parse(public).map_or_else(|_| "?".into(), |raw| raw.id_text());
    terminal::say(format_args!("keyring version {}", keyring.version));
    let roots: Vec<String> = keyring.root.keys.iter().map(|root| id(root)).collect();
    terminal::say(format_args!(
        "root keys: {}; of these, {} must sign a new keyring",
        roots.join(", "),
        keyring.root.threshold
    ));
    let rows = keyring.keys.iter().map(|key| {
        let revoked = RawKey::parse(&key.public).is_ok_and(|raw| keyring.revocation(raw).is_some());
        vec![
            key.name.clone(),
            key.role.to_string(),
            id(&key.public),
            key.origin.clone().unwrap_or_else(|| "-".into()),
            key.feeds.join(" "),
            key.not_after.map_or("-".into(), |end| end.to_string()),
            if revoked { "REVOKED".into() } else { "-".into() },
        ]
    });
    terminal::table(&["name", "role", "key id", "origin", "feeds", "until", "state"], rows.collect());
}
