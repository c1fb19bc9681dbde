//! Dry run: the relay's own verify, unpack and inspect code, keeping nothing.

use std::path::Path;
use std::time::Duration;

use base::quoted::quoted_os;
use base::{Error, Fault, Limits, Reason, Refusal, Timestamp, quoted};
use bundle::{Keyring, Rules, Signer, trust};
use config::{Classification, Config, policy};
use inspect::{Demands, Examination, InspectionTerms, Kind, Scratch, Threads, Verdict};
use media::Medium;

/// Result of a dry run.
pub struct DryRun {
    /// Feed and version.
    pub release: (String, u64),
    /// Signers.
    pub signers: Vec<Signer>,
    /// One verdict for each artifact that the payload carries.
    pub verdicts: Vec<Verdict>,
    /// Artifacts that a thin bundle leaves out: the relay must hold them.
    pub left_out: Vec<String>,
}

/// Judges the bundle in `folder` as a relay with this keyring would; without a config every kind is
/// allowed, under the policy for secret. `spool` is an empty folder for the payload's copy.
pub fn check(
    folder: &Path,
    keyring: &Keyring,
    config: Option<&Config>,
    spool: &Path,
    now: Timestamp,
) -> Result<DryRun, Error> {
    let limits = config.map(|c| c.limits.clone()).unwrap_or_default();
    let mut surveyed = Medium::here(folder, &Limits { medium_depth: 0, ..limits.clone() })?.survey()?;
    let bundle = surveyed.bundles().first().cloned().ok_or_else(|| {
        let next = "Give the folder that `gaprelay-pack build` made, with manifest.json and payload.tar.gz in it.";
        Fault::usage(format!("{} is not the folder of a bundle", quoted_os(folder)), next)
    })?;
    let tolerance = config.map_or(Duration::from_mins(10), |c| c.clock.tolerance.0);
    let rules = Rules { keyring, limits: &limits, clock_tolerance: tolerance, now, waived: &|_, _| false };
    let verified = bundle::verify(surveyed.envelope(&bundle)?, &rules)?;
    let name = verified.manifest().feed.clone();
    let feed = config.map(|config| {
        let unknown = || Refusal::new(Reason::FeedUnknown, format!("the config has no feed \"{name}\""));
        Ok::<_, Error>((config.feed(&name).ok_or_else(unknown)?, config))
    });
    let feed = feed.transpose()?;
    let opaque = feed.map(|(feed, _)| feed.opaque(verified.signers())).unwrap_or_default();
    let (kinds, policy, may_suppress) = match feed {
        None => (Kind::ALL, policy::shipped_for(Classification::default())?, true),
        Some((feed, config)) => {
            bundle::check_algorithms(&verified, &feed.algorithms)?;
            trust::check_age(&verified, feed.refuse_after.map(|span| span.0), now)?;
            (feed.kinds.get_ref().as_slice(), config.policy_of(feed)?, feed.may_suppress(verified.signers()))
        }
    };
    let demands = config.map_or(Ok(Vec::new()), |config| config.demands(verified.manifest(), verified.signers()))?;
    // Whether another publisher agrees, only the relay knows.
    let demands = Demands { rules: &demands, agreed: None, taken: None };
    let terms = InspectionTerms { kinds, policy: &policy, may_suppress, opaque, demands };
    let spooled = surveyed.payload(&bundle, verified, spool, &mut |_| {})?;
    let (mut threads, mut scratch) = (Threads::new(&limits), Scratch::new(spool));
    let mut examination = Examination::begin(&mut threads, terms, &mut scratch, &limits)?;
    examination.unpack(&spooled, &mut |_| {})?;
    let verdicts = examination.finish()?.into_iter().collect::<Result<_, _>>()?;
    let verified = spooled.verified();
    let left_out =
        verified.manifest().artifacts.iter().filter(|a| !a.carried).map(|a| quoted(&a.path).to_string()).collect();
    Ok(DryRun {
        release: (name, verified.manifest().version),
        signers: verified.signers().to_vec(),
        verdicts,
        left_out,
    })
}
