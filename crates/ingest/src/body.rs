//! Reading a body: within its size and time, not slower than bodies must come, and never more of it than there is
//! room for.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::refusal::Refusal;
use crate::room::Share;

/// How long a body may be silent, or slower than it must be: long enough for a sender that changes its mobile cell.
const GRACE: Duration = Duration::from_secs(5);
/// How fast a body must come, in bytes a second, when its grace is used up: slower than the slowest mobile networks are.
const RATE_MIN: u64 = 1024;
/// How long the rest of a body that is refused may take before it is cut off.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of it is read and forgotten, as a multiple of the largest body that is accepted.
const DRAIN_BODIES: usize = 4;

/// The bounds of one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Its size, in bytes.
    pub(crate) bytes_max: usize,
    /// How long it may take to come.
    pub(crate) time_max: Duration,
}

/// Reads a body, whose head has so many bytes. The share grows before the memory does; of a request that is refused
/// nothing is in hand any more while the rest of it is drained.
pub(crate) async fn read<B: Body<Data = Bytes>>(
    body: B,
    head_bytes: usize,
    bounds: Bounds,
    share: Share,
) -> Result<(Bytes, Share), Refusal> {
    let mut body = pin!(body);
    let read = collect(body.as_mut(), head_bytes, bounds, share).await;
    if matches!(read, Err(Refusal::NoRoom | Refusal::TooLarge { .. })) {
        drain(body, bounds.bytes_max).await;
    }
    read
}

/// Reads a body that nobody wants to its end and forgets it, within bounds.
pub(crate) async fn forget<B: Body<Data = Bytes>>(body: B, bytes_max: usize) {
    drain(pin!(body), bytes_max).await;
}

