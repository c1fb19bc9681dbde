//! `[[feed]]`: what a publisher's stream may carry, and what is asked for before agents get it.

use serde::Deserialize;
use serve::plan::Ageing;
use toml::Spanned;

use base::span::Span;
use base::{Digest, quoted};
use bundle::{Algorithm, Role, Signer};
use inspect::{Kind, Opaque};

/// One feed: a publisher's stream.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Name, as in the manifests.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub name: Spanned<String>,
    /// The kinds it may carry; all others are withheld. See `schemas/kinds.json`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Kind>"))]
    pub kinds: Spanned<Vec<Kind>>,
    /// The policy that says what becomes of what its content does: one of the config's `[[policy]]`, or one that
    /// ships with the program (`gaprelay policy show`). That of the config's `classification`, if left out.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub policy: Option<Spanned<String>>,
    /// Number of officers that must approve a release; at least 1. Default 1.
    #[serde(default = "one")]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub officers: Spanned<u64>,
    /// True: a release in which nothing was withheld or stripped, nothing keeps something else from detecting, and
    /// no more than `brake` is lost, is published without an officer. Default false.
    #[serde(default)]
    pub clean_without_approval: bool,
    /// Share of the served rules, signatures and indicators, in percent, that a release may remove, switch off or have
    /// stripped and still be published without an officer; and of the served files that it may not have. Default 10.
    #[serde(default = "ten")]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub brake: Spanned<u64>,
    /// Most by which a version may be above the highest one accepted, so that nobody can use up the numbers; the first
    /// may be any. More is taken only where officers waive it. Default 100 000 000.
    #[serde(default = "hundred_million")]
    pub jump: u64,
    /// Algorithms by each of which at least one key of the keyring must have signed a bundle, beside the thresholds:
    /// `ml-dsa-65`. None, if left out.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// Approvals for content that keeps something else from detecting (allow lists, `pass` and `config` rules,
    /// `bypass`, a global YARA rule, a Sigma filter, engine switches). It passes only where the policy permits
    /// `rule-weakens-detection`.
    #[serde(default)]
    pub suppress: Suppress,
    /// Content of no kind that the relay knows, which this feed may bring all the same, unseen.
    #[serde(default)]
    pub opaque: OpaqueFrom,
    /// Age after which the content counts as ageing. Never, if left out.
    pub warn_after: Option<Span>,
    /// Age after which it counts as stale. Never, if left out.
    pub stale_after: Option<Span>,
    /// Age after which a bundle is no longer imported. Only its expiry counts, if left out.
    pub refuse_after: Option<Span>,
}

/// Approvals for content that keeps something else from detecting.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Suppress {
    /// Number of officers that must approve such a release. Default one more than the feed's `officers`.
    pub officers: Option<u64>,
    /// Roles of which at least one key each must have signed the bundle: `evaluator`, say. Without, such content is
    /// withheld as if it were not permitted. None, if left out.
    pub roles: Vec<Role>,
}

/// Content that nobody here can look into: named by its digest, or vouched for. What is of a kind that never passes (a
/// program, a script, an archive, a document) does not pass so either.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OpaqueFrom {
    /// SHA-256 of exactly what may pass, in hex.
    pub digests: Vec<Digest>,
    /// Roles of which at least one key each must have signed a bundle, so that all such content in it passes:
    /// `evaluator`, say. By nobody's word, if left out.
    pub roles: Vec<Role>,
}

impl Feed {
    /// When its content ages, counted from when it was made.
    pub fn ageing(&self) -> Ageing {
        Ageing { warn_after: self.warn_after.map(|it| it.0), stale_after: self.stale_after.map(|it| it.0) }
    }

    /// The content that passes unseen, of what these have signed.
    pub fn opaque(&self, signers: &[Signer]) -> Opaque<'_> {
        let has_signed = |role: &Role| signers.iter().any(|signer| signer.role == *role);
        let is_vouched = !self.opaque.roles.is_empty() && self.opaque.roles.iter().all(has_signed);
        Opaque { digests: &self.opaque.digests, is_vouched }
    }

    /// Faults of the feed, each with its place in the text.
    pub fn problems(&self) -> Vec<(usize, String)> {
        let mut problems = Vec::new();
        let mut add = |at: usize, message: String| problems.push((at, message));
        if self.kinds.get_ref().is_empty() {
            add(self.kinds.span().start, "a feed must allow at least one kind".into());
        }
        if *self.brake.get_ref() > 100 {
            add(self.brake.span().start, "brake must be a share in percent, from 0 to 100".into());
        }
        if *self.officers.get_ref() == 0 {
            add(
                self.officers.span().start,
                "officers must be at least 1; only clean_without_approval = true lets a release go without an officer"
                    .into(),
            );
        }
        if self.warn_after.zip(self.stale_after).is_some_and(|(warn, stale)| warn.0 > stale.0) {
            let name = quoted(self.name.get_ref());
            add(self.name.span().start, format!("feed \"{name}\": warn_after must not be longer than stale_after"));
        }
        problems
    }

    /// True if the signers that the feed asks for have signed, where content keeps something else from detecting.
    pub fn may_suppress(&self, signers: &[Signer]) -> bool {
        self.suppress.roles.iter().all(|role| signers.iter().any(|signer| signer.role == *role))
    }
}

impl Suppress {
    /// Number of officers; never fewer than for any other release of the feed.
    pub fn officers(&self, feed: &Feed) -> u64 {
        let usual = *feed.officers.get_ref();
        self.officers.unwrap_or(usual.saturating_add(1)).max(usual)
    }
}

fn ten() -> Spanned<u64> {
    Spanned::new(0..0, 10)
}

fn hundred_million() -> u64 {
    100_000_000
}

fn one() -> Spanned<u64> {
    Spanned::new(0..0, 1)
}
