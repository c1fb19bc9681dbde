//! Who may sign what, and which rules are in force.

use maud::{Markup, html};

use crate::report::trust::{Denial, Part, denials, parts};
use crate::review::Desk;
use crate::review::frame::{Answer, facts, mark, page as frame, said, signed_form, told};
use crate::review::readers::Reader;
use crate::state::Trust;
use base::aloud::aloud;
use base::limits::human;
use base::{Error, Timestamp, clock};
use bundle::Keyring;
use bundle::keyring::{Key, RawKey};
use config::{Config, Feed};
use inspect::Action;

/// The page.
pub fn page(desk: &Desk, reader: &Reader) -> Result<Answer, Error> {
    let trust = Trust::load(&desk.state)?;
    let keyring = desk.state.keyring(&trust)?;
    let parts = parts(&desk.state, &desk.config, &trust, &keyring)?;
    let body = html! {
        section {
            h2 { "Keyring " (keyring.version) }
            (keys(&keyring, clock::now())) (thresholds(&keyring)) (revoked(&keyring))
            details {
                summary { "Its digest, to compare with others" }
                p { code { "sha256:" (trust.keyring.sha256) } }
                pre { (aloud(trust.keyring.sha256)) }
            }
        }
        (part_in(&parts))
        section { h2 { "Denied here" } (denied(&denials(&trust, &keyring))) (hand_in(reader)) }
        section { h2 { "Origins" } (origins(&desk.config)) }
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

/// What keys that count no longer had a part in.
fn part_in(parts: &[Part]) -> Markup {
    html! {
        @if !parts.is_empty() {
            section {
                h2 { (mark("bad", "Brought in by keys that count no longer")) }
                table tabindex="0" {
                    thead { tr { th scope="col" { "Release" } th scope="col" { "Key" } th scope="col" { "Part" } th scope="col" { "Stands" } } }
                    tbody {
                        @for part in parts {
                            tr {
                                th scope="row" { a href={ "/imports/" (part.release) } { (part.release) } }
                                td { code { (part.key) } }
                                td { (part.part) }
                                td { (part.standing) }
                            }
                        }
                    }
                }
                p { "To withdraw all that a key had a part in, in one step: "
                    code { "gaprelay directive withdraw-key KEY --officer NAME --reason TEXT" } }
            }
        }
    }
}

fn denied(denials: &[Denial]) -> Markup {
    html! {
        @if denials.is_empty() { p { "Nothing, beyond what the keyring says." } }
        ul {
            @for denial in denials {
                li {
                    @if denial.lifted { (mark("good", "lifted")) } @else { (mark("warn", "denied")) }
                    " " (said(&denial.what)) ", by " (told(&denial.by)) " " code { "sha256:" (denial.sha256) }
                }
            }
        }
    }
}

/// Where a signed directive is handed in.
fn hand_in(reader: &Reader) -> Markup {
    html! {
        details {
            summary { "Hand a directive in" }
            p { code { "gaprelay directive" } " prints it, to deny a key, a feed or an origin, to withdraw what a key brought in, to waive a bundle's dates or to confirm the clock." }
            @if reader.hands_in() {
                (signed_form("/keys", "Directive, exactly as signed", 5, ""))
            } @else {
                p { "Only officers hand in directives here." }
            }
        }
    }
}

fn origins(config: &Config) -> Markup {
    html! {
        @if config.origins.is_empty() { p { "No rule about origins: content is taken from whom the keyring names." } }
        ul {
            @for rule in &config.origins {
                li {
                    (said(rule.name.get_ref()))
                    @if let Some(at) = rule.at { ", from " (at) " on" }
                    @if !rule.origins.is_empty() { ", of origin " (said(&rule.origins.join(", "))) }
                    @if !rule.publishers.is_empty() { ", by " (said(&rule.publishers.join(", "))) }
                    @for role in &rule.roles { ", signed by a " (role) }
                    ": " @if rule.kinds.is_empty() { "everything" } @for kind in &rule.kinds { code { (kind) } " " }
                    " " (rule.then.words()) ". " (told(&rule.why))
                    @if let Some(source) = &rule.source { " (" (said(source)) ")" }
                }
            }
        }
    }
}

fn feeds(config: &Config) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Feed" } th scope="col" { "Kinds" } th scope="col" { "Policy" } th scope="col" { "Officers" } th scope="col" { "Clean without approval" } th scope="col" { "If it suppresses, or goes back" }
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
