//! Proxies in front of the gateway: whose word on who asks is believed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

/// What a proxy writes down who asked it in: the last entry is its own.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The networks of one's own proxies. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Proxies in these networks.
    pub fn of(networks: &[IpNet]) -> Proxies {
        Proxies(networks.into())
    }

    /// Whether an address is one of them.
    pub fn are_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who asks: the peer, or, when that is one of ours, whoever the chain of ours says it was asked by. What somebody
    /// else has written before that is not believed.
    pub fn asker(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut entries = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        let mut asker = peer;
        while self.are_trusted(asker) {
            let Some(before) = entries.next().and_then(address_of) else { break };
            asker = before;
        }
        asker.to_canonical()
    }
}

/// The address of an entry, which some proxies give with a port.
fn address_of(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.trim_matches(['[', ']']).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asker(proxies: &str, peer: &str, lines: &[&'static str]) -> String {
        let proxies: Vec<IpNet> = proxies.split_whitespace().filter_map(|text| text.parse().ok()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        Proxies::of(&proxies).asker(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(asker("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(asker("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn our_proxies_are_believed_and_nothing_from_before_them() {
        let ours = "10.0.0.0/8 2001:db8::/32";
        assert_eq!(asker(ours, "10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(asker(ours, "::ffff:10.0.0.1", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(asker(ours, "10.0.0.1", &["203.0.113.9", "198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(asker(ours, "2001:db8::1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(asker(ours, "10.0.0.1", &["[2001:db9::5]:4711"]), "2001:db9::5");
    }

    #[test]
    fn where_the_chain_breaks_off_is_who_asks() {
        assert_eq!(asker("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(asker("10.0.0.0/8", "10.0.0.1", &["198.51.100.7, unknown"]), "10.0.0.1");
        assert_eq!(asker("10.0.0.0/8", "10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }
}
