//! From a folder of a vendor's files to a bundle folder: kinds recognised from the bytes, the
//! canonical payload, the manifest, and a signature if a key is at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use flate2::{Compression, GzBuilder};
use walkdir::WalkDir;

use super::lines;
use base::digest::Hasher;
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Digest, Error, Fault, Limits, Reason, Refusal, Timestamp, durable, quoted};
use bundle::manifest::{Artifact, FORMAT, Manifest, Payload};
use bundle::payload::ustar;
use inspect::rebuild::rebuild;
use inspect::source::ReadTap;
use inspect::{ContentPolicy, Demands, Finding, InspectionTerms, Kind, Opaque, Verdict, VerdictKind, inspect};

/// Plan of a bundle.
pub struct BuildPlan {
    /// The folder of files.
    pub folder: PathBuf,
    /// Folder of the new bundle; it must not exist.
    pub out: PathBuf,
    /// Feed.
    pub feed: String,
    /// Version.
    pub version: u64,
    /// Label, for people.
    pub label: String,
    /// Publisher.
    pub publisher: String,
    /// Origin.
    pub origin: String,
    /// When it is made.
    pub issued: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// Manifests of bundles that the relay has: what they list is left out.
    pub base: Vec<PathBuf>,
    /// Policy by which each file is reported, as the relay would judge it.
    pub policy: ContentPolicy,
    /// The kinds that the feed may carry there.
    pub kinds: Vec<Kind>,
    /// An empty folder: where it is given, what the policy strips is stripped here, before anything is signed.
    pub strip: Option<PathBuf>,
    /// An Ed25519 key in PEM to sign the artifacts with for TUF clients, and where to write that.
    pub tuf: Option<(PathBuf, PathBuf)>,
    /// True: files of no known kind are listed as `unknown`, for the relay to withhold.
    pub keep_unrecognised: bool,
    /// minisign secret key file.
    pub sign: Option<PathBuf>,
    /// Limits.
    pub limits: Limits,
}

/// Paths of no kind we know, and why.
type Unrecognised = Vec<(String, Reason)>;

/// Contents of the folder.
#[derive(Default)]
struct FolderSurvey {
    artifacts: Vec<Artifact>,
    /// Folder of the bytes that differ from those found.
    stripped: BTreeMap<String, PathBuf>,
    unrecognised: Unrecognised,
    verdicts: Vec<Verdict>,
    refused: Vec<Refusal>,
}

/// Result of a build.
pub struct Made {
    /// The manifest.
    pub manifest: Manifest,
    /// Files of no kind we know, and why; listed as `unknown`.
    pub unrecognised: Unrecognised,
    /// Verdict of the policy on each file, by path, before anything was stripped here.
    pub verdicts: Vec<Verdict>,
    /// Refusal of the release by the policy.
    pub refused: Vec<Refusal>,
    /// Path of the signature, if one was made.
    pub signature: Option<PathBuf>,
}

/// Makes the bundle.
pub fn build(plan: &BuildPlan) -> Result<Made, Error> {
    if plan.out.exists() {
        let next = "Name another folder with --out, or move the existing one away first.";
        return Err(Fault::usage(format!("{} exists already", quoted_os(&plan.out)), next).into());
    }
    let held = read_bases(&plan.base, &plan.limits)?;
    let FolderSurvey { mut artifacts, stripped, unrecognised, mut verdicts, refused } = survey(plan)?;
    verdicts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    for artifact in &mut artifacts {
        artifact.carried = !held.contains(&(artifact.sha256, artifact.size));
    }
    // The payload's size and digest follow; everything else is judged before it is written.
    let mut manifest = Manifest {
        format: FORMAT.into(),
        feed: plan.feed.clone(),
        version: plan.version,
        label: plan.label.clone(),
        publisher: plan.publisher.clone(),
        origin: plan.origin.clone(),
        issued: plan.issued,
        expires: plan.expires,
        payload: Payload { size: u64::MAX, sha256: Digest([0; 32]) },
        artifacts,
    };
    let unbounded = Limits { payload: base::limits::Bytes(u64::MAX), ..plan.limits.clone() };
    manifest.check(&unbounded)?;
    let most = to_bytes(&manifest)?.len();
    if most as u64 > plan.limits.manifest.0 {
        let (count, limit) = (manifest.artifacts.len(), plan.limits.manifest.0);
        let detail =
            format!("manifest.json would have {most} bytes for {count} artifacts, and the limit is {limit} bytes");
        return Err(Error::refused(Reason::ManifestTooLarge, detail));
    }
    let key = plan.sign.as_deref().map(open_key).transpose()?;
    durable::create_dir(&plan.out)?;
    manifest.payload = write_payload(plan, &manifest, &stripped)?;
    manifest.check(&plan.limits)?;
    let path = plan.out.join("manifest.json");
    let bytes = to_bytes(&manifest)?;
    durable::replace_output(&path, &bytes)?;
    let signature = key.map(|key| sign(&key, &plan.out, &bytes, &manifest)).transpose()?;
    Ok(Made { manifest, unrecognised, verdicts, refused, signature })
}

