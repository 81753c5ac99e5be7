//! Who may ask, and how often.

use std::collections::HashMap;
use std::net::IpAddr;
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
/// Sources whose pace is remembered; a source at rest needs no remembering.
const PACES_MAX: usize = 10_000;

/// The paces of sources and of what is kept of refused requests.
#[derive(Debug, Default)]
pub struct Limits {
    sources: Mutex<HashMap<SourceId, Pace>>,
    refused: Mutex<Pace>,
    refused_kib: Mutex<Pace>,
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
    pub fn may_keep_refused(&self, now: Timestamp) -> bool {
        let mut pace = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(Pacing::per_second(REFUSED_KEPT_PER_SECOND), now).is_ok()
    }

    /// Whether a refused request of this size may be kept whole, so that nobody fills the disk with large ones.
    pub fn may_keep_whole(&self, bytes: usize, now: Timestamp) -> bool {
        let interval = Duration::from_secs(60) / REFUSED_KIB_PER_MINUTE;
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let mut pace = self.refused_kib.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take_many(kib, Pacing::new(interval, REFUSED_KIB_PER_MINUTE), now)
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
    use model::source::{Settings, UnknownAccounts};

    fn source(networks: &[&str]) -> Source {
        Source {
            id: SourceId::from_raw(1),
            app: AppId::from_raw(1),
            platform: "generic".to_owned(),
            name: "test".to_owned(),
            path: None,
            secrets: Vec::new(),
            settings: Settings::default(),
            unknown_accounts: UnknownAccounts::Adopt,
            allowed_networks: networks.iter().map(|&text| text.to_owned()).collect(),
            rate_per_second: Some(2),
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
        let mib = 1024 * 1024;
        assert!(!limits.may_keep_whole(16 * mib + 1, now), "more than a minute's worth is never kept");
        assert!((0..5).all(|_| limits.may_keep_whole(3 * mib, now)));
        assert!(!limits.may_keep_whole(3 * mib, now));
        assert!(limits.may_keep_whole(mib, now), "a smaller one takes what is left");
        assert!(!limits.may_keep_whole(1, now));
        let later = now.plus(Duration::from_secs(1));
        assert!((0..50).all(|_| limits.may_keep_whole(5 * 1024, later)), "50 a second, as they usually are");
    }
}
