//! Runs the gateway until it is asked to end, or until its store can no longer be trusted.

use anyhow::bail;

use crate::app::{App, Signals, World};
use crate::settings::Config;

/// Serves.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    if config.admin_token.is_none() {
        // Webhooks still come in: what is configured already must not be lost for want of a token.
        tracing::warn!("no admin token is set: make one with `gancho token`, or set GANCHO_ADMIN_TOKEN");
    }
    let signals = Signals::listen()?;
    let app = App::start(config, World::real()).await?;
    tracing::info!(address = %app.address(), version = env!("CARGO_PKG_VERSION"), "ready");
    let is_sound = tokio::select! {
        () = signals.asked() => true,
        () = app.unsound() => false,
    };
    tracing::info!("stopping: finishing what is under way");
    app.stop().await;
    if !is_sound {
        bail!(
            "a write did not reach the disk; start again, and everything acknowledged will be read from the disk"
        );
    }
    Ok(())
}
