//! Answers already given: the same request under the same key is answered once.

use aws_lc_rs::digest::{SHA256, digest};
pub use store::access::Claim;

use crate::{Actor, Control, Error};

/// Answers already given.
pub struct Idempotency<'c>(&'c Control);

impl Control {
    /// Answers already given.
    pub fn idempotency(&self) -> Idempotency<'_> {
        Idempotency(self)
    }
}

impl Idempotency<'_> {
    /// Takes a key for the actor's token and a route, bound to the request's body.
    pub async fn claim(&self, actor: &Actor, route: &str, key: &str, body: &[u8]) -> Result<Claim, Error> {
        let mut first = [0; 8];
        first.copy_from_slice(&digest(&SHA256, body).as_ref()[..8]);
        Ok(self.0.store.access().claim_key(actor.caller(), route, key, i64::from_be_bytes(first)).await?)
    }

    /// Remembers the answer given under a key; `None` gives the key back, for requests that came to nothing.
    pub async fn answered(
        &self,
        actor: &Actor,
        route: &str,
        key: &str,
        answer: Option<String>,
    ) -> Result<(), Error> {
        Ok(self.0.store.access().answered(actor.caller(), route, key, answer).await?)
    }
}
