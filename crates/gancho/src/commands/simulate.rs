//! A WhatsApp number on this machine, for whoever writes a bot: a page to write on as the customer, and a gateway between the two.

mod guard;
mod page;
mod room;
mod routes;

use std::net::SocketAddr;

use anyhow::Context;
use model::endpoint::Format;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::room::Opening;
use self::room::Room;
use crate::app::Signals;
use crate::cli::SimulateArgs;
use crate::config::process_environment;
use crate::words::Words;

/// Runs until it is asked to end.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let words = Words::of(process_environment);
    let signals = Signals::listen()?;
    let format = Format::parse(&args.format).context("a format is standard, platform or client")?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address: SocketAddr = listener.local_addr()?;
    let room = Room::open(args.url.as_deref(), format).await?;
    println!("{}", words.simulate_begins(&format!("http://{address}/"), &room.opening()));
    let ending = CancellationToken::new();
    let router = routes::router(room.clone(), address, ending.clone());
    let serving = axum::serve(listener, router).with_graceful_shutdown(ending.clone().cancelled_owned());
    let serving = tokio::spawn(async move { serving.await });
    signals.asked().await;
    ending.cancel();
    serving.await??;
    room.close().await;
    Ok(())
}
