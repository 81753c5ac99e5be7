//! The demo on several platforms at once: a person on each, one gateway, one bot.

use anyhow::bail;
use futures_util::future::join_all;
use simulator::Bot;

use super::super::stage::Stage;
use super::super::stage::cast::Cast;
use super::tally::{Tally, patience, platform_of, taken};
use crate::words::Words;

/// Lets a person on each platform write, all at the same time, and waits until everything has come where it belongs.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub(super) async fn play(
    stage: &Stage,
    cast: &Cast,
    bot: &Bot,
    count: u32,
    words: &Words,
) -> anyhow::Result<()> {
    println!("{}", words.crowd_begins(&stage.address(), cast.people().len()));
    write(cast, count, words).await?;
    let tallies: Vec<Tally> =
        cast.people().keys().map(|platform| Tally { platform, count: count as usize }).collect();
    let patience = patience(count);
    let all_have_come = |attempts: &[_]| tallies.iter().all(|tally| tally.is_complete(attempts));
    let came = bot.wait_until(patience, all_have_come).await;
    let attempts = bot.attempts();
    for attempt in taken(&attempts) {
        println!("{}", words.crowd_delivered(platform_of(attempt), attempt));
    }
    if came.is_err() {
        let waiting = tallies.iter().filter(|tally| !tally.is_complete(&attempts));
        let waiting: Vec<&str> = waiting.map(|tally| tally.platform).collect();
        let last = bot.replied().last().map(|reply| (reply.status, reply.answer.clone()));
        bail!(
            "after {patience:?} events are missing of {}; the last reply was answered {last:?}",
            waiting.join(", ")
        );
    }
    println!("\n{}", words.crowd_head());
    let mut sum = [0; 3];
    for tally in &tallies {
        let told = tally.verify(&attempts, cast.replies(tally.platform))?;
        let statuses = told.statuses.iter().sum();
        println!("{}", words.crowd_row(told.platform, told.messages, told.replies, statuses));
        sum = [sum[0] + told.messages, sum[1] + told.replies, sum[2] + statuses];
    }
    println!("\n{}", words.demo_ends(sum[0], sum[1], sum[2]));
    Ok(())
}

#[allow(clippy::print_stdout, reason = "what the user asked to see")]
async fn write(cast: &Cast, count: u32, words: &Words) -> anyhow::Result<()> {
    for number in 1..=count {
        let text = format!("hola {number}");
        let saying =
            cast.people().iter().map(|(platform, person)| async { (*platform, person.says(&text).await) });
        let mut is_again = false;
        for (platform, heard) in join_all(saying).await {
            let heard = heard?;
            is_again |= !heard.is_acknowledged;
            println!("{}", words.crowd_acknowledged(platform, &text, &heard));
        }
        // What was not acknowledged the platform sends again by itself. A person's next message does not overtake it.
        if is_again {
            cast.settled().await;
        }
    }
    Ok(())
}
