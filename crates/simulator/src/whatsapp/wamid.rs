//! Message ids as the platform's look, made of a seed and a counter.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

const PREFIX: &str = "wamid.";

/// Makes ids that never repeat for one seed.
pub(super) struct Wamids {
    seed: u64,
    made: AtomicU64,
}

impl Wamids {
    /// A maker whose ids are its own as long as nobody has the same seed.
    pub(super) fn of_seed(seed: u64) -> Wamids {
        Wamids { seed, made: AtomicU64::new(0) }
    }

    /// The next id.
    pub(super) fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = [self.seed.to_be_bytes(), number.to_be_bytes()].concat();
        format!("{PREFIX}{}", BASE64.encode(bytes))
    }

    /// The digits that a URL must echo.
    pub(super) fn challenge(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        self.seed.wrapping_add(number).to_string()
    }

    /// Whether an id was made here.
    pub(super) fn knows(&self, wamid: &str) -> bool {
        let bytes = wamid.strip_prefix(PREFIX).and_then(|text| BASE64.decode(text).ok());
        let Some((seed, number)) = bytes.as_deref().and_then(<[u8]>::split_first_chunk::<8>) else {
            return false;
        };
        let number = <[u8; 8]>::try_from(number).map_or(0, u64::from_be_bytes);
        let made = 1..=self.made.load(Ordering::Relaxed);
        u64::from_be_bytes(*seed) == self.seed && made.contains(&number)
    }
}
