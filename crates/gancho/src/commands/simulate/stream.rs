//! What changes in the conversation, as Server-Sent Events. Whoever connects again hears everything again: what is known
//! already is known by its mark.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::desk::Desk;
use super::page::{entry, mark, panel};
use super::texts::Texts;
use super::thread::Thread;

/// How often something is said where nothing changes, so that nobody in between takes the connection for dead.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a browser waits before it connects again, in milliseconds.
const RETRY_MS: u32 = 1000;

/// One browser that listens.
pub(super) struct Listener {
    pub(super) desk: Arc<Desk>,
    pub(super) texts: &'static Texts,
    pub(super) changes: watch::Receiver<Arc<Thread>>,
    /// Its place among those who may listen.
    pub(super) _place: OwnedSemaphorePermit,
}

/// A listener and what it has heard.
struct Told {
    listener: Listener,
    is_greeted: bool,
    marks: BTreeMap<String, String>,
}

/// The body that tells a listener what changes, until it goes or the simulation ends.
pub(super) fn body(listener: Listener) -> Body {
    let told = Told { listener, is_greeted: false, marks: BTreeMap::new() };
    Body::from_stream(stream::unfold(told, |mut told| async move {
        let said = told.next().await?;
        Some((Ok::<Bytes, Infallible>(Bytes::from(said)), told))
    }))
}

impl Told {
    /// What to say next; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        let Listener { desk, changes, .. } = &mut self.listener;
        if !self.is_greeted {
            self.is_greeted = true;
            let page = json!({ "page": mark(desk.form_token()) });
            return Some(format!("retry: {RETRY_MS}\nevent: hello\ndata: {page}\n\n{}", self.news()));
        }
        let closing = desk.closing();
        tokio::select! {
            changed = changes.changed() => changed.ok()?,
            () = closing.cancelled() => return None,
            () = tokio::time::sleep(SILENCE_MAX) => return Some(": still here\n\n".to_owned()),
        }
        Some(self.news())
    }

    /// Everything that is not as it was said before.
    fn news(&mut self) -> String {
        let Listener { desk, texts, changes, .. } = &mut self.listener;
        let thread = Arc::clone(&changes.borrow_and_update());
        let bot = ("bot".to_owned(), "bot", panel(desk.about(), texts, &thread));
        let entries = thread.entries.iter().map(|one| (one.id.clone(), "entry", entry(one, texts)));
        let mut said = String::new();
        let mut marks = BTreeMap::new();
        for (id, event, html) in entries.chain([bot]) {
            let mark = mark(&html);
            if self.marks.get(&id) != Some(&mark) {
                // JSON has no line breaks of its own, so that this is one line.
                let data = json!({ "id": id, "html": html });
                said.push_str(&format!("event: {event}\ndata: {data}\n\n"));
            }
            marks.insert(id, mark);
        }
        self.marks = marks;
        if said.is_empty() { ": nothing new\n\n".to_owned() } else { said }
    }
}
