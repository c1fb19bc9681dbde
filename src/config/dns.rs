//! The part of the config that says which names this relay answers for.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

/// The DNS sinkhole: what it answers is here, and everything else is refused and, where it shows
/// something, recorded. It asks no other server.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Addresses to answer look-ups on, by UDP and TCP. None, if left out: then there is no sinkhole.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<SocketAddr>"))]
    pub listen: Vec<Spanned<SocketAddr>>,
    /// Networks whose look-ups are answered; others are recorded only, since an answer to them would
    /// leave. Default: the private, link-local and loopback ones (RFC 1918, 3927, 4193, 4291).
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub agents: Vec<IpNet>,
    /// Zones of this site.
    #[serde(rename = "zone")]
    pub zones: Vec<ZoneConfig>,
    /// Single names: this site's, or vendors' that are to lead to the relay or nowhere.
    #[serde(rename = "name")]
    pub names: Vec<Name>,
}

/// A zone of this site.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// Name, such as `site.example`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub name: Spanned<String>,
    /// Records, as a master file (RFC 1035, section 5). A relative path begins at the state folder.
    pub file: PathBuf,
}

/// A single name.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The name; `*.` stands for every name below.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub name: Spanned<String>,
    /// Addresses of the answer. With no address and no text the answer is that there is no such name.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Text (TXT), one record each.
    #[serde(default)]
    pub text: Vec<String>,
}

/// Networks that do not lead out of a site.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

impl Default for Dns {
    fn default() -> Self {
        let agents = PRIVATE.iter().filter_map(|network| network.parse().ok()).collect();
        Self { listen: Vec::new(), agents, zones: Vec::new(), names: Vec::new() }
    }
}

impl Dns {
    /// True if queries from this address are answered.
    pub fn is_agent(&self, ip: IpAddr) -> bool {
        self.agents.iter().any(|network| network.contains(&ip.to_canonical()))
    }

    /// Faults of the table, each with its byte in the file.
    pub fn problems(&self) -> Vec<(usize, String)> {
        let everywhere = self.listen.iter().filter(|address| address.get_ref().ip().is_unspecified());
        everywhere
            .map(|address| {
                let message = "dns.listen needs each address by itself, as in \"10.0.0.2:53\": an answer must come from \
                    the address that was asked";
                (address.span().start, message.to_owned())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_networks_are_networks() {
        let dns = Dns::default();
        assert_eq!(dns.agents.len(), PRIVATE.len());
        for (ip, agent) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("fd00::1", true),
            ("8.8.8.8", false),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(dns.is_agent(ip.parse().unwrap()), agent, "{ip}");
        }
    }
}
