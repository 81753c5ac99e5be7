//! What an exchange with an endpoint means.

use egress::{Exchange, FailureKind, Phase, retry_after};
use model::endpoint::Format;
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

/// Reads an exchange. Only a 2xx whose body was read counts, of a client's webhook only 200; a redirect is a failure like any
/// other.
pub fn classify(exchange: &Exchange, format: Format, now: Timestamp) -> Verdict {
    let is_client = format == Format::Client;
    let retry = |after, cause| Outcome::Retry { after, cause };
    match &exchange.result {
        Ok(answer) if answer.status == 200 || !is_client && (201..300).contains(&answer.status) => {
            match &answer.cut {
                None => Verdict { outcome: Outcome::Done, endpoint: Health::Works },
                Some(cut) => Verdict {
                    outcome: retry(
                        None,
                        format!("answered {} but its body broke off: {}", answer.status, cut.words),
                    ),
                    endpoint: Health::Fails,
                },
            }
        }
        Ok(answer) if answer.status == 410 && !is_client => Verdict {
            outcome: retry(None, "answered 410: the endpoint is gone and was disabled".to_owned()),
            endpoint: Health::Gone,
        },
        Ok(answer) => Verdict {
            outcome: retry(retry_after(&answer.headers, now), format!("answered {}", answer.status)),
            endpoint: Health::Fails,
        },
        Err(failure) => Verdict {
            outcome: retry(None, failure.words.clone()),
            endpoint: match failure.kind {
                // A name that cannot be resolved may be our own network's fault; what our guard refuses is our rule; and how
                // many connections we have is our affair.
                FailureKind::Resolve
                | FailureKind::Exhausted
                | FailureKind::NotAllowed
                | FailureKind::Timeout { phase: Phase::Resolve } => Health::Unclear,
                _ => Health::Fails,
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use egress::{Answer, Failure};
    use http::{HeaderMap, HeaderValue};
    use model::delivery::Phases;
    use std::time::Duration;

    fn answered(status: u16, retry_after: Option<&'static str>, cut: bool) -> Exchange {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|value| (http::header::RETRY_AFTER, HeaderValue::from_static(value))));
        let cut = cut.then(|| failed(FailureKind::Closed));
        let answer = Answer { status, headers, body: Bytes::new(), truncated: false, cut };
        Exchange { phases: Phases::default(), peer: None, result: Ok(answer) }
    }

    fn failed(kind: FailureKind) -> Failure {
        Failure { kind, may_have_arrived: true, words: "it broke off".to_owned() }
    }

    fn verdict(exchange: &Exchange) -> (bool, Health) {
        let verdict = classify(exchange, Format::Standard, Timestamp::from_secs(0));
        (verdict.outcome == Outcome::Done, verdict.endpoint)
    }

    #[test]
    fn only_a_2xx_that_was_read_completely_counts() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(verdict(&answered(status, None, false)), (true, Health::Works), "{status}");
            assert_eq!(verdict(&answered(status, None, true)), (false, Health::Fails), "{status} cut");
        }
        for status in [300, 301, 302, 307, 400, 401, 404, 429, 500, 503] {
            assert_eq!(verdict(&answered(status, None, false)), (false, Health::Fails), "{status}");
        }
        assert_eq!(verdict(&answered(410, None, false)), (false, Health::Gone));
    }

    #[test]
    fn a_clients_webhook_takes_with_200_alone() {
        for (status, is_taken) in [(200, true), (201, false), (204, false), (410, false), (500, false)] {
            let verdict = classify(&answered(status, None, false), Format::Client, Timestamp::from_secs(0));
            assert_eq!(verdict.outcome == Outcome::Done, is_taken, "{status}");
            assert_ne!(verdict.endpoint, Health::Gone, "{status}");
        }
    }

    #[test]
    fn what_the_receiver_asks_for_is_passed_on() {
        let outcome =
            classify(&answered(503, Some("120"), false), Format::Standard, Timestamp::from_secs(0)).outcome;
        assert!(
            matches!(outcome, Outcome::Retry { after: Some(wait), .. } if wait == Duration::from_secs(120))
        );
    }

    #[test]
    fn a_name_that_cannot_be_resolved_may_be_our_own_fault() {
        let exchange = |kind| Exchange { phases: Phases::default(), peer: None, result: Err(failed(kind)) };
        assert_eq!(verdict(&exchange(FailureKind::Resolve)), (false, Health::Unclear));
        assert_eq!(verdict(&exchange(FailureKind::Exhausted)), (false, Health::Unclear));
        assert_eq!(verdict(&exchange(FailureKind::Connect)), (false, Health::Fails));
    }
}
