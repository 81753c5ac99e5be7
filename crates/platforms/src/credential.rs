//! What a sender shows in the `Authorization` header: a bearer token, a user and password, or a JWT.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::secret::Secret;
use model::source::{SecretRole, Source};

use crate::http::Incoming;
use crate::proof::{self, JwtAlgorithm, Rejection, Verified};
use crate::settings;

/// A kind of `Authorization` header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Credential {
    /// A fixed bearer token.
    Bearer,
    /// A user and a password; the secret is both, as `user:password`.
    Basic,
    /// A bearer token that is a JWT.
    Jwt(JwtAlgorithm),
}

impl Credential {
    /// Every kind, by its name in settings.
    pub(crate) const CHOICES: [(&'static str, Credential); 4] = [
        ("bearer", Credential::Bearer),
        ("basic", Credential::Basic),
        ("jwt_hs256", Credential::Jwt(JwtAlgorithm::Hs256)),
        ("jwt_rs256", Credential::Jwt(JwtAlgorithm::Rs256)),
    ];

    /// Says what is wrong with the source's secrets for this kind.
    pub(crate) fn check(self, source: &Source) -> Result<(), String> {
        let what = match self {
            Credential::Bearer => "the bearer token the sender shows",
            Credential::Basic => "the user and password the sender shows, as user:password",
            Credential::Jwt(JwtAlgorithm::Hs256) => "the key the sender's JWT is signed with",
            Credential::Jwt(JwtAlgorithm::Rs256) => "the sender's RSA public key in PEM",
        };
        settings::secret_needed(source, SecretRole::Credential, what)?;
        let mut secrets = source.secrets.iter().filter(|held| held.role == SecretRole::Credential);
        match secrets.all(|held| self.takes(&held.key.secret)) {
            true => Ok(()),
            false => Err(format!("a secret with role \"credential\" cannot be read: enter {what}")),
        }
    }

    fn takes(self, secret: &Secret) -> bool {
        match self {
            Credential::Bearer => true,
            Credential::Basic => secret.expose().contains(':'),
            Credential::Jwt(algorithm) => algorithm.takes(secret),
        }
    }

    /// Proves a request by its `Authorization` header.
    pub(crate) fn prove<'r>(self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        let secrets = source.secrets(SecretRole::Credential, request.received_at);
        match self {
            Credential::Bearer => proof::by_token(request, proof::bearer_token(request)?, secrets),
            Credential::Basic => {
                proof::by_token(request, proof::basic_credential(request)?.as_deref(), secrets)
            }
            Credential::Jwt(algorithm) => {
                proof::by_jwt(request, proof::bearer_token(request)?, algorithm, secrets)
            }
        }
    }

    /// The header that shows a key in this way; a JWT is never made on behalf of a sender.
    pub(crate) fn shown(self, key: &Secret) -> Option<(String, String)> {
        let value = match self {
            Credential::Bearer => format!("Bearer {}", key.expose()),
            Credential::Basic => format!("Basic {}", BASE64.encode(key.expose())),
            Credential::Jwt(_) => return None,
        };
        Some(("authorization".to_owned(), value))
    }
}

#[cfg(test)]
mod tests;
