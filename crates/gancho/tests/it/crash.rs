//! Ends that nobody asked for, under load: the process is killed, the power is cut with writes that are half on the
//! disk. Nothing acknowledged is lost, nothing is out of order.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::disk::{Disk, Part};
use testkit::place::{Engine, Place};
use testkit::process::{Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};

use crate::load::{Load, assert_arrived, assert_kept};

/// How many calls the disk sees at most before the power is cut: a few hundred commits.
const CALLS_MAX: u64 = 3_000;
/// How many writes and syncs of the database at most: more than one copying of the log makes.
const COPIES_MAX: u64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_however_often_the_process_is_killed_on_sqlite() -> anyhow::Result<()> {
    kills(Engine::Sqlite, testkit::cycles(30)?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_however_often_the_process_is_killed_on_postgres() -> anyhow::Result<()>
{
    kills(Engine::Postgres, testkit::cycles(10)?).await
}

async fn kills(engine: Engine, cycles: u32) -> anyhow::Result<()> {
    let Some(place) = Place::fresh(engine).await? else { return Ok(()) };
    let crowd = Crowd::gather(&place).await?;
    let load = Load::start(&crowd.url(), 0);
    let mut slowest_start = Duration::ZERO;
    for cycle in 0..cycles {
        let gancho = Gancho::start(binary(), &place, crowd.address, &[]).await?;
        slowest_start = slowest_start.max(gancho.ready_after);
        // The kill comes at another moment of the work in every cycle.
        load.wait_for(load.count() + 20 + u64::from(cycle % 30) * 7).await;
        gancho.kill()?;
    }
    let count = crowd.settle(&place, load, &[]).await?;
    testkit::announce(&format!("{count} acknowledged over {cycles} kills; slowest start {slowest_start:?}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_power_is_cut_and_writes_are_torn() -> anyhow::Result<()> {
    let (cycles, seed) = (testkit::cycles(10)?, testkit::seed()?);
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let Some(disk) = Disk::beneath(&place)? else { return Ok(()) };
    let crowd = Crowd::gather(&place).await?;
    disk.take_over().await?;
    let beneath = disk.variables();
    let beneath: Vec<(&str, &str)> = beneath.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // Long messages fill the log quickly, so that it is copied often.
    let load = Load::start(&crowd.url(), 30_000);
    testkit::announce(&format!("GANCHO_TEST_SEED={seed}"));
    for cycle in 0..u64::from(cycles) {
        let chance = seed.wrapping_add(cycle).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        // Every other cut comes while the log is copied into the database.
        let (part, calls) = match cycle % 2 {
            0 => (Part::Whole, 1 + chance % CALLS_MAX),
            _ => (Part::Database, 1 + chance % COPIES_MAX),
        };
        disk.cut_after(part, calls, [50, 0, 90][(cycle / 2 % 3) as usize], chance)?;
        match Gancho::start(binary(), &place, crowd.address, &beneath).await {
            Ok(gancho) => drop(gancho.ended().await?),
            // The cut came before it was ready.
            Err(error) => anyhow::ensure!(disk.is_cut()?, "{error:#}"),
        }
        anyhow::ensure!(disk.is_cut()?, "cycle {cycle}: it ended before the power was cut");
        let checked = Command::new(binary())
            .arg("check")
            .env("GANCHO_STORE", &place.store)
            .envs(beneath.iter().copied())
            .output()?;
        let said = String::from_utf8_lossy(&checked.stdout);
        anyhow::ensure!(checked.status.success(), "cycle {cycle}: {said}");
    }
    let count = crowd.settle(&place, load, &beneath).await?;
    testkit::announce(&format!("{count} acknowledged over {cycles} power cuts"));
    Ok(())
}

/// Three endpoints that take everything in the end, one that always fails and one that never answers.
struct Crowd {
    scene: Scene,
    address: SocketAddr,
    good: [Receiver; 3],
    _bad: [Receiver; 2],
}

impl Crowd {
    async fn gather(place: &Place) -> anyhow::Result<Crowd> {
        let store = open(place).await?;
        let scene = Scene::build(&store).await?;
        let good = [
            Receiver::start(Manner::Good).await?,
            Receiver::start(Manner::Good).await?,
            Receiver::start(Manner::FailsEvery(7)).await?,
        ];
        let bad = [Receiver::start(Manner::Answers(500)).await?, Receiver::start(Manner::Hangs).await?];
        for receiver in good.iter().chain(&bad) {
            scene.endpoint(&store, receiver.url(), |_| {}).await?;
        }
        Ok(Crowd { scene, address: free_address()?, good, _bad: bad })
    }

    fn url(&self) -> String {
        format!("http://{}/in/{}", self.address, self.scene.source)
    }

    /// Starts once more, lets everything arrive, and looks whether it did; returns how much was acknowledged.
    async fn settle(&self, place: &Place, load: Load, with: &[(&str, &str)]) -> anyhow::Result<usize> {
        let gancho = Gancho::start(binary(), place, self.address, with).await?;
        let acknowledged = load.stop().await?;
        for receiver in &self.good {
            assert_arrived(receiver, &acknowledged).await;
        }
        assert!(gancho.stop().await?, "it ends well when asked");
        assert_kept(&open(place).await?, &acknowledged).await?;
        Ok(acknowledged.len())
    }
}

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_gancho"))
}
