//! `gaprelay log verify`: a log from its bytes, what was kept of it, and receipts without any log.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use memchr::memmem;

use super::args_log::{LogVerify, WhichLog};
use super::{json, log};
use crate::log::{Entry, Event};
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault};
use terminal::Ended;
use tlog::check::{LogFinding, read_vkey};
use tlog::compare::{HeadComparison, compare};
use tlog::note::{Checkpoint, Verifier, parts};
use tlog::proof::grew;
use tlog::receipt::{Growth, KeptHead, LONGEST, Receipt};

/// A head that someone kept, and where.
struct Memory {
    kept: String,
    /// Whether the import log keeps it, so that it is told only where it does not fit.
    anchor: bool,
    head: Checkpoint,
}

/// Does what the arguments say.
pub fn run(root: &Path, args: &LogVerify) -> Result<Ended, Error> {
    let key = args.log_key.as_deref().map(read_key).transpose()?;
    if let (Some(path), Some(key)) = (&args.receipt, &key) {
        return offline(&read(path)?, key, args.json);
    }
    if let (Some(path), Some(key)) = (&args.grown, &key) {
        return grown(&read(path)?, key, args);
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
            // A key from elsewhere counts more than the one that lies beside the log.
            let beside = read_vkey(&folder)?;
            let elsewhere = key.clone().filter(|key| key.name() == beside.name());
            logs.push((folder, elsewhere.unwrap_or(beside)));
        }
    }
    if let Some(key) = key.filter(|key| !logs.iter().any(|(_, used)| used.to_text() == key.to_text())) {
        let wrong = format!("no log here has the name of this key, {}: with it nothing would be checked", key.name());
        return Err(Fault::Config(wrong).into());
    }
    let keys: Vec<&Verifier> = logs.iter().map(|(_, key)| key).collect();
    let mut memories = Vec::new();
    for path in &args.against {
        memories.push(Memory { kept: path.display().to_string(), anchor: false, head: head_of(path, &keys)? });
    }
    let mut found = Vec::new();
    for (folder, vkey) in &logs {
        found.push(verify(folder, vkey, &mut memories)?);
    }
    // What no log claimed is a memory of another one.
    let foreign: Vec<json::Against> = memories
        .iter()
        .filter(|memory| !memory.anchor && !keys.iter().any(|key| key.name() == memory.head.origin))
        .map(|memory| json::Against {
            kept: memory.kept.clone(),
            size: memory.head.size,
            verdict: HeadComparison::Foreign,
        })
        .collect();
    if let Some(first) = found.first_mut() {
        first.against.extend(foreign);
    }
    if args.json {
        terminal::say_json(&found);
    } else {
        found.iter().for_each(tell);
    }
    let well = |log: &json::Verified| log.whole && log.against.iter().all(|against| against.verdict.is_well());
    Ok(if found.iter().all(well) { Ended::Well } else { Ended::Damaged })
}

/// Checks one log and what is kept of it; its own entries add what they remember of the other.
fn verify(folder: &Path, vkey: &Verifier, memories: &mut Vec<Memory>) -> Result<json::Verified, Fault> {
    let (mut number, mut anchors) = (0, Vec::new());
    let anchored = memmem::Finder::new(r#""type":"anchored""#);
    let ours: Vec<&Memory> = memories.iter().filter(|memory| memory.head.origin == vkey.name()).collect();
    let heads: Vec<Checkpoint> = ours.iter().map(|memory| memory.head.clone()).collect();
    let (finding, verdicts) = compare(folder, vkey, &heads, |bytes| {
        if anchored.find(bytes).is_some()
            && let Ok(Entry { event: Event::Anchored { log, size, root }, .. }) = serde_json::from_slice(bytes)
        {
            let head = Checkpoint { origin: log, size, root: root.0 };
            anchors.push(Memory { kept: format!("entry {number} of the import log"), anchor: true, head });
        }
        number += 1;
    })?;
    let told = ours.iter().zip(verdicts);
    let against: Vec<json::Against> = told
        .filter(|(memory, verdict)| !(verdict.is_well() && memory.anchor))
        .map(|(memory, verdict)| json::Against { kept: memory.kept.clone(), size: memory.head.size, verdict })
        .collect();
    memories.extend(anchors);
    let mut verified = json::Verified {
        log: folder.to_string_lossy().into_owned(),
        origin: vkey.name().to_owned(),
        whole: true,
        size: None,
        root: None,
        bad_entry: None,
        detail: None,
        against,
    };
    match finding {
        LogFinding::Whole { size, root } => {
            verified.size = Some(size);
            verified.root = Some(BASE64.encode(&root));
        }
        LogFinding::Bad { entry, detail } => {
            verified.whole = false;
            verified.bad_entry = entry;
            verified.detail = Some(detail);
        }
    }
    Ok(verified)
}

fn tell(verified: &json::Verified) {
    tell_log(verified);
    verified.against.iter().for_each(tell_kept);
}

fn tell_log(verified: &json::Verified) {
    let origin = &verified.origin;
    if let (Some(size), Some(root)) = (verified.size, &verified.root) {
        terminal::say(format_args!("{origin}: {size} entries, all as the signed head promises; root {root}"));
    } else {
        let entry = verified.bad_entry.map_or(String::new(), |entry| format!("entry {entry}: "));
        terminal::note(format_args!("{origin}: DAMAGED: {entry}{}", verified.detail.as_deref().unwrap_or_default()));
        terminal::hint("keep this machine as it is, and compare with a copy of the log or a kept checkpoint");
    }
}

fn tell_kept(against: &json::Against) {
    let (kept, size) = (&against.kept, against.size);
    match against.verdict {
        HeadComparison::Same => terminal::say(format_args!("{kept}: the log is as it was, {size} entries")),
        HeadComparison::Grown => {
            terminal::say(format_args!("{kept}: the log has grown; its first {size} entries are as they were"));
        }
        HeadComparison::Shorter => {
            terminal::note(format_args!(
                "{kept}: SHORTER: it had {size} entries then: it was cut, or an old copy of it was restored"
            ));
            terminal::hint(
                "keep this machine as it is; whatever came in since is to be held back until it is explained",
            );
        }
        HeadComparison::Forked => {
            terminal::note(format_args!(
                "{kept}: FORKED: its first {size} entries are not those of then: its history was written anew"
            ));
            terminal::hint(
                "keep this machine and what you kept: together they prove it; tell whoever supervises this relay",
            );
        }
        HeadComparison::Foreign => {
            terminal::note(format_args!("{kept}: it is the head of another log"));
            terminal::hint(
                "was the relay made anew, or is it another one? Its name is on the first line of what was kept",
            );
        }
    }
}

/// A receipt by itself.
fn offline(text: &str, key: &Verifier, as_json: bool) -> Result<Ended, Error> {
    let Some(receipt) = Receipt::parse(text) else {
        return Err(
            Fault::Config("the receipt is not of the form of C2SP tlog-proof, with the entry in it".into()).into()
        );
    };
    let head = receipt.verify(key);
    let entry = head.as_ref().and_then(|_| serde_json::from_slice::<Entry>(&receipt.entry).ok());
    let proven = json::Proven {
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
            "{}: entry {} is under its signed head of {size} entries:",
            key.name(),
            receipt.index
        ));
        match &proven.entry {
            Some(entry) => terminal::say(log::line(receipt.index, entry)),
            None => terminal::say(base::quoted(&String::from_utf8_lossy(&receipt.entry))),
        }
    } else {
        terminal::note(format_args!(
            "{}: NOT PROVEN: this log's key has not promised entry {}",
            key.name(),
            receipt.index
        ));
        terminal::hint(
            "compare the key with the one that the relay's officers gave you; else the receipt was made up or changed",
        );
    }
    Ok(if head.is_some() { Ended::Well } else { Ended::Damaged })
}

