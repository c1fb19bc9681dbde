//! `gaprelay policy explain`: who may bring what for a feed, who must agree, and why, in words.

use base::{Error, Reason, Refusal, clock, quoted};
use bundle::keyring::{Key, RawKey};
use bundle::{Keyring, Right, Role};
use config::origin::Then;
use config::{Config, Feed};
use terminal::Ended;

/// Says it.
pub fn explain(config: &Config, keyring: &Keyring, name: &str) -> Result<Ended, Error> {
    let unknown = || Refusal::new(Reason::FeedUnknown, format!("the config has no feed {}", quoted(name)));
    let feed = config.feed(name).ok_or_else(unknown)?;
    terminal::say(format_args!("Feed {name}, on a network classified {}.", config.classification));
    if let Err(refusal) = keyring.denied.check_feed(name) {
        terminal::say(format_args!("Nobody may bring anything: {}.", refusal.detail));
    }
    must_sign(keyring, name);
    for algorithm in &feed.algorithms {
        terminal::say(format_args!("Beside those, a key of algorithm {} must have signed it.", algorithm.name()));
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
        .map(|row| format!("{} distinct {} {}", row.signers, row.role, if row.signers == 1 { "key" } else { "keys" }))
        .collect();
    let who = if rows.is_empty() { "nobody can: the keyring sets no threshold".into() } else { rows.join(" and ") };
    terminal::say(format_args!("A bundle must be signed by: {who}. One of them must be a vendor or custodian."));
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
        return terminal::say("  agrees with what others bring.");
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
        terminal::say("  may bring what the feed may carry.");
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
    terminal::say(format_args!("It may carry: {}. All else is withheld.", kinds.join(", ")));
    terminal::say(format_args!("What its content does is judged by policy {}: gaprelay policy show {0}", policy.name));
    Ok(())
}

fn officers(keyring: &Keyring, feed: &Feed) {
    let may =
        |key: &&Key| key.role == Role::Officer && key.is_for(feed.name.get_ref()) && key.has_right(Right::Approve);
    let names: Vec<&str> = keyring.keys.iter().filter(may).map(|key| key.name.as_str()).collect();
    let (needed, suppress) = (feed.officers.get_ref(), feed.suppress.officers(feed));
    let names = if names.is_empty() { "NOBODY".to_owned() } else { names.join(", ") };
    terminal::say(format_args!(
        "Before agents get it, {needed} of these officers approve: {names}; never who imported it."
    ));
    terminal::say(format_args!("Where it keeps something else from detecting: {suppress} of them."));
    terminal::say(format_args!("Where it goes back to older content: {suppress} of them, each by a downgrade ticket."));
    if feed.clean_without_approval {
        let brake = feed.brake.get_ref();
        terminal::say(format_args!(
            "What is clean, and takes away no more than {brake} % of what is served, needs none."
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
            "Content is {}; past its expiry it is served on, marked, and not imported.",
            words.join(", ")
        ));
    }
}
