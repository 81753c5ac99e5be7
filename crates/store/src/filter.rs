//! Filters over dedupe keys: which are surely new, at two bytes of memory a key.

use crate::digest::Fingerprint;
use crate::error::Error;

/// How many keys a filter is made for.
pub(crate) const KEYS: usize = 1 << 20;
/// How many 64-bit words it has: 16 bits a key.
const WORDS: usize = KEYS * 16 / 64;
/// How many bits stand for a key. One of 1,700 strangers has all of its set.
const BITS_PER_KEY: u64 = 8;

/// A set of keys that may take a stranger for one of its own, and never one of its own for a stranger.
pub(crate) struct Filter(Box<[u64]>);

impl Default for Filter {
    fn default() -> Filter {
        Filter(vec![0; WORDS].into())
    }
}

impl Filter {
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Filter, Error> {
        let (words, rest) = bytes.as_chunks::<8>();
        if words.len() != WORDS || !rest.is_empty() {
            return Err(Error::Corrupt("dedupe_filters.bits".to_owned()));
        }
        Ok(Filter(words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(crate) fn insert(&mut self, key: Fingerprint) {
        for (word, bit) in places(key) {
            self.0[word] |= bit;
        }
    }

    pub(crate) fn may_hold(&self, key: Fingerprint) -> bool {
        places(key).all(|(word, bit)| self.0[word] & bit != 0)
    }
}

/// Words and bits that stand for a key, whose halves are as good as random.
fn places(key: Fingerprint) -> impl Iterator<Item = (usize, u64)> {
    let (start, step) = (key.key1.cast_unsigned(), key.key2.cast_unsigned() | 1);
    (0..BITS_PER_KEY).map(move |n| {
        let place = start.wrapping_add(step.wrapping_mul(n)) >> 32;
        ((place as usize / 64) % WORDS, 1 << (place % 64))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key whose halves are as good as random.
    pub(crate) fn key(n: u64) -> Fingerprint {
        let mix = |n: u64| {
            let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (n ^ (n >> 31)).cast_signed()
        };
        Fingerprint { key1: mix(2 * n + 1), key2: mix(u64::MAX - n) }
    }

    #[test]
    fn a_filter_knows_its_own_and_few_strangers_also_after_it_was_written_and_read() {
        let keys = KEYS as u64;
        let mut filter = Filter::default();
        (0..keys).for_each(|n| filter.insert(key(n)));
        let filter = Filter::of_bytes(&filter.to_bytes()).expect("its own bytes");
        assert!((0..keys).step_by(97).all(|n| filter.may_hold(key(n))));
        let strangers = (keys..keys + 100_000).filter(|n| filter.may_hold(key(*n))).count();
        assert!(strangers < 120, "{strangers} of 100,000");
    }

    #[test]
    fn bytes_that_are_no_filter_are_refused() {
        assert!(Filter::of_bytes(&[0; 12]).is_err());
    }
}
