//! A disk that fails beneath the gateway. A sync that failed is the end of the process, which says so; a write that is
//! refused is a 503, and everything goes on by itself. Nothing acknowledged is lost either way.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use testkit::disk::{Disk, Part, Refusal};
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{Answer, Plain, client, get, message, post_signed};
use tokio::time::Instant;

use crate::load::{Load, assert_arrived, assert_kept};

/// A message of which a handful fill the log.
const LONG: usize = 1_500_000;
/// A request that does not fit into SQLite's cache: it is written in the middle of its job.
const HUGE: usize = 80_000_000;
/// How many of them come before the log begins anew, at most: each fills it.
const HUGE_MAX: usize = 10;
/// How many long messages fill the log, at most.
const LONG_MAX: u64 = 40;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_at_commit_ends_the_process_and_what_it_was_for_is_answered_anew()
-> anyhow::Result<()> {
    let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
    let gancho = ground.start().await?;
    for number in 0..5 {
        ground.acknowledged(number, 0).await?;
    }
    ground.disk.fail_syncs(Part::Log, 0)?;
    let refused = ground.post(5, 0).await?;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers.get("retry-after").and_then(|value| value.to_str().ok()), Some("1"));
    ground.ends(gancho).await?;
    let gancho = ground.start().await?;
    for number in 0..6 {
        ground.acknowledged(number, 0).await?;
    }
    ground.adds_up(gancho).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_while_the_log_is_copied_ends_the_process() -> anyhow::Result<()> {
    let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
    let gancho = ground.start().await?;
    // It was copied before, and has begun anew.
    ground.disk.fail_syncs(Part::Database, 2)?;
    // The log is copied after the answer: whose message filled it is told 200, and a later one is not.
    let number = ground.until_refused(0).await?;
    ground.ends(gancho).await?;
    let gancho = ground.start().await?;
    ground.acknowledged(number, LONG).await?;
    ground.adds_up(gancho).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_while_the_gateway_ends_is_told_all_the_same() -> anyhow::Result<()> {
    // The last record is written while what is under way ends; the log is copied when nothing is any more.
    for (part, manner) in [(Part::Log, Manner::Hangs), (Part::Database, Manner::Good)] {
        let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
        let gancho = ground.start().await?;
        let receiver = ground.receiver.clone().expect("it was asked for");
        receiver.becomes(manner);
        ground.acknowledged(0, 0).await?;
        assert!(receiver.wait(PATIENCE, |came| !came.is_empty()).await);
        ground.disk.fail_syncs(part, 0)?;
        gancho.terminate()?;
        ground.says_why(gancho).await?;
        receiver.becomes(Manner::Good);
        let gancho = ground.start().await?;
        ground.acknowledged(1, 0).await?;
        ground.adds_up(gancho).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_in_the_middle_of_a_job_ends_the_process() -> anyhow::Result<()> {
    // Without endpoints nobody else writes.
    let Some(mut ground) = Ground::prepare(false).await? else { return Ok(()) };
    let gancho = ground.start().await?;
    ground.acknowledged(0, 0).await?;
    // Whenever the log begins anew, its first bytes are synced before any others: while the job is still running.
    ground.disk.fail_syncs(Part::LogHead, 0)?;
    let (mut posted, mut last) = (0, None);
    while ground.disk.struck()? == 0 {
        anyhow::ensure!(posted < HUGE_MAX, "the log never began anew");
        last = ground.post_huge().await.ok().map(|answer| answer.status);
        posted += 1;
    }
    assert_ne!(last, Some(200));
    ground.ends(gancho).await?;
    let gancho = ground.start().await?;
    ground.acknowledged(1, 0).await?;
    ground.adds_up(gancho).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_while_the_store_is_made_is_told_and_the_next_start_goes_on() -> anyhow::Result<()>
{
    for part in [Part::Parent, Part::Names, Part::Database, Part::Log] {
        let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
        let Some(disk) = Disk::beneath(&place)? else { return Ok(()) };
        disk.fail_syncs(part, 0)?;
        let address = free_address()?;
        let Err(refused) = Gancho::start(binary(), &place, address, &pairs(&disk.variables())).await else {
            anyhow::bail!("it started without {part:?}");
        };
        let words = refused.to_string();
        assert!(
            words.contains("exit status: 1") && words.contains("did not reach the disk"),
            "{part:?}: {words}"
        );
        assert!(disk.struck()? > 0, "{part:?}");
        disk.heal()?;
        let gancho = Gancho::start(binary(), &place, address, &pairs(&disk.variables())).await?;
        assert!(gancho.stop().await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_built_on_what_only_the_kernel_remembers() -> anyhow::Result<()> {
    for part in [Part::Log, Part::Database] {
        let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
        let gancho = ground.start().await?;
        ground.acknowledged(0, 0).await?;
        ground.disk.fail_syncs(part, 0)?;
        let number = ground.until_refused(1).await?;
        ground.ends(gancho).await?;
        // What the failed sync was for looks as if it were on the disk. It is acknowledged on that, or anew.
        let gancho = ground.start().await?;
        ground.acknowledged(number, LONG).await?;
        ground.acknowledged(number + 1, 0).await?;
        ground.disk.cut_after(Part::Whole, 1, 0, 0)?;
        let cut = ground.post(number + 2, 0).await;
        assert!(cut.is_err() && ground.disk.is_cut()?, "{cut:?}");
        gancho.ended().await?;
        let gancho = ground.start().await?;
        ground.adds_up(gancho).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_refused_is_a_503_and_everything_goes_on_when_the_disk_does() -> anyhow::Result<()> {
    for why in [Refusal::Broken, Refusal::Full] {
        let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
        let gancho = ground.start().await?;
        ground.acknowledged(0, 0).await?;
        ground.disk.refuse_writes(Part::Log, why)?;
        let refused = ground.post(1, 0).await?;
        assert_eq!(refused.status, 503);
        assert_eq!(refused.headers.get("retry-after").and_then(|value| value.to_str().ok()), Some("1"));
        assert_eq!(get(&format!("http://{}/livez", ground.address), &[]).await?.status, 200);
        ground.disk.heal()?;
        ground.acknowledged(1, 0).await?;
        ground.adds_up(gancho).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_refused_in_the_middle_of_a_job_harms_nobody_else() -> anyhow::Result<()> {
    for why in [Refusal::Broken, Refusal::Full] {
        let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
        let gancho = ground.start().await?;
        let load = Load::start(&ground.url(), 0);
        load.wait_for(20).await;
        ground.disk.refuse_writes(Part::Log, why)?;
        assert_eq!(ground.post_huge().await?.status, 503);
        assert!(ground.disk.struck()? > 0);
        ground.disk.heal()?;
        load.wait_for(load.count() + 20).await;
        ground.promised.extend(load.stop().await?);
        ground.adds_up(gancho).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_copied_keeps_everything_until_it_can() -> anyhow::Result<()> {
    let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
    let gancho = ground.start().await?;
    ground.disk.refuse_writes(Part::Database, Refusal::Broken)?;
    let mut number = 0;
    while ground.disk.struck()? < 2 {
        ground.acknowledged(number, LONG).await?;
        number += 1;
        anyhow::ensure!(number < LONG_MAX, "the log was never to be copied");
    }
    ground.disk.heal()?;
    let before = ground.database_bytes()?;
    ground.acknowledged(number, 0).await?;
    ground.wait_for_copy(before).await?;
    ground.adds_up(gancho).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_refused_before_the_disk_is_full_and_what_is_under_way_goes_on() -> anyhow::Result<()>
{
    let Some(mut ground) = Ground::prepare(true).await? else { return Ok(()) };
    let receiver = ground.receiver.clone().expect("it was asked for");
    receiver.becomes(Manner::Answers(500));
    let gancho = ground.start().await?;
    ground.acknowledged(0, 0).await?;
    ground.disk.has_free(1_000_000)?;
    let ready = ground.until("readyz", |answer| answer.status == 503).await?;
    assert_eq!(&ready.body[..], b"the disk is nearly full: what is new is refused\n");
    let refused = ground.post(1, 0).await?;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers.get("retry-after").and_then(|value| value.to_str().ok()), Some("1"));
    let says = |answer: &Answer, words: &str| String::from_utf8_lossy(&answer.body).contains(words);
    ground.until("metrics", |answer| says(answer, "gancho_disk_free_bytes 999424")).await?;

    receiver.becomes(Manner::Good);
    assert_arrived(&receiver, &ground.promised).await;
    ground.until("v1/deliveries", |answer| says(answer, "\"delivered\"")).await?;
    assert_eq!(ground.post(1, 0).await?.status, 503);
    ground.disk.heal()?;
    ground.acknowledged(1, 0).await?;
    assert_eq!(ground.until("readyz", |_| true).await?.status, 200);
    ground.adds_up(gancho).await
}

/// A store on a disk that fails on request, and what its gateway has promised so far.
struct Ground {
    disk: Disk,
    place: Place,
    scene: Scene,
    receiver: Option<Receiver>,
    address: SocketAddr,
    client: Plain,
    promised: BTreeSet<String>,
}

impl Ground {
    async fn prepare(has_endpoint: bool) -> anyhow::Result<Option<Ground>> {
        let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(None) };
        let Some(disk) = Disk::beneath(&place)? else { return Ok(None) };
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        let mut receiver = None;
        if has_endpoint {
            let good = Receiver::start(Manner::Good).await?;
            scene.endpoint(&store, good.url(), |_| {}).await?;
            receiver = Some(good);
        }
        drop(store);
        disk.take_over().await?;
        let (address, client, promised) = (free_address()?, client(), BTreeSet::new());
        Ok(Some(Ground { disk, place, scene, receiver, address, client, promised }))
    }

    async fn start(&self) -> anyhow::Result<Gancho> {
        let users = self.disk.users()?;
        let variables = self.disk.variables();
        let mut with = pairs(&variables);
        // Each refused request would be a line.
        with.extend([("GANCHO_BODY_BYTES_MAX", "100000000"), ("GANCHO_LOG", "error")]);
        let gancho = Gancho::start(binary(), &self.place, self.address, &with).await?;
        anyhow::ensure!(self.disk.users()? == users + 1, "the gateway does not run on the disk");
        Ok(gancho)
    }

    fn url(&self) -> String {
        format!("http://{}/in/{}", self.address, self.scene.source)
    }

    /// Posts the message of a number, which is `bytes` long.
    async fn post(&self, number: u64, bytes: usize) -> anyhow::Result<Answer> {
        let text = format!("{} {}", name(number), "w".repeat(bytes));
        post_signed(&self.client, &self.url(), &message(&format!("wamid.D{number}"), 99, &text)).await
    }

    /// Posts a request that is genuine and cannot be read, so that it is stored whole and owed to nobody.
    async fn post_huge(&self) -> anyhow::Result<Answer> {
        post_signed(&self.client, &self.url(), &"w".repeat(HUGE)).await
    }

    /// Posts a message until it is acknowledged.
    async fn acknowledged(&mut self, number: u64, bytes: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.post(number, bytes).await?.status != 200 {
            anyhow::ensure!(
                Instant::now() < deadline,
                "message {number} was not acknowledged in {PATIENCE:?}"
            );
        }
        self.promised.insert(name(number));
        Ok(())
    }

    /// Posts long messages from a number on until one is not acknowledged; returns its number.
    async fn until_refused(&mut self, mut number: u64) -> anyhow::Result<u64> {
        while self.post(number, LONG).await.is_ok_and(|answer| answer.status == 200) {
            self.promised.insert(name(number));
            number += 1;
            anyhow::ensure!(number < LONG_MAX, "everything was acknowledged");
        }
        Ok(number)
    }

    /// Asks for something until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> anyhow::Result<Answer> {
        let url = format!("http://{}/{path}", self.address);
        let token = format!("Bearer {ADMIN_TOKEN}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = get(&url, &[("authorization", &token)]).await?;
            if wanted(&answer) {
                return Ok(answer);
            }
            anyhow::ensure!(Instant::now() < deadline, "{path} says {answer:?} after {PATIENCE:?}");
        }
    }

    async fn wait_for_copy(&self, before: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.database_bytes()? == before {
            anyhow::ensure!(Instant::now() < deadline, "the log was not copied in {PATIENCE:?}");
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn database_bytes(&self) -> anyhow::Result<u64> {
        let folder = self.place.folder().expect("a fresh place on SQLite has a folder");
        Ok(folder.join("gancho.db").metadata()?.len())
    }

    /// After a failed sync it takes nothing more, is not ready, and ends by itself.
    async fn ends(&self, gancho: Gancho) -> anyhow::Result<()> {
        assert!(self.disk.struck()? > 0, "no sync has failed");
        let ready = format!("http://{}/readyz", self.address);
        while let Ok(answer) = get(&ready, &[]).await {
            assert_ne!(answer.status, 200, "ready after a failed sync");
            let late = self.post(1_000, 0).await;
            assert!(late.as_ref().map_or(true, |answer| answer.status == 503), "{late:?}");
        }
        self.says_why(gancho).await
    }

    /// It ends after a failed sync with words that say what to do.
    async fn says_why(&self, gancho: Gancho) -> anyhow::Result<()> {
        let (status, words) = gancho.ended().await?;
        assert!(self.disk.struck()? > 0, "no sync has failed");
        assert_eq!(status.code(), Some(1));
        assert!(words.contains("did not reach the disk") && words.contains("start again"), "{words}");
        self.disk.heal()
    }

    /// Everything promised is delivered and kept, once, and the store is whole.
    async fn adds_up(&self, gancho: Gancho) -> anyhow::Result<()> {
        if let Some(receiver) = &self.receiver {
            assert_arrived(receiver, &self.promised).await;
        }
        assert!(gancho.stop().await?, "it ends well when asked");
        assert_kept(&open(&self.place).await?, &self.promised).await
    }
}

fn name(number: u64) -> String {
    format!("c99 {number}")
}

fn pairs<'v>(variables: &'v [(&'static str, String)]) -> Vec<(&'v str, &'v str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_gancho"))
}
