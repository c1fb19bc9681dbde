//! The chain of types from a medium to a release, tried from outside, as another crate would: none of its types can be
//! made but by its station, and what stores a release takes the last one and nothing else. Each case is compiled; the
//! compiler must refuse it for the reason that is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use base::{Error, Fault, Limits, Operator, Timestamp, clock};
use bundle::{Keyring, Rules, verify};
use config::policy::shipped_for;
use gaprelay::state::{Staging, State, Trust};
use inspect::{Demands, Examined, InspectionTerms, Kind, Opaque, Threads, examine};
use media::{Medium, Spooled};

use super::support::*;

/// Imports of every case.
const USES: &str = r"
    #![allow(unused, unreachable_code)]
    use base::{Digest, Error, Fault, Operator, Timestamp};
    use inspect::{Counts, VerdictKind, Dropped, Examined, Judgement, Keep, ProvenContent, Stripped, Verdict};
    use media::{MediumBundle, Medium, Spooled, Surveyed};
    use gaprelay::state::{Release, Staging, State};
    use bundle::{Envelope, Verified};
    type Log<'a> = (&'a gaprelay::state::Trust, Option<&'a bundle::ReleaseId>, &'a [bundle::ReleaseId]);
    fn any<T>() -> T { unreachable!() }
";

/// The chain as it is meant.
const MEANT: &str = r"
    pub fn read(medium: Medium) -> Result<(Surveyed, Envelope), Error> {
        let mut surveyed = medium.survey()?;
        let bundle = surveyed.bundles().first().cloned().unwrap();
        let envelope = surveyed.envelope(&bundle)?;
        Ok((surveyed, envelope))
    }
    pub fn store(examined: Examined<Staging>, log: Log<'_>, operator: &Operator, now: Timestamp) -> Result<Release, Fault> {
        Staging::commit(examined, log, operator, now)
    }
    pub fn read_verdict(verdict: &Verdict) -> (VerdictKind, Digest) { (verdict.decision, verdict.sha256) }
";

