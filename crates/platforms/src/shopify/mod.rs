//! Shopify: webhooks of shops (platforms.md section 14).

#[cfg(test)]
mod tests;

use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::source::{SecretRole, Source};
use model::time::Timestamp;

use crate::header_mac::{Encoding, HeaderMac};
use crate::http::Incoming;
use crate::platform::{Platform, ToSign, Unreadable};
use crate::proof::{Hash, Rejection, Verified};
use crate::settings;

/// The name in the registry, and the prefix of its event types.
const KIND: &str = "shopify";
const SIGNATURE: HeaderMac =
    HeaderMac { name: "x-shopify-hmac-sha256", prefix: "", hash: Hash::Sha256, encoding: Encoding::Base64 };

/// The adapter of Shopify.
pub struct Shopify;

impl Platform for Shopify {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &[])?;
        settings::secret_needed(source, SecretRole::Signing, "the client secret of the app")
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        SIGNATURE.prove(source, request)
    }

    /// What happened stands in headers; the body is the thing it happened to. Retries have the same webhook id, an event
    /// id is shared by all topics of what a merchant did.
    fn parse(&self, _source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        let request = request.request();
        let header = |name| request.header(name).filter(|text| !text.is_empty());
        let topic = header("x-shopify-topic");
        let topic = topic.ok_or_else(|| Unreadable("the header X-Shopify-Topic is missing".to_owned()))?;
        let shop = header("x-shopify-shop-domain");
        let key = |id| DedupeKey::of(&[shop.unwrap_or_default(), id]);
        let happened = header("x-shopify-triggered-at").and_then(Timestamp::parse);
        Ok(vec![NewEvent {
            dedupe_key: header("x-shopify-webhook-id").map(key),
            account: shop.map(str::to_owned),
            ..NewEvent::of(
                EventType::from_foreign(KIND, topic),
                happened.unwrap_or(request.received_at),
                Content::Body,
            )
        }])
    }

    fn told_in(&self) -> &'static [&'static str] {
        &[
            "x-shopify-topic",
            "x-shopify-shop-domain",
            "x-shopify-webhook-id",
            "x-shopify-event-id",
            "x-shopify-triggered-at",
            "x-shopify-api-version",
        ]
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        SIGNATURE.sign(what)
    }
}
