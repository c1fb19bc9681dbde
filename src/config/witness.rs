//! The part of the config that says which witnesses keep an outside memory of the import log.

use serde::Deserialize;

use base::span::Span;
use tlog::policy::WitnessPolicy;

/// Witnesses: officers' machines that cosign the import log's head.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Keys and quorum of the witnesses, in the form of C2SP tlog-policy without `log` lines: `witness NAME VKEY`,
    /// `group NAME N MEMBER…`, `quorum NAME`, a line each.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub policy: WitnessPolicy,
    /// For how long a head that the quorum has cosigned counts as seen; then `status` and the pages ask for
    /// the next.
    #[serde(default = "week")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub fresh: Span,
}

fn week() -> Span {
    Span(std::time::Duration::from_hours(7 * 24))
}