/// Code that must not compile: its purpose, the compiler's error, and the code.
const CASES: &[(&str, &str, &str, &str)] = &[
    (
        "a list of verdicts from elsewhere is stored",
        "E0308",
        "mismatched types",
        "fn f(verdicts: Vec<Verdict>, l: Log<'_>, o: &Operator, t: Timestamp) { Staging::commit(verdicts, l, o, t); }",
    ),
    (
        "a list of verdicts is stored beside what was examined",
        "E0061",
        "this function takes 4 arguments",
        "fn f(e: Examined<Staging>, v: Vec<Verdict>, l: Log<'_>, o: &Operator, t: Timestamp) { Staging::commit(e, v, l, o, t); }",
    ),
    (
        "what another keep has kept is stored",
        "E0308",
        "mismatched types",
        "fn f<K: Keep>(e: Examined<K>, l: Log<'_>, o: &Operator, t: Timestamp) { Staging::commit(e, l, o, t); }",
    ),
    (
        "what was examined is put together by hand",
        "E0451",
        "fields `spooled`, `kept` and `verdicts` of struct",
        "fn f() { let e: Examined<Staging> = Examined { spooled: any(), kept: any(), verdicts: vec![] }; }",
    ),
    (
        "what was examined is changed",
        "E0616",
        "field `verdicts` of struct",
        "fn f(mut e: Examined<Staging>, v: Verdict) { e.verdicts.push(v); }",
    ),
    (
        "what was examined is stored twice",
        "E0382",
        "use of moved value",
        "fn f(e: Examined<Staging>, l: Log<'_>, o: &Operator, t: Timestamp) { Staging::commit(e, l, o, t); Staging::commit(e, l, o, t); }",
    ),
    (
        "a verdict is made",
        "E0451",
        "field `made` of struct",
        "fn f() { let v = Verdict { path: any(), size: 0, sha256: any(), declared: any(), shown: None,
            decision: VerdictKind::Cleared, reason: None, line: None, member: None, rule: None, stripped: None,
            database: None, md5: None, made: () }; }",
    ),
    (
        "what was stripped is made up",
        "E0451",
        "field `made` of struct",
        "fn f() { let s = Stripped { size: 0, sha256: any(), dropped: vec![], made: () }; }",
    ),
    (
        "a judgement is made",
        "E0451",
        "fields `verdict`, `cuts` and `at` of struct",
        "fn f(verdict: Verdict) { let j = Judgement { verdict, cuts: vec![], at: any() }; }",
    ),
    (
        "a judgement is called proven",
        "E0423",
        "tuple struct which contains private fields",
        "fn f(judgement: &mut Judgement) { let p = ProvenContent(judgement); }",
    ),
    (
        "bytes are kept on a verdict alone",
        "E0308",
        "mismatched types",
        "fn f(mut staging: Staging, verdict: Verdict) { staging.end(verdict); }",
    ),
    (
        "a release is made",
        "E0451",
        "fields `record` and `digests` of struct",
        "fn f(old: Release) { let r = Release { feed: any(), digests: any(), ..old }; }",
    ),
    (
        "a payload is called spooled",
        "E0451",
        "fields `verified` and `file` of struct",
        "fn f(verified: Verified) { let s = Spooled { verified, file: any() }; }",
    ),
    (
        "a payload is spooled before its manifest is verified",
        "E0308",
        "mismatched types",
        "fn f(s: &mut Surveyed, b: &MediumBundle, e: Envelope) { s.payload(b, e, any(), any()); }",
    ),
    (
        "a manifest is called verified",
        "E0451",
        "fields `envelope`, `manifest`, `digest` and `signers` of struct",
        "fn f(envelope: Envelope) { let v = Verified { envelope, manifest: any(), digest: any(), signers: vec![] }; }",
    ),
    (
        "an envelope is asked of a medium that was not searched",
        "E0599",
        "no method named `envelope`",
        "fn f(mut medium: Medium, bundle: &MediumBundle) { medium.envelope(bundle); }",
    ),
    (
        "a bundle is made up",
        "E0451",
        "fields `number`, `document` and `folder` of struct",
        "fn f() { let b = MediumBundle { number: 0, document: any(), folder: any() }; }",
    ),
];

/// The crates that a case uses.
const CRATES: [&str; 5] = ["gaprelay", "base", "bundle", "inspect", "media"];

/// The libraries of these crates beside this test, the newest first: a folder that was built in more ways than one has
/// several of each.
fn libraries() -> (Vec<Vec<PathBuf>>, PathBuf) {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let age = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let all: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let of = |name: &str| {
        let begin = format!("lib{name}-");
        let is_ours = |path: &&PathBuf| {
            let file = path.file_name().unwrap().to_string_lossy();
            file.starts_with(&begin) && file.ends_with(".rlib")
        };
        let mut found: Vec<PathBuf> = all.iter().filter(is_ours).cloned().collect();
        found.sort_by_key(|path| std::cmp::Reverse(age(path)));
        found
    };
    (CRATES.iter().map(|name| of(name)).collect(), folder)
}

/// Compiles a case against these libraries.
fn compile(dir: &Path, text: &str, libraries: &[PathBuf], others: &Path) -> Ran {
    let source = dir.join("case.rs");
    fs::write(&source, format!("{USES}{text}")).unwrap();
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--color", "never", "-o"]);
    command.arg(dir.join("case.rmeta"));
    for (name, path) in CRATES.iter().zip(libraries) {
        command.arg("--extern").arg(format!("{name}={}", path.display()));
    }
    run(command.arg("-L").arg(format!("dependency={}", others.display())).arg(&source))
}

