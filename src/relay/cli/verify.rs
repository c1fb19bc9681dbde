//! `gaprelay log verify`: checks a log by its bytes, against kept heads, and receipts without any log.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;

use super::args_log::{LogVerify, WhichLog};
use super::{json, log};
use crate::log::{Entry, anchored_head};
use crate::state::State;
use base::error::IoContext as _;
use base::quoted::printable;
use base::{Error, Fault};
use terminal::Ended;
use tlog::check::{LogFinding, read_vkey};
use tlog::compare::{HeadComparison, compare};
use tlog::note::{Checkpoint, Verifier, parts};
use tlog::proof::grew;
use tlog::receipt::{Growth, KeptHead, LONGEST, Receipt};

/// Head of a log that somebody kept.
struct KnownHead {
    /// File, or entry of the import log, that holds the head.
    kept: String,
    /// True when the import log holds the head: then only a mismatch is reported.
    anchor: bool,
    head: Checkpoint,
}

/// Runs the check that the arguments ask for.
pub(crate) fn run(root: &Path, args: &LogVerify) -> Result<Ended, Error> {
    let key = args.log_key.as_deref().map(read_key).transpose()?;
    if let (Some(path), Some(key)) = (&args.receipt, &key) {
        return check_receipt(&read(path)?, key, args.json);
    }
    if let (Some(path), Some(key)) = (&args.grown, &key) {
        return check_growth(&read(path)?, key, args);
    }
    if let Some(path) = &args.export {
        return crate::cli::export::verify(&State::open(root)?, path, key.as_ref(), args);
    }
    let mut logs: Vec<(PathBuf, Verifier)> = Vec::new();
    if let Some(folder) = &args.dir {
        logs.extend(key.clone().map(|key| (folder.clone(), key)));
    } else {
        let state = State::open(root)?;
        for name in [WhichLog::Import, WhichLog::Access].into_iter().filter(|name| args.log.is_none_or(|l| l == *name))
        {
            let folder = log::folder(&state, name);
            // A given key counts more than the one that lies beside the log.
            let beside = read_vkey(&folder)?;
            let elsewhere = key.clone().filter(|key| key.name() == beside.name());
            logs.push((folder, elsewhere.unwrap_or(beside)));
        }
    }
    if let Some(key) = key.filter(|key| !logs.iter().any(|(_, used)| used.to_text() == key.to_text())) {
        let name = key.name();
        let other = args.log.map(|chosen| match chosen {
            WhichLog::Import => WhichLog::Access,
            WhichLog::Access => WhichLog::Import,
        });
        if let Some(other) = other
            && read_vkey(&log::folder(&State::open(root)?, other)).is_ok_and(|beside| beside.name() == name)
        {
            let wrong = format!("the key is for the log {name}, but --log chooses the other log of this relay");
            return Err(Fault::usage(wrong, "Leave out --log, or give the key of the log that --log chooses.").into());
        }
        let wrong = format!("the key is for the log {name}, and this relay has no log of that name");
        return Err(Fault::usage(wrong, "Check that the key is of this relay: its own keys are in log/import/vkey and log/access/vkey of the state folder.").into());
    }
    let keys: Vec<&Verifier> = logs.iter().map(|(_, key)| key).collect();
    let mut kept_heads = Vec::new();
    for path in &args.against {
        kept_heads.push(KnownHead { kept: path.display().to_string(), anchor: false, head: head_of(path, &keys)? });
    }
    let mut found = Vec::new();
    for (folder, vkey) in &logs {
        found.push(verify(folder, vkey, &mut kept_heads)?);
    }
    // A head whose origin is none of these logs is of another log. One that the import log holds is of this relay's
    // access log, or that was replaced; the newest says so.
    let is_whole = args.dir.is_none() && args.log.is_none();
    let last = kept_heads.iter().rposition(|kept_head| kept_head.anchor);
    let foreign: Vec<json::KeptHeadJson> = kept_heads
        .iter()
        .enumerate()
        .filter(|(at, kept_head)| !kept_head.anchor || (is_whole && Some(*at) == last))
        .map(|(_, kept_head)| kept_head)
        .filter(|kept_head| !keys.iter().any(|key| key.name() == kept_head.head.origin))
        .map(|kept_head| json::KeptHeadJson {
            kept: kept_head.kept.clone(),
            size: kept_head.head.size,
            verdict: HeadComparison::Foreign,
        })
        .collect();
    if let Some(first) = found.first_mut() {
        first.against.extend(foreign);
    }
    if args.json {
        terminal::say_json(&found);
    } else {
        found.iter().for_each(print);
    }
    let well = |log: &json::LogVerifyJson| log.whole && log.against.iter().all(|against| against.verdict.is_well());
    Ok(if found.iter().all(well) { Ended::Well } else { Ended::Damaged })
}

