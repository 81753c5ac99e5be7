//! From a platform to the gateway: what customers write, and how far the answers came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use model::time::Clock;
use serde_json::Value;
use tokio::sync::oneshot;

use super::Called;
use super::api::Api;
use super::manner::Manner;
use super::pictures::Pictures;
use crate::owed::{Ended, Owed, Place};
use crate::sender::{Answered, Filling, Request, Sample, Sender, Unfit, Way};

/// The steps of a message, in order; a platform tells of those that it has a sample of.
const STEPS: [&str; 3] = ["sent", "delivered", "read"];
/// The waits between the tries of a webhook that was not acknowledged; when they are used up it is dropped.
const WAITS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(16),
    Duration::from_secs(60),
];
/// Serials begin at the time, so that a platform that starts again repeats none: so many for each millisecond.
const SERIALS_PER_MILLI: i64 = 1000;

/// The way from one platform to its source.
pub(super) struct Line {
    sender: Sender,
    /// The same platform with a secret that is not the source's.
    liar: Sender,
    manner: Arc<Manner>,
    url: String,
    way: Way,
    clock: Clock,
    serial: AtomicU64,
}

impl Line {
    /// A way to the URL of a source.
    pub(super) fn to(url: &str, sender: Sender, clock: Clock, manner: Arc<Manner>) -> std::io::Result<Line> {
        let serial = clock.now().as_millis().saturating_mul(SERIALS_PER_MILLI);
        let serial = AtomicU64::new(serial.unsigned_abs());
        let liar = sender.with_a_wrong_secret();
        Ok(Line { sender, liar, manner, url: url.to_owned(), way: Way::open()?, clock, serial })
    }

    /// Which platform it is the way of.
    pub(super) fn platform(&self) -> &'static str {
        self.sender.platform()
    }

    fn filling(&self) -> Filling {
        Filling::of(self.serial.fetch_add(1, Ordering::Relaxed), self.clock.now())
    }

    /// Owes the statuses of a message that was taken, one after the other once `given` resolves. What is given back resolves when
    /// they have been acknowledged or dropped.
    pub(super) fn owe(line: Arc<Line>, owed: &Owed, place: Place, given: Ended, call: &Arc<Called>) -> Ended {
        let call = Arc::clone(call);
        let (until_told, told) = oneshot::channel();
        owed.spawn(place, async move {
            // Nothing is ever said in it: it only ends.
            let _ = given.await;
            let mut steps = STEPS;
            if line.manner.is_backwards.is_on() {
                steps.reverse();
            }
            for step in steps {
                if let Some(webhook) = line.status(step, &call) {
                    line.deliver(&webhook).await;
                }
            }
            drop(until_told);
        });
        told
    }

    /// The webhook of one step, where the platform has it.
    fn status(&self, step: &str, call: &Called) -> Option<Webhook> {
        let sample = Sample::named(&format!("{}.{step}", self.platform()))?;
        let sides = ["From", "To"].map(|side| (side, call.body[side].as_str()));
        let sides = sides.into_iter().filter_map(|(side, who)| Some((side.to_owned(), who?.to_owned())));
        let filling = Filling {
            about: Some(call.message_id.clone()),
            account: Api::account(&call.path).map(str::to_owned),
            contact: recipient(call),
            set: sides.collect(),
            ..self.filling()
        };
        self.webhook(&sample, &filling).ok()
    }

    fn webhook(&self, sample: &Sample, filling: &Filling) -> Result<Webhook, Unfit> {
        Ok(Webhook {
            genuine: self.sender.request(sample, filling, &self.url)?,
            forged: self.liar.request(sample, filling, &self.url)?,
        })
    }

    /// One try, or two at the same time. Each is the same request, byte for byte, but for what proves it.
    async fn send(&self, webhook: &Webhook) -> Answered {
        let request = if self.manner.lies.is_on() { &webhook.forged } else { &webhook.genuine };
        if !self.manner.doubles.is_on() {
            return self.way.send(request).await;
        }
        tokio::join!(self.way.send(request), self.way.send(request)).0
    }

    /// Until it is acknowledged, or the waits are used up.
    async fn deliver(&self, webhook: &Webhook) {
        if !self.send(webhook).await.is_acknowledged() {
            self.retry(webhook).await;
        }
    }

    async fn retry(&self, webhook: &Webhook) {
        for wait in WAITS {
            tokio::time::sleep(wait).await;
            if self.send(webhook).await.is_acknowledged() {
                return;
            }
        }
    }
}

