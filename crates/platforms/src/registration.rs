//! How a platform is told where to call, and asked where it calls (platforms.md, part (a) of each section).

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::secret::Secret;
use model::source::{SecretRole, Source};
use model::time::Timestamp;
use serde_json::Value;

use crate::http::{Answer, Call};
use crate::json::{self, Object};
use crate::outgoing;
use crate::platform::Unsupported;

/// The most accounts of one source that are registered one by one.
pub const ACCOUNTS_MAX: usize = 100;

/// What is to be registered: our URL for a source, and for each of its accounts where the platform has one for each.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'w> {
    /// The source whose secrets and settings are used.
    pub source: &'w Source,
    /// The platform's own names for the accounts on it.
    pub accounts: &'w [&'w str],
    /// Where the platform is to call: https, without a query.
    pub url: &'w str,
    /// The present, for secrets that retire.
    pub now: Timestamp,
}

impl<'w> Wanted<'w> {
    /// The newest secret of a role, or what to do when there is none.
    pub(crate) fn secret(&self, role: SecretRole) -> Result<&'w str, Unsupported> {
        let secret = self.newest(role).map(Secret::expose).filter(|text| !text.is_empty());
        secret.ok_or_else(|| Unsupported(format!("add a secret with role \"{}\" first", role.as_str())))
    }

    /// The newest secret of a role, where there is one.
    pub(crate) fn newest(&self, role: SecretRole) -> Option<&'w Secret> {
        self.source.secrets(role, self.now).next()
    }

    /// The accounts, or what to do when there are none, or too many.
    pub(crate) fn some_accounts(&self) -> Result<&'w [&'w str], Unsupported> {
        match self.accounts.len() {
            0 => Err(outgoing::unsupported("name an account of the source first: POST /v1/accounts")),
            1..=ACCOUNTS_MAX => Ok(self.accounts),
            count => Err(Unsupported(format!(
                "the source has {count} accounts and {ACCOUNTS_MAX} can be registered one by one: register the app as a whole"
            ))),
        }
    }
}

/// One thing to register: how to ask what the platform has, and how to make it ours.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is, for people: `the webhook of the bot`.
    pub what: String,
    /// How to ask; `None` where the platform's API does not tell.
    pub look: Option<Look>,
    /// The call that makes it ours. Making it ours twice is the same as once.
    pub set: Call,
    /// What the answer to that call means.
    pub read: fn(&Answer) -> Outcome,
}

/// How to ask what the platform has.
#[derive(Clone, Debug)]
pub struct Look {
    /// The call.
    pub call: Call,
    /// What is found where all is well: our URL, or the id of our app.
    pub ours: String,
    /// What the answer says of that.
    pub read: fn(&Answer, ours: &str) -> Found,
}

/// What a platform has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// What we want.
    Ours,
    /// Something else, in words.
    Other(String),
    /// Nobody knows: the platform did not say, in words.
    Unclear(String),
}

impl Found {
    /// Reads a URL that the platform has, or none. A query may hold a secret of somebody's and is not told.
    pub(crate) fn url(has: Option<&str>, ours: &str) -> Found {
        match has.filter(|url| !url.is_empty()) {
            None => Found::Other("the platform has no URL".to_owned()),
            Some(url) if url == ours => Found::Ours,
            Some(url) => {
                let shown = url.split(['?', '#']).next().unwrap_or_default();
                Found::Other(outgoing::cause(&format!("the platform calls {shown}")))
            }
        }
    }

    /// What an answer that is not as expected says.
    pub(crate) fn unclear(answer: &Answer, words: Option<&str>) -> Found {
        Found::Unclear(told(answer, words))
    }
}

/// What the answer to a call that registers means: done, or the platform's words, after which it may be tried again or not.
pub(crate) fn outcome(answer: &Answer, is_done: bool, words: Option<&str>) -> Outcome {
    let cause = || told(answer, words);
    match answer.status {
        _ if is_done => Outcome::Done,
        408 | 429 | 500.. => Outcome::Retry {
            after: answer.retry_after_secs.map(std::time::Duration::from_secs),
            cause: cause(),
        },
        _ => Outcome::Refused(cause()),
    }
}

fn told(answer: &Answer, words: Option<&str>) -> String {
    outgoing::cause(&format!("HTTP {}: {}", answer.status, words.unwrap_or("without a reason")))
}

/// The body of an answer of success, read as an object.
pub(crate) fn told_by(answer: &Answer) -> Option<Object<'_>> {
    json::object(&answer.body).ok()
}

/// A call with a JSON body.
pub(crate) fn send(method: Method, url: String, headers: &[(&str, String)], body: &Value) -> Call {
    let mut headers = Call::get(String::new(), headers).headers;
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    Call { method, url, headers, body: Bytes::from(body.to_string()) }
}

#[cfg(test)]
mod tests;