/// Two checkpoints and the proof between them, without the log.
fn grown(text: &str, key: &Verifier, args: &LogVerify) -> Result<Ended, Error> {
    let malformed = || Fault::Config("the proof is not of the form that `log prove --grown-from` prints".into());
    let growth = Growth::parse(text).ok_or_else(malformed)?;
    let Some(head) = key.head(&growth.note) else {
        terminal::note(format_args!("{}: NOT PROVEN: the proof's checkpoint is not signed by this key", key.name()));
        terminal::hint("compare the key with the one that the relay's officers gave you");
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
            let wrong = format!("the proof begins at {} entries, what you keep has {}", growth.old, old.size);
            return Err(Fault::Config(wrong).into());
        } else if old.size == head.size {
            if old.root == head.root { HeadComparison::Same } else { HeadComparison::Forked }
        } else if grew(old.size, &old.root, head.size, &head.root, &growth.proof) {
            HeadComparison::Grown
        } else {
            HeadComparison::Forked
        };
        against.push(json::Against { kept: path.display().to_string(), size: old.size, verdict });
    }
    let ended = if against.iter().all(|against| against.verdict.is_well()) { Ended::Well } else { Ended::Damaged };
    let verified = json::Verified {
        log: args.grown.as_deref().unwrap_or(Path::new("")).to_string_lossy().into_owned(),
        origin: head.origin.clone(),
        whole: true,
        size: Some(head.size),
        root: Some(BASE64.encode(&head.root)),
        bad_entry: None,
        detail: None,
        against,
    };
    if args.json {
        terminal::say_json(&[verified]);
    } else {
        terminal::say(format_args!("{}: a signed head of {} entries", head.origin, head.size));
        verified.against.iter().for_each(tell_kept);
    }
    Ok(ended)
}

/// The key given as text, or the file that holds it.
pub fn read_key(given: &str) -> Result<Verifier, Fault> {
    if let Some(key) = Verifier::parse(given) {
        return Ok(key);
    }
    let text = if Path::new(given).is_file() { read(Path::new(given))? } else { String::new() };
    Verifier::parse(&text)
        .ok_or_else(|| Fault::Config("the key is not of the form name+hash+base64, nor a file that holds one".into()))
}

/// A kept head; a signed one is believed only under the key of its log.
fn head_of(path: &Path, keys: &[&Verifier]) -> Result<Checkpoint, Fault> {
    let wrong = |what: &str| Fault::Config(format!("{}: {what}", path.display()));
    match KeptHead::parse(&read(path)?) {
        Some(KeptHead::Paper(head)) => Ok(head),
        Some(KeptHead::Slip) => {
            Err(wrong("the receipt was not written down rightly: its check word does not fit the rest"))
        }
        Some(KeptHead::Signed(note)) => {
            let origin = note.lines().next().unwrap_or_default();
            match keys.iter().find(|key| key.name() == origin) {
                Some(key) => key.head(&note).ok_or_else(|| {
                    wrong("its signature is not by the log's key: either was changed, or the log has a new key")
                }),
                None => parts(&note)
                    .and_then(|(text, _)| Checkpoint::parse(text))
                    .ok_or_else(|| wrong("it is neither a receipt nor a checkpoint")),
            }
        }
        None => Err(wrong("it is neither a receipt nor a checkpoint")),
    }
}

/// A small text: a file, or standard input.
pub fn read(path: &Path) -> Result<String, Fault> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_string(&mut text).during("read", path)?;
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)).during("read", path)?;
    }
    Ok(text)
}