async fn collect<B: Body<Data = Bytes>>(
    mut body: Pin<&mut B>,
    head_bytes: usize,
    bounds: Bounds,
    mut share: Share,
) -> Result<(Bytes, Share), Refusal> {
    share.grow(head_bytes)?;
    let (announced, most) = announced(&*body, bounds)?;
    share.could_grow(announced)?;
    let mut bytes = Vec::new();
    let mut patience = Patience::from_now(bounds.time_max);
    loop {
        let frame = timeout_at(patience.until, body.as_mut().frame()).await.map_err(|_| Refusal::TooSlow)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > bounds.bytes_max {
            return Err(bounds.too_large());
        }
        if length > bytes.capacity() {
            let capacity = length.max(most.min(2 * bytes.capacity()));
            share.grow(capacity - bytes.capacity())?;
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(&data);
        patience.hear(data.len());
    }
    share.shrink(bytes.capacity() - bytes.len());
    bytes.shrink_to_fit();
    Ok((Bytes::from(bytes), share))
}

/// How many bytes a body will have, at least and at most; one that will be too large is refused before it is read.
fn announced<B: Body>(body: &B, bounds: Bounds) -> Result<(usize, usize), Refusal> {
    let hint = body.size_hint();
    let least = usize::try_from(hint.lower()).ok().filter(|least| *least <= bounds.bytes_max);
    let most = hint.upper().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    Ok((least.ok_or(bounds.too_large())?, most.min(bounds.bytes_max)))
}

/// Reads and forgets what is left of a body: a sender that is cut off while it still writes may never see the answer.
async fn drain<B: Body<Data = Bytes>>(mut body: Pin<&mut B>, bytes_max: usize) {
    let mut left = bytes_max.saturating_mul(DRAIN_BODIES);
    let forget = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whoever has not come to an end by then is cut off.
    let _ = timeout(DRAIN_TIMEOUT, forget).await;
}

impl Bounds {
    fn too_large(self) -> Refusal {
        Refusal::TooLarge { max: self.bytes_max }
    }
}

/// How long a body is still waited for. What comes earns time, and never more than the grace.
struct Patience {
    until: Instant,
    end: Instant,
}

impl Patience {
    fn from_now(time_max: Duration) -> Patience {
        let now = Instant::now();
        Patience { until: now + GRACE.min(time_max), end: now + time_max }
    }

    fn hear(&mut self, bytes: usize) {
        let earned = Duration::from_micros(bytes as u64 * 1_000_000 / RATE_MIN);
        self.until = (self.until + earned).min(Instant::now() + GRACE).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use futures_util::{StreamExt, stream};
    use http_body::{Frame, SizeHint};
    use http_body_util::{Full, StreamBody};
    use tokio::time::interval;

    use super::*;
    use crate::room::Room;

    const KIB: usize = 1024;
    const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const BOUNDS: Bounds = Bounds { bytes_max: 1024 * KIB, time_max: Duration::from_secs(15) };
    const SECOND: Duration = Duration::from_secs(1);

    fn data(bytes: usize) -> Result<Frame<Bytes>, Infallible> {
        Ok(Frame::data(Bytes::from(vec![7; bytes])))
    }

    /// A body of so many pieces, one at once and then one each interval; then it ends, or nothing more ever comes.
    fn pieces(count: usize, bytes: usize, each: Duration, ends: bool) -> impl Body<Data = Bytes> {
        let ticks = stream::unfold(interval(each), |mut ticks| async {
            ticks.tick().await;
            Some(((), ticks))
        });
        let come = ticks.take(count).map(move |()| data(bytes));
        let silence = stream::pending().take(if ends { 0 } else { 1 });
        StreamBody::new(come.chain(silence))
    }

    /// A body that says beforehand how long it will be.
    struct Announced<B>(u64, B);

    impl<B: Body<Data = Bytes> + Unpin> Body for Announced<B> {
        type Data = Bytes;
        type Error = B::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
            Pin::new(&mut self.1).poll_frame(context)
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    /// What reading came to, and after how long.
    async fn outcome<B: Body<Data = Bytes>>(body: B) -> (Result<usize, Refusal>, Duration) {
        let (room, began) = (Arc::new(Room::of(4 * 1024 * KIB, 4 * 1024 * KIB)), Instant::now());
        let read = read(body, 10, BOUNDS, Share::of(&room, HERE)).await;
        let bytes = read.as_ref().map(|(bytes, _)| bytes.len()).map_err(|refusal| *refusal);
        assert_eq!(room.taken(), bytes.map_or(0, |bytes| bytes + 10), "no more is in hand than was read");
        (bytes, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_falls_silent_is_given_up_when_its_grace_is_over() {
        for bytes in [1, 100 * KIB] {
            let (read, took) = outcome(pieces(1, bytes, SECOND, false)).await;
            assert_eq!(read, Err(Refusal::TooSlow));
            assert!(took >= GRACE && took < GRACE + SECOND, "{bytes} bytes, then nothing: {took:?}");
        }
        let (read, took) = outcome(pieces(0, 0, SECOND, false)).await;
        assert!(read == Err(Refusal::TooSlow) && took >= GRACE && took < GRACE + SECOND, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_and_one_at_the_least_rate_is_not() {
        let (read, took) = outcome(pieces(1_000, 100, SECOND, true)).await;
        assert_eq!(read, Err(Refusal::TooSlow));
        assert!(took < GRACE + 2 * SECOND, "a tenth of the rate earns a tenth of the time: {took:?}");
        let (read, _) = outcome(pieces(14, KIB, SECOND, true)).await;
        assert_eq!(read, Ok(14 * KIB));
        let (read, took) = outcome(pieces(4, 4 * KIB, 4 * SECOND, true)).await;
        assert_eq!((read, took), (Ok(16 * KIB), 12 * SECOND), "silence within the grace is nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_longer_than_the_whole_time() {
        let (read, took) = outcome(pieces(1_000, KIB, SECOND, true)).await;
        assert_eq!(read, Err(Refusal::TooSlow));
        assert!(took >= 15 * SECOND && took < 16 * SECOND, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_held_to_its_size_whether_it_announces_it_or_not() {
        let max = BOUNDS.bytes_max;
        assert_eq!(outcome(Full::from(vec![7; max])).await.0, Ok(max));
        assert_eq!(outcome(Full::from(vec![7; max + 1])).await.0, Err(BOUNDS.too_large()));
        assert_eq!(
            outcome(StreamBody::new(stream::iter([data(max), data(1)]))).await.0,
            Err(BOUNDS.too_large())
        );
        assert_eq!(outcome(StreamBody::new(stream::iter((0..1024).map(|_| data(KIB))))).await.0, Ok(max));
        assert_eq!(outcome(Full::<Bytes>::default()).await.0, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_as_bytes_come_and_given_back_before_the_rest_is_drained() {
        let room = Arc::new(Room::of(100 * KIB, 100 * KIB));
        let mut other = Share::of(&room, HERE);
        other.grow(50 * KIB).expect("room");
        let (seen, drained) = (Arc::clone(&room), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&drained);
        let pieces = StreamBody::new(stream::iter(0..6).map(move |_| {
            assert_eq!(seen.taken(), 50 * KIB, "of what cannot be held nothing is taken");
            count.fetch_add(1, Ordering::Relaxed);
            data(10 * KIB)
        }));
        let announced = Announced(60 * KIB as u64, pieces);
        let refused = read(announced, KIB, BOUNDS, Share::of(&room, HERE)).await.map(drop);
        assert_eq!((refused, room.taken()), (Err(Refusal::NoRoom), 50 * KIB));
        assert_eq!(drained.load(Ordering::Relaxed), 6, "its sender can write it to the end");
        let seen = Arc::clone(&room);
        let endless = stream::iter(0..).map(move |n| {
            // The fifth piece is one too many; those after it are drained.
            let in_hand = [0, 10, 20, 40, 40].get(n).map_or(0, |read| read + 1);
            assert_eq!(seen.taken(), (50 + in_hand) * KIB, "before piece {n}");
            data(10 * KIB)
        });
        let refused = read(StreamBody::new(endless), KIB, BOUNDS, Share::of(&room, HERE)).await.map(drop);
        assert_eq!((refused, room.taken()), (Err(Refusal::NoRoom), 50 * KIB));
        let whole = || Full::from(vec![7; 60 * KIB]);
        let refused = read(whole(), 51 * KIB, BOUNDS, Share::of(&room, HERE)).await.map(drop);
        let is_as_before = room.taken() == 50 * KIB;
        assert!(refused == Err(Refusal::NoRoom) && is_as_before, "there is no room for its head");
        drop(other);
        assert!(read(whole(), KIB, BOUNDS, Share::of(&room, HERE)).await.is_ok());
    }
}
