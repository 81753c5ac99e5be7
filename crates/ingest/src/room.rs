//! How many bytes of requests are in hand at once: what is being read, and what waits to be stored.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// A request up to this size, in bytes, may take all of the room.
const SMALL_BYTES: usize = 64 * 1024;
/// One part in so many is left to small requests: a few large ones must not keep a thousand others out.
const SMALL_PART: usize = 8;
/// One part in so many is the most that one network has of large requests that prove nothing yet.
const UNPROVEN_PART: usize = 4;

/// Room for requests, bounded in bytes.
#[derive(Debug)]
pub struct Room {
    taken: AtomicUsize,
    max: usize,
    /// How much of it each network has of large requests that are not proven genuine. Small ones are too many to be
    /// counted one by one, and too small to matter: connections are bounded.
    unproven: Mutex<HashMap<IpAddr, usize>>,
    unproven_max: usize,
}

/// There is no room for a request at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

impl Room {
    /// Room for so many bytes, in which requests of up to `request_bytes` are read.
    pub fn of(max: usize, request_bytes: usize) -> Room {
        let unproven_max = (max / UNPROVEN_PART).max(request_bytes);
        Room { taken: AtomicUsize::new(0), max, unproven: Mutex::default(), unproven_max }
    }

    /// The least room, in bytes, in which a single request of this size finds its place.
    pub const fn least_for(request_bytes: usize) -> usize {
        request_bytes.saturating_add(request_bytes / (SMALL_PART - 1)).saturating_add(SMALL_PART)
    }

    /// How many bytes are taken now.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many bytes may be taken in all when a request of this size takes some of them.
    fn open_to(&self, request_bytes: usize) -> usize {
        if request_bytes <= SMALL_BYTES { self.max } else { self.max - self.max / SMALL_PART }
    }

    /// Changes how much of unproven requests a network has, from a share's old part to its new one.
    fn count_unproven(&self, network: IpAddr, old: usize, new: usize) -> Result<(), NoRoom> {
        if old == new {
            return Ok(());
        }
        let mut unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = unproven.get(&network).copied().unwrap_or(0) - old;
        let sum =
            counted.checked_add(new).filter(|sum| new < old || *sum <= self.unproven_max).ok_or(NoRoom)?;
        if sum == 0 {
            unproven.remove(&network);
        } else {
            unproven.insert(network, sum);
        }
        Ok(())
    }

    fn unproven_of(&self, network: IpAddr) -> usize {
        self.unproven.lock().unwrap_or_else(PoisonError::into_inner).get(&network).copied().unwrap_or(0)
    }
}

/// What one request has taken of the room. It is given back when this is dropped, however the request ends.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    bytes: usize,
    /// The network it comes from, as long as it is not proven genuine.
    network: Option<IpAddr>,
}

impl Share {
    /// A share of nothing yet, of a request from a network that has proven nothing yet.
    pub fn of(room: &Arc<Room>, network: IpAddr) -> Share {
        Share { room: Arc::clone(room), bytes: 0, network: Some(network) }
    }

    /// The request is genuine: whoever sent it is held to nothing but the whole room.
    pub fn prove(&mut self) {
        let counted = counted(self.bytes);
        if let Some(network) = self.network.take() {
            // Less can always be counted.
            let _ = self.room.count_unproven(network, counted, 0);
        }
    }

