//! Firewall, as nft(8) shows it: only replies may leave this host.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{ExaminedHost, HostReport};

const CHECK: &str = "firewall";
const RULES: &str =
    "Load the rules that `gaprelay deployment` writes: nft -f gaprelay.nft, and at boot from /etc/nftables.conf.";

/// Expressions of a rule that lets nothing go.
const HARMLESS: &[&str] = &["match", "counter", "log", "limit", "drop", "reject"];

/// Checks that each family in which packets could leave this host has a chain that drops them.
pub(super) fn firewall(subject: &ExaminedHost<'_>, report: &mut HostReport) {
    match list(subject) {
        Ok(list) => judge(&list, report),
        Err(Unlisted { found, next }) => report.unseen(CHECK, found, next),
    }
}

/// Cause for which the rules cannot be listed, and the next step.
struct Unlisted {
    found: &'static str,
    next: &'static str,
}

const NO_NFT: Unlisted = Unlisted {
    found: "the firewall rules cannot be listed: /usr/sbin/nft is not installed",
    next: "Install nftables (apt-get install nftables), then run `gaprelay doctor` as root.",
};
const NFT_FAILED: Unlisted = Unlisted {
    found: "the firewall rules cannot be listed: nft failed, as it does without root's rights",
    next: "Run `gaprelay doctor` as root. If it runs as root already, `nft list ruleset` shows why nft fails.",
};
const NOT_JSON: Unlisted = Unlisted {
    found: "the firewall rules cannot be listed: nft gave no list in JSON",
    next: "Install a version of nftables that writes JSON: apt-get install nftables.",
};
const NO_COPY: Unlisted = Unlisted {
    found: "the firewall rules cannot be listed: the copy of the host has no file ruleset.json",
    next: "Make the file on that host, as root: nft --json list ruleset > ruleset.json",
};

/// Output of `nft --json list ruleset`; on a copy of a host, the copy's file.
#[expect(clippy::disallowed_methods, reason = "nft, with a fixed command line, run by whoever asks for a diagnosis")]
fn list(subject: &ExaminedHost<'_>) -> Result<Vec<Value>, Unlisted> {
    let text = if subject.host.as_os_str() == "/" {
        let mut nft = Command::new("/usr/sbin/nft");
        let listed = nft.args(["--json", "list", "ruleset"]).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        match listed.output() {
            Ok(output) if output.status.success() => output.stdout,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(NO_NFT),
            _ => return Err(NFT_FAILED),
        }
    } else {
        std::fs::read(subject.host.join("ruleset.json")).map_err(|_| NO_COPY)?
    };
    let mut list: Value = serde_json::from_slice(&text).map_err(|_| NOT_JSON)?;
    match list.get_mut("nftables").map(Value::take) {
        Some(Value::Array(list)) => Ok(list),
        _ => Err(NOT_JSON),
    }
}

fn judge(list: &[Value], report: &mut HostReport) {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let of = |kind: &'static str| list.iter().filter_map(move |object| object.get(kind));
    let mut covered = Vec::new();
    for chain in of("chain").filter(|chain| text(chain, "hook") == "output" && text(chain, "policy") == "drop") {
        let place = ["family", "table", "name"].map(|name| text(chain, name));
        let [family, table, name] = &place;
        covered.push(family.clone());
        let inside = of("rule").filter(|rule| ["family", "table", "chain"].map(|n| text(rule, n)) == place);
        let outward = inside.filter(|rule| !is_narrow(rule)).count();
        if outward > 0 {
            let rules = if outward == 1 { "1 rule lets".to_owned() } else { format!("{outward} rules let") };
            let found = format!("in the output chain {family} {table} {name}, {rules} other packets than replies out");
            let next = "List the rules with their handles (nft -a list ruleset), and remove those rules; or load the shipped rules: nft -f gaprelay.nft.";
            report.bad(CHECK, found, next);
        }
    }
    let open: Vec<&str> = [("ip", "IPv4"), ("ip6", "IPv6")]
        .into_iter()
        .filter(|(family, _)| !covered.iter().any(|has| has == "inet" || has == family))
        .map(|(_, name)| name)
        .collect();
    if !open.is_empty() {
        let found =
            format!("any packet can leave this host: no output chain with policy drop for {}", open.join(" and "));
        report.bad(CHECK, found, RULES);
    } else if !report.has(CHECK) {
        report.good(CHECK, "only replies leave this host");
    }
}

