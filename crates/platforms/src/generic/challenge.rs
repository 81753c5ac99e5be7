//! Challenges: a sender's check that the URL is ours, answered by saying back what it sent.

use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};

use super::settings::{Challenge, QueryProof};
use crate::http::{Incoming, Reply};
use crate::pointer;
use crate::proof::{self, Rejection, Unsigned, Verified};

/// The proof of a GET challenge; `None` when the request is none.
pub(super) fn prove<'r>(
    challenge: &Challenge<'_>,
    source: &Source,
    request: &'r Incoming,
) -> Option<Result<Verified<'r>, Rejection>> {
    asked(challenge, request)?;
    let (_, proof) = challenge.query?;
    Some(match proof {
        QueryProof::Open => Ok(proof::by_nothing(request, Unsigned::ChallengeOpen)),
        QueryProof::Token(name) => {
            let tokens = source.secrets(SecretRole::VerifyToken, request.received_at);
            proof::by_token(request, request.query_value(name).as_deref(), tokens).map_err(|refused| {
                match refused {
                    Rejection(Reason::SecretNotConfigured) => refused,
                    Rejection(_) => Rejection(Reason::VerifyTokenWrong),
                }
            })
        }
    })
}

/// The answer to a proven challenge; `None` when the request is an event.
pub(super) fn answer(challenge: &Challenge<'_>, request: &Incoming) -> Option<Reply> {
    if let Some(asked) = asked(challenge, request) {
        return Some(Reply::text(asked));
    }
    let field = challenge.json_field?;
    let document = pointer::document(&request.body).ok()?;
    let pointer = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
    let asked = pointer::plain_at(document, &pointer)?;
    Some(Reply::json(serde_json::json!({ field: asked }).to_string()))
}

fn asked(challenge: &Challenge<'_>, request: &Incoming) -> Option<String> {
    let (parameter, _) = challenge.query?;
    if request.method != Method::GET {
        return None;
    }
    request.query_value(parameter)
}
