//! Decides which addresses may be connected: those that the IANA special-purpose registries call globally
//! reachable, and those that the operator allowed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::Config;

/// The judge of addresses and ports.
#[derive(Clone, Debug)]
pub struct Guard {
    allowed: Vec<IpNet>,
    denied_ports: Vec<u16>,
}

/// Why an address or a port is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// The address lies in a range that is not public.
    Address {
        /// The address.
        address: IpAddr,
        /// What the range is for.
        range: &'static str,
    },
    /// The port is on the operator's list.
    Port(u16),
}

impl Guard {
    /// Takes the ranges and ports from the settings.
    pub fn new(config: &Config) -> Guard {
        Guard { allowed: config.allowed.clone(), denied_ports: config.denied_ports.clone() }
    }

    /// Judges an address; one that carries an IPv4 address inside is judged by that.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Denied> {
        let inner = inner_v4(address);
        if self.allowed.iter().any(|net| net.contains(&address) || net.contains(&inner)) {
            return Ok(());
        }
        let range = match inner {
            IpAddr::V4(v4) => V4.iter().find(|(net, _)| net.contains(&v4)).and_then(|(_, use_of)| *use_of),
            IpAddr::V6(v6) => match V6.iter().find(|(net, _)| net.contains(&v6)) {
                Some((_, use_of)) => *use_of,
                None => (!UNICAST_V6.contains(&v6)).then_some("reserved"),
            },
        };
        range.map_or(Ok(()), |range| Err(Denied::Address { address, range }))
    }

    /// Judges a port.
    pub fn check_port(&self, port: u16) -> Result<(), Denied> {
        if self.denied_ports.contains(&port) { Err(Denied::Port(port)) } else { Ok(()) }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::Address { address, range } => write!(
                f,
                "the address {address} is not public ({range}); an operator can allow its range for outgoing calls"
            ),
            Denied::Port(port) => write!(f, "port {port} is on the list of ports that are never connected"),
        }
    }
}

/// The address itself, or the IPv4 address that an IPv6 one leads to: mapped, NAT64 and 6to4.
fn inner_v4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let octets = v6.octets();
    let at = if MAPPED.contains(&v6) || NAT64.contains(&v6) {
        12
    } else if SIX_TO_FOUR.contains(&v6) {
        2
    } else {
        return address;
    };
    IpAddr::V4(Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]))
}

const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
/// The only part of IPv6 from which global unicast addresses are given out.
const UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What a range is for when it is not public, or nothing when it is public inside a wider one that is not; the
/// first match counts. After <https://www.iana.org/assignments/iana-ipv4-special-registry>, and multicast.
const V4: [(Ipv4Net, Option<&str>); 18] = [
    (v4([192, 0, 0, 9], 32), None),
    (v4([192, 0, 0, 10], 32), None),
    (v4([0, 0, 0, 0], 8), Some("this network")),
    (v4([10, 0, 0, 0], 8), Some("private use")),
    (v4([100, 64, 0, 0], 10), Some("shared by carriers")),
    (v4([127, 0, 0, 0], 8), Some("loopback")),
    (v4([169, 254, 0, 0], 16), Some("link-local, cloud metadata")),
    (v4([172, 16, 0, 0], 12), Some("private use")),
    (v4([192, 0, 0, 0], 24), Some("protocol assignments")),
    (v4([192, 0, 2, 0], 24), Some("documentation")),
    (v4([192, 88, 99, 0], 24), Some("former 6to4 relays")),
    (v4([192, 168, 0, 0], 16), Some("private use")),
    (v4([198, 18, 0, 0], 15), Some("benchmarks")),
    (v4([198, 51, 100, 0], 24), Some("documentation")),
    (v4([203, 0, 113, 0], 24), Some("documentation")),
    (v4([224, 0, 0, 0], 4), Some("multicast")),
    (v4([255, 255, 255, 255], 32), Some("broadcast")),
    (v4([240, 0, 0, 0], 4), Some("reserved")),
];

/// As [`V4`], after <https://www.iana.org/assignments/iana-ipv6-special-registry>, and multicast.
const V6: [(Ipv6Net, Option<&str>); 18] = [
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128), None),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128), None),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128), None),
    (v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), None),
    (v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), None),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), None),
    (v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), None),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Some("protocol assignments")),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Some("documentation")),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Some("documentation")),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Some("unspecified")),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Some("loopback")),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Some("local translation")),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), Some("discard only")),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), Some("segment routing")),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Some("private use")),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Some("link-local")),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Some("multicast")),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}
