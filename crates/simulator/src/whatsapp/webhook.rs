//! Webhooks on their way to the gateway: signed, sent, and tried again until they are answered with exactly 200.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use egress::{Egress, Exchange};
use http::Method;
use model::secret::Secret;
use platforms::proof::{self, Hash};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};

use crate::call;
use crate::owed::{Ended, Owed, Place};
use crate::switches::Switches;
use crate::whatsapp::Number;

/// How many webhooks that nobody waits for are sent at once.
const AT_ONCE_MAX: usize = 64;

/// What the gateway answered to a webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The ids of the messages it carried; none for statuses.
    pub wamids: Vec<String>,
    /// The HTTP status, or nothing when no answer came.
    pub status: Option<u16>,
    /// From the first byte sent to the last byte received; includes opening the connection where one was opened.
    pub latency: Duration,
    /// Why no answer came, in words.
    pub failure: Option<String>,
}

impl Answered {
    /// Whether the platform takes it as arrived: exactly 200.
    pub fn is_acknowledged(&self) -> bool {
        self.status == Some(200)
    }

    fn of(exchange: Exchange) -> Answered {
        let (status, failure) = match exchange.result {
            Ok(answer) => (Some(answer.status), None),
            Err(failure) => (None, Some(failure.words)),
        };
        Answered { wamids: Vec::new(), status, latency: exchange.phases.total, failure }
    }
}

/// The way of webhooks to the gateway.
pub(super) struct Webhooks {
    line: Arc<Line>,
    owed: Owed,
}

/// What one webhook needs to be sent.
struct Line {
    egress: Egress,
    app_secret: Secret,
    retry_waits: Vec<Duration>,
    switches: Switches,
    url: Mutex<Option<String>>,
    at_once: Semaphore,
}

impl Webhooks {
    /// A way that leads nowhere until [`Webhooks::send_to`].
    pub(super) fn new(
        app_secret: Secret,
        retry_waits: Vec<Duration>,
        switches: Switches,
    ) -> io::Result<Webhooks> {
        let line = Line {
            egress: call::way_out()?,
            app_secret,
            retry_waits,
            switches,
            url: Mutex::default(),
            at_once: Semaphore::new(AT_ONCE_MAX),
        };
        Ok(Webhooks { line: Arc::new(line), owed: Owed::default() })
    }

    pub(super) fn send_to(&self, url: &str) {
        *lock(&self.line.url) = Some(url.to_owned());
    }

    /// Whether a URL echoes the challenge.
    pub(super) async fn check(&self, url: &str, verify_token: &str, challenge: &str) -> bool {
        let mut asked = url.to_owned();
        asked.push(if url.contains('?') { '&' } else { '?' });
        asked.push_str("hub.mode=subscribe&hub.challenge=");
        asked.push_str(challenge);
        asked.push_str("&hub.verify_token=");
        asked.push_str(&percent_encoded(verify_token));
        let exchange = call::exchange(&self.line.egress, Method::GET, asked, Vec::new(), Bytes::new()).await;
        exchange.result.is_ok_and(|answer| answer.status == 200 && answer.body == challenge)
    }

    /// Sends a webhook now and says what was answered; unless that is 200 it is tried again behind the caller's back.
    pub(super) async fn send(&self, body: Bytes) -> Answered {
        let answered = self.line.send(&body).await;
        if !answered.is_acknowledged() {
            let place = self.place().await;
            let line = Arc::clone(&self.line);
            self.owed.spawn(place, async move { line.retry(&body).await });
        }
        answered
    }

    /// Sends webhooks one after the other, each until it has arrived or is dropped, once `start` resolves; what is given
    /// back resolves after the last.
    pub(super) fn owe(&self, place: Place, start: Ended, bodies: Vec<Bytes>) -> Ended {
        let line = Arc::clone(&self.line);
        let (until_sent, sent) = oneshot::channel();
        self.owed.spawn(place, async move {
            // Nothing is ever said in it: it only ends.
            let _ = start.await;
            for body in bodies {
                line.deliver(&body).await;
            }
            drop(until_sent);
        });
        sent
    }

    /// Waits until nothing is owed.
    pub(super) async fn settled(&self) {
        self.owed.settled().await;
    }

    /// Gives up everything that is owed.
    pub(super) fn stop(&self) {
        self.owed.stop();
    }

    /// Waits for room to owe something.
    pub(super) async fn place(&self) -> Place {
        self.owed.place().await
    }
}

impl Line {
    async fn deliver(&self, body: &Bytes) {
        if !self.send_in_turn(body).await {
            self.retry(body).await;
        }
    }

    /// At once, then after growing waits, until it is acknowledged or the waits are used up.
    async fn retry(&self, body: &Bytes) {
        for wait in &self.retry_waits {
            tokio::time::sleep(*wait).await;
            if self.send_in_turn(body).await {
                return;
            }
        }
    }

    async fn send_in_turn(&self, body: &Bytes) -> bool {
        let _turn = self.at_once.acquire().await;
        self.send(body).await.is_acknowledged()
    }

    /// One try; or two at the same time, of which the first is told.
    async fn send(&self, body: &Bytes) -> Answered {
        if self.switches.is_doubling() {
            tokio::join!(self.post(body), self.post(body)).0
        } else {
            self.post(body).await
        }
    }

    async fn post(&self, body: &Bytes) -> Answered {
        let Some(url) = lock(&self.url).clone() else {
            return Answered {
                wamids: Vec::new(),
                status: None,
                latency: Duration::ZERO,
                failure: Some("the platform has not been told where webhooks go".to_owned()),
            };
        };
        let headers = vec![("x-hub-signature-256".to_owned(), self.signature(body))];
        Answered::of(call::exchange(&self.egress, Method::POST, url, headers, body.clone()).await)
    }

    fn signature(&self, body: &[u8]) -> String {
        let key = self.app_secret.expose();
        let mac = if self.switches.is_signing_wrongly() {
            proof::mac(Hash::Sha256, format!("not {key}").as_bytes(), &[body])
        } else {
            proof::mac(Hash::Sha256, key.as_bytes(), &[body])
        };
        format!("sha256={}", hex::encode(mac))
    }
}

/// A webhook of the `messages` field: the envelope around items, as bytes in Meta's spelling.
pub(super) fn envelope(number: &Number, items: Value) -> Bytes {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": number.display_phone_number,
            "phone_number_id": number.phone_number_id,
        },
    });
    if let (Value::Object(value), Value::Object(items)) = (&mut value, items) {
        value.extend(items);
    }
    let envelope = json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": number.business_account_id,
            "changes": [{ "field": "messages", "value": value }],
        }],
    });
    Bytes::from(escaped(&envelope.to_string()))
}

/// Meta escapes slashes and everything beyond ASCII; both occur inside texts only.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '/' => escaped.push_str("\\/"),
            letter if letter.is_ascii() => escaped.push(letter),
            letter => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
