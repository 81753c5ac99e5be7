//! Asks platforms where they call, and has them call our URL.

use std::time::Duration;

use egress::{Egress, Limits, Request, retry_after};
use model::retry::Outcome;
use model::source::Source;
use model::time::Clock;
use platforms::http::{Answer, Call};
use platforms::registration::{Found, Step};

/// How long one call may take. Viber calls our URL before it answers.
const DEADLINE: Duration = Duration::from_secs(20);

/// Makes the calls.
pub struct Registrar {
    egress: Egress,
    clock: Clock,
    /// Whether platforms may be called over plain http: for simulators on this machine.
    allow_http: bool,
}

impl Registrar {
    /// Over a way out.
    pub fn new(egress: Egress, clock: Clock, allow_http: bool) -> Registrar {
        Registrar { egress, clock, allow_http }
    }

    /// Asks what the platform has of a step.
    pub async fn look(&self, source: &Source, step: &Step) -> Found {
        let Some(look) = &step.look else {
            return Found::Unclear("this platform cannot be asked".to_owned());
        };
        match self.call(source, look.call.clone()).await {
            Ok(answer) => (look.read)(&answer, &look.ours),
            Err(words) => Found::Unclear(words),
        }
    }

    /// Registers the steps, in their order, up to the first that fails; says why, in words.
    pub async fn set(&self, source: &Source, steps: &[&Step]) -> Result<(), String> {
        for step in steps {
            let outcome = match self.call(source, step.set.clone()).await {
                Ok(answer) => (step.read)(&answer),
                Err(cause) => Outcome::Retry { after: None, cause },
            };
            if let Some(cause) = outcome.cause() {
                return Err(format!("{}: {cause}", step.what));
            }
        }
        Ok(())
    }

    async fn call(&self, source: &Source, call: Call) -> Result<Answer, String> {
        let request = Request {
            on_behalf_of: source.app,
            method: call.method,
            url: call.url,
            headers: call.headers,
            body: call.body,
            allow_http: self.allow_http,
        };
        let limits = Limits { deadline: DEADLINE, ..Limits::default() };
        let answer = self.egress.exchange(request, limits).await.result.map_err(|failure| failure.words)?;
        let retry_after_secs = retry_after(&answer.headers, self.clock.now()).map(|wait| wait.as_secs());
        Ok(Answer { status: answer.status, retry_after_secs, body: answer.body })
    }
}