/// The libraries that belong together: those with which what is meant compiles.
fn together(dir: &Path) -> (Vec<PathBuf>, PathBuf) {
    let (found, folder) = libraries();
    let mut ways: Vec<Vec<PathBuf>> = vec![Vec::new()];
    for one in &found {
        let more =
            |way: &Vec<PathBuf>| one.iter().map(|path| [way.as_slice(), std::slice::from_ref(path)].concat()).collect();
        ways = ways.iter().flat_map(|way| -> Vec<Vec<PathBuf>> { more(way) }).collect();
    }
    let mut told = String::new();
    for way in ways.into_iter().take(256) {
        let ran = compile(dir, MEANT, &way, &folder);
        if ran.code == Some(0) {
            return (way, folder);
        }
        told = ran.err;
    }
    panic!("the chain as it is meant does not compile:\n{told}");
}

#[test]
fn each_type_of_the_chain_is_made_by_its_station_alone() {
    let dir = tempfile::tempdir().unwrap();
    // Without this a case could fail for anything.
    let (libraries, folder) = together(dir.path());
    let mut wrong = Vec::new();
    for (what, code, words, text) in CASES {
        let ran = compile(dir.path(), text, &libraries, &folder);
        let errors: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("error[")).collect();
        let is_as_named =
            errors.len() == 1 && errors[0].starts_with(&format!("error[{code}]: ")) && ran.err.contains(words);
        if ran.code != Some(1) || !is_as_named {
            wrong.push(format!("{what}, which should be {code}, {words}:\n{text}\n{}", ran.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A bundle of this world's, in the spool.
fn spooled(world: &World, version: u64) -> Spooled {
    let folder = world.bundle("auto", version, &[("a.hdb", HASHES, "clamav-hashes")]);
    let (limits, spool) = (Limits::default(), world.path("private"));
    fs::create_dir_all(&spool).unwrap();
    let keyring = Keyring::parse(&fs::read(world.path("keyring.toml")).unwrap()).unwrap();
    let mut surveyed = Medium::here(&folder, &limits).unwrap().survey().unwrap();
    let bundle = surveyed.bundles()[0].clone();
    let now = clock::now();
    let rules =
        Rules { keyring: &keyring, limits: &limits, clock_tolerance: Duration::ZERO, now, waived: &|_, _| false };
    let verified = verify(surveyed.envelope(&bundle).unwrap(), &rules).unwrap();
    surveyed.payload(&bundle, verified, &spool, &mut |_| {}).unwrap()
}

/// The spooled bundle, examined into the place of a release that may be another's.
fn examined(spooled: Spooled, staging: Staging) -> Examined<Staging> {
    let policy = shipped_for(config::Classification::default()).unwrap();
    let (opaque, demands) = (Opaque::default(), Demands::default());
    let terms = InspectionTerms { kinds: Kind::ALL, policy: &policy, may_suppress: true, opaque, demands };
    let mut none = |_: &_| Err(Error::Fault(Fault::Internal("nothing is left out")));
    let limits = Limits::default();
    examine(spooled, terms, &mut Threads::new(&limits), staging, &mut none, &limits, &mut |_| {}).unwrap()
}

#[test]
fn what_was_kept_of_one_bundle_is_not_stored_as_another() {
    let world = World::new();
    let state = State::open(&world.state()).unwrap();
    let trust = Trust::load(&state).unwrap();
    let (operator, now): (Operator, Timestamp) = (Operator::new("operator", "operator"), clock::now());
    let (one, two) = (spooled(&world, 1), spooled(&world, 2));
    let before = tree(&world.state().join("releases"));
    let staging = Staging::new(&state, two.verified()).unwrap();
    let mixed = Staging::commit(examined(one, staging), (&trust, None, &[]), &operator, now);
    assert!(matches!(&mixed, Err(Fault::Internal(what)) if what.contains("different bundles")), "{mixed:?}");
    assert_eq!(tree(&world.state().join("releases")), before, "something was stored");
    let staging = Staging::new(&state, two.verified()).unwrap();
    let release = Staging::commit(examined(two, staging), (&trust, None, &[]), &operator, now).unwrap();
    assert_eq!((release.version, release.counts.cleared), (2, 1));
}
