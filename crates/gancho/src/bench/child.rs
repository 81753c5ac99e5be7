//! The measured server: this very binary in a process of its own, so that its CPU and memory are its own too.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// How long a server may take to be ready.
const READY_MAX: Duration = Duration::from_secs(60);

/// A server under measurement.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) address: SocketAddr,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, user and system.
    pub(crate) cpu: Duration,
    /// Resident memory now, in bytes.
    pub(crate) rss_bytes: u64,
}

impl Usage {
    pub(crate) fn since(self, before: &Usage) -> Usage {
        Usage { cpu: self.cpu.saturating_sub(before.cpu), rss_bytes: self.rss_bytes }
    }

    pub(crate) fn and(self, more: Usage) -> Usage {
        Usage { cpu: self.cpu + more.cpu, rss_bytes: self.rss_bytes.max(more.rss_bytes) }
    }
}

impl Child {
    /// The floor.
    pub(crate) fn floor(secret: &str, forward: Option<String>) -> anyhow::Result<Child> {
        let mut args = vec!["floor".to_owned(), "--secret".to_owned(), secret.to_owned()];
        args.extend(forward.into_iter().flat_map(|url| ["--forward".to_owned(), url]));
        let mut process = spawn(&args, &[], Stdio::piped(), Stdio::inherit())?;
        let out = process.stdout.take().context("the floor has an output")?;
        let line = BufReader::new(out).lines().next().context("the floor said nothing")??;
        let address = line.strip_prefix("address=").context("the floor said something else")?.parse()?;
        Ok(Child { process, address })
    }

    /// The gateway with its real settings; ready when this returns.
    pub(crate) async fn gateway(settings: &[(String, String)]) -> anyhow::Result<Child> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut environment = settings.to_vec();
        environment.push(("GANCHO_LISTEN".to_owned(), address.to_string()));
        let mut process = spawn(&["serve".to_owned()], &environment, Stdio::null(), Stdio::inherit())?;
        let deadline = tokio::time::Instant::now() + READY_MAX;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if tokio::time::Instant::now() > deadline || process.try_wait()?.is_some() {
                bail!("the gateway did not start");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Child { process, address })
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let folder = format!("/proc/{}", self.process.id());
        let stat = std::fs::read_to_string(format!("{folder}/stat"))
            .context("only Linux tells a process's usage")?;
        // The name in brackets may hold spaces: count from behind it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let status = std::fs::read_to_string(format!("{folder}/status"))?;
        let rss_kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or(0);
        // Linux counts processor time in hundredths of a second for this file.
        Ok(Usage { cpu: Duration::from_millis((ticks(11) + ticks(12)) * 10), rss_bytes: rss_kib * 1024 })
    }

    /// Asks it to end, and waits.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status()?;
        while self.process.try_wait()?.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Already ended in the good case.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(
    args: &[String],
    environment: &[(String, String)],
    out: Stdio,
    err: Stdio,
) -> anyhow::Result<std::process::Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).envs(environment.iter().cloned()).env("GANCHO_LOG", "warn").stdout(out).stderr(err);
    Ok(command.spawn()?)
}
