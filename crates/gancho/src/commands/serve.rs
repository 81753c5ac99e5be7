//! Runs the gateway until it is asked to end, or until its store can no longer be trusted.

use std::pin::pin;
use std::time::Duration;

use anyhow::bail;

use crate::app::{App, Signals, World, unsound};
use crate::descriptors;
use crate::settings::Config;

/// How long what is under way may take when nothing can be stored any more: enough to say so to whoever waits.
const UNSOUND_DRAIN: Duration = Duration::from_secs(1);

/// Serves.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    if config.admin_token.is_none() {
        // Webhooks still come in: what is configured already must not be lost for want of a token.
        tracing::warn!("no admin token is set: make one with `gancho token`, or set GANCHO_ADMIN_TOKEN");
    }
    let signals = Signals::listen()?;
    let connections_max = descriptors::connections_max(config, descriptors::raise());
    let app = App::start(&Config { connections_max, ..config.clone() }, World::real()).await?;
    tracing::info!(address = %app.address(), api = %app.api_address(), operations = %app.operations_address(), version = env!("CARGO_PKG_VERSION"), "ready");
    let store = app.store().clone();
    tokio::select! {
        () = signals.asked() => {}
        () = unsound(&store) => {}
    }
    tracing::info!("stopping: finishing what is under way");
    let mut stopping = pin!(app.stop());
    tokio::select! {
        () = &mut stopping => {}
        () = unsound(&store) => {
            // What is not done by then could not be recorded: it is done again after the next start.
            let _ = tokio::time::timeout(UNSOUND_DRAIN, stopping).await;
        }
    }
    if store.is_sound() {
        return Ok(());
    }
    bail!(
        "a write did not reach the disk: see to the disk (the kernel's log says more), then start again; everything acknowledged is kept"
    );
}
