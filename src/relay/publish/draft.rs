//! Drafts of the texts that officers sign: whom the keyring knows, where and until when a text counts, and what a statement says
//! of a release.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Examples, ReleaseStatus, goes_back_now, item_changes};
use crate::state::{Release, State, Trust};
use base::{Error, Fault, Reason, Refusal, Timestamp};
use bundle::keyring::Role;
use bundle::scope::{LONGEST, Scope, USUAL};
use bundle::statement::{Decision, Subject};
use bundle::{Keyring, ReleaseId};
use config::Config;

/// Scope of a text that is printed now for this officer. Fault: the keyring in force knows no such officer, or the time is
/// too long.
pub(crate) fn scope(
    state: &State,
    keyring: Option<&Keyring>,
    officer: &str,
    (now, valid_for): (Timestamp, Option<Duration>),
) -> Result<Scope, Fault> {
    let valid_for = valid_for.unwrap_or(USUAL);
    if valid_for > LONGEST || valid_for.as_secs() == 0 {
        let span = humantime::format_duration(valid_for);
        let wrong = format!("a signed text may be handed in for more than nothing and at most 31 days, not {span}");
        return Err(Fault::usage(wrong, "Give a time such as 12h or 7d."));
    }
    if let Some(keyring) = keyring {
        let officers = keyring.keys.iter().filter(|key| key.role == Role::Officer);
        let names: BTreeSet<&str> = officers.map(|key| key.name.as_str()).collect();
        if !names.contains(officer) {
            let known = if names.is_empty() { "none".into() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
            return Err(Fault::usage(
                format!("the keyring in force knows no officer {}", base::quoted(officer)),
                format!("Give the name as the keyring has it. Officers in it: {known}."),
            ));
        }
    }
    Ok(Scope::new(state.log_key()?.name(), now, valid_for))
}

/// Drafts the part of a statement about a release, as it is now. Refused: agents have a newer one, so that an approval would
/// change nothing.
pub(crate) fn subject(
    (state, trust): (&State, &Trust),
    config: &Config,
    release: &Release,
    decision: Decision,
) -> Result<Subject, Error> {
    let changes = item_changes((state, trust), release, Examples::Few)?;
    let feed = config.feed(&release.feed).filter(|_| matches!(decision, Decision::Approve | Decision::Downgrade));
    if let Some(ReleaseStatus::Overtaken { by }) = feed.map(|feed| trust.status(release, feed)) {
        let (id, feed) = (release.id(), &release.feed);
        let detail = format!("agents have {feed}/{by} already, so that release {id} would not be shown");
        return Err(Error::refused(Reason::StatementClosed, detail));
    }
    let is_open = feed.is_some_and(|feed| matches!(trust.status(release, feed), ReleaseStatus::Held { .. }));
    if is_open && !release.loss.goes_back() && goes_back_now((state, trust), release)? {
        return Err(went_back(&release.id()).into());
    }
    Ok(release.subject(changes.digest()?, feed.and_then(|feed| changes.effect(release, feed))))
}

/// Refusal of a release that did not go back when it was imported, and would now.
pub(crate) fn went_back(id: &ReleaseId) -> Refusal {
    let detail = format!(
        "release {id} would now take agents back to older content, since something else was published after its import: bring the content again under a new version, and sign a downgrade ticket for that"
    );
    Refusal::new(Reason::StatementTicket, detail)
}
