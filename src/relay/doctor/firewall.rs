//! The firewall, as nft(8) shows it: does anything leave this host but replies?

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{ExaminedHost, HostReport};

const CHECK: &str = "firewall";
const RULES: &str =
    "Load the rules that `gaprelay deployment` writes: nft -f gaprelay.nft, and at boot from /etc/nftables.conf.";

/// Expressions of a rule that lets nothing go.
const HARMLESS: &[&str] = &["match", "counter", "log", "limit", "drop", "reject"];

/// Every family in which packets of ours could leave must have a chain that drops them.
pub(super) fn firewall(patient: &ExaminedHost<'_>, report: &mut HostReport) {
    let Some(list) = list(patient) else {
        let next = "Run `gaprelay doctor` as root, with nftables installed (apt-get install nftables).";
        return report.unseen(CHECK, "the rules cannot be listed", next);
    };
    judge(&list, report);
}

/// Output of `nft --json list ruleset`; on a copy of a host, the copy's file.
#[expect(clippy::disallowed_methods, reason = "nft, with a fixed command line, run by whoever asks for a diagnosis")]
fn list(patient: &ExaminedHost<'_>) -> Option<Vec<Value>> {
    let text = if patient.host.as_os_str() == "/" {
        let mut nft = Command::new("/usr/sbin/nft");
        let listed = nft.args(["--json", "list", "ruleset"]).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        listed.output().ok().filter(|output| output.status.success())?.stdout
    } else {
        std::fs::read(patient.host.join("ruleset.json")).ok()?
    };
    let mut list: Value = serde_json::from_slice(&text).ok()?;
    match list.get_mut("nftables").map(Value::take) {
        Some(Value::Array(list)) => Some(list),
        _ => None,
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
            let found = format!("{outward} rules of {family} {table} {name} let more out than replies");
            report.bad(CHECK, found, "Remove those rules (nft -a list ruleset), or load the shipped ones.");
        }
    }
    let both = ["ip", "ip6"].iter().all(|family| covered.iter().any(|has| has == "inet" || has == family));
    if !both {
        report.bad(CHECK, "what leaves this host is not dropped: no output chain with policy drop", RULES);
    } else if !report.has(CHECK) {
        report.good(CHECK, "only replies leave");
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
