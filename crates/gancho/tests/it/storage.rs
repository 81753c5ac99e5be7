//! When the ground gives way: a full disk, a database that goes away. Nothing acknowledged is lost, and everything
//! goes on by itself.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use model::time::{Clock, ManualClock};
use store::retention::Keep;
use store::{Config, Faults, Location, Store};
use testkit::place::{Engine, Place, server};
use testkit::process::{Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{client, get, message, post_signed};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_503_and_room_is_enough_to_go_on() -> anyhow::Result<()> {
    let Some(disk) = SmallDisk::mount()? else { return Ok(()) };
    let place = Place::at(&disk.folder.join("data"));
    let receiver = Receiver::start(Manner::Good).await?;
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    scene.endpoint(&store, receiver.url(), |_| {}).await?;
    drop(store);
    let address = free_address()?;
    let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
    let url = format!("http://{address}/in/{}", scene.source);
    let (client, words) = (client(), "w".repeat(200_000));

    let ballast = disk.folder.join("ballast");
    let mut acknowledged = 0_usize;
    let refused = loop {
        let id = format!("wamid.F{acknowledged}");
        let answer = post_signed(&client, &url, &message(&id, 1, &format!("{id} {words}"))).await?;
        if answer.status != 200 {
            break answer;
        }
        acknowledged += 1;
        if acknowledged == 5 {
            // The rest of the disk is taken by somebody else, but for a little.
            fill(&ballast, 3 * 1024 * 1024)?;
        }
        anyhow::ensure!(acknowledged < 1_000, "the disk never filled");
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers.get("retry-after").and_then(|value| value.to_str().ok()), Some("1"));
    assert_eq!(get(&format!("http://{address}/livez"), &[]).await?.status, 200);

    std::fs::remove_file(&ballast)?;
    let id = format!("wamid.F{acknowledged}");
    let again = message(&id, 1, &format!("{id} {words}"));
    let deadline = Instant::now() + PATIENCE;
    while post_signed(&client, &url, &again).await?.status != 200 {
        anyhow::ensure!(Instant::now() < deadline, "it did not go on after there was room");
        tokio::task::yield_now().await;
    }
    acknowledged += 1;
    let all = receiver.wait(PATIENCE, |came| came.len() >= acknowledged).await;
    assert!(all, "{} of {acknowledged} were delivered", receiver.came().len());
    assert!(gancho.stop().await?);
    let counts = open(&place).await?.stats().counts().await?;
    assert!(counts.is_sound(), "{counts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clean_stop_the_database_is_complete_in_its_one_file() -> anyhow::Result<()> {
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    drop(store);
    let address = free_address()?;
    let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
    let (url, client) = (format!("http://{address}/in/{}", scene.source), client());
    for number in 0..20 {
        let body = message(&format!("wamid.C{number}"), number, "hola");
        assert_eq!(post_signed(&client, &url, &body).await?.status, 200);
    }
    assert!(gancho.stop().await?);
    let folder = place.folder().expect("a fresh place on SQLite has a folder");
    let Some(copy) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let copied = copy.folder().expect("this one too");
    std::fs::create_dir_all(copied)?;
    std::fs::copy(folder.join("gancho.db"), copied.join("gancho.db"))?;
    let counts = open(&copy).await?.stats().counts().await?;
    assert_eq!(counts.receipts, 20);
    assert!(counts.is_sound(), "{counts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_restarts_under_load_loses_nothing() -> anyhow::Result<()> {
    let Some(server) = server::Private::start()? else { return Ok(()) };
    let place = Place::on(&server.url);
    let receiver = Receiver::start(Manner::Good).await?;
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    scene.endpoint(&store, receiver.url(), |_| {}).await?;
    drop(store);
    let address = free_address()?;
    let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
    let url = format!("http://{address}/in/{}", scene.source);
    let client = client();
    let mut refused = 0;
    for n in 0..300_u64 {
        if n == 100 || n == 200 {
            server.restart()?;
        }
        let body = message(&format!("wamid.P{n}"), n % 5, "hola");
        loop {
            match post_signed(&client, &url, &body).await?.status {
                200 => break,
                503 => refused += 1,
                other => anyhow::bail!("answered {other}"),
            }
        }
    }
    let all = receiver.wait(PATIENCE, |came| came.len() >= 300).await;
    assert!(all, "{} of 300 were delivered; {refused} answers were 503", receiver.came().len());
    assert!(gancho.stop().await?);
    let counts = open(&place).await?.stats().counts().await?;
    assert_eq!(counts.events, 300 + 5);
    assert!(counts.is_sound(), "{counts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_has_leapt_far_ahead_is_told_where_one_looks() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::fresh(engine).await? else { continue };
        let clock = ManualClock::starting_at(Clock::System.now().minus(Duration::from_secs(400 * 24 * 3600)));
        let config =
            Config { location: Location::parse(&place.store)?, node: 1000, faults: Faults::default() };
        let store = Store::open(&config, Clock::Manual(clock)).await?;
        store.retention().step(Keep::default()).await?;
        drop(store);
        let binary = Path::new(env!("CARGO_BIN_EXE_gancho"));
        let gancho = Gancho::start(binary, &place, free_address()?, &[]).await?;
        let metrics = format!("http://{}/metrics", gancho.address);
        let deadline = Instant::now() + PATIENCE;
        while !String::from_utf8_lossy(&get(&metrics, &[]).await?.body).contains("gancho_retention_waiting 1")
        {
            anyhow::ensure!(Instant::now() < deadline, "it is not told after {PATIENCE:?}");
        }
        assert!(gancho.stop().await?);
        let check = Command::new(binary).arg("check").env("GANCHO_STORE", &place.store).output()?;
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success() && said.contains("retention waits until "), "{said}");
    }
    Ok(())
}

/// A disk of 20 MB in memory; gone afterwards.
struct SmallDisk {
    folder: std::path::PathBuf,
}

impl SmallDisk {
    /// Mounts one; `None` where nobody is allowed to.
    fn mount() -> anyhow::Result<Option<SmallDisk>> {
        let folder = std::env::temp_dir().join(format!("gancho-disk-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=20m", "tmpfs"]).arg(&folder).status()?;
        if mounted.success() {
            return Ok(Some(SmallDisk { folder }));
        }
        testkit::announce("skipped: mounting a small disk needs root");
        Ok(None)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left mounted at worst: it is 20 MB of memory.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Takes what is left of a disk, but for `spare` bytes.
fn fill(file: &Path, spare: u64) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::fs::File::create(file)?;
    let block = vec![0_u8; 64 * 1024];
    while out.write_all(&block).and_then(|()| out.flush()).is_ok() {}
    let length = out.metadata()?.len();
    out.set_len(length.saturating_sub(spare))?;
    Ok(())
}