fn read_bases(paths: &[PathBuf], limits: &Limits) -> Result<BTreeSet<(Digest, u64)>, Error> {
    let mut held = BTreeSet::new();
    for path in paths {
        let bytes = std::fs::read(path).during("read", path)?;
        let wrong = |refusal: Refusal| {
            let next = "Give the manifest.json of a bundle that the relay holds already.";
            Fault::usage(format!("--base: {} is not a good manifest: {refusal}", quoted_os(path)), next)
        };
        let base = Manifest::parse(&bytes, limits).map_err(wrong)?;
        held.extend(base.artifacts.into_iter().map(|a| (a.sha256, a.size)));
    }
    Ok(held)
}

/// Every file below the folder, sorted by path, with size, digest and kind.
fn survey(plan: &BuildPlan) -> Result<FolderSurvey, Error> {
    let mut survey = FolderSurvey::default();
    let folder = quoted_os(&plan.folder);
    match std::fs::metadata(&plan.folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            let next = "Name the folder that holds the files of the bundle.";
            return Err(Fault::usage(format!("{folder} is not a folder"), next).into());
        }
        Err(source) => return Err(Fault::Io { operation: "read", path: plan.folder.clone(), source }.into()),
    }
    for entry in WalkDir::new(&plan.folder).follow_links(false).follow_root_links(true) {
        let entry = entry.map_err(|e| {
            let path = e.path().map_or_else(|| plan.folder.clone(), Path::to_owned);
            Fault::Io { operation: "read", path, source: e.into() }
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        let below = entry.path().strip_prefix(&plan.folder).unwrap_or(entry.path());
        let path = below.to_str().ok_or_else(|| {
            let detail = format!("the name of the file {} is not UTF-8", quoted_os(below));
            Refusal::new(Reason::PathCharacter, detail)
        })?;
        if !entry.file_type().is_file() {
            let detail =
                format!("\"{}\" is a link, a device or a FIFO, and a bundle carries regular files only", quoted(path));
            return Err(Error::refused(Reason::EntryType, detail));
        }
        take(plan, path, entry.path(), &mut survey)?;
    }
    if survey.artifacts.is_empty() && survey.unrecognised.is_empty() && plan.tuf.is_none() {
        let next = "Put the files of the bundle into that folder.";
        return Err(Fault::usage(format!("the folder {folder} holds no file: there is nothing to pack"), next).into());
    }
    if let (Some((path, reason)), false) = (survey.unrecognised.first(), plan.keep_unrecognised) {
        let more = survey.unrecognised.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        let detail = format!(
            "\"{}\"{more} is of no kind that the relay takes: take it out, or let the relay withhold it (--keep-unrecognised)",
            quoted(path)
        );
        return Err(Error::refused(*reason, detail));
    }
    if let Some((key, file)) = &plan.tuf {
        let metadata = crate::tuf::feed(&plan.feed, plan.version, plan.expires, &survey.artifacts, key)?;
        durable::replace_output(file, metadata.as_bytes())?;
        let path = format!("tuf-{}.json", plan.feed);
        take(plan, &path, file, &mut survey)?;
        survey.stripped.insert(path, file.clone());
    }
    survey.artifacts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    Ok(survey)
}

/// One file: what it is, what the relay would do with it, and what it becomes where that is done here.
fn take(plan: &BuildPlan, path: &str, file: &Path, survey: &mut FolderSurvey) -> Result<(), Error> {
    let terms = InspectionTerms {
        kinds: &plan.kinds,
        policy: &plan.policy,
        may_suppress: true,
        opaque: Opaque::default(),
        // Who will sign is not known yet: `check` asks what rules about origins say.
        demands: Demands::default(),
    };
    let (artifact, finding) = look(file, path)?;
    if let Err(reason) = finding.kind {
        survey.unrecognised.push((path.to_owned(), reason));
    }
    let mut judged = match finding.judge(&artifact, terms) {
        Ok(judged) => judged,
        Err(refusal) => {
            survey.refused.push(refusal);
            survey.artifacts.push(artifact);
            return Ok(());
        }
    };
    let (Some(folder), Some(_)) = (&plan.strip, &judged.verdict().stripped) else {
        survey.artifacts.push(artifact);
        survey.verdicts.push(judged.into_verdict());
        return Ok(());
    };
    let to = folder.join(survey.verdicts.len().to_string());
    let whole = File::open(file).during("open", file)?;
    if judged.is_rebuilt() {
        rebuild(whole, judged.cuts(), durable::create(&to, 0o644)?).map(drop).during("write", &to)?;
    } else {
        judged.strip(whole, &to)?;
    }
    // What is left is judged as if it had come so: there may be nothing left that passes.
    let (left, finding) = look(&to, path)?;
    judged.left(left.sha256, left.size);
    let remains = finding.judge(&left, terms)?;
    if remains.verdict().decision == VerdictKind::Cleared {
        survey.stripped.insert(path.to_owned(), to);
        survey.artifacts.push(left);
    } else {
        survey.artifacts.push(artifact);
    }
    survey.verdicts.push(judged.settle(&remains));
    Ok(())
}

fn look(file: &Path, path: &str) -> Result<(Artifact, Finding), Fault> {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    let mut from = BufReader::with_capacity(256 << 10, File::open(file).during("open", file)?);
    let mut seen = ReadTap::new(&mut from, |bytes: &[u8]| {
        hasher.update(bytes);
        size += bytes.len() as u64;
    });
    // What each line is, is of no use here.
    let finding = inspect(path, &mut seen, &mut |_| {}).during("read", file)?;
    let kind = finding.kind.map_or("unknown", Kind::name).to_owned();
    Ok((Artifact { path: path.to_owned(), size, sha256: hasher.finish(), kind, carried: true }, finding))
}

fn read_pieces(path: &Path, give: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            got => give(buffer.get(..got).unwrap_or_default())?,
        }
    }
}

