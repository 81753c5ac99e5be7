//! How messages fare, as HTML: a sign, a word, and what else is known.

use model::delivery::DeliveryState;
use model::message::MessageState;
use model::time::Timestamp;

use super::page::escaped;
use super::texts::Texts;
use super::thread::{Progress, Reached};

/// One tick, two, a clock, a warning.
const TICK: &str = "M3 8.5l3.2 3.2L13 5";
const TICKS: &str = "M1 8.5l3.2 3.2L10.8 5M7 11.2l.7.5L15 5";
const CLOCK: &str = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11zM8 5v3.2l2 1.3";
const WARNING: &str = "M8 2.2L14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1";

/// What became of an event at the bot's endpoint.
pub(super) fn at_the_bot(reached: &Reached, texts: &Texts) -> String {
    let status = reached.status.map_or_else(|| texts.no_answer.to_owned(), |status| status.to_string());
    let took = format!("{:.0} ms", (reached.took.as_secs_f64() * 1e3).max(1.0));
    let error = reached.error.as_deref().filter(|_| reached.status.is_none()).unwrap_or_default();
    let tried = format!("{status} · {} {}", texts.attempt, reached.attempts);
    match reached.state {
        DeliveryState::Delivered => state("good", TICK, texts.taken, &format!("{status} · {took}")),
        DeliveryState::Pending if reached.attempts > 0 => {
            let next = reached.due_at.map(|at| format!(" · {} {}", texts.next_try, clock(at)));
            let detail = format!("{}{}", escaped(&tried), next.unwrap_or_default());
            stated("bad", WARNING, texts.failing, &detail) + &reason(error)
        }
        DeliveryState::Pending => state("calm", CLOCK, texts.waits, ""),
        DeliveryState::InFlight => state("calm", CLOCK, texts.under_way, ""),
        DeliveryState::Held => state("bad", WARNING, texts.held, ""),
        DeliveryState::Dead => state("bad", WARNING, texts.dead, &tried) + &reason(error),
        DeliveryState::Cancelled => state("calm", WARNING, texts.cancelled, ""),
    }
}

/// How far an answer came.
pub(super) fn on_the_platform(progress: &Progress, texts: &Texts) -> String {
    match progress {
        Progress::OnItsWay(None) => state("calm", CLOCK, texts.on_its_way, ""),
        Progress::OnItsWay(Some(error)) => state("calm", CLOCK, texts.on_its_way, "") + &reason(error),
        Progress::Unknown => state("bad", WARNING, texts.unknown, ""),
        Progress::Cancelled => state("calm", WARNING, texts.cancelled, ""),
        Progress::Failed(why) => state("bad", WARNING, texts.failed, "") + &reason(why),
        Progress::Came(came) => match came {
            MessageState::Accepted => state("calm", CLOCK, texts.accepted, ""),
            MessageState::Sent => state("calm", TICK, texts.sent, ""),
            MessageState::Delivered => state("calm", TICKS, texts.delivered, ""),
            MessageState::Read => state("read", TICKS, texts.read, ""),
            MessageState::Played => state("read", TICKS, texts.played, ""),
            MessageState::Failed => state("bad", WARNING, texts.failed, ""),
        },
    }
}

/// The bot has not been sent anything.
pub(super) fn nothing_yet(texts: &Texts) -> String {
    state("calm", CLOCK, texts.quiet, "")
}

fn state(tone: &str, icon: &str, words: &str, detail: &str) -> String {
    stated(tone, icon, words, &escaped(detail))
}

/// A state, whose detail is HTML already.
fn stated(tone: &str, icon: &str, words: &str, detail: &str) -> String {
    let detail =
        if detail.is_empty() { String::new() } else { format!(r#" <span class="detail">{detail}</span>"#) };
    format!(
        r#"<span class="state {tone}"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="{icon}"/></svg><span class="words">{words}</span>{detail}</span>"#
    )
}

fn reason(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(r#"<span class="reason">{}</span>"#, escaped(words))
    }
}

/// A time of day, in UTC until the script has it in the reader's own.
pub(super) fn clock(at: Timestamp) -> String {
    let iso = at.to_string();
    let time = iso.get(11..19).unwrap_or_default();
    format!(r#"<time datetime="{iso}">{time} UTC</time>"#)
}
