//! When an account may send, and to whom: the platform's own limits, kept by us so that they are not hit.

use model::id::AccountId;
use model::pace::Pacing;
use platforms::platform::Pace;
use platforms::registry;
use store::routing::Routing;
use store::sends::SendPacing;

/// How fast an account may send; `None` where its platform sets no limit, or it was removed.
pub fn of_account(routing: &Routing, account: AccountId) -> Option<SendPacing> {
    let source = routing.source(routing.account_by_id(account)?.source)?;
    registry::find(&source.platform)?.pace(source).map(pacing)
}

fn pacing(pace: Pace) -> SendPacing {
    // Where one contact may get as much as the account may send, there is nothing to count for each contact.
    let is_pair_slower = pace.pair_interval > pace.account_interval || pace.pair_burst < pace.account_burst;
    SendPacing {
        account: Pacing::new(pace.account_interval, pace.account_burst),
        line: is_pair_slower.then(|| Pacing::new(pace.pair_interval, pace.pair_burst)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn contacts_are_counted_only_where_the_platform_limits_them() {
        let (short, long) = (Duration::from_millis(100), Duration::from_secs(6));
        let even = Pace { account_interval: short, account_burst: 2, pair_interval: short, pair_burst: 2 };
        assert_eq!(pacing(even).line, None);
        assert_eq!(pacing(Pace { pair_burst: 1, ..even }).line, Some(Pacing::new(short, 1)));
        let slower = Pace { pair_interval: long, pair_burst: 45, ..even };
        let expected = SendPacing { account: Pacing::new(short, 2), line: Some(Pacing::new(long, 45)) };
        assert_eq!(pacing(slower), expected);
    }
}