/// Counts and hashes what passes through.
struct CountingHasher<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Write for CountingHasher<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The canonical archive: see `unpack`, which knows no other.
fn write_payload(
    plan: &BuildPlan,
    manifest: &Manifest,
    stripped: &BTreeMap<String, PathBuf>,
) -> Result<Payload, Error> {
    let path = plan.out.join("payload.tar.gz");
    let file = durable::create_output(&path, 0o644)?;
    let hashing = CountingHasher { inner: BufWriter::with_capacity(1 << 20, file), hasher: Hasher::new(), size: 0 };
    let mut out = GzBuilder::new().operating_system(3).write(hashing, Compression::default());
    for artifact in manifest.carried() {
        let header = ustar::header(&artifact.path, artifact.size).ok_or_else(|| {
            Refusal::new(Reason::PathTooLong, format!("\"{}\" does not fit a ustar header", quoted(&artifact.path)))
        })?;
        let from = stripped.get(&artifact.path).cloned().unwrap_or_else(|| plan.folder.join(&artifact.path));
        let mut hasher = Hasher::new();
        out.write_all(&header).during("write", &path)?;
        read_pieces(&from, &mut |piece| {
            hasher.update(piece);
            out.write_all(piece)
        })
        .during("pack", &from)?;
        if hasher.finish() != artifact.sha256 {
            let next = format!(
                "Wait until nothing writes to that folder. Then remove the incomplete {}, and run the command again.",
                quoted_os(&plan.out)
            );
            return Err(Fault::usage(format!("{} changed while it was packed", quoted_os(&from)), next).into());
        }
        let padding = usize::try_from(ustar::padding(artifact.size)).unwrap_or_default();
        out.write_all([0; ustar::BLOCK].get(..padding).unwrap_or_default()).during("write", &path)?;
    }
    let end = usize::try_from(ustar::end_size(manifest.carried().map(|a| a.size).collect::<Vec<_>>().into_iter()));
    out.write_all(&vec![0; end.unwrap_or_default()]).during("write", &path)?;
    let hashing = out.finish().during("write", &path)?;
    let file = hashing.inner.into_inner().map_err(io::IntoInnerError::into_error).during("write", &path)?;
    file.sync_all().during("sync", &path)?;
    Ok(Payload { size: hashing.size, sha256: hashing.hasher.finish() })
}