    /// Takes so many bytes more, or none of them.
    pub fn grow(&mut self, more: usize) -> Result<(), NoRoom> {
        let whole = self.bytes.saturating_add(more);
        let open = self.room.open_to(whole);
        self.count(self.bytes, whole)?;
        let grown = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= open);
        if self.room.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_err() {
            self.count(whole, self.bytes)?;
            return Err(NoRoom);
        }
        self.bytes = whole;
        Ok(())
    }

    /// Whether so many bytes more could be taken now. Takes none: who only announces bytes keeps nobody out.
    pub fn could_grow(&self, more: usize) -> Result<(), NoRoom> {
        let whole = self.bytes.saturating_add(more);
        let unproven = self.network.filter(|_| counted(whole) > 0).map_or(0, |network| {
            self.room.unproven_of(network).saturating_sub(counted(self.bytes)).saturating_add(whole)
        });
        let is_room_for = self.room.taken().saturating_add(more) <= self.room.open_to(whole);
        if is_room_for && unproven <= self.room.unproven_max { Ok(()) } else { Err(NoRoom) }
    }

    /// Gives so many bytes back, at most all of them.
    pub fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        // Less can always be counted.
        let _ = self.count(self.bytes, self.bytes - less);
        self.bytes -= less;
        self.room.taken.fetch_sub(less, Ordering::Relaxed);
    }

    fn count(&self, old: usize, new: usize) -> Result<(), NoRoom> {
        let Some(network) = self.network else { return Ok(()) };
        self.room.count_unproven(network, counted(old), counted(new))
    }

    /// Binds the share to a body: it is given back when the last one who has the body has let it go.
    pub fn hold(self, body: Bytes) -> Bytes {
        Bytes::from_owner(Held { body, _share: self })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// How much of a request of this size is counted for its network.
fn counted(bytes: usize) -> usize {
    if bytes <= SMALL_BYTES { 0 } else { bytes }
}

struct Held {
    body: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    /// A room in which one network may have all of it.
    fn open_room(max: usize) -> Arc<Room> {
        Arc::new(Room::of(max, max))
    }

    fn share(room: &Arc<Room>, bytes: usize) -> Result<Share, NoRoom> {
        let mut share = Share::of(room, HERE);
        share.grow(bytes)?;
        Ok(share)
    }

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        let room = open_room(MIB);
        let all: Vec<Share> = (0..16).map(|_| share(&room, SMALL_BYTES).expect("room")).collect();
        assert_eq!((room.taken(), share(&room, 1).map(drop)), (MIB, Err(NoRoom)));
        drop(all);
        assert_eq!(room.taken(), 0);
        assert_eq!(share(&room, usize::MAX).map(drop), Err(NoRoom));
    }

    #[test]
    fn large_requests_leave_a_part_to_small_ones() {
        let room = open_room(8 * MIB);
        let mut large = share(&room, 7 * MIB).expect("room");
        assert_eq!((large.could_grow(1), large.grow(1)), (Err(NoRoom), Err(NoRoom)));
        assert_eq!(share(&room, SMALL_BYTES + 1).map(drop), Err(NoRoom));
        let mut growing = share(&room, SMALL_BYTES).expect("room for a small one");
        assert_eq!(growing.grow(1), Err(NoRoom), "it is small no more");
        large.shrink(MIB);
        assert_eq!(growing.grow(1), Ok(()));
    }

    #[test]
    fn a_share_that_is_bound_to_a_body_lives_as_long_as_its_last_copy() {
        let room = open_room(MIB);
        for body in [Bytes::new(), Bytes::from_static(b"body")] {
            let held = share(&room, 10).expect("room").hold(body.clone());
            let copy = held.clone();
            assert_eq!((&copy, room.taken()), (&body, 10));
            drop(held);
            assert_eq!(room.taken(), 10);
            drop(copy);
            assert_eq!(room.taken(), 0);
        }
    }

    #[test]
    fn the_least_room_is_enough_for_one() {
        for bytes in [SMALL_BYTES + 1, 3 * MIB, 3 * MIB + 5] {
            let room = Arc::new(Room::of(Room::least_for(bytes), bytes));
            assert!(share(&room, bytes).is_ok(), "{bytes}");
        }
        assert_eq!(Room::least_for(usize::MAX), usize::MAX);
    }
    #[test]
    fn a_network_that_proves_nothing_has_a_quarter_for_large_requests() {
        let room = Arc::new(Room::of(8 * MIB, MIB));
        let mut first = share(&room, MIB).expect("room");
        let second = share(&room, MIB).expect("room");
        assert_eq!((first.could_grow(1), first.grow(1)), (Err(NoRoom), Err(NoRoom)));
        assert_eq!((share(&room, MIB).map(drop), room.taken()), (Err(NoRoom), 2 * MIB));
        let mut other = Share::of(&room, THERE);
        assert_eq!(
            (other.could_grow(2 * MIB), other.grow(2 * MIB)),
            (Ok(()), Ok(())),
            "others have their own"
        );
        let small = share(&room, SMALL_BYTES).expect("room for a small one");
        first.prove();
        let third = share(&room, MIB).expect("what is proven is counted no more");
        assert_eq!(first.grow(MIB), Ok(()), "nor held to it");
        drop((first, second, third, other, small));
        assert_eq!((room.taken(), room.unproven.lock().expect("a lock").len()), (0, 0));
    }

    #[test]
    fn one_request_of_the_largest_size_finds_its_place_in_the_least_room() {
        let room = Arc::new(Room::of(Room::least_for(3 * MIB), 3 * MIB));
        let mut growing = Share::of(&room, HERE);
        for _ in 0..3 {
            assert_eq!((growing.could_grow(MIB), growing.grow(MIB)), (Ok(()), Ok(())));
        }
        growing.shrink(3 * MIB - 1);
        assert_eq!((room.taken(), room.unproven_of(HERE)), (1, 0));
    }
}
