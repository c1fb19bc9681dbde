//! `gaprelay-pack tuf`: the offline half of the repository for TUF clients.

use std::path::Path;

use super::args_tuf::PackTufCommand;
use crate::tuf::{RootChanges, public, read, root, secret, sign, targets};
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Error, Fault, durable, quoted};
use bundle::tuf::{TufKey, file, signed_part};
use terminal::Ended;

/// Does what the arguments say.
pub(super) fn run(command: &PackTufCommand) -> Result<Ended, Error> {
    match command {
        PackTufCommand::Root(args) => {
            let keys = |texts: &[String]| texts.iter().map(|text| public(text)).collect::<Result<Vec<_>, _>>();
            let changes = RootChanges {
                root: keys(&args.root)?,
                root_threshold: args.root_threshold,
                targets: keys(&args.targets)?,
                targets_threshold: args.targets_threshold,
                relay: args.relay.as_deref().map(public).transpose()?,
            };
            let root = root(args.former.as_deref().map(read).transpose()?, changes, args.expires)?;
            let name = format!("{}.root.json", root.version);
            write(&args.out.join(name), file(&signed_part("root", &root)?, &[]), &args.sign)
        }
        PackTufCommand::Targets(args) => {
            let feeds = args.feed.iter().map(|text| feed(text)).collect::<Result<_, _>>()?;
            let relay = args.relay.as_deref().map(public).transpose()?;
            let targets = targets(args.former.as_deref().map(read).transpose()?, feeds, relay, args.expires)?;
            write(&args.out.join("targets.json"), file(&signed_part("targets", &targets)?, &[]), &args.sign)
        }
        PackTufCommand::Sign { file, key } => {
            let text = std::fs::read_to_string(file).during("read", file)?;
            write(file, text, std::slice::from_ref(key))
        }
    }
}

/// `NAME=PUB[+PUB][:N]`.
fn feed(text: &str) -> Result<(String, Vec<TufKey>, u64), Error> {
    let wrong = || {
        let next = "Write a feed as in site=site.pub, or site=one.pub+two.pub:2 where two keys must sign.";
        Fault::usage(format!("--feed: \"{}\" is not of the form FEED=PUB[+PUB][:N]", quoted(text)), next)
    };
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (keys, threshold) = match rest.rsplit_once(':') {
        Some((keys, number)) => (keys, number.parse().map_err(|_| wrong())?),
        None => (rest, 1),
    };
    Ok((name.to_owned(), keys.split('+').map(public).collect::<Result<_, _>>()?, threshold))
}

fn write(path: &Path, mut text: String, keys: &[std::path::PathBuf]) -> Result<Ended, Error> {
    for key in keys {
        let secret = secret(key)?;
        text = sign(&text, &secret).map_err(|e| {
            let next = "Give a file that `gaprelay-pack tuf root`, `gaprelay-pack tuf targets` or --tuf-sign made.";
            Fault::usage(format!("{} cannot be signed: {e}", quoted_os(path)), next)
        })?;
    }
    durable::replace_output(path, text.as_bytes())?;
    terminal::say(format_args!("made {}", path.display()));
    terminal::hint(format_args!(
        "have the other signers sign, each where the key is kept: gaprelay-pack tuf sign '{}' --key KEY",
        path.display()
    ));
    Ok(Ended::Well)
}
