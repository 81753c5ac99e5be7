//! How every platform behaves towards the gateway: what can be made to go wrong with webhooks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How webhooks are sent; well at first.
#[derive(Default)]
pub(super) struct Manner {
    /// Whether every webhook is sent twice, both at the same time.
    pub(super) doubles: Switch,
    /// Whether webhooks are proven with a secret that is not the source's.
    pub(super) lies: Switch,
    /// Whether a call is answered only after its statuses have been acknowledged or dropped.
    pub(super) is_early: Switch,
    /// Whether the last status of a message comes first.
    pub(super) is_backwards: Switch,
    answer_delay_ms: AtomicU64,
}

/// Something that is on or off.
#[derive(Default)]
pub(super) struct Switch(AtomicBool);

impl Switch {
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn turn(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

impl Manner {
    /// How long a call waits for its answer once it was taken.
    pub(super) fn answer_delay(&self) -> Duration {
        Duration::from_millis(self.answer_delay_ms.load(Ordering::Relaxed))
    }

    /// Has calls wait so long from now on.
    pub(super) fn answer_after(&self, delay: Duration) {
        self.answer_delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
