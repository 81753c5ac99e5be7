//! What a conversation on one platform must have come to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use simulator::bot::Attempt;

use super::super::stage::cast::{said, steps};

/// How long it may take until everything has come, however little there is.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long each message may take besides: WhatsApp takes one answer to a person every six seconds once many have gone out.
const PATIENCE_EACH: Duration = Duration::from_secs(7);

/// How long a conversation of so many messages may take.
pub(super) fn patience(count: u32) -> Duration {
    PATIENCE + PATIENCE_EACH * count
}

/// What is expected of one platform.
pub(super) struct Tally {
    pub(super) platform: &'static str,
    pub(super) count: usize,
}

/// What a conversation came to, once it was found to be complete.
pub(super) struct Told {
    pub(super) platform: &'static str,
    pub(super) messages: usize,
    pub(super) replies: usize,
    /// How many came of each step that the platform tells.
    pub(super) statuses: Vec<usize>,
}

impl Tally {
    /// Whether as many events have come as there must be.
    pub(super) fn is_complete(&self, attempts: &[Arc<Attempt>]) -> bool {
        self.of(attempts).count() >= self.count * (1 + steps(self.platform).len())
    }

    /// Everything exactly once, in order, and for each message one reply that came all the way back.
    pub(super) fn verify(&self, attempts: &[Arc<Attempt>], replies: usize) -> anyhow::Result<Told> {
        let Tally { platform, count } = *self;
        ensure!(attempts.iter().all(|attempt| attempt.genuine), "a signature was wrong");
        let ids: Vec<&str> = self.of(attempts).filter_map(|attempt| attempt.id.as_deref()).collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        ensure!(ids.len() == distinct.len(), "{platform}: an event was delivered twice");
        let texts: Vec<&str> = self.of(attempts).filter_map(text_of).collect();
        let expected: Vec<String> = (1..=count).map(|number| format!("hola {number}")).collect();
        ensure!(texts == expected, "{platform}: the messages came as {texts:?}");
        ensure!(replies == count, "{platform}: {replies} replies reached the platform, not {count}");
        let mut statuses = Vec::new();
        for step in steps(platform) {
            let is_it = |attempt: &&Attempt| kind_of(attempt).strip_prefix("message.") == Some(step);
            let told = self.of(attempts).filter(is_it).count();
            ensure!(told == count, "{platform}: {told} of {count} replies told {step}");
            statuses.push(told);
        }
        let all = count * (1 + statuses.len());
        ensure!(ids.len() == all, "{platform}: {} events came, not {all}", ids.len());
        Ok(Told { platform, messages: texts.len(), replies, statuses })
    }

    fn of<'a>(&self, attempts: &'a [Arc<Attempt>]) -> impl Iterator<Item = &'a Attempt> + use<'a> {
        let platform = self.platform;
        taken(attempts).filter(move |attempt| platform_of(attempt) == platform)
    }
}

/// Those that the bot took.
pub(super) fn taken(attempts: &[Arc<Attempt>]) -> impl Iterator<Item = &Attempt> {
    attempts.iter().map(Arc::as_ref).filter(|attempt| attempt.is_taken())
}

/// The platform that an event happened on.
pub(super) fn platform_of(attempt: &Attempt) -> &str {
    let named = attempt.body.as_ref().and_then(|body| body["context"]["platform"].as_str());
    named.unwrap_or_default()
}

fn kind_of(attempt: &Attempt) -> &str {
    attempt.event_type.as_deref().unwrap_or_default()
}

fn text_of(attempt: &Attempt) -> Option<&str> {
    let text = attempt.body.as_ref()?["data"]["message"]["text"].as_str()?;
    (kind_of(attempt) == "message.received").then(|| said(text))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use model::time::Timestamp;
    use serde_json::json;

    use super::*;

    const TALLY: Tally = Tally { platform: "messenger", count: 2 };

    /// An event that the bot has taken, with a text where one was said.
    fn event(number: usize, kind: &str, text: Option<&str>) -> Arc<Attempt> {
        let body =
            json!({ "context": { "platform": TALLY.platform }, "data": { "message": { "text": text } } });
        Arc::new(Attempt {
            number,
            id: Some(format!("evt_{number}")),
            event_type: Some(format!("message.{kind}")),
            body: Some(body),
            raw: Bytes::new(),
            headers: HeaderMap::new(),
            attempted_at: None,
            received_at: Timestamp::from_secs(0),
            genuine: true,
            conduct: None,
        })
    }

    fn whole() -> Vec<Arc<Attempt>> {
        let told = [
            ("received", Some("hola 1")),
            ("accepted", None),
            ("received", Some("hola 2")),
            ("delivered", None),
            ("accepted", None),
            ("delivered", None),
        ];
        told.iter().enumerate().map(|(number, (kind, text))| event(number, kind, *text)).collect()
    }

    #[test]
    fn a_conversation_that_is_whole_is_told_of_step_by_step() {
        let told = TALLY.verify(&whole(), 2).expect("it is whole");
        assert_eq!((told.messages, told.replies, told.statuses), (2, 2, vec![2, 2]));
        assert!(TALLY.is_complete(&whole()) && !TALLY.is_complete(&whole()[1..]));
    }

    #[test]
    fn what_is_missing_doubled_out_of_order_or_not_genuine_is_found() {
        let refused = |change: &dyn Fn(&mut Vec<Arc<Attempt>>), replies: usize| {
            let mut attempts = whole();
            change(&mut attempts);
            TALLY.verify(&attempts, replies).map(|_| ()).expect_err("it is not whole").to_string()
        };
        assert!(refused(&|_| {}, 3).contains("3 replies"));
        assert!(refused(&|all| all.swap(0, 2), 2).contains("the messages came as"));
        assert!(refused(&|all| all.push(Arc::clone(&all[0])), 2).contains("twice"));
        assert!(refused(&|all| drop(all.pop()), 2).contains("1 of 2 replies told delivered"));
        assert!(refused(&|all| all.push(event(9, "read", None)), 2).contains("7 events came, not 6"));
        let forged = Attempt { genuine: false, ..Attempt::clone(&event(9, "received", Some("hola 3"))) };
        assert!(refused(&|all| all.push(Arc::new(forged.clone())), 2).contains("a signature was wrong"));
    }
}