fn to_bytes(manifest: &Manifest) -> Result<Vec<u8>, Fault> {
    lines::to_vec(manifest).map_err(|_| Fault::Internal("a manifest cannot be written"))
}

/// Signs the manifest's bytes into a file in `folder`, the bundle's.
fn sign(secret: &minisign::SecretKey, folder: &Path, bytes: &[u8], manifest: &Manifest) -> Result<PathBuf, Fault> {
    let failed = |e| {
        let next = format!(
            "The key may be damaged: remove {}, which has no signature, and run the command with another copy of the key.",
            quoted_os(folder)
        );
        Fault::usage(format!("the key of --sign made no good signature: {e}"), next)
    };
    // With its public half at hand the crate checks what it made, and so finds a damaged key.
    let public = minisign::PublicKey::from_secret_key(secret).map_err(failed)?;
    let (trusted, untrusted) = (manifest.trusted_comment(), "signature from minisign secret key");
    let signed = minisign::sign(Some(&public), secret, bytes, Some(&trusted), Some(untrusted)).map_err(failed)?;
    let out = folder.join("manifest.json.minisig");
    durable::replace_output(&out, signed.into_string().as_bytes())?;
    Ok(out)
}

/// Length of a minisign secret key, in bytes: algorithms, salt, limits, and the encrypted key with its checksum.
const SECRET_KEY: usize = 158;

/// Opens a minisign secret key; asks for its password if it has one, before anything is written.
fn open_key(path: &Path) -> Result<minisign::SecretKey, Fault> {
    let file = std::fs::read(path).during("read", path)?;
    let name = quoted_os(path);
    let text = String::from_utf8_lossy(&file);
    let key = text.lines().nth(1).and_then(|line| BASE64.decode(line.trim().as_bytes()).ok()).unwrap_or_default();
    if key.len() == 42 && key.starts_with(b"Ed") {
        let next = "Give the file of the secret key, which `minisign -G` wrote with -s.";
        return Err(Fault::usage(format!("{name} is a public key; --sign takes the secret key"), next));
    }
    if key.len() != SECRET_KEY || !key.starts_with(b"Ed") {
        let next = "Give the file that `minisign -G -s FILE.key` wrote.";
        return Err(Fault::usage(format!("{name} is not a secret key of minisign"), next));
    }
    if let Some(secret) = without_password(&text) {
        return Ok(secret);
    }
    // The password is asked for on the terminal of this process, wherever its input comes from.
    if File::open("/dev/tty").is_err() {
        let next =
            "Run the command on a terminal; or leave --sign out, and sign with minisign as the command then says.";
        return Err(Fault::usage(format!("{name} has a password, and there is no terminal to ask for it"), next));
    }
    minisign::SecretKeyBox::from_string(&text).and_then(|sealed| sealed.into_secret_key(None)).map_err(|e| {
        Fault::usage(format!("{name} cannot be opened: {e}"), "Check the password, then run the command again.")
    })
}

/// A key without a password. Stock minisign leaves such a key's checksum empty, which the crate's own
/// reader takes for damage; so the bytes are given to it directly.
fn without_password(text: &str) -> Option<minisign::SecretKey> {
    let bytes = BASE64.decode(text.lines().nth(1)?.trim().as_bytes()).ok()?;
    minisign::SecretKey::from_bytes(&bytes).ok().filter(|key| !key.is_encrypted())
}
