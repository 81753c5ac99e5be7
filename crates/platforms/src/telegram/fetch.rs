//! The Bot API's files: an id is asked for a path that works for an hour, up to 20 MB.

use model::message::Media;
use model::retry::Outcome;
use model::source::SecretRole;

use super::send::{API_BASE, bot_token};
use crate::fetching::{self, Fetch};
use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{base, cause, escaped};
use crate::platform::{Sender, Unsupported};

pub(super) fn fetch(sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
    let url = format!("{}/bot{}/getFile?file_id={}", api(sender), token(sender)?, fetching::id(media)?);
    Ok(Fetch::Place { ask: Call::get(url, &[]), read })
}

fn read(sender: &Sender<'_>, answer: &Answer) -> Result<Call, Outcome> {
    let told = json::object(&answer.body).ok();
    let path = match fetching::outcome(answer.status, answer.retry_after_secs) {
        Outcome::Done => told.and_then(|told| told.object("result")?.string("file_path")),
        // Why is said in words: it is too large, or forgotten.
        Outcome::Refused(status) => {
            let words = told.and_then(|told| told.string("description")).unwrap_or(status);
            return Err(Outcome::Refused(cause(&words)));
        }
        other => return Err(other),
    };
    let path = path.filter(|path| path.split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
    let path =
        path.ok_or_else(|| Outcome::Refused("the platform's answer has no \"file_path\"".to_owned()))?;
    let path: Vec<String> = path.split('/').map(escaped).collect();
    let token = token(sender).map_err(fetching::refused)?;
    Ok(Call::get(format!("{}/file/bot{token}/{}", api(sender), path.join("/")), &[]))
}

fn api<'s>(sender: &Sender<'s>) -> &'s str {
    base(&sender.source.settings, API_BASE)
}

fn token<'s>(sender: &Sender<'s>) -> Result<&'s str, Unsupported> {
    bot_token(sender.source.secrets(SecretRole::AccessToken, sender.now).next())
}
