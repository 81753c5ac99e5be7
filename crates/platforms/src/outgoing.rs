//! What the senders of several platforms share: where an API is, what we show it, and refusals in words.

use std::time::Duration;

use http::Uri;
use model::retry::Outcome;
use model::send::OutgoingMedia;
use model::source::{SecretRole, Settings};

use crate::http::Answer;
use crate::platform::{Interpreted, Sender, Unsupported};
use crate::settings;

/// The most that is kept of a platform's own words about a refusal, in characters.
const WORDS_MAX: usize = 200;

/// Says what is wrong with `api_base`, an address without a query; `example` is one.
pub(crate) fn check_base(of: &Settings, example: &str) -> Result<(), String> {
    let base = settings::text(of, "api_base")?.unwrap_or(example);
    let is_web = base.starts_with("https://") || base.starts_with("http://");
    match is_web && base.parse::<Uri>().is_ok_and(|uri| uri.query().is_none()) {
        true => Ok(()),
        false => Err(format!("setting \"api_base\" must be the address of the API, such as {example}")),
    }
}

/// Where the API is, without a slash at its end.
pub(crate) fn base<'s>(of: &'s Settings, default: &'s str) -> &'s str {
    of.text("api_base").unwrap_or(default).trim_end_matches('/')
}

/// What the source shows the platform.
pub(crate) fn access_token<'s>(sender: &Sender<'s>) -> Result<&'s str, Unsupported> {
    let token = sender.source.secrets(SecretRole::AccessToken, sender.now).next();
    let token = token.map(|token| token.expose()).filter(|token| !token.is_empty());
    token
        .ok_or_else(|| unsupported("the source has no access token: add a secret with role \"access_token\""))
}

/// Refuses a text that is empty or longer than the platform takes, in characters.
pub(crate) fn within(what: &str, text: &str, max: usize) -> Result<(), Unsupported> {
    match text.chars().count() {
        0 => Err(Unsupported(format!("{what} is empty"))),
        count if count > max => {
            Err(Unsupported(format!("{what} has {count} characters and {max} are taken: split it")))
        }
        _ => Ok(()),
    }
}

/// The link of a file, for platforms that fetch it themselves and have no ids for files.
pub(crate) fn link(media: &OutgoingMedia) -> Result<&str, Unsupported> {
    let link = media.link.as_deref().filter(|_| media.id.is_none());
    let link = link.ok_or_else(|| unsupported("a file needs a link here: there are no ids to send it by"))?;
    match link.starts_with("https://") {
        true => Ok(link),
        false => Err(unsupported("the link of a file must begin with https://")),
    }
}

/// Why a platform cannot.
pub(crate) fn unsupported(words: &str) -> Unsupported {
    Unsupported(words.to_owned())
}

/// A text as a part of a path; what is not plain is percent-encoded (RFC 3986 section 2.3).
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let written = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(written).collect()
}

/// To be tried again, after what the answer asks for.
pub(crate) fn retry(answer: &Answer, cause: String) -> Interpreted {
    Interpreted::of(Outcome::Retry { after: answer.retry_after_secs.map(Duration::from_secs), cause })
}

/// A platform's words about a refusal, cut to what is kept.
pub(crate) fn cause(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}
