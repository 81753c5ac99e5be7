//! Signs deliveries as Standard Webhooks 1.0.0 says: HMAC-SHA256 over `id.timestamp.body`, once for each active key.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::secret::{Key, Secret};
use model::time::Timestamp;

/// What a symmetric secret begins with.
pub const PREFIX: &str = "whsec_";

/// A secret of these random bytes, as it is shown to people.
pub fn fresh_secret(bytes: &[u8]) -> Secret {
    Secret::new(format!("{PREFIX}{}", BASE64.encode(bytes)))
}

/// The headers of one attempt. The id is the event's and the same in every attempt; the time is the attempt's.
pub fn headers(keys: &[Key], id: &str, now: Timestamp, body: &[u8]) -> Vec<(String, String)> {
    let timestamp = now.as_secs().to_string();
    let signatures: Vec<String> = keys
        .iter()
        .filter(|key| key.is_active(now))
        .map(|key| format!("v1,{}", sign(&key.secret, id, &timestamp, body)))
        .collect();
    vec![
        ("webhook-id".to_owned(), id.to_owned()),
        ("webhook-timestamp".to_owned(), timestamp),
        ("webhook-signature".to_owned(), signatures.join(" ")),
    ]
}

fn sign(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key_bytes(secret)));
    for piece in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(piece);
    }
    BASE64.encode(context.sign())
}

/// The key's bytes. A secret that is not base64 is used as it is, so that any text signs with itself.
fn key_bytes(secret: &Secret) -> Vec<u8> {
    let text = secret.expose();
    let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
    BASE64.decode(encoded).unwrap_or_else(|_| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

    fn signature(keys: &[Key], now: Timestamp) -> String {
        headers(keys, "msg_1", now, br#"{"type":"message.received"}"#)[2].1.clone()
    }

    #[test]
    fn the_vector_of_the_reference_is_met() {
        let keys = [Key::current(Secret::new(SECRET))];
        let now = Timestamp::from_secs(1_700_000_000);
        assert_eq!(signature(&keys, now), "v1,Des36p45N1wTJvr5hlIiGk/HwUW8cHCtGoRHmqMa3gM=");
    }

    #[test]
    fn a_retiring_key_signs_beside_the_current_one_until_it_has_retired() {
        let retiring = Key { secret: Secret::new("whsec_b2xk"), retires_at: Some(Timestamp::from_secs(10)) };
        let keys = [Key::current(Secret::new(SECRET)), retiring];
        assert_eq!(signature(&keys, Timestamp::from_secs(9)).split(' ').count(), 2);
        assert_eq!(signature(&keys, Timestamp::from_secs(10)).split(' ').count(), 1);
    }
}