/// True if a rule lets nothing out but replies, what stays on the host, and neighbour discovery.
fn is_narrow(rule: &Value) -> bool {
    let Some(parts) = rule.get("expr").and_then(Value::as_array) else { return false };
    // Anything else lets packets go, or leads to where we do not look.
    let harmless = |part: &Value| HARMLESS.iter().any(|name| part.get(name).is_some());
    let lets = !parts.iter().all(harmless);
    let narrow = |part: &Value| {
        let Some(wants) =
            part.get("match").filter(|m| m.get("op").and_then(Value::as_str).is_some_and(|op| op != "!="))
        else {
            return false;
        };
        let (left, right) = (wants.get("left"), wants.get("right"));
        let key = |outer: &str| left.and_then(|l| l.get(outer)?.get("key")?.as_str()).unwrap_or_default();
        let is = |text: &str| right.and_then(Value::as_str) == Some(text);
        let all_neighbours = || {
            let set =
                right.and_then(|right| right.get("set")?.as_array()).map_or_else(Vec::new, |set| set.iter().collect());
            !set.is_empty() && set.iter().all(|kind| kind.as_str().is_some_and(|kind| kind.starts_with("nd-")))
        };
        match (key("ct"), key("meta")) {
            ("direction", _) => is("reply"),
            (_, "oif" | "oifname") => is("lo"),
            _ => left.is_some_and(|left| left.to_string().contains("icmpv6")) && all_neighbours(),
        }
    };
    !lets || parts.iter().any(narrow)
}

#[cfg(test)]
mod tests {
    use crate::doctor::Health;
    use crate::doctor::firewall::*;

    fn worst(rules: &[Value], policy: &str) -> Health {
        let mut list = vec![
            serde_json::json!({ "chain": { "family": "inet", "table": "t", "name": "o", "hook": "output", "policy": policy } }),
        ];
        list.extend(
            rules.iter().map(
                |expr| serde_json::json!({ "rule": { "family": "inet", "table": "t", "chain": "o", "expr": expr } }),
            ),
        );
        let mut report = HostReport::default();
        judge(&list, &mut report);
        report.findings.iter().map(|finding| finding.health).max().unwrap()
    }

    #[test]
    fn a_hole_in_a_chain_is_seen() {
        let accept = serde_json::json!({ "accept": null });
        let with = |left: Value, right: &str, op: &str| serde_json::json!([{ "match": { "op": op, "left": left, "right": right } }, accept]);
        let reply = with(serde_json::json!({ "ct": { "key": "direction" } }), "reply", "==");
        let lo = with(serde_json::json!({ "meta": { "key": "oif" } }), "lo", "==");
        let neighbours = |kinds: &[&str]| {
            let left = serde_json::json!({ "payload": { "protocol": "icmpv6", "field": "type" } });
            serde_json::json!([{ "match": { "op": "==", "left": left, "right": { "set": kinds } } }, accept])
        };
        let good = [reply.clone(), lo.clone(), neighbours(&["nd-neighbor-solicit", "nd-neighbor-advert"])];
        assert_eq!(worst(&good, "drop"), Health::Good);
        assert_eq!(worst(std::slice::from_ref(&reply), "accept"), Health::Bad);
        for hole in [
            serde_json::json!([accept]),
            with(serde_json::json!({ "ct": { "key": "direction" } }), "original", "=="),
            with(serde_json::json!({ "meta": { "key": "oif" } }), "lo", "!="),
            with(serde_json::json!({ "meta": { "key": "oif" } }), "eth0", "=="),
            serde_json::json!([{ "jump": { "target": "elsewhere" } }]),
            serde_json::json!([{ "vmap": { "key": { "ct": { "key": "state" } }, "data": { "set": [["new", { "accept": null }]] } } }]),
            serde_json::json!([{ "xt": { "type": "target", "name": "ACCEPT" } }]),
            neighbours(&["nd-neighbor-solicit", "echo-request"]),
            neighbours(&[]),
        ] {
            assert_eq!(worst(&[reply.clone(), hole.clone()], "drop"), Health::Bad, "{hole}");
        }
        let mut report = HostReport::default();
        judge(&[], &mut report);
        assert_eq!(report.findings[0].health, Health::Bad);
    }
}
