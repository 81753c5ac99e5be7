//! Where secrets and spread come from: passed in, so that tests know it.

use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A maker of random bytes. Cheap to clone.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// The machine's own.
    pub fn system() -> Random {
        let system = SystemRandom::new();
        Random::of(move |bytes| {
            system.fill(bytes).expect("the machine's generator is seeded before a process runs");
        })
    }

    /// One that fills bytes as told.
    pub fn of(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Random {
        Random(Arc::new(fill))
    }

    /// Fills bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }

    /// So many random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// So many random letters and digits, each as likely as any other.
    pub fn base62(&self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            let bytes: [u8; 64] = self.bytes();
            // A byte of 248 or more would make the first letters likelier: 248 is four times 62.
            let even = bytes
                .iter()
                .filter(|byte| **byte < 248)
                .map(|byte| char::from(BASE62[usize::from(*byte) % 62]));
            text.extend(even.take(length - text.len()));
        }
        text
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        f64::from(u32::from_be_bytes(self.bytes())) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A number as so many base62 digits, the last ones.
pub(crate) fn base62_of(number: u32, digits: u32) -> String {
    (0..digits)
        .rev()
        .map(|place| char::from(BASE62[(u64::from(number) / 62_u64.pow(place) % 62) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_text_has_its_length_and_only_letters_and_digits() {
        let text = Random::system().base62(100);
        assert_eq!(text.len(), 100);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_number_is_written_with_leading_zeros() {
        assert_eq!(base62_of(62, 6), "000010");
        assert_eq!(base62_of(u32::MAX, 6), "4gfFC3");
    }

    #[test]
    fn a_fraction_stays_below_one() {
        assert!(Random::of(|bytes| bytes.fill(0xff)).fraction() < 1.0);
    }
}
