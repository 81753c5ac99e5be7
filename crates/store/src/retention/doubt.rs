//! Whether things are as old as the clock says. A machine may start with a clock that is years ahead, and all it has looks
//! old then. So the latest time that was believed is kept, and a clock that is far ahead of it has to hold for a while.
//! One that is put right meanwhile has done no harm, and a gateway that was off for long goes on by itself.

use std::time::Duration;

use model::id::Id;
use model::time::Timestamp;

use super::{Keep, mark, set_mark};
use crate::db::Tx;
use crate::error::Error;
use crate::order;

/// How far ahead of the latest time that was believed a clock may be and is believed at once: a weekend off is no reason
/// to doubt it.
const AHEAD_MAX: Duration = Duration::from_secs(3 * 24 * 3600);
/// What may be believed at once however little is kept.
const AHEAD_MIN: Duration = Duration::from_secs(2 * 3600);
/// How long a clock has to hold that is further ahead: as long as it is ahead, and at most this.
const HOLD_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often the time that is believed is written down.
const NOTE_INTERVAL: Duration = Duration::from_secs(3600);

const BELIEVED: &str = "retention.believed";
const DOUBTED_UNTIL: &str = "retention.doubted_until";

/// A clock that is too far ahead to remove anything by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// The latest time that was believed, to about an hour.
    pub believed: Timestamp,
    /// Until when nothing is removed for its age, unless the clock is put right before.
    pub until: Timestamp,
}

/// The doubt there is about the clock, as of the last step.
pub(super) async fn get(tx: &mut Tx) -> Result<Option<Doubt>, Error> {
    let until = mark(tx, DOUBTED_UNTIL).await?;
    let believed = Timestamp::from_millis(mark(tx, BELIEVED).await?);
    Ok((until > 0).then_some(Doubt { believed, until: Timestamp::from_millis(until) }))
}

/// Whether things may be removed that are old by this clock.
pub(super) async fn is_believed(tx: &mut Tx, keep: Keep, now: Timestamp) -> Result<bool, Error> {
    let noted = mark(tx, BELIEVED).await?;
    let believed = if noted > 0 { Timestamp::from_millis(noted) } else { newest(tx).await?.unwrap_or(now) };
    let doubted_until = mark(tx, DOUBTED_UNTIL).await?;
    let ahead = now.since(believed);
    // Where little is kept, little time is much.
    let ahead_max = AHEAD_MAX.min(keep.bodies.min(keep.metadata) / 2).max(AHEAD_MIN);
    let hold = now.plus(ahead.min(HOLD_MAX)).as_millis();
    let until = if doubted_until > 0 { hold.min(doubted_until) } else { hold };
    if ahead > ahead_max && now.as_millis() < until {
        set_mark(tx, BELIEVED, believed.as_millis()).await?;
        set_mark(tx, DOUBTED_UNTIL, until).await?;
        return Ok(false);
    }
    if doubted_until > 0 {
        set_mark(tx, DOUBTED_UNTIL, 0).await?;
    }
    if noted == 0 || ahead > NOTE_INTERVAL {
        set_mark(tx, BELIEVED, believed.max(now).as_millis()).await?;
    }
    Ok(true)
}

/// When the newest of all that is stored was made.
async fn newest(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    Ok(order::last(tx).await?.map(|id| Id::<()>::from_raw(id).made_at()))
}
