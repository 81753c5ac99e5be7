//! Proving a request by the scheme its source's settings name.

use model::receipt::Reason;
use model::source::{SecretRole, Source};

use super::challenge;
use super::settings::{Plan, Scheme, UrlToken};
use crate::http::Incoming;
use crate::proof::{self, Rejection, Unsigned, Verified};

/// Proves a request: a challenge by its own rule, everything else by the scheme.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    // Settings are checked when they are saved; should they be unreadable all the same, nothing is accepted.
    let plan = Plan::read(&source.settings).map_err(|_| Rejection(Reason::SecretNotConfigured))?;
    if let Some(proven) = challenge::prove(&plan.challenge, source, request) {
        return proven;
    }
    if !plan.methods.contains(&request.method) {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let credentials = source.secrets(SecretRole::Credential, request.received_at);
    match &plan.scheme {
        Scheme::Hmac(hmac) => hmac.verify(source, request),
        Scheme::Header { name, prefix } => {
            let shown = proof::proving_header(request, name)?;
            proof::by_token(request, shown.and_then(|value| value.strip_prefix(prefix)), credentials)
        }
        Scheme::UrlToken(UrlToken::Parameter(name)) => {
            proof::by_token(request, request.query_value(name).as_deref(), credentials)
        }
        Scheme::UrlToken(UrlToken::LastOfPath) => {
            proof::by_token(request, request.path.rsplit('/').next(), credentials)
        }
        Scheme::Authorization(credential) => credential.prove(source, request),
        Scheme::Unsigned => Ok(proof::by_nothing(request, Unsigned::SettingSaysSo)),
    }
}
