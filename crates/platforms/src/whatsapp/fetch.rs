//! The Graph API's files: an id is asked for a URL that works for five minutes (platforms.md 1.11).

use model::message::Media;
use model::retry::Outcome;

use super::send::graph;
use crate::fetching::{self, Fetch};
use crate::http::{Answer, Call};
use crate::outgoing::access_token;
use crate::platform::{Sender, Unsupported};

/// Hosts of Meta's that keep files.
const OWN: [&str; 3] = ["fbsbx.com", "facebook.com", "whatsapp.net"];

pub(super) fn fetch(sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
    let headers = [("authorization", format!("Bearer {}", access_token(sender)?))];
    let url = format!("{}/{}", graph(&sender.source.settings), fetching::id(media)?);
    Ok(Fetch::Place { ask: Call::get(url, &headers), read })
}

fn read(sender: &Sender<'_>, answer: &Answer) -> Result<Call, Outcome> {
    let media = Media { url: Some(fetching::place(answer, "url")?), ..Media::default() };
    let headers = [("authorization", format!("Bearer {}", access_token(sender).map_err(fetching::refused)?))];
    fetching::shown(&media, &headers, &OWN, &graph(&sender.source.settings)).map_err(fetching::refused)
}