/// Checks a log, and the kept heads against it; anchors in its entries are added to the kept heads of the other log.
fn verify(folder: &Path, vkey: &Verifier, kept_heads: &mut Vec<KnownHead>) -> Result<json::LogVerifyJson, Fault> {
    let (mut number, mut anchors) = (0, Vec::new());
    let ours: Vec<&KnownHead> = kept_heads.iter().filter(|kept_head| kept_head.head.origin == vkey.name()).collect();
    let heads: Vec<Checkpoint> = ours.iter().map(|kept_head| kept_head.head.clone()).collect();
    let (finding, verdicts) = compare(folder, vkey, &heads, |bytes| {
        if let Some(head) = anchored_head(bytes) {
            anchors.push(KnownHead { kept: format!("entry {number} of the import log"), anchor: true, head });
        }
        number += 1;
    })?;
    let against: Vec<json::KeptHeadJson> = ours
        .iter()
        .zip(verdicts)
        .filter(|(kept_head, verdict)| !(verdict.is_well() && kept_head.anchor))
        .map(|(kept_head, verdict)| json::KeptHeadJson {
            kept: kept_head.kept.clone(),
            size: kept_head.head.size,
            verdict,
        })
        .collect();
    kept_heads.extend(anchors);
    let mut verified = json::LogVerifyJson {
        log: folder.to_string_lossy().into_owned(),
        origin: vkey.name().to_owned(),
        whole: true,
        size: None,
        root: None,
        bad_entry: None,
        detail: finding.detail(),
        files: None,
        against,
    };
    match finding {
        LogFinding::Whole { size, root } => {
            verified.size = Some(size);
            verified.root = Some(BASE64.encode(&root));
        }
        LogFinding::Files { size, root, files, .. } => {
            verified.whole = false;
            verified.size = Some(size);
            verified.root = Some(BASE64.encode(&root));
            verified.files = Some(files.iter().map(|file| file.path.to_string_lossy().into_owned()).collect());
        }
        LogFinding::Bad { entry, .. } => {
            verified.whole = false;
            verified.bad_entry = entry;
        }
    }
    Ok(verified)
}

fn print(verified: &json::LogVerifyJson) {
    print_log(verified);
    verified.against.iter().for_each(print_kept);
}

fn print_log(verified: &json::LogVerifyJson) {
    let origin = &verified.origin;
    if let Some(files) = &verified.files {
        let detail = verified.detail.as_deref().unwrap_or_default();
        terminal::note(format_args!("{origin}: DAMAGED: {}", printable(detail)));
        // The first three are named above.
        files
            .iter()
            .skip(3)
            .for_each(|file| terminal::note(format_args!("{origin}: at fault too: {}", printable(file))));
        terminal::hint(
            "find out who or what changed these files; then make them anew from the entries, on the relay: gaprelay log rebuild",
        );
    } else if let (Some(size), Some(root)) = (verified.size, &verified.root) {
        terminal::say(format_args!("{origin}: {size} entries, all as in the signed head; root {root}"));
    } else {
        let entry = verified.bad_entry.map_or(String::new(), |entry| format!("entry {entry}: "));
        let detail = verified.detail.as_deref().unwrap_or_default();
        terminal::note(format_args!("{origin}: DAMAGED: {entry}{}", printable(detail)));
        terminal::hint(
            "do not change anything on this machine; compare the log with a copy of it, or with a kept checkpoint: gaprelay log verify --against FILE",
        );
    }
}

