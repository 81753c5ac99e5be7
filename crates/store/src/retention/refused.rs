//! Requests that were refused can be sent by anybody: only so many of them are kept, and so many bytes, the same share
//! for each source (ADR 12).

use std::collections::HashMap;
use std::time::Duration;

use model::time::Timestamp;

use super::{DELETE_BODY, DELETE_RECEIPT, Keep, STEP_ROWS, mark, set_mark};
use crate::db::Tx;
use crate::error::Error;
use crate::value::{Row, Value};

/// How often they are looked at: each look reads every one of them.
const INTERVAL: Duration = Duration::from_secs(60);
/// When they were looked at last.
const MARK: &str = "retention.refused";

/// The newest that were rejected. What brought an event is none, nor is what a source has acknowledged and keeps in
/// quarantine.
pub(super) const REJECTED: &str =
    "SELECT r.id, r.source, r.body_bytes, (SELECT 1 FROM bodies b WHERE b.id = r.id)
    FROM receipts r WHERE r.state = 3 AND r.state > 0 AND r.items_new = 0 ORDER BY r.id DESC LIMIT ?1";
/// The newest that no source has asked for.
pub(super) const OF_NO_SOURCE: &str =
    "SELECT r.id, r.source, r.body_bytes, (SELECT 1 FROM bodies b WHERE b.id = r.id)
    FROM receipts r WHERE r.source IS NULL AND r.items_new = 0 ORDER BY r.id DESC LIMIT ?1";

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Refused {
    id: i64,
    source: Option<i64>,
    /// How long its body is, where that is kept.
    body_bytes: Option<u64>,
}

/// Removes those that are too many, and the bodies of those that are too large together; says how many rows went.
pub(super) async fn step(tx: &mut Tx, keep: Keep, now: Timestamp) -> Result<u64, Error> {
    let last = Timestamp::from_millis(mark(tx, MARK).await?);
    if last <= now && now < last.plus(INTERVAL) {
        return Ok(0);
    }
    let mut refused = Vec::new();
    // What lies behind twice as many comes into sight when the newer ones have gone.
    let newest = [Value::Int(2 * i64::from(keep.refused_max))];
    for sql in [REJECTED, OF_NO_SOURCE] {
        for row in tx.fetch_all(sql, &newest).await? {
            refused.push(read(&row)?);
        }
    }
    let mut receipts = over(&refused, u64::from(keep.refused_max), |_| Some(1));
    let mut bodies = over(&refused, keep.refused_bytes_max, |one| one.body_bytes);
    if receipts.len().max(bodies.len()) <= STEP_ROWS as usize {
        set_mark(tx, MARK, now.as_millis()).await?;
    }
    for over in [&mut receipts, &mut bodies] {
        over.sort_unstable();
        over.truncate(STEP_ROWS as usize);
    }
    bodies.retain(|id| receipts.binary_search(id).is_err());
    let (receipts, bodies) = (lists(&receipts), lists(&bodies));
    tx.execute_many(DELETE_BODY, &receipts).await?;
    tx.execute_many(DELETE_RECEIPT, &receipts).await?;
    tx.execute_many(DELETE_BODY, &bodies).await?;
    Ok((receipts.len() + bodies.len()) as u64)
}

fn read(row: &Row) -> Result<Refused, Error> {
    let body_bytes = row.opt_int(3)?.map(|_| row.int(2)).transpose()?;
    Ok(Refused {
        id: row.int(0)?,
        source: row.opt_int(1)?,
        body_bytes: body_bytes.map(|bytes| u64::try_from(bytes).unwrap_or(0)),
    })
}

fn lists(ids: &[i64]) -> Vec<Vec<Value>> {
    ids.iter().map(|id| vec![Value::Int(*id)]).collect()
}

/// The ids of those beyond the share of their source, the oldest of it. They come newest first within a source.
fn over(refused: &[Refused], max: u64, weight: impl Fn(&Refused) -> Option<u64>) -> Vec<i64> {
    let weighed = || refused.iter().filter_map(|one| Some((one, weight(one)?)));
    let mut sums: HashMap<Option<i64>, u64> = HashMap::new();
    for (one, weight) in weighed() {
        *sums.entry(one.source).or_default() += weight;
    }
    let share = fair_share(sums.values().copied().collect(), max);
    let mut kept: HashMap<Option<i64>, u64> = HashMap::new();
    let is_over = |(one, weight): (&Refused, u64)| {
        let kept = kept.entry(one.source).or_default();
        *kept += weight;
        (*kept > share).then_some(one.id)
    };
    weighed().filter_map(is_over).collect()
}

/// The most that each may have so that all of them together have no more than `max`: who has less leaves the rest to
/// the others.
fn fair_share(mut sums: Vec<u64>, max: u64) -> u64 {
    sums.sort_unstable();
    let (mut left, count) = (max, sums.len());
    for (at, sum) in sums.into_iter().enumerate() {
        let share = left / (count - at) as u64;
        if sum > share {
            return share;
        }
        left -= sum;
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_has_less_than_a_share_keeps_all_and_leaves_the_rest_to_the_others() {
        assert_eq!(fair_share(vec![10, 2, 100], 40), 28);
        assert_eq!(fair_share(vec![10, 2, 28], 40), u64::MAX);
        assert_eq!(fair_share(vec![50, 50], 41), 20);
        assert_eq!(fair_share(vec![], 0), u64::MAX);
    }

    proptest! {
        #[test]
        fn all_shares_together_are_within_the_bound_and_nobody_is_cut_while_there_is_room(
            sums in prop::collection::vec(0_u64..1_000, 1..20), max in 0_u64..10_000,
        ) {
            let share = fair_share(sums.clone(), max);
            let kept = |share: u64| sums.iter().map(|sum| *sum.min(&share)).sum::<u64>();
            prop_assert!(kept(share) <= max);
            prop_assert!(share == u64::MAX || kept(share + 1) > max);
        }
    }
}
