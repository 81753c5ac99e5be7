//! Telegram's proof: the secret token that the webhook was set with, in a header of its own.

use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};

use crate::http::Incoming;
use crate::platform::ToSign;
use crate::proof::{self, Rejection, Verified};
use crate::settings;

const HEADER: &str = "x-telegram-bot-api-secret-token";
/// The longest secret token, in characters.
const TOKEN_MAX: usize = 256;

/// Says what is wrong with the secrets.
pub(super) fn check(source: &Source) -> Result<(), String> {
    let what = "the secret_token of setWebhook";
    settings::secret_needed(source, SecretRole::Credential, what)?;
    let mut tokens = source.secrets.iter().filter(|held| held.role == SecretRole::Credential);
    match tokens.all(|held| is_token(held.key.secret.expose())) {
        true => Ok(()),
        false => Err(format!("{what} has 1 to {TOKEN_MAX} characters of A-Z, a-z, 0-9, _ and -")),
    }
}

fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=TOKEN_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// Proves a POST by its token.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if request.method != Method::POST {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let shown = proof::proving_header(request, HEADER)?;
    proof::by_token(request, shown, source.secrets(SecretRole::Credential, request.received_at))
}

/// The header with the current key.
pub(super) fn sign(what: &ToSign<'_>) -> Vec<(String, String)> {
    what.key().map(|key| (HEADER.to_owned(), key.expose().to_owned())).into_iter().collect()
}
