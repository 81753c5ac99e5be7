//! The commands, one a file or folder.

pub mod serve;
pub mod demo;
pub mod check;
pub mod token;
pub mod sign;
pub mod simulate;
pub mod trigger;
pub mod stage;

use anyhow::Context;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::{bench, config, telemetry};

/// Runs the command that was asked for.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    install_crypto()?;
    let load = || config::load(cli.config.as_deref(), &config::process_environment, &cli.set);
    match cli.command {
        Command::Demo(args) => demo::run(&args).await,
        Command::Simulate(args) => simulate::run(&args).await,
        Command::Trigger(args) => trigger::run(&args).await,
        Command::Bench(args) => bench::run(&args).await,
        Command::Floor(args) => bench::floor::serve(&args).await,
        Command::Sign(args) => sign::sign(&args),
        Command::Verify(args) => sign::verify(&args),
        Command::Config { what: ConfigCommand::Example } => {
            print!("{}", config::example());
            Ok(())
        }
        Command::Config { what: ConfigCommand::Print } => {
            print!("{}", config::print(&load()?));
            Ok(())
        }
        Command::Serve => {
            let config = load()?.config;
            telemetry::start(&config);
            serve::run(&config).await
        }
        Command::Check => check::run(&load()?.config).await,
        Command::Migrate => check::migrate(&load()?.config).await,
        Command::Token { name, role } => token::run(&load()?.config, &name, &role).await,
    }
}

/// One crypto library for everything, named once.
fn install_crypto() -> anyhow::Result<()> {
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    installed.ok().context("the crypto provider was set before")
}
