//! The demo as it is without a choice: one person who writes on WhatsApp.

use super::super::stage::Stage;
use super::super::stage::cast::{Cast, WHATSAPP};
use super::tally::{Tally, patience, taken};
use anyhow::{Context, bail, ensure};
use simulator::Bot;

use crate::words::Words;

/// Lets a customer write, and waits until every message, reply and status has come where it belongs.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub(super) async fn play(
    stage: &Stage,
    cast: &Cast,
    bot: &Bot,
    count: u32,
    words: &Words,
) -> anyhow::Result<()> {
    println!("{}", words.demo_begins(&stage.address()));
    let ana = cast.people().get(WHATSAPP).context("nobody writes on WhatsApp")?;
    for number in 1..=count {
        let text = format!("hola {number}");
        let heard = ana.says(&text).await?;
        ensure!(heard.is_acknowledged, "{text} was not acknowledged: {}", heard.words);
        println!("{}", words.demo_acknowledged(&text, heard.latency));
    }
    let tally = Tally { platform: WHATSAPP, count: count as usize };
    let patience = patience(count);
    if bot.wait_until(patience, |attempts| tally.is_complete(attempts)).await.is_err() {
        let arrived = taken(&bot.attempts()).count();
        let last = bot.replied().last().map(|reply| (reply.status, reply.answer.clone()));
        bail!("only {arrived} events arrived in {patience:?}; the last reply was answered {last:?}");
    }
    let attempts = bot.attempts();
    for attempt in taken(&attempts) {
        println!("{}", words.demo_delivered(attempt));
    }
    let told = tally.verify(&attempts, cast.replies(WHATSAPP))?;
    println!("\n{}", words.demo_ends(told.messages, told.replies, told.statuses.iter().sum()));
    Ok(())
}
