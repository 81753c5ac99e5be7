//! How many bytes of requests are in hand at once: what is being read, and what waits to be stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// A request up to this size, in bytes, may take all of the room.
const SMALL_BYTES: usize = 64 * 1024;
/// One part in so many is left to small requests: a few large ones must not keep a thousand others out.
const SMALL_PART: usize = 8;

/// Room for requests, bounded in bytes.
#[derive(Debug)]
pub struct Room {
    taken: AtomicUsize,
    max: usize,
}

/// There is no room for a request at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

impl Room {
    /// Room for so many bytes.
    pub fn of(max: usize) -> Room {
        Room { taken: AtomicUsize::new(0), max }
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
}

/// What one request has taken of the room. It is given back when this is dropped, however the request ends.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    bytes: usize,
}

impl Share {
    /// A share of nothing yet.
    pub fn of(room: &Arc<Room>) -> Share {
        Share { room: Arc::clone(room), bytes: 0 }
    }

    /// Takes so many bytes more, or none of them.
    pub fn grow(&mut self, more: usize) -> Result<(), NoRoom> {
        let whole = self.bytes.saturating_add(more);
        let open = self.room.open_to(whole);
        let grown = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= open);
        self.room.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).map_err(|_| NoRoom)?;
        self.bytes = whole;
        Ok(())
    }

    /// Whether so many bytes more could be taken now. Takes none: who only announces bytes keeps nobody out.
    pub fn could_grow(&self, more: usize) -> Result<(), NoRoom> {
        let sum = self.room.taken().saturating_add(more);
        if sum <= self.room.open_to(self.bytes.saturating_add(more)) { Ok(()) } else { Err(NoRoom) }
    }

    /// Gives so many bytes back, at most all of them.
    pub fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.room.taken.fetch_sub(less, Ordering::Relaxed);
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

    fn share(room: &Arc<Room>, bytes: usize) -> Result<Share, NoRoom> {
        let mut share = Share::of(room);
        share.grow(bytes)?;
        Ok(share)
    }

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        let room = Arc::new(Room::of(MIB));
        let all: Vec<Share> = (0..16).map(|_| share(&room, SMALL_BYTES).expect("room")).collect();
        assert_eq!((room.taken(), share(&room, 1).map(drop)), (MIB, Err(NoRoom)));
        drop(all);
        assert_eq!(room.taken(), 0);
        assert_eq!(share(&room, usize::MAX).map(drop), Err(NoRoom));
    }

    #[test]
    fn large_requests_leave_a_part_to_small_ones() {
        let room = Arc::new(Room::of(8 * MIB));
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
        let room = Arc::new(Room::of(MIB));
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
            let room = Arc::new(Room::of(Room::least_for(bytes)));
            assert!(share(&room, bytes).is_ok(), "{bytes}");
        }
        assert_eq!(Room::least_for(usize::MAX), usize::MAX);
    }
}