fn print_kept(against: &json::KeptHeadJson) {
    let (kept, size) = (&against.kept, against.size);
    match against.verdict {
        HeadComparison::Same => {
            terminal::say(format_args!("{kept}: the log has not changed since; it has {size} entries"));
        }
        HeadComparison::Grown => {
            terminal::say(format_args!("{kept}: the log has grown since; its first {size} entries have not changed"));
        }
        HeadComparison::Shorter => {
            terminal::note(format_args!(
                "{kept}: SHORTER: the log had {size} entries then, and has fewer now. It was cut, or an old copy was restored"
            ));
            terminal::hint(
                "do not change anything on this machine; stop imports and approvals until this is explained",
            );
        }
        HeadComparison::Forked => {
            terminal::note(format_args!(
                "{kept}: FORKED: the first {size} entries of the log are not the same as then. The log was rewritten"
            ));
            terminal::hint(
                "keep this machine and your receipt unchanged: together they are the proof; inform the people who supervise this relay",
            );
        }
        HeadComparison::Foreign if kept.ends_with("of the import log") => {
            terminal::note(format_args!(
                "{kept}: has the head of an access log with another name than the one here: the access log was replaced"
            ));
            terminal::hint(
                "do not change anything on this machine; restore the access log from a backup: gaprelay help backup",
            );
        }
        HeadComparison::Foreign => {
            terminal::note(format_args!("{kept}: is the head of another log"));
            terminal::hint(
                "compare the name in the file with the name of this relay: the file is of another relay, or this relay was made anew",
            );
        }
    }
}

/// Checks a receipt of an import without any log.
fn check_receipt(text: &str, key: &Verifier, as_json: bool) -> Result<Ended, Error> {
    let Some(receipt) = Receipt::parse(text) else {
        let wrong = "the file is not the receipt of an import (C2SP tlog-proof, with the entry in it)";
        let next = "Give a file that `gaprelay log receipt FEED/VERSION` printed. The six lines of the paper book are checked with --against.";
        return Err(Fault::usage(wrong, next).into());
    };
    let head = receipt.verify(key);
    let entry = head.as_ref().and_then(|_| serde_json::from_slice::<Entry>(&receipt.entry).ok());
    let proven = json::ReceiptJson {
        origin: key.name().to_owned(),
        proven: head.is_some(),
        number: receipt.index,
        size: head.as_ref().map(|head| head.size),
        entry,
    };
    if as_json {
        terminal::say_json(&proven);
    } else if let Some(size) = proven.size {
        terminal::say(format_args!(
            "{}: PROVEN: entry {} is in the log, under a signed head of {size} entries:",
            key.name(),
            receipt.index
        ));
        match &proven.entry {
            Some(entry) => terminal::say(log::line(receipt.index, entry)),
            None => terminal::say(base::quoted(&String::from_utf8_lossy(&receipt.entry))),
        }
    } else {
        terminal::note(format_args!(
            "{}: NOT PROVEN: the receipt does not show that the key of this log signed a head with entry {}",
            key.name(),
            receipt.index
        ));
        terminal::hint(
            "check that the key is the one that the officers of the relay gave you; if it is, the receipt was forged or changed",
        );
    }
    Ok(if head.is_some() { Ended::Well } else { Ended::Damaged })
}

