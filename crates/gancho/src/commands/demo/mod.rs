//! Whole conversations on one machine: simulated platforms, the gateway, and a bot that answers.

mod crowd;
mod solo;
mod tally;

use anyhow::Context;
use model::event::EventPattern;
use model::time::Clock;
use simulator::Bot;

use super::stage::Stage;
use super::stage::cast::{Cast, WHATSAPP};
use crate::app::Signals;
use crate::cli::DemoArgs;
use crate::config::process_environment;
use crate::words::Words;

/// What stands for every platform.
const ALL: &str = "all";

/// Runs the demo. With `once` it ends; otherwise the gateway stays open until it is asked to end.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let words = Words::of(process_environment);
    let platforms = platforms(&args.platform, &words)?;
    let signals = Signals::listen()?;
    let stage = Stage::set("demo", !args.once).await?;
    let (cast, bot) = furnish(&stage, if platforms.is_empty() { &[WHATSAPP] } else { &platforms }).await?;
    if platforms.is_empty() {
        solo::play(&stage, &cast, &bot, args.messages, &words).await?;
    } else {
        crowd::play(&stage, &cast, &bot, args.messages, &words).await?;
    }
    if !args.once {
        println!("{}", words.demo_stays(&stage.address(), stage.token.expose()));
        signals.asked().await;
    }
    stage.strike().await;
    Ok(())
}

/// The platforms that were named, each once; none where none was.
fn platforms(named: &[String], words: &Words) -> anyhow::Result<Vec<&'static str>> {
    let known = super::stage::cast::platforms();
    if named.iter().any(|name| name == ALL) {
        return Ok(known);
    }
    let mut found: Vec<&'static str> = Vec::new();
    for name in named {
        let platform = known.iter().copied().find(|platform| platform == name);
        let platform = platform.with_context(|| words.platform_unknown(name, &known))?;
        if !found.contains(&platform) {
            found.push(platform);
        }
    }
    Ok(found)
}

/// The platforms before the gateway, and the bot behind it.
async fn furnish(stage: &Stage, platforms: &[&'static str]) -> anyhow::Result<(Cast, Bot)> {
    let bot = Bot::start(None, Clock::System).await.context("the bot cannot start")?;
    let wants = EventPattern::new("message.*").into_iter().collect();
    let (_, key) = stage.endpoint(bot.url(), |endpoint| endpoint.subscription.types = wants).await?;
    bot.expects(Some(key));
    bot.replies_with(Some(stage.replies()));
    let cast = Cast::assemble(stage, platforms, "Ana").await?;
    Ok((cast, bot))
}
