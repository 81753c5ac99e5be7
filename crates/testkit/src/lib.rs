//! What stories are told with: a Gancho in a process of its own, a store to set it up, a sender that signs as the
//! platform does, and endpoints that misbehave on request. Everything is real HTTP on loopback.

pub mod place;
pub mod process;
pub mod scene;
pub mod sender;
pub mod receiver;

/// Says something that whoever reads the tests' output should know: what was skipped, what was measured.
#[allow(clippy::print_stdout, reason = "the tests' own output")]
pub fn announce(words: &str) {
    println!("{words}");
}