/// Checks two checkpoints and the proof between them, without the log.
fn check_growth(text: &str, key: &Verifier, args: &LogVerify) -> Result<Ended, Error> {
    let malformed = || {
        Fault::usage(
            "the file of --grown is not a proof that a log grew",
            "Give a file that `gaprelay log prove --grown-from SIZE` printed.",
        )
    };
    let growth = Growth::parse(text).ok_or_else(malformed)?;
    let Some(head) = key.head(&growth.note) else {
        terminal::note(format_args!(
            "{}: NOT PROVEN: the checkpoint in the proof is not signed by this key",
            key.name()
        ));
        terminal::hint("check that the key is the one that the officers of the relay gave you");
        return Ok(Ended::Damaged);
    };
    let mut against = Vec::new();
    for path in &args.against {
        let old = head_of(path, &[key])?;
        let verdict = if old.origin != head.origin {
            HeadComparison::Foreign
        } else if old.size > head.size {
            HeadComparison::Shorter
        } else if old.size != growth.old && old.size != head.size {
            let wrong = format!("the proof begins at {} entries, but {} has {}", growth.old, path.display(), old.size);
            let next = format!("Have the proof made for it on the relay: gaprelay log prove --grown-from {}", old.size);
            return Err(Fault::usage(wrong, next).into());
        } else if old.size == head.size {
            if old.root == head.root { HeadComparison::Same } else { HeadComparison::Forked }
        } else if grew(old.size, &old.root, head.size, &head.root, &growth.proof) {
            HeadComparison::Grown
        } else {
            HeadComparison::Forked
        };
        against.push(json::KeptHeadJson { kept: path.display().to_string(), size: old.size, verdict });
    }
    let ended = if against.iter().all(|against| against.verdict.is_well()) { Ended::Well } else { Ended::Damaged };
    let verified = json::LogVerifyJson {
        log: args.grown.as_deref().unwrap_or(Path::new("")).to_string_lossy().into_owned(),
        origin: head.origin.clone(),
        whole: true,
        size: Some(head.size),
        root: Some(BASE64.encode(&head.root)),
        bad_entry: None,
        files: None,
        detail: None,
        against,
    };
    if args.json {
        terminal::say_json(&[verified]);
    } else {
        terminal::say(format_args!("{}: a signed head of {} entries", head.origin, head.size));
        verified.against.iter().for_each(print_kept);
    }
    Ok(ended)
}

/// Reads a key that is given as text, or as the file that holds it.
pub(crate) fn read_key(given: &str) -> Result<Verifier, Fault> {
    if let Some(key) = Verifier::parse(given) {
        return Ok(key);
    }
    let text = if Path::new(given).is_file() { read(Path::new(given))? } else { String::new() };
    Verifier::parse(&text).ok_or_else(|| {
        let wrong = "the key of --log-key is not a public key of a log, and not a file that holds one";
        Fault::usage(wrong, "Give the text of the file log/import/vkey of the relay, NAME+HASH+BASE64, or its path.")
    })
}

/// Reads a kept head. A signed one of a known log must be signed by the key of that log.
fn head_of(path: &Path, keys: &[&Verifier]) -> Result<Checkpoint, Fault> {
    let wrong = |what: &str, next: &str| Fault::usage(format!("{}: {what}", path.display()), next);
    let neither = || {
        wrong(
            "the file is not a receipt and not a checkpoint",
            "Give the six lines of the paper book, a checkpoint of the log, or the output of `gaprelay log receipt`.",
        )
    };
    match KeptHead::parse(&read(path)?) {
        Some(KeptHead::Paper(head)) => Ok(head),
        Some(KeptHead::Slip) => Err(wrong(
            "the check word of the receipt does not match the other lines",
            "Compare each line with the paper book: at least one character was copied wrongly.",
        )),
        Some(KeptHead::Signed(note)) => {
            let origin = note.lines().next().unwrap_or_default();
            match keys.iter().find(|key| key.name() == origin) {
                Some(key) => key.head(&note).ok_or_else(|| {
                    wrong(
                        "the checkpoint is not signed by the key of the log",
                        "Check the key with the officers of the relay: the checkpoint was changed, or the relay was made anew with a new key.",
                    )
                }),
                None => parts(&note)
                    .and_then(|(text, _)| Checkpoint::parse(text))
                    .ok_or_else(neither),
            }
        }
        None => Err(neither()),
    }
}

/// Reads a small text from a file, or from standard input if the path is `-`.
pub(crate) fn read(path: &Path) -> Result<String, Fault> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_string(&mut text).during("read", path)?;
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)).during("read", path)?;
    }
    Ok(text)
}
