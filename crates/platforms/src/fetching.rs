//! How the file of a message is fetched (platforms.md, part (g) of each section).

use http::Uri;
use model::message::Media;
use model::retry::Outcome;

use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{self, unsupported};
use crate::platform::{Sender, Unsupported};

/// How a file is fetched.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// The answer to the call is the file.
    File(Call),
    /// The answer to the call says where the file is.
    Place {
        /// The call.
        ask: Call,
        /// The call for the file itself, as the answer says it; or why there is none.
        read: fn(&Sender<'_>, &Answer) -> Result<Call, Outcome>,
    },
}

/// What the status of an answer means, where the file was expected or where it is.
pub fn outcome(status: u16, retry_after_secs: Option<u64>) -> Outcome {
    let after = retry_after_secs.map(std::time::Duration::from_secs);
    match status {
        200 | 203 => Outcome::Done,
        // Accepted: it is being made ready.
        202 => Outcome::Retry { after, cause: "the platform is not ready with the file yet".to_owned() },
        // A token may be put right, and a place that has expired is asked for anew.
        401 | 403 => {
            Outcome::Retry { after, cause: format!("HTTP {status}: the platform refuses our credential") }
        }
        408 | 425 | 429 | 500.. => Outcome::Retry { after, cause: format!("HTTP {status}") },
        404 | 410 => Outcome::Refused(format!("HTTP {status}: the platform does not have the file any more")),
        _ => Outcome::Refused(format!("HTTP {status}")),
    }
}

/// The file at the URL that the platform gave, which needs no credential.
pub(crate) fn direct(media: &Media) -> Result<Fetch, Unsupported> {
    at(media, &[]).map(Fetch::File)
}

/// A call for the URL that the platform gave, with headers.
pub(crate) fn at(media: &Media, headers: &[(&str, String)]) -> Result<Call, Unsupported> {
    let url = media.url.as_deref().filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| unsupported("the platform does not say where the file is"))?;
    Ok(Call::get(url.to_owned(), headers))
}

/// The same, with headers that hold a credential: only a host of the platform's own is shown them. `own` are names of hosts,
/// whose subdomains count; and the host of `api_base` is the platform's, whatever it is.
pub(crate) fn shown(
    media: &Media,
    headers: &[(&str, String)],
    own: &[&str],
    api_base: &str,
) -> Result<Call, Unsupported> {
    let url = media.url.as_deref().unwrap_or_default();
    at(media, if is_own(url, own, api_base) { headers } else { &[] })
}

/// Whether a URL is on a host of the platform's own.
pub(crate) fn is_own(url: &str, own: &[&str], api_base: &str) -> bool {
    let (Ok(url), Ok(api)) = (url.parse::<Uri>(), api_base.parse::<Uri>()) else { return false };
    let is_api = url.authority() == api.authority() && url.scheme() == api.scheme();
    let host = url.host().unwrap_or_default();
    let is_below =
        |name: &&str| host == *name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    is_api || (url.scheme_str() == Some("https") && own.iter().any(is_below))
}

/// The member of an answer that says where the file is.
pub(crate) fn place(answer: &Answer, member: &str) -> Result<String, Outcome> {
    let words = || Outcome::Refused(format!("the platform's answer has no \"{member}\""));
    match outcome(answer.status, answer.retry_after_secs) {
        Outcome::Done => {
            json::object(&answer.body).ok().and_then(|told| told.string(member)).ok_or_else(words)
        }
        other => Err(other),
    }
}

/// Says why there is no call where an answer was read already.
pub(crate) fn refused(Unsupported(words): Unsupported) -> Outcome {
    Outcome::Refused(words)
}

/// The id of a file, as a part of a path.
pub(crate) fn id(media: &Media) -> Result<String, Unsupported> {
    let id = media.id.as_deref().filter(|id| !id.is_empty());
    id.map(outgoing::escaped).ok_or_else(|| unsupported("the platform does not name the file"))
}

#[cfg(test)]
mod tests;
