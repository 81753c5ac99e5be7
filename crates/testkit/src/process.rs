//! The real binary in a process of its own: started, killed, started again.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::Instant;

use crate::place::Place;

/// The admin token of every story.
pub const ADMIN_TOKEN: &str = "story-admin-token-story-admin-token-0001";
/// How long a start may take before the story fails.
const START_MAX: Duration = Duration::from_secs(30);

/// How long an end may take to come.
const END_MAX: Duration = Duration::from_secs(120);

/// A gateway in a process of its own.
#[derive(Debug)]
pub struct Gancho {
    child: Child,
    words: Option<JoinHandle<String>>,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took to be ready.
    pub ready_after: Duration,
}

impl Gancho {
    /// Starts the binary over a place, on an address that stays the same over restarts.
    pub async fn start(
        binary: &Path,
        place: &Place,
        address: SocketAddr,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Gancho> {
        let started = Instant::now();
        let mut child = Command::new(binary)
            .arg("serve")
            .env("GANCHO_STORE", &place.store)
            .env("GANCHO_LISTEN", address.to_string())
            .env("GANCHO_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("GANCHO_EGRESS_ALLOW", "127.0.0.0/8")
            .env("GANCHO_EGRESS_HTTP", "true")
            .env("GANCHO_LOG", "warn")
            .envs(place.files().map(|files| ("GANCHO_FILES", files)))
            .envs(more.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("the binary could not be started")?;
        let words = child.stderr.take().map(|words| std::thread::spawn(move || pass_on(words)));
        let mut gancho = Gancho { child, words, address, ready_after: Duration::ZERO };
        let own = more.iter().find(|(name, _)| *name == "GANCHO_OPERATIONS_LISTEN");
        let operations = own.map_or_else(|| address.to_string(), |(_, address)| (*address).to_owned());
        gancho.wait_until_ready(started, &operations).await?;
        Ok(gancho)
    }

    async fn wait_until_ready(&mut self, started: Instant, operations: &str) -> anyhow::Result<()> {
        let url = format!("http://{operations}/readyz");
        loop {
            if let Ok(answer) = crate::sender::get(&url, &[]).await
                && answer.status == 200
            {
                self.ready_after = started.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the gateway ended at its start: {status}: {}", self.last_words());
            }
            anyhow::ensure!(started.elapsed() < START_MAX, "the gateway was not ready in {START_MAX:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills it as a power cut would: no signal it could catch.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it ends; says how it did, and its last words.
    pub async fn ended(mut self) -> anyhow::Result<(ExitStatus, String)> {
        let deadline = Instant::now() + END_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, self.last_words()));
            }
            anyhow::ensure!(Instant::now() < deadline, "the gateway did not end in {END_MAX:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Everything it wrote to its standard error; to be asked for after its end.
    fn last_words(&mut self) -> String {
        self.words.take().and_then(|words| words.join().ok()).unwrap_or_default()
    }

    /// Asks it to end.
    pub fn terminate(&self) -> anyhow::Result<()> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        Ok(())
    }

    /// Asks it to end and waits; returns whether it ended well.
    pub async fn stop(self) -> anyhow::Result<bool> {
        self.terminate()?;
        Ok(self.ended().await?.0.success())
    }
}

impl Drop for Gancho {
    fn drop(&mut self) {
        // Ended already in the good case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes on what the process says, and keeps it.
#[allow(clippy::print_stderr, reason = "the process's own words")]
fn pass_on(words: ChildStderr) -> String {
    let mut all = String::new();
    for line in BufReader::new(words).lines().map_while(Result::ok) {
        eprintln!("{line}");
        all.push_str(&line);
        all.push('\n');
    }
    all
}

/// A port that is free now and stays the story's own over restarts.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
