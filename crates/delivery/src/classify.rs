//! What an exchange with an endpoint means.

use egress::{Exchange, FailureKind, retry_after};
use model::retry::Outcome;
use model::time::Timestamp;

/// What an exchange came to, for the delivery and for the endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// For the delivery.
    pub outcome: Outcome,
    /// For the endpoint.
    pub endpoint: Health,
}

/// What an exchange says about the endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It works.
    Works,
    /// It fails.
    Fails,
    /// It says that it is gone for good (410).
    Gone,
    /// Nothing: the fault may be ours.
    Unclear,
}

/// Reads an exchange. Only a 2xx whose body was read counts; a redirect is a failure like any other.
pub fn classify(exchange: &Exchange, now: Timestamp) -> Verdict {
    let retry = |after, cause| Outcome::Retry { after, cause };
    match &exchange.result {
        Ok(answer) if (200..300).contains(&answer.status) => match &answer.cut {
            None => Verdict { outcome: Outcome::Done, endpoint: Health::Works },
            Some(cut) => Verdict {
                outcome: retry(
                    None,
                    format!("answered {} but its body broke off: {}", answer.status, cut.words),
                ),
                endpoint: Health::Fails,
            },
        },
        Ok(answer) if answer.status == 410 => Verdict {
            outcome: retry(None, "answered 410: the endpoint is gone and was disabled".to_owned()),
            endpoint: Health::Gone,
        },
        Ok(answer) => Verdict {
            outcome: retry(retry_after(&answer.headers, now), format!("answered {}", answer.status)),
            endpoint: Health::Fails,
        },
        Err(failure) => Verdict {
            outcome: retry(None, failure.words.clone()),
            // A name that cannot be resolved may be our own network's fault.
            endpoint: if failure.kind == FailureKind::Resolve { Health::Unclear } else { Health::Fails },
        },
    }
}
