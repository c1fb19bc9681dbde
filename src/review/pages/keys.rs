//! Who may sign what, and which rules are in force.

use maud::{Markup, html};

use crate::base::limits::human;
use crate::base::{Error, Timestamp, clock};
use crate::config::{Config, Feed};
use crate::inspect::Action;
use crate::review::Desk;
use crate::review::frame::{Answer, facts, mark, page as frame, said, told};
use crate::review::readers::Reader;
use crate::store::Trust;
use crate::verify::Keyring;
use crate::verify::keyring::{Key, RawKey};

/// The page.
pub fn page(desk: &Desk, reader: &Reader) -> Result<Answer, Error> {
    let keyring = desk.state.keyring(&Trust::load(&desk.state)?)?;
    let body = html! {
        section { h2 { "Keyring " (keyring.version) } (keys(&keyring, clock::now())) (thresholds(&keyring)) (revoked(&keyring)) }
        section { h2 { "Feeds" } (feeds(&desk.config)) }
        section { h2 { "Limits" } (limits(&desk.config)) }
        section {
            h2 { "Done without" }
            @if desk.config.without.is_empty() { p { (mark("good", "all layers of the confinement are required")) } }
            @for waiver in desk.config.waivers() { p { (mark("warn", &waiver.layer.to_string())) " " (told(&waiver.reason)) } }
            @if let Some(reason) = &desk.config.media.writable { p { (mark("warn", "writable media are taken")) " " (said(reason.get_ref())) } }
        }
    };
    Ok(Answer::page(200, frame(desk.config.relay.get_ref(), reader, "/keys", "Keys and policy", None, &body)))
}

fn keys(keyring: &Keyring, now: Timestamp) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Key" } th scope="col" { "Role" } th scope="col" { "Publisher" } th scope="col" { "Feeds" }
                th scope="col" { "Valid" } th scope="col" { "Now" }
            } }
            tbody { @for key in &keyring.keys { (row(keyring, key, now)) } }
        }
    }
}

fn row(keyring: &Keyring, key: &Key, now: Timestamp) -> Markup {
    let raw = RawKey::parse(&key.public);
    let usable = raw.clone().and_then(|raw| keyring.check_usable(key, raw, now));
    html! {
        tr {
            th scope="row" { (said(&key.name)) @if let Ok(raw) = raw { " " code { (raw.id_text()) } } }
            td { (key.role) }
            td { (said(key.publisher.as_deref().unwrap_or("-"))) @if let Some(origin) = &key.origin { " (" (said(origin)) ")" } }
            td { (said(&key.feeds.join(", "))) }
            td {
                @match (key.not_before, key.not_after) {
                    (None, None) => "always",
                    (from, to) => {
                        @if let Some(from) = from { "from " (from) " " }
                        @if let Some(to) = to { "until " (to) }
                    },
                }
            }
            td { @match usable {
                Ok(()) => (mark("good", "usable")),
                Err(refusal) => { (mark("bad", "not usable")) " " (told(&refusal.detail)) },
            } }
        }
    }
}

fn thresholds(keyring: &Keyring) -> Markup {
    html! {
        ul {
            @for threshold in &keyring.thresholds {
                li { (said(&threshold.feeds.join(", "))) ": " (threshold.signers) " of role " (threshold.role) }
            }
            li { "a new keyring: " (keyring.root.threshold) " of " (keyring.root.keys.len()) " root keys" }
        }
    }
}

fn revoked(keyring: &Keyring) -> Markup {
    html! {
        @if !keyring.revoked.is_empty() {
            h3 { "Revoked" }
            ul { @for key in &keyring.revoked { li { code { (said(&key.public)) } " on " (key.on) ": " (said(&key.reason)) } } }
        }
    }
}

fn feeds(config: &Config) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Feed" } th scope="col" { "Kinds" } th scope="col" { "Policy" } th scope="col" { "Officers" } th scope="col" { "Clean without approval" } th scope="col" { "If it suppresses" }
            } }
            tbody {
                @for feed in &config.feeds {
                    tr {
                        th scope="row" { (said(feed.name.get_ref())) }
                        td { @for kind in feed.kinds.get_ref() { code { (kind) } " " } }
                        td { (policy(config, feed)) }
                        td { (feed.officers.get_ref()) }
                        td {
                            @if feed.clean_without_approval {
                                (mark("warn", "yes")) ", unless more than " (feed.brake.get_ref()) " % is lost"
                            } @else { "no" }
                        }
                        td {
                            (feed.suppress.officers(feed)) " officers"
                            @for role in &feed.suppress.roles { ", signed by " (role) }
                        }
                    }
                }
            }
        }
    }
}

/// A feed's policy, rule by rule.
fn policy(config: &Config, feed: &Feed) -> Markup {
    let Ok(policy) = config.policy_of(feed) else { return html! { (mark("bad", "none")) } };
    html! {
        details {
            summary { (said(&policy.name)) }
            ul {
                @for rule in &policy.rules {
                    li {
                        @if rule.then == Action::Permit { (mark("warn", "permit")) } @else { (rule.then.word()) }
                        @for reason in &rule.reasons { " " code { (reason) } }
                        @for kind in &rule.kinds { " in " code { (kind) } }
                        ": " (told(&rule.why))
                    }
                }
                li { (policy.otherwise.word()) " everything else" }
            }
        }
    }
}

fn limits(config: &Config) -> Markup {
    let limits = &config.limits;
    facts(&[
        ("manifest", html! { "at most " (human(limits.manifest.0)) }),
        ("signatures", html! { "at most " (limits.signatures) }),
        ("payload", html! { "at most " (human(limits.payload.0)) }),
        ("artifacts", html! { "at most " (limits.artifacts) ", each at most " (human(limits.artifact.0)) }),
        ("unpacked", html! { "at most " (human(limits.unpacked.0)) ", and " (limits.ratio) " times the payload" }),
        ("paths", html! { "at most " (limits.path) " bytes, " (limits.depth) " folders deep" }),
        ("medium", html! { "at most " (limits.medium_entries) " entries, " (limits.medium_depth) " folders deep" }),
    ])
}
