//! Who asks: a bearer token, before anything else of the request is read. No cookies.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use control::{Action, Actor, Control};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::problem::{Code, Problem};
use crate::rates::{Budget, Rates};

/// What stands before a route.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) control: Control,
    pub(crate) rates: Arc<Rates>,
    pub(crate) action: Action,
    pub(crate) budget: Budget,
}

/// Lets a request pass whose token works, may do this, and has a turn; says how many turns are left.
pub(crate) async fn pass(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let network = request.extensions().get::<Asker>().map(|asker| asker.0);
    let caller = match guard.caller(request.headers(), network).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let now = guard.control.now();
    let (taken, left) = guard.rates.take(&caller.0, guard.budget, now);
    let mut response = match taken {
        Ok(()) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(at) => Problem::of(Code::TooMany).after(at.since(now)).into_response(),
    };
    left.tell(response.headers_mut());
    response
}

impl Guard {
    async fn caller(&self, headers: &HeaderMap, network: Option<IpAddr>) -> Result<Caller, Problem> {
        let unknown = || Problem::of(Code::Unauthenticated);
        let text = bearer(headers).ok_or_else(unknown)?;
        let now = self.control.now();
        let may_look = || self.rates.look(network, now).map_err(|at| at.since(now));
        let known = self.control.tokens().authenticate(text, may_look).await?;
        let actor = known.map_err(|wait| Problem::of(Code::TooMany).after(wait))?.ok_or_else(unknown)?;
        actor.must(self.action)?;
        Ok(Caller(actor))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The network a request comes from, as far as whoever takes it in knows: bounds what strangers may cost.
#[derive(Clone, Copy, Debug)]
pub struct Asker(pub IpAddr);

/// Whoever asks.
#[derive(Clone)]
pub(crate) struct Caller(pub(crate) Actor);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Caller, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or(Problem::of(Code::Unauthenticated))
    }
}
