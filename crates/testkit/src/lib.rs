//! What stories are told with: a Gancho in a process of its own, a store to set it up, a sender that signs as the
//! platform does, and endpoints that misbehave on request. Everything is real HTTP on loopback.

pub mod place;
pub mod disk;
pub mod process;
pub mod scene;
pub mod sender;
pub mod receiver;

use anyhow::Context;

/// Says something that whoever reads the tests' output should know: what was skipped, what was measured.
#[allow(clippy::print_stdout, reason = "the tests' own output")]
pub fn announce(words: &str) {
    println!("{words}");
}

/// How often a story about crashes goes round: as `GANCHO_TEST_CYCLES` says, or so often.
pub fn cycles(otherwise: u32) -> anyhow::Result<u32> {
    let Some(text) = variable("GANCHO_TEST_CYCLES") else { return Ok(otherwise) };
    text.parse().context("GANCHO_TEST_CYCLES is not a number")
}

/// Where pseudo-random numbers begin: as `GANCHO_TEST_SEED` says, or elsewhere in every run. Whoever uses it announces it.
pub fn seed() -> anyhow::Result<u64> {
    let Some(text) = variable("GANCHO_TEST_SEED") else { return Ok(std::process::id().into()) };
    text.parse().context("GANCHO_TEST_SEED is not a number")
}

#[allow(clippy::disallowed_methods, reason = "how `scripts/test` and people tell the tests what they want")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
