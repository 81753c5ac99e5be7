//! Who may ask, and how often.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use model::id::SourceId;
use model::pace::{Pace, Pacing};
use model::source::Source;
use model::time::Timestamp;

/// Refused requests that are kept in a second; the rest of a flood is only counted.
const REFUSED_KEPT_PER_SECOND: u32 = 50;
/// How many KiB of them are kept whole in a minute: more than 50 messages a second come to. Of the rest the body's length
/// is all that is kept.
const REFUSED_KIB_PER_MINUTE: u32 = 16 * 1024;
/// The most that requests of one source have of either, as one part in so many: what is sent to one URL must not keep
/// another's from being kept.
const SOURCE_PART: u32 = 4;
/// How much of an IPv6 address is the network of one customer.
const IPV6_NETWORK_BITS: u32 = 64;
/// Sources whose pace is remembered; a source at rest needs no remembering.
const PACES_MAX: usize = 10_000;

/// The paces of sources and of what is kept of refused requests.
#[derive(Debug, Default)]
pub struct Limits {
    sources: Mutex<HashMap<SourceId, Pace>>,
    refused: Mutex<Refused>,
}

/// How much is kept of refused requests: of each source's, those of no source being one more, and of all.
#[derive(Debug, Default)]
struct Refused {
    of: HashMap<Option<SourceId>, Kept>,
    all: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    requests: Pace,
    kib: Pace,
}

impl Limits {
    /// Takes a turn of the source's own rate limit, or says when the next one is.
    pub fn pass(&self, source: &Source, now: Timestamp) -> Result<(), Timestamp> {
        let Some(rate) = source.rate_per_second else { return Ok(()) };
        let mut paces = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= PACES_MAX {
            paces.retain(|_, pace| !pace.is_rested(now));
        }
        paces.entry(source.id).or_default().take(Pacing::per_second(rate), now)
    }

    /// Whether one more refused request may be kept, so that nobody fills the disk with them.
    pub fn may_keep_refused(&self, source: Option<SourceId>, now: Timestamp) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, all) = refused.pots(source, now);
        let of = |rate| Pacing::per_second(rate);
        own.requests.take(of(REFUSED_KEPT_PER_SECOND / SOURCE_PART), now).is_ok()
            && all.requests.take(of(REFUSED_KEPT_PER_SECOND), now).is_ok()
    }

    /// Whether a refused request of this size may be kept whole, so that nobody fills the disk with large ones.
    pub fn may_keep_whole(&self, source: Option<SourceId>, bytes: usize, now: Timestamp) -> bool {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, all) = refused.pots(source, now);
        let of = |kib: u32| Pacing::new(Duration::from_secs(60) / kib, kib);
        own.kib.take_many(kib, of(REFUSED_KIB_PER_MINUTE / SOURCE_PART), now)
            && all.kib.take_many(kib, of(REFUSED_KIB_PER_MINUTE), now)
    }
}

impl Refused {
    fn pots(&mut self, source: Option<SourceId>, now: Timestamp) -> (&mut Kept, &mut Kept) {
        if self.of.len() >= PACES_MAX {
            self.of.retain(|_, kept| !(kept.requests.is_rested(now) && kept.kib.is_rested(now)));
        }
        (self.of.entry(source).or_default(), &mut self.all)
    }
}

/// The network an address is of, for what is bounded by address: who has one IPv6 address has a network of them.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() >> IPV6_NETWORK_BITS << IPV6_NETWORK_BITS).into()
        }
        IpAddr::V4(address) => address.into(),
    }
}

/// Whether an address may reach a source. A list that cannot be read lets nobody in.
pub fn is_allowed(source: &Source, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    source.allowed_networks.is_empty()
        || source
            .allowed_networks
            .iter()
            .any(|text| text.parse::<IpNet>().is_ok_and(|network| network.contains(&peer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::AppId;

    fn source(networks: &[&str]) -> Source {
        Source {
            name: "test".to_owned(),
            allowed_networks: networks.iter().map(|&text| text.to_owned()).collect(),
            rate_per_second: Some(2),
            ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), "generic")
        }
    }

    #[test]
    fn a_list_of_networks_lets_in_only_its_own_also_when_mapped() {
        let listed = source(&["192.0.2.0/24"]);
        assert!(is_allowed(&listed, "192.0.2.7".parse().expect("an address")));
        assert!(is_allowed(&listed, "::ffff:192.0.2.7".parse().expect("an address")));
        assert!(!is_allowed(&listed, "192.0.3.7".parse().expect("an address")));
        assert!(!is_allowed(&source(&["nonsense"]), "192.0.2.7".parse().expect("an address")));
        assert!(is_allowed(&source(&[]), "192.0.2.7".parse().expect("an address")));
    }

    #[test]
    fn a_source_is_held_to_its_own_rate() {
        let (limits, source, now) = (Limits::default(), source(&[]), Timestamp::from_secs(10));
        assert!(limits.pass(&source, now).is_ok());
        assert!(limits.pass(&source, now).is_ok());
        assert!(limits.pass(&source, now).is_err());
    }

    #[test]
    fn refused_requests_are_kept_whole_as_long_as_there_are_bytes_for_them() {
        let (limits, now) = (Limits::default(), Timestamp::from_secs(10));
        let (mib, one) = (1024 * 1024, Some(SourceId::from_raw(1)));
        assert!(!limits.may_keep_whole(one, 4 * mib + 1, now), "more than a minute's worth is never kept");
        assert!(limits.may_keep_whole(one, 3 * mib, now));
        assert!(!limits.may_keep_whole(one, 3 * mib, now));
        assert!(limits.may_keep_whole(one, mib, now), "a smaller one takes what is left");
        assert!(!limits.may_keep_whole(one, 1, now));
        assert!((2..5).all(|n| limits.may_keep_whole(Some(SourceId::from_raw(n)), 4 * mib, now)), "others'");
        assert!(!limits.may_keep_whole(None, 1, now), "all of them share a bound too");
        let later = now.plus(Duration::from_secs(1));
        assert!(
            (0..12).all(|_| limits.may_keep_whole(one, 5 * 1024, later)),
            "12 a second, as they usually are"
        );
    }

    #[test]
    fn a_flood_at_one_source_does_not_keep_anothers_refused_requests_from_being_kept() {
        let (limits, now) = (Limits::default(), Timestamp::from_secs(10));
        let kept = |source| (0..100).filter(|_| limits.may_keep_refused(source, now)).count();
        assert_eq!(kept(Some(SourceId::from_raw(1))), 12);
        assert_eq!((kept(None), kept(Some(SourceId::from_raw(2)))), (12, 12));
        assert_eq!((kept(Some(SourceId::from_raw(3))), kept(Some(SourceId::from_raw(4)))), (12, 2));
    }

    #[test]
    fn who_has_an_ipv6_address_is_counted_by_its_network() {
        let network = |text: &str| network_of(text.parse().expect("an address")).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(
            (network("192.0.2.7"), network("::ffff:192.0.2.7")),
            ("192.0.2.7".into(), "192.0.2.7".into())
        );
    }
}
