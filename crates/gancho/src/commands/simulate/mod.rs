//! A platform for somebody who develops a bot: a gateway of its own, and a page where a person writes as the customer.

mod desk;
mod door;
mod guard;
mod page;
mod reader;
mod state;
mod stream;
mod texts;
mod thread;

use std::time::Duration;

use anyhow::{Context, ensure};
use http::Uri;
use model::endpoint::{Endpoint, Format};
use model::event::EventPattern;
use model::retry::RetryPolicy;
use model::secret::Secret;
use model::time::Clock;
use simulator::Bot;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::desk::Desk;
use self::page::About;
use self::reader::Reader;
use super::stage::Stage;
use super::stage::cast::{Cast, platforms};
use crate::app::Signals;
use crate::cli::SimulateArgs;
use crate::config::process_environment;
use crate::words::{Ready, Words};

/// Who the customer is until somebody says otherwise.
const NAME: &str = "Ana";
/// When a bot that did not take an event is asked again: soon, because somebody is at work on it.
const WAITS_S: [u64; 12] = [1, 2, 3, 5, 10, 20, 30, 60, 60, 60, 60, 60];
/// What a bot hears that was written for the platform itself: what comes in requests, and nothing of ours.
const OF_REQUESTS: [&str; 8] = [
    "message.received",
    "message.edited",
    "message.deleted",
    "message.reaction",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.played",
];

/// Runs the simulation until it is asked to end.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let words = Words::of(process_environment);
    let known = platforms();
    let platform = known.iter().copied().find(|platform| *platform == args.platform);
    let platform = platform.with_context(|| words.platform_unknown(&args.platform, &known))?;
    if let Some(url) = &args.url {
        ensure!(is_fit(url), words.bot_url_unfit(url));
    }
    let signals = Signals::listen()?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| words.page_taken(&args.listen.to_string()))?;
    let page = format!("http://{}/", listener.local_addr()?);
    let stage = Stage::set("simulate", true).await?;
    // Ours ends when it is dropped.
    let (endpoint, key, _bot) = endpoint(&stage, args).await?;
    let cast = Cast::assemble(&stage, &[platform], NAME).await?;
    let gateway = stage.address();
    let bot = args.url.as_deref();
    println!(
        "{}",
        words.simulation_ready(&Ready {
            platform,
            page: &page,
            bot,
            key: &key,
            gateway: &gateway,
            token: &stage.token
        })
    );
    let about = About { platform, bot: bot.map(str::to_owned), gateway };
    let reader = Reader::of(stage.control().clone(), endpoint.id);
    let shutdown = CancellationToken::new();
    let form_token = stage.secret("").expose().to_owned();
    let desk = Desk::new(about, cast, reader, form_token, shutdown.clone());
    let serving = tokio::spawn(door::serve(listener, desk, shutdown.clone()));
    signals.asked().await;
    shutdown.cancel();
    serving.await?;
    stage.strike().await;
    Ok(())
}

/// The bot's endpoint and its key; with a bot of ours behind it where nobody named one.
async fn endpoint(stage: &Stage, args: &SimulateArgs) -> anyhow::Result<(Endpoint, Secret, Option<Bot>)> {
    let ours = match &args.url {
        Some(_) => None,
        None => Some(Bot::start(None, Clock::System).await.context("the bot cannot start")?),
    };
    let url = args.url.clone().or_else(|| ours.as_ref().map(Bot::url)).unwrap_or_default();
    let is_platforms = args.format == "platform" && ours.is_none();
    let (endpoint, key) = stage
        .endpoint(url, |endpoint| {
            endpoint.retry = RetryPolicy { waits: WAITS_S.map(Duration::from_secs).to_vec() };
            let wanted: &[&str] = if is_platforms { &OF_REQUESTS } else { &["message.*"] };
            endpoint.subscription.types = wanted.iter().filter_map(|name| EventPattern::new(name)).collect();
            endpoint.format = if is_platforms { Format::Platform } else { Format::Standard };
        })
        .await?;
    if let Some(bot) = &ours {
        bot.expects(Some(key.clone()));
        bot.replies_with(Some(stage.replies()));
    }
    Ok((endpoint, key, ours))
}

/// Whether a bot can be there: over https anywhere, without it on this machine only.
fn is_fit(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => guard::is_this_machine(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_a_bot_is_on_this_machine() {
        for fit in
            ["https://bot.example/hook", "http://127.0.0.1:9000/", "http://localhost/x", "http://[::1]:9/"]
        {
            assert!(is_fit(fit), "{fit}");
        }
        for unfit in [
            "http://bot.example/",
            "http://10.0.0.1/",
            "ftp://localhost/",
            "hook",
            "",
            "http://localhost.example/",
        ] {
            assert!(!is_fit(unfit), "{unfit}");
        }
    }
}
