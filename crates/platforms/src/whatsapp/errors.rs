//! Meta's error codes as one table, and what an answer to a send means (platforms.md 1.7).

use std::time::Duration;

use model::retry::Outcome;

use crate::http::Answer;
use crate::json::{self, Object};
use crate::platform::Interpreted;

const HOUR: Duration = Duration::from_secs(3600);
/// The longest words of a platform that are kept, in characters.
const WORDS_MAX: usize = 400;

/// What to do after an error code, whether it came as an answer or later with a `failed` status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Try again by the schedule, and not before this wait.
    Retry {
        /// The shortest wait that makes sense; zero leaves it to the schedule.
        after: Duration,
    },
    /// Try again, but not for this long: a limit has to pass.
    Later(Duration),
    /// Trying again cannot help; the caller must change the message.
    Never,
    /// The account itself is refused: nothing more should leave it until a person has looked.
    StopAccount,
}

/// What to do after a code of Meta's; `None` for codes that are not known.
pub fn action(code: i64) -> Option<Action> {
    let schedule = Action::Retry { after: Duration::ZERO };
    Some(match code {
        1 | 2 | 4 | 80007 | 130429 | 131000 | 131016 | 133004 => schedule,
        // Meta asks for 4^n seconds; the limit itself is a message in 6 s, and the schedule grows by itself.
        131056 => Action::Retry { after: Duration::from_secs(6) },
        131057 => Action::Retry { after: Duration::from_secs(60) },
        134101 => Action::Later(Duration::from_secs(600)),
        132069 => Action::Later(HOUR),
        131048 | 131064 => Action::Later(4 * HOUR),
        131049 => Action::Later(24 * HOUR),
        33 | 100 | 130472 | 130497 | 131008 | 131009 | 131021 | 131026 | 131030 | 131037 | 131045 => {
            Action::Never
        }
        131047 | 131050..=131053 | 131062 | 132000 | 132001 | 132005 | 132007 | 132008 => Action::Never,
        132012 | 132015 | 132016 | 132068 | 135000 | 137000 => Action::Never,
        0 | 3 | 10 | 190 | 200..=299 | 368 | 131005 | 131031 | 131042 | 133010 => Action::StopAccount,
        _ => return None,
    })
}

/// What an answer to a send means. An answer that may hide a message that was taken is never a retry, because
/// the platform has no key that would stop a second one.
pub(crate) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let error = body.as_ref().and_then(|body| body.object("error"));
    match (error.as_ref().and_then(code_of), answer.status) {
        (Some(code), status) => refused(answer, code, &words(code, error.as_ref(), status)),
        (None, 200..=299) => taken(body.as_ref()),
        (None, status) => interpreted(unreadable(answer, status)),
    }
}

fn taken(body: Option<&Object<'_>>) -> Interpreted {
    let messages = body.and_then(|body| body.items("messages")).unwrap_or_default();
    let first = messages.first().and_then(|message| Object::of(message));
    let message_id = first.and_then(|message| message.string("id"));
    let is_marked = body.is_some_and(|body| body.flag("success"));
    let outcome = match message_id.is_some() || is_marked {
        true => Outcome::Done,
        false => {
            Outcome::Unknown("the answer names no message, so it may or may not have been taken".to_owned())
        }
    };
    Interpreted { outcome, message_id, account_stopped: false }
}

fn code_of(error: &Object<'_>) -> Option<i64> {
    error.text("code")?.parse().ok()
}

fn refused(answer: &Answer, code: i64, words: &str) -> Interpreted {
    let cause = words.to_owned();
    let outcome = match action(code) {
        Some(Action::Retry { after }) => retry(answer, after, cause),
        Some(Action::Later(wait)) => retry(answer, wait, cause),
        Some(Action::Never | Action::StopAccount) => Outcome::Refused(cause),
        None if answer.status == 429 || answer.status >= 500 => retry(answer, Duration::ZERO, cause),
        None => Outcome::Refused(cause),
    };
    let account_stopped = action(code) == Some(Action::StopAccount);
    Interpreted { outcome, message_id: None, account_stopped }
}

/// A failure without an error of Meta's: something between us and Meta spoke.
fn unreadable(answer: &Answer, status: u16) -> Outcome {
    let cause = format!("HTTP {status} without an error that can be read");
    match status {
        // Whoever says these has not passed the request on.
        408 | 429 | 503 => retry(answer, Duration::ZERO, cause),
        // Whoever says these may have passed it on and lost the answer.
        500.. => Outcome::Unknown(format!("{cause}: the message may have been taken")),
        300..=399 => Outcome::Refused(format!("{cause}: correct the setting \"api_base\"")),
        _ => Outcome::Refused(cause),
    }
}

fn retry(answer: &Answer, own: Duration, cause: String) -> Outcome {
    let asked = answer.retry_after_secs.map(Duration::from_secs).unwrap_or_default();
    let after = Some(own.max(asked)).filter(|wait| !wait.is_zero());
    Outcome::Retry { after, cause }
}

fn words(code: i64, error: Option<&Object<'_>>, status: u16) -> String {
    let message = error.and_then(|error| error.string("message")).unwrap_or_default();
    let details = error
        .and_then(|error| error.object("error_data"))
        .and_then(|data| data.string("details"))
        .filter(|details| !message.contains(details.as_str()));
    let details = details.map(|details| format!(": {details}")).unwrap_or_default();
    format!("error {code} (HTTP {status}) {message}{details}").chars().take(WORDS_MAX).collect()
}

fn interpreted(outcome: Outcome) -> Interpreted {
    Interpreted { outcome, message_id: None, account_stopped: false }
}

#[cfg(test)]
mod tests;
