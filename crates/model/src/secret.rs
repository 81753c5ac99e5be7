//! Secrets that cannot be printed by accident, and their rotation.

use std::fmt;

use zeroize::Zeroize;

use crate::time::Timestamp;

/// A secret text. Its `Debug` form says nothing; the memory is cleared when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself; the name says that whoever calls it must be careful.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A secret and how long it is still good: current ones have no end, retiring ones do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The secret.
    pub secret: Secret,
    /// When it stops being accepted or used; `None` while it is current.
    pub retires_at: Option<Timestamp>,
}

impl Key {
    /// A current key.
    pub fn current(secret: Secret) -> Key {
        Key { secret, retires_at: None }
    }

    /// Whether it may still be used.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.retires_at.is_none_or(|end| now < end)
    }
}

/// Makes `fresh` the current key and lets the ones before it retire at `overlap_until`.
pub fn rotate(keys: &mut Vec<Key>, fresh: Secret, overlap_until: Timestamp, now: Timestamp) {
    keys.retain(|key| key.is_active(now));
    for key in keys.iter_mut() {
        key.retires_at = Some(key.retires_at.map_or(overlap_until, |end| end.min(overlap_until)));
    }
    keys.insert(0, Key::current(fresh));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(
            format!("{:?}", Key::current(Secret::new("hush"))),
            "Key { secret: ***, retires_at: None }"
        );
    }

    #[test]
    fn a_rotated_key_stays_good_until_the_overlap_ends() {
        let (now, end) = (Timestamp::from_secs(10), Timestamp::from_secs(20));
        let mut keys = vec![Key::current(Secret::new("old"))];
        rotate(&mut keys, Secret::new("new"), end, now);
        assert_eq!(keys[0].secret.expose(), "new");
        assert!(keys[1].is_active(Timestamp::from_secs(19)));
        assert!(!keys[1].is_active(end));
    }
}
