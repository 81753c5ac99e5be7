//! The binary: reads the command line, runs the command, turns errors into an exit code.

use std::process::ExitCode;

use clap::Parser;
use gancho::cli::Cli;
use gancho::commands;
use mimalloc::MiMalloc;

/// Requests are read on one thread and freed on the store's: the system's allocator takes locks for that (ADR 3).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
#[allow(clippy::print_stderr, reason = "the last words of a command that failed")]
async fn main() -> ExitCode {
    match commands::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gancho: {error:#}");
            ExitCode::FAILURE
        }
    }
}
