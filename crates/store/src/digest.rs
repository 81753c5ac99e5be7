//! Short fingerprints: of keys, so that a fixed width is indexed, and of bytes, so that a flipped bit is seen.

use aws_lc_rs::digest::{Context, SHA256};
use model::id::SourceId;
use twox_hash::XxHash3_64;

/// 128 bits that stand for a platform's own id on one source. Two different facts share them by chance once in
/// 2^64 events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Fingerprint {
    pub(crate) key1: i64,
    pub(crate) key2: i64,
}

/// The fingerprint of several parts; the first, of fixed width, keeps owners apart.
pub(crate) fn fingerprint(owner: i64, parts: &[&[u8]]) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    context.update(&owner.to_be_bytes());
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    Fingerprint { key1: eight(digest.as_ref(), 0), key2: eight(digest.as_ref(), 8) }
}

/// The number that keeps a line in order where there is no conversation: negative, so that it is never an id.
pub(crate) fn line_of(source: SourceId, order_key: &str) -> i64 {
    fingerprint(source.raw(), &[b"line", order_key.as_bytes()]).key1 | i64::MIN
}

/// The first 64 bits of the SHA-256 of some bytes: what a text is known by.
pub(crate) fn short_of(bytes: &[u8]) -> i64 {
    let digest = aws_lc_rs::digest::digest(&SHA256, bytes);
    eight(digest.as_ref(), 0)
}

/// A checksum of some bytes, by which damage is seen. Not a proof of anything: whoever can write here can write both.
pub(crate) fn check_of(bytes: &[u8]) -> i64 {
    XxHash3_64::oneshot(bytes).cast_signed()
}

/// Whether bytes still are what their checksum was made of; those that were stored first have a [`short_of`] for one.
pub(crate) fn is_intact(bytes: &[u8], check: i64) -> bool {
    check == check_of(bytes) || check == short_of(bytes)
}

fn eight(digest: &[u8], at: usize) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[at..at + 8]);
    i64::from_be_bytes(bytes)
}
