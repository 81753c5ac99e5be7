//! What an answer of the Send API means (platforms.md section 7).

use std::time::Duration;

use model::retry::Outcome;

use crate::http::Answer;
use crate::json::{self, Object};
use crate::platform::Interpreted;

/// The longest words of a platform that are kept, in characters.
const WORDS_MAX: usize = 400;
/// Codes after which the same call may work.
const PASSING: [i64; 8] = [1, 2, 4, 32, 341, 613, 1200, 80006];
/// Codes that say that the account's token or rights are not what they must be.
const OF_THE_ACCOUNT: [i64; 4] = [3, 102, 190, 368];

/// Reads an answer. There is no key that would stop a second message, so what may have been taken is not sent again.
pub(crate) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let error = body.as_ref().and_then(|body| body.object("error"));
    let code = error.as_ref().and_then(|error| error.text("code")?.parse::<i64>().ok());
    match (error, code, answer.status) {
        (Some(error), Some(code), status) => refused(answer, &error, code, status),
        (_, _, 200..=299) => taken(body.as_ref()),
        (_, _, status @ (408 | 429 | 503)) => {
            Interpreted::of(retry(answer, format!("HTTP {status} without a reason")))
        }
        (_, _, status @ 500..) => {
            Interpreted::of(Outcome::Unknown(format!("HTTP {status}: the message may have been taken")))
        }
        (_, _, status) => Interpreted::of(Outcome::Refused(format!("HTTP {status} without a reason"))),
    }
}

fn taken(body: Option<&Object<'_>>) -> Interpreted {
    let message_id = body.and_then(|body| body.string("message_id"));
    let is_shown = body.is_some_and(|body| body.get("recipient_id").is_some());
    let outcome = match message_id.is_some() || is_shown {
        true => Outcome::Done,
        false => {
            Outcome::Unknown("the answer names no message, so it may or may not have been taken".to_owned())
        }
    };
    Interpreted { message_id, ..Interpreted::of(outcome) }
}

fn refused(answer: &Answer, error: &Object<'_>, code: i64, status: u16) -> Interpreted {
    let message = error.string("message").unwrap_or_default();
    let subcode = error.string("error_subcode").map(|sub| format!("/{sub}")).unwrap_or_default();
    let words: String =
        format!("error {code}{subcode} (HTTP {status}) {message}").chars().take(WORDS_MAX).collect();
    let is_passing = PASSING.contains(&code) || status == 429 || status >= 500;
    let outcome = if is_passing { retry(answer, words) } else { Outcome::Refused(words) };
    Interpreted { account_stopped: OF_THE_ACCOUNT.contains(&code), ..Interpreted::of(outcome) }
}

fn retry(answer: &Answer, cause: String) -> Outcome {
    Outcome::Retry { after: answer.retry_after_secs.map(Duration::from_secs), cause }
}
