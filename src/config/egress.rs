//! `[egress]`: which hosts and addresses vendors may have, whatever their entries say. The dialler asks it, of the address that DNS
//! gave; webhooks and sinks go where the operator's own tables say and are not asked about.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::raw::{Node, Table};

/// Where calls to vendors may go. By default wherever the vendors' entries lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// All that the entries name, if there is no list.
    hosts: Option<Vec<HostPattern>>,
    /// All addresses, if there is no list.
    allow: Option<Vec<IpNet>>,
    deny: Vec<IpNet>,
}

/// `api.example.com`, or `*.example.com` for every name below it. In small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPattern(Box<str>);

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            // `*.example.com` is not `example.com`, and no name that only ends alike.
            Some(below) => host.len() > below.len() && host.ends_with(below),
            None => *self.0 == *host,
        }
    }
}

impl Egress {
    pub fn allows_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.hosts.as_ref().is_none_or(|list| list.iter().any(|pattern| pattern.matches(&host)))
    }

    /// An IPv6 address that carries one of IPv4 is either: denied as both, allowed as one.
    pub fn allows_address(&self, ip: IpAddr, inner: Option<IpAddr>) -> bool {
        let among =
            |list: &[IpNet]| list.iter().any(|net| net.contains(&ip) || inner.is_some_and(|ip| net.contains(&ip)));
        !among(&self.deny) && self.allow.as_ref().is_none_or(|list| among(list))
    }
}

pub(super) fn read(table: &Table<'_>) -> Egress {
    let read = Egress {
        hosts: table.get("hosts").map(|node| some(&node, host)),
        allow: table.get("allow").map(|node| some(&node, net)),
        deny: table.get("deny").map(|node| some(&node, net)).unwrap_or_default(),
    };
    table.done();
    read
}

fn some<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Option<T>) -> Vec<T> {
    let nodes = node.one_or_more();
    if nodes.is_empty() {
        node.wrong("the list is empty, and nothing could be called: leave it out for all");
    }
    nodes.iter().filter_map(read).collect()
}

fn host(node: &Node<'_>) -> Option<HostPattern> {
    let text = node.text()?;
    let name = text.strip_prefix("*.").unwrap_or(text);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let address = text.parse::<Ipv6Addr>().is_ok();
    if !address && (name.is_empty() || name.starts_with('.') || !name.bytes().all(plain)) {
        node.wrong(format!("`{text}` is no host: write `api.example.com`, or `*.example.com` for all names below it"));
        return None;
    }
    Some(HostPattern(text.to_ascii_lowercase().into()))
}

/// A range, or one address.
fn net(node: &Node<'_>) -> Option<IpNet> {
    let text = node.text()?;
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    match net {
        Some(net) if net.trunc() == net => return Some(net),
        Some(net) => node.wrong(format!("`{text}` has bits behind its prefix: write `{}`", net.trunc())),
        None => node.wrong(format!("`{text}` is no range of addresses, such as `10.0.0.0/8` or `2001:db8::/32`")),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw;

    fn egress(text: &str) -> Egress {
        raw::read("e.toml", text, |root| Some(super::read(&root))).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn hosts_and_ranges() {
        let rules = egress(
            "hosts = [\"api.example.com\", \"*.stripe.com\"]\ndeny = [\"10.0.0.0/8\", \"203.0.113.7\"]\nallow = [\"10.0.0.0/7\", \"203.0.113.0/24\"]",
        );
        for (host, yes) in [
            ("api.example.com", true),
            ("API.example.com.", true),
            ("example.com", false),
            ("x.api.example.com", false),
            ("files.stripe.com", true),
            ("a.b.stripe.com", true),
            ("stripe.com", false),
            (".stripe.com", false),
            ("evilstripe.com", false),
            ("stripe.com.evil.com", false),
        ] {
            assert_eq!(rules.allows_host(host), yes, "{host}");
        }
        for (ip, inner, yes) in [
            ("203.0.113.9", None, true),
            ("203.0.113.7", None, false),
            ("10.1.2.3", None, false),
            ("11.1.2.3", None, true),
            ("8.8.8.8", None, false),
            ("::ffff:10.1.2.3", Some("10.1.2.3"), false),
            ("::ffff:11.1.2.3", Some("11.1.2.3"), true),
        ] {
            let ip_of = |text: &str| text.parse().expect("an address");
            assert_eq!(rules.allows_address(ip_of(ip), inner.map(ip_of)), yes, "{ip}");
        }
        let all = Egress::default();
        assert!(all.allows_host("anything") && all.allows_address("8.8.8.8".parse().expect("an address"), None));
    }

    #[test]
    fn mistakes_have_their_field() {
        for (text, field) in [
            ("hosts = []", "hosts"),
            ("hosts = [\"https://x\"]", "hosts[0]"),
            ("hosts = [\"*\"]", "hosts[0]"),
            ("hosts = [\"a.*.com\"]", "hosts[0]"),
            ("deny = [\"10.0.0.1/8\"]", "deny[0]"),
            ("deny = [\"ten\"]", "deny[0]"),
            ("allow = []", "allow"),
            ("allow = [\"10.0.0.0/33\"]", "allow[0]"),
            ("hots = [\"x\"]", "hots"),
        ] {
            let found = raw::read("e.toml", text, |root| Some(super::read(&root))).expect_err(text).0;
            assert_eq!(found[0].field, field, "{text}");
        }
    }
}
