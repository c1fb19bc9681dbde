//! Keys and policy: the keyring, denials, rules about origins, feeds, limits and waivers in force.

use maud::{Markup, html};

use crate::report::numbers::thousands;
use crate::report::trust::{Denial, KeyInvolvement, KeyUse, TIGHTENING, denials, key_involvements};
use crate::review::ReviewContext;
use crate::review::layout::{fact_list, framed_page, mark, quoted_text, safe_text, signed_form};
use crate::review::readers::PageReader;
use crate::review::response::PageResponse;
use crate::state::Trust;
use base::limits::human;
use base::word_list::word_list;
use base::{Error, Timestamp, clock};
use bundle::Keyring;
use bundle::keyring::{Key, RawKey};
use config::{Config, Feed};
use inspect::Action;

/// Builds the page.
pub(crate) fn page(context: &ReviewContext, reader: &PageReader) -> Result<PageResponse, Error> {
    let config = &context.config;
    let trust = Trust::load(&context.state)?;
    let keyring = context.state.keyring(&trust)?;
    let involvements = key_involvements(&context.state, config, &trust, &keyring)?;
    let body = html! {
        section {
            h2 { "Keyring version " (keyring.version) }
            (keys(&keyring, clock::now())) (thresholds(&keyring)) (revoked(&keyring))
            details {
                summary { "Digest of this keyring, to compare over the telephone" }
                p { code { "sha256:" (trust.keyring.sha256) } }
                pre { (word_list(trust.keyring.sha256)) }
            }
        }
        (involvements_section(&involvements))
        section { h2 { "Denied on this relay" } (denied(&denials(&trust, &keyring))) (directive_form(reader)) }
        section { h2 { "Rules about origins" } (origins(config)) }
        section { h2 { "Feeds" } (feeds(config)) }
        section { h2 { "Limits" } (limits(config)) }
        section {
            h2 { "Waived protections" }
            @if config.without.is_empty() { p { (mark("good", "config.toml waives no layer of the isolation")) } }
            @for waiver in config.waivers() { p { (mark("warn", &waiver.layer.to_string())) " is waived. Reason given: " (safe_text(&waiver.reason)) } }
            @if let Some(reason) = &config.media.writable { p { (mark("warn", "writable media are accepted")) " Reason given: " (quoted_text(reason.get_ref())) } }
        }
    };
    let page = framed_page(config.relay.get_ref(), reader, "/keys", "Keys and policy", None, &body);
    Ok(PageResponse::page(200, page))
}

fn keys(keyring: &Keyring, now: Timestamp) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Key" } th scope="col" { "Role" } th scope="col" { "Publisher" } th scope="col" { "Feeds" }
                th scope="col" { "Valid" } th scope="col" { "Usable now" }
            } }
            tbody { @for key in &keyring.keys { (row(keyring, key, now)) } }
        }
    }
}

fn row(keyring: &Keyring, key: &Key, now: Timestamp) -> Markup {
    let raw = RawKey::parse(&key.public);
    html! {
        tr {
            th scope="row" { (quoted_text(&key.name)) @if let Ok(raw) = raw { " " code { (raw.id_text()) } } }
            td { (key.role) }
            td { (quoted_text(key.publisher.as_deref().unwrap_or("-"))) @if let Some(origin) = &key.origin { ", origin " (quoted_text(origin)) } }
            td { (quoted_text(&key.feeds.join(", "))) }
            td {
                @match (key.not_before, key.not_after) {
                    (None, None) => "no limit",
                    (from, to) => {
                        @if let Some(from) = from { "from " (from) " " }
                        @if let Some(to) = to { "until " (to) }
                    },
                }
            }
            td { @match KeyUse::of(keyring, key, now) {
                KeyUse::All => (mark("good", "usable")),
                KeyUse::Tightening(refusal) => { (mark("warn", TIGHTENING)) " " (safe_text(&refusal.detail)) },
                KeyUse::None(refusal) => { (mark("bad", "not usable")) " " (safe_text(&refusal.detail)) },
            } }
        }
    }
}

fn thresholds(keyring: &Keyring) -> Markup {
    html! {
        h3 { "Signatures needed" }
        ul {
            @for threshold in &keyring.thresholds {
                li {
                    "Feeds " (quoted_text(&threshold.feeds.join(", "))) ": " (threshold.signers) " distinct "
                    @if threshold.signers == 1 { "key" } @else { "keys" } " with the role " (threshold.role) " must sign."
                }
            }
            li { "A new keyring needs signatures by " (keyring.root.threshold) " of " (keyring.root.keys.len()) " root keys." }
        }
    }
}

fn revoked(keyring: &Keyring) -> Markup {
    html! {
        @if !keyring.revoked.is_empty() {
            h3 { "Revoked keys" }
            ul { @for key in &keyring.revoked { li { code { (quoted_text(&key.public)) } ", revoked on " (key.on) ". Reason given: " (quoted_text(&key.reason)) } } }
        }
    }
}

/// Releases that a revoked or denied key signed or approved.
fn involvements_section(involvements: &[KeyInvolvement]) -> Markup {
    html! {
        @if !involvements.is_empty() {
            section {
                h2 { (mark("bad", "Releases signed or approved by keys that are now revoked or denied")) }
                table tabindex="0" {
                    thead { tr { th scope="col" { "Release" } th scope="col" { "Key" } th scope="col" { "What the key did" } th scope="col" { "Status" } } }
                    tbody {
                        @for it in involvements {
                            tr {
                                th scope="row" { a href={ "/imports/" (it.release) } { (it.release) } }
                                td { code { (it.key) } }
                                td { (it.part) }
                                td { (it.standing) }
                            }
                        }
                    }
                }
                p { "These releases stay as they are until officers decide. To withdraw every release that a key signed or approved, run "
                    code { "gaprelay directive withdraw-key KEY --officer NAME --reason TEXT" }
                    " on the relay, sign the directive that it prints, and hand it in below." }
            }
        }
    }
}

