//! Checks that nothing has been lost: the sums, the lines, the file itself.

use anyhow::bail;
use model::delivery::DeliveryState;
use store::retention::Doubt;

use crate::app::{World, open_store};
use crate::settings::Config;

/// Checks the store and prints what it found; fails unless everything adds up.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let store = open_store(config, &World::real()).await?;
    let counts = store.stats().counts().await?;
    println!("receipts    {:>12}", counts.receipts);
    println!("events      {:>12}", counts.events);
    println!("deliveries  {:>12}", counts.deliveries);
    for (state, count) in DeliveryState::ALL.into_iter().zip(counts.by_state) {
        println!("  {:<10}{count:>12}", state.as_str());
    }
    if let Some(Doubt { believed, until }) = store.retention().doubt().await? {
        println!("retention waits until {until}: the clock is far ahead of {believed}, what it was last");
    }
    for line in &counts.damage {
        println!("damage: {line}");
    }
    if !counts.is_sound() {
        bail!(
            "it does not add up: {} stuck in a line, {} without their event, {} lines of damage",
            counts.stuck,
            counts.orphans,
            counts.damage.len()
        );
    }
    println!("everything adds up");
    Ok(())
}

/// Brings the schema up to date, which opening the store does.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    open_store(config, &World::real()).await?;
    println!("the schema is up to date");
    Ok(())
}
