//! Sends a sample of a platform's webhook to a running gateway, signed as the platform would.

use std::io::{ErrorKind, Write};

use anyhow::{Context, bail};
use egress::FailureKind;
use model::secret::Secret;
use model::source::{SecretRole, Settings};
use model::time::Clock;
use serde_json::{Value, json};
use simulator::Sender;
use simulator::sender::{Answered, Filling, Request, Sample, Way};

use super::sign;
use crate::app::World;
use crate::cli::TriggerArgs;
use crate::config::process_environment;
use crate::words::Words;

/// Where the secret is when no file is named.
const SECRET_VARIABLE: &str = "GANCHO_TRIGGER_SECRET";
/// A secret that every platform can read, for the list.
const ANY_SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What to do about an answer that is not the one that was wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Advice {
    /// The source has another secret under this role; or it is to have this public key.
    Secret {
        /// What the secret is for.
        role: SecretRole,
        /// The public half, where only that is the source's.
        public: Option<String>,
    },
    /// Nobody listens at the address.
    Start,
    /// No source has this URL.
    Url,
    /// The gateway cannot take it now.
    Later,
    /// What nobody signed was taken.
    Unsigned,
    /// Nothing is known but what the answer says.
    Look,
}

/// Sends what was asked for, or shows what there is. Fails unless every request was answered as it should be.
pub async fn run(args: &TriggerArgs) -> anyhow::Result<()> {
    let words = Words::of(process_environment);
    if args.list {
        return list(args, &words);
    }
    let sample = sample(args, &words)?;
    let sender = sender(args, sample.platform)?;
    let way = Way::open().context("the way out cannot be opened")?;
    let random = World::real().random;
    let first = u64::from_be_bytes(random.bytes()) >> 12;
    let (mut number, mut right) = (0, 0);
    for repeat in 0..args.repeat {
        let request = request(args, &sender, &sample, first + u64::from(repeat))?;
        for is_again in [false, true].into_iter().take(if args.duplicate { 2 } else { 1 }) {
            let answered = way.send(&request).await;
            let advice = advice(args, &sender, &answered);
            number += 1;
            right += u32::from(advice.is_none());
            tell(args, &words, &Told { number, sample: &sample, is_again, answered, advice });
        }
    }
    if right < number {
        bail!("{}", words.trigger_failed(right, number, args.wrong_signature));
    }
    Ok(())
}

fn sample(args: &TriggerArgs, words: &Words) -> anyhow::Result<Sample> {
    let name = args.sample.as_deref().unwrap_or_default();
    let near: Vec<String> =
        Sample::of(name.split('.').next().unwrap_or_default()).map(|sample| sample.name()).collect();
    Sample::named(name).with_context(|| words.trigger_unknown(name, &near))
}

fn sender(args: &TriggerArgs, platform: &str) -> anyhow::Result<Sender> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let settings = args.source.iter().map(|(key, text)| (key.clone(), value(text)));
    let settings = Settings::new(settings.collect());
    let secret = match settings.text("scheme") {
        Some("unsigned") => Secret::new(""),
        _ => sign::secret(args.secret_file.as_deref(), SECRET_VARIABLE)?,
    };
    let role = args.role.as_deref().and_then(SecretRole::parse);
    let sender = Sender::of(platform, secret, settings, role)?;
    Ok(if args.wrong_signature { sender.with_a_wrong_secret() } else { sender })
}

fn request(args: &TriggerArgs, sender: &Sender, sample: &Sample, serial: u64) -> anyhow::Result<Request> {
    let mut filling = Filling::of(serial, Clock::System.now());
    if let Some(text) = &args.text {
        filling.text.clone_from(text);
    }
    let filling = Filling {
        account: args.account.clone(),
        contact: args.contact.clone(),
        about: args.about.clone(),
        set: args.set.clone(),
        ..filling
    };
    Ok(sender.request(sample, &filling, &args.to)?)
}

/// What to do about an answer; nothing where it is the right one.
fn advice(args: &TriggerArgs, sender: &Sender, answered: &Answered) -> Option<Advice> {
    match (args.wrong_signature, answered.status) {
        (true, Some(401 | 403)) | (false, Some(200..=299)) => None,
        (true, Some(200..=299)) => Some(Advice::Unsigned),
        (_, Some(401 | 403)) => {
            let public = sender.public_key().map(|key| key.expose().to_owned());
            Some(Advice::Secret { role: sender.role(), public })
        }
        (_, Some(404 | 405)) => Some(Advice::Url),
        (_, Some(408 | 429 | 503)) => Some(Advice::Later),
        (_, Some(_)) => Some(Advice::Look),
        (_, None) => match answered.failure {
            Some(FailureKind::Connect) => Some(Advice::Start),
            Some(FailureKind::InvalidUrl | FailureKind::Resolve) => Some(Advice::Url),
            _ => Some(Advice::Look),
        },
    }
}

/// One request and what came of it.
struct Told<'s> {
    number: u32,
    sample: &'s Sample,
    is_again: bool,
    answered: Answered,
    advice: Option<Advice>,
}

#[allow(clippy::print_stdout, reason = "what the user asked to see")]
fn tell(args: &TriggerArgs, words: &Words, told: &Told<'_>) {
    let Told { number, sample, is_again, answered, advice } = told;
    let name = sample.name();
    if !args.json {
        let line = words.trigger_answered(*number, &name, *is_again, answered);
        println!("{line}{}", advice.as_ref().map(|advice| words.trigger_advice(advice)).unwrap_or_default());
        return;
    }
    let advice = advice.as_ref().map(|advice| words.trigger_what_to_do(advice));
    let line = json!({
        "number": number,
        "event": name,
        "again": is_again,
        "status": answered.status,
        "latency_ms": answered.latency.as_secs_f64() * 1e3,
        "acknowledged": answered.is_acknowledged(),
        "words": answered.words,
        "advice": advice,
    });
    println!("{line}");
}

/// Every sample, or those of one platform, with what a gateway makes of each and which secret proves it.
fn list(args: &TriggerArgs, words: &Words) -> anyhow::Result<()> {
    let asked = args.sample.as_deref();
    let is_asked =
        |sample: &Sample| asked.is_none_or(|name| name == sample.platform || name == sample.name());
    let samples: Vec<Sample> = Sample::all().filter(is_asked).collect();
    if samples.is_empty() {
        bail!("{}", words.trigger_unknown(asked.unwrap_or_default(), &[]));
    }
    let mut text = if args.json { String::new() } else { words.trigger_head() + "\n" };
    for sample in samples {
        text.push_str(&listed(args, &sample)?);
        text.push('\n');
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever wanted the first lines only has seen them.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn listed(args: &TriggerArgs, sample: &Sample) -> anyhow::Result<String> {
    let sender = Sender::of(sample.platform, Secret::new(ANY_SECRET), Settings::default(), None)?;
    let now = Clock::System.now();
    let request = sender.request(sample, &Filling::of(1, now), &args.to)?;
    let (name, role, becomes) = (sample.name(), sender.role().as_str(), sender.becomes(&request, now)?);
    Ok(match args.json {
        true => json!({ "event": name, "becomes": becomes, "secret": role }).to_string(),
        false => format!("{name:<30} {:<48} {role}", becomes.join(" ")),
    })
}