/// A webhook as the platform sends it, and as somebody would who has another secret.
struct Webhook {
    genuine: Request,
    forged: Request,
}

/// Whom a message was sent to, as webhooks name people: without a plus.
fn recipient(call: &Called) -> Option<String> {
    let named = [&call.body["to"], &call.body["receiver"], &call.body["recipient"]["id"]];
    let named = named.into_iter().find_map(Value::as_str);
    let named = named.or_else(|| call.path.rsplit('/').next());
    named.map(|who| who.trim_start_matches('+').to_owned())
}

/// A person on one of the platforms.
#[derive(Clone)]
pub struct Customer {
    pub(super) line: Arc<Line>,
    pub(super) owed: Arc<Owed>,
    pub(super) pictures: Arc<Pictures>,
    /// Where the platforms are.
    pub(super) base: String,
    pub(super) contact: Option<String>,
    pub(super) name: String,
}

impl Customer {
    /// The same person under an id of the platform's: a number, a chat.
    pub fn known_as(mut self, contact: &str) -> Customer {
        self.contact = Some(contact.to_owned());
        self
    }

    /// Writes a text and waits for the gateway's answer. On Discord, where bots hear no texts, it is a command. What is not
    /// acknowledged is tried again behind the caller's back.
    pub async fn says(&self, text: &str) -> Result<Answered, Unfit> {
        let event = if self.line.platform() == "discord" { "command" } else { "message" };
        self.does(event, text).await
    }

    /// Writes many texts at the same time.
    pub async fn bursts(&self, texts: &[String]) -> Result<Vec<Answered>, Unfit> {
        join_all(texts.iter().map(|text| self.says(text))).await.into_iter().collect()
    }

    /// Does what a sample of the platform tells of, such as `reaction`, with a text where something is said.
    pub async fn does(&self, event: &str, text: &str) -> Result<Answered, Unfit> {
        self.does_with(event, text, Vec::new()).await
    }

    /// Sends a picture, with words under it where the platform has them. Discord's do not come over HTTP.
    pub async fn sends_picture(&self, bytes: Bytes, text: &str) -> Result<Answered, Unfit> {
        let kept = self.pictures.keep(self.line.platform(), &self.base, bytes);
        let unfit = || Unfit(format!("no picture comes from {}", self.line.platform()));
        let (event, (place, value)) = kept.ok_or_else(unfit)?;
        self.does_with(event, text, vec![(place.to_owned(), value)]).await
    }

    async fn does_with(
        &self,
        event: &str,
        text: &str,
        set: Vec<(String, String)>,
    ) -> Result<Answered, Unfit> {
        let line = &*self.line;
        let name = format!("{}.{event}", line.platform());
        let sample = Sample::named(&name).ok_or_else(|| Unfit(format!("there is no sample {name}")))?;
        let (name, text) = (self.name.clone(), text.to_owned());
        let filling = Filling { contact: self.contact.clone(), name, text, set, ..line.filling() };
        let webhook = line.webhook(&sample, &filling)?;
        let answered = line.send(&webhook).await;
        if !answered.is_acknowledged() {
            let (place, line) = (self.owed.place().await, Arc::clone(&self.line));
            self.owed.spawn(place, async move { line.retry(&webhook).await });
        }
        Ok(answered)
    }
}
