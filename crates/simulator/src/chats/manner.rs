//! How every platform behaves towards the gateway: what can be made to go wrong with webhooks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How webhooks are sent; well at first.
#[derive(Default)]
pub(super) struct Manner {
    doubles: AtomicBool,
    lies: AtomicBool,
    is_early: AtomicBool,
    is_backwards: AtomicBool,
    answer_delay_ms: AtomicU64,
}

impl Manner {
    /// Whether every webhook is sent twice, both at the same time.
    pub(super) fn doubles(&self) -> bool {
        self.doubles.load(Ordering::Relaxed)
    }

    pub(super) fn set_doubles(&self, on: bool) {
        self.doubles.store(on, Ordering::Relaxed);
    }

    /// Whether webhooks are proven with a secret that is not the source's.
    pub(super) fn lies(&self) -> bool {
        self.lies.load(Ordering::Relaxed)
    }

    pub(super) fn set_lies(&self, on: bool) {
        self.lies.store(on, Ordering::Relaxed);
    }

    /// Whether a call is answered only after its statuses have been acknowledged or dropped.
    pub(super) fn is_early(&self) -> bool {
        self.is_early.load(Ordering::Relaxed)
    }

    pub(super) fn set_early(&self, on: bool) {
        self.is_early.store(on, Ordering::Relaxed);
    }

    /// Whether the last status of a message comes first.
    pub(super) fn is_backwards(&self) -> bool {
        self.is_backwards.load(Ordering::Relaxed)
    }

    pub(super) fn set_backwards(&self, on: bool) {
        self.is_backwards.store(on, Ordering::Relaxed);
    }

    /// How long a call waits for its answer once it was taken.
    pub(super) fn answer_delay(&self) -> Duration {
        Duration::from_millis(self.answer_delay_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_answer_delay(&self, delay: Duration) {
        self.answer_delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