fn denied(denials: &[Denial]) -> Markup {
    html! {
        @if denials.is_empty() { p { "The officers of this relay have denied nothing. Keys that the keyring revokes are listed above." } }
        ul {
            @for denial in denials {
                li {
                    @if denial.lifted { (mark("good", "denial lifted by the keyring")) } @else { (mark("warn", "denied")) }
                    " " (quoted_text(&denial.what))
                    @if let Some(extent) = &denial.extent { " (" (extent) ")" }
                    ", by " (safe_text(&denial.by)) " " code { "sha256:" (denial.sha256) }
                }
            }
        }
    }
}

/// Form for a signed directive.
fn directive_form(reader: &PageReader) -> Markup {
    html! {
        details {
            summary { "Hand in a signed directive" }
            p {
                "A directive is a signed order of an officer: to deny a key, a feed or an origin, to withdraw what a key brought in, to accept one bundle that is expired, stale or far ahead, or to confirm the clock. "
                "Print it with " code { "gaprelay directive" } " on the relay, sign it with minisign, and hand in the text and the signature."
            }
            @if reader.hands_in() {
                (signed_form("/keys", "Directive, exactly as it was signed", 5, ""))
            } @else {
                p { "Only officers can hand in a directive here." }
            }
        }
    }
}

fn origins(config: &Config) -> Markup {
    html! {
        @if config.origins.is_empty() { p { "config.toml has no rule about origins: content is accepted from every publisher of the keyring." } }
        ul {
            @for rule in &config.origins {
                li {
                    "Rule " (quoted_text(rule.name.get_ref()))
                    @if let Some(at) = rule.at { ", at the level " (at) " and above" }
                    @if !rule.origins.is_empty() { ", origin " (quoted_text(&rule.origins.join(", "))) }
                    @if !rule.publishers.is_empty() { ", publisher " (quoted_text(&rule.publishers.join(", "))) }
                    @if !rule.roles.is_empty() {
                        ", signed by a key with the role " (rule.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
                    }
                    ": " @if rule.kinds.is_empty() { "every kind of content" } @for kind in &rule.kinds { code { (kind) } " " }
                    " " (rule.then.words()) ". Reason given: " (safe_text(&rule.why))
                    @if let Some(source) = &rule.source { " (source: " (quoted_text(source)) ")" }
                }
            }
        }
    }
}

fn feeds(config: &Config) -> Markup {
    html! {
        table tabindex="0" {
            thead { tr {
                th scope="col" { "Feed" } th scope="col" { "Kinds" } th scope="col" { "Policy" } th scope="col" { "Approvals needed" } th scope="col" { "Clean releases without approval" } th scope="col" { "If a release suppresses detection or goes back" }
            } }
            tbody {
                @for feed in &config.feeds {
                    tr {
                        th scope="row" { (quoted_text(feed.name.get_ref())) }
                        td { @for kind in feed.kinds.get_ref() { code { (kind) } " " } }
                        td { (policy(config, feed)) }
                        td { (feed.officers.get_ref()) }
                        td {
                            @if feed.clean_without_approval {
                                (mark("warn", "yes")) ", unless more than " (feed.brake.get_ref()) " % of the rules, signatures and indicators would be lost"
                            } @else { "no" }
                        }
                        td {
                            "approvals by " (feed.suppress.officers(feed)) @if feed.suppress.officers(feed) == 1 { " officer" } @else { " officers" }
                            @for role in &feed.suppress.roles { ", and a signature by a key with the role " (role) }
                        }
                    }
                }
            }
        }
    }
}

/// Policy of a feed, rule by rule.
fn policy(config: &Config, feed: &Feed) -> Markup {
    let Ok(policy) = config.policy_of(feed) else { return html! { (mark("bad", "not found")) } };
    html! {
        details {
            summary { (quoted_text(&policy.name)) }
            ul {
                @for rule in &policy.rules {
                    li {
                        @if rule.then == Action::Permit { (mark("warn", "permit")) } @else { (rule.then.word()) }
                        @for reason in &rule.reasons { " " code { (reason) } }
                        @for kind in &rule.kinds { " in " code { (kind) } }
                        ". Reason given: " (safe_text(&rule.why))
                    }
                }
                li { (policy.otherwise.word()) " everything else" }
            }
        }
    }
}

fn limits(config: &Config) -> Markup {
    let limits = &config.limits;
    fact_list(&[
        ("manifest", html! { "at most " (human(limits.manifest.0)) }),
        ("signatures", html! { "at most " (limits.signatures) " signature files" }),
        ("payload", html! { "at most " (human(limits.payload.0)) }),
        (
            "artifacts",
            html! { "at most " (thousands(limits.artifacts)) " files, each at most " (human(limits.artifact.0)) },
        ),
        (
            "unpacked",
            html! { "at most " (human(limits.unpacked.0)) ", and at most " (limits.ratio) " times the size of the payload" },
        ),
        (
            "time",
            html! { "at most " (String::from(limits.inspection)) " of processor time for looking into a bundle, and a second more for each MiB that it brings" },
        ),
        ("paths", html! { "at most " (limits.path) " bytes long and " (limits.depth) " folders deep" }),
        (
            "medium",
            html! { "at most " (thousands(limits.medium_entries)) " files and folders, " (limits.medium_depth) " folders deep" },
        ),
    ])
}
