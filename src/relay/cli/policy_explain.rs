//! `gaprelay policy explain`: rules of a feed in words: who may bring which content, who must agree, and why.

use base::{Error, Reason, Refusal, clock, quoted};
use bundle::keyring::{Key, RawKey};
use bundle::{Keyring, Right, Role};
use config::origin::Then;
use config::{Config, Feed};
use terminal::Ended;

/// Prints the explanation of a feed.
pub(crate) fn explain(config: &Config, keyring: &Keyring, name: &str) -> Result<Ended, Error> {
    let unknown = || Refusal::new(Reason::FeedUnknown, format!("config.toml has no feed \"{}\"", quoted(name)));
    let feed = config.feed(name).ok_or_else(unknown)?;
    terminal::say(format_args!("Feed {name}, on a network with classification {}.", config.classification));
    if let Err(refusal) = keyring.denied.check_feed(name) {
        terminal::say(format_args!("Nobody may bring bundles of this feed: {}.", refusal.detail));
    }
    must_sign(keyring, name);
    for algorithm in &feed.algorithms {
        terminal::say(format_args!("A bundle also needs a signature with the algorithm {}.", algorithm.name()));
    }
    for key in keyring.keys.iter().filter(|key| key.is_for(name) && key.role != Role::Officer) {
        may_bring(config, keyring, key);
    }
    content(config, feed)?;
    officers(keyring, feed);
    ages(feed);
    Ok(Ended::Well)
}

fn must_sign(keyring: &Keyring, name: &str) {
    let rows: Vec<String> = keyring
        .thresholds_for(name)
        .map(|row| format!("{} different {} {}", row.signers, row.role, if row.signers == 1 { "key" } else { "keys" }))
        .collect();
    if rows.is_empty() {
        return terminal::say("Nobody can sign bundles of this feed: the keyring sets no threshold for the feed.");
    }
    let who = rows.join(" and ");
    terminal::say(format_args!("Keys that must sign a bundle: {who}. One of them must be of a vendor or custodian."));
}

fn may_bring(config: &Config, keyring: &Keyring, key: &Key) {
    let (id, whose) = (RawKey::parse(&key.public), whose(key));
    let usable = id.clone().and_then(|raw| keyring.check_usable(key, raw, clock::now()));
    let id = id.map_or_else(|_| "?".into(), |raw| raw.id_text());
    terminal::say(format_args!("{} {} (key {id}){whose}:", key.role, key.name));
    if let Err(refusal) = usable {
        return terminal::say(format_args!("  may bring nothing: {} [{}]", refusal.detail, refusal.reason));
    }
    let (Some(publisher), Some(origin)) = (&key.publisher, &key.origin) else {
        return terminal::say("  may only countersign bundles of others.");
    };
    let mut free = true;
    for rule in config.origins.iter().filter(|rule| rule.holds(config.classification, publisher, origin, &[key.role])) {
        let kinds: Vec<&str> = rule.kinds.iter().map(|kind| kind.name()).collect();
        let what = if kinds.is_empty() { "everything".into() } else { kinds.join(", ") };
        terminal::say(format_args!(
            "  {what} {}: rule {}: {}",
            rule.then.words(),
            rule.name.get_ref(),
            quoted(&rule.why)
        ));
        if let Some(source) = &rule.source {
            terminal::say(format_args!("    {}", quoted(source)));
        }
        free &= rule.then != Then::Refuse || !rule.kinds.is_empty();
    }
    if free {
        terminal::say("  may bring all content that the feed may carry.");
    }
}

fn whose(key: &Key) -> String {
    match (&key.publisher, &key.origin) {
        (Some(publisher), Some(origin)) => format!(", publisher {publisher}, origin {origin}"),
        _ => String::new(),
    }
}

fn content(config: &Config, feed: &Feed) -> Result<(), Error> {
    let kinds: Vec<&str> = feed.kinds.get_ref().iter().map(|kind| kind.name()).collect();
    let policy = config.policy_of(feed)?;
    terminal::say(format_args!("The feed may carry: {}. All other content is withheld.", kinds.join(", ")));
    terminal::say(format_args!("The policy {} decides which content passes: gaprelay policy show {0}", policy.name));
    Ok(())
}

fn officers(keyring: &Keyring, feed: &Feed) {
    let may = |key: &&Key| {
        let usable =
            RawKey::parse(&key.public).and_then(|raw| keyring.check_usable_for(Right::Approve, key, raw, clock::now()));
        key.role == Role::Officer && key.is_for(feed.name.get_ref()) && key.has_right(Right::Approve) && usable.is_ok()
    };
    let names: Vec<&str> = keyring.keys.iter().filter(may).map(|key| key.name.as_str()).collect();
    let (needed, suppress) = (feed.officers.get_ref(), feed.suppress.officers(feed));
    let names = if names.is_empty() { "NOBODY".to_owned() } else { names.join(", ") };
    terminal::say(format_args!(
        "Before agents get a release, {needed} of these officers must approve it: {names}. The person who imported it may not."
    ));
    terminal::say(format_args!("A release that stops other content from detecting needs {suppress} of them."));
    terminal::say(format_args!(
        "A release that goes back to older content needs {suppress} of them, each with a downgrade ticket."
    ));
    if feed.clean_without_approval {
        let brake = feed.brake.get_ref();
        terminal::say(format_args!(
            "A release without stripped or withheld content, that removes at most {brake} % of what agents have, needs no approval."
        ));
    }
}

fn ages(feed: &Feed) {
    let mut words = Vec::new();
    for (span, what) in [(feed.warn_after, "ageing"), (feed.stale_after, "stale"), (feed.refuse_after, "refused")] {
        words.extend(span.map(|span| format!("{what} after {}", humantime::format_duration(span.0))));
    }
    if !words.is_empty() {
        terminal::say(format_args!(
            "Content is {}. After its expiry date it is not imported; published content is still served, marked as expired.",
            words.join(", ")
        ));
    }
}
