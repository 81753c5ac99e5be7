//! Measures the product as it runs: the real server in a process of its own, over real HTTP, against the floor (the
//! same server and checks with no store) in the same sitting. Only ratios of one run mean anything.

pub mod floor;
mod child;
mod load;
mod past;
mod report;
mod scene;
mod sink;

use std::time::Duration;

use anyhow::{Context, bail};
use model::time::Clock;

use crate::cli::BenchArgs;
use child::{Child, Usage};
use load::{Load, Taken};
use report::Line;
use scene::{NOWHERE, Scene};
use sink::Sink;

/// Contacts the messages come from.
pub(crate) const CONTACTS: u64 = 1_000;
/// How long the sink may wait for the last deliveries.
const DRAIN: Duration = Duration::from_secs(120);
/// How long a turn of floor or gateway is, and how long both rest after it.
const TURN: Duration = Duration::from_secs(1);
const BREATH: Duration = Duration::from_millis(100);
/// How old what retention removes is: older than the defaults keep anything.
const OLD: Duration = Duration::from_secs(200 * 24 * 3600);
/// A setting that keeps it all the same.
const LONGER_THAN_OLD: &str = "366d";
/// How long retention may take to remove it all.
const REMOVAL_MAX: Duration = Duration::from_secs(1_800);

/// Runs one benchmark and prints its table.
pub async fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let lines = match args.what.as_str() {
        "ingest" => ingest(args).await?,
        "cycle" => cycle(args).await?,
        "delivery" => delivery(args).await?,
        "backlog" => backlog(args).await?,
        "listing" => listing(args).await?,
        "retention" => retention(args).await?,
        other => bail!("there is no benchmark {other}"),
    };
    report::print(&lines, args.json);
    Ok(())
}

fn span(args: &BenchArgs) -> Duration {
    Duration::from_secs(args.seconds.max(1))
}

/// Durable 2xx a second with nobody to deliver to. Floor and gateway take turns, because the machine is not the same from one
/// second to the next: the ratio is the median of all turns.
async fn ingest(args: &BenchArgs) -> anyhow::Result<Vec<Line>> {
    let scene = Scene::with_no_endpoint(args).await?;
    let (low, child) = (Child::floor(scene::APP_SECRET, None)?, scene.serve().await?);
    let load = Load {
        address: child.address,
        path: scene.path.clone(),
        connections: args.connections,
        rate: args.rate,
    };
    let low_load = Load { address: low.address, path: "/".to_owned(), rate: None, ..load.clone() };
    let (mut floor, mut taken) = (Taken::default(), Taken::default());
    let (mut usage, mut ratios) = (Usage::default(), Vec::new());
    // The first turn of each warms it up.
    for turn in 0..=args.seconds.max(1) {
        let below = low_load.run(TURN).await?;
        tokio::time::sleep(BREATH).await;
        let before = child.usage()?;
        let above = load.run(TURN).await?;
        tokio::time::sleep(BREATH).await;
        if turn > 0 {
            usage = usage.and(child.usage()?.since(&before));
            ratios.push(above.rate() / below.rate());
            floor.add(below);
            taken.add(above);
        }
    }
    let line = Line::of("ingest", args, &taken).with_usage(usage, taken.count).with_ratios(ratios);
    let line = line.with_kept(scene.kept_per_event().await?);
    child.stop().await?;
    low.stop().await?;
    Ok(vec![Line::of("floor", args, &floor), line])
}

/// Request to delivered and recorded, sustained.
async fn cycle(args: &BenchArgs) -> anyhow::Result<Vec<Line>> {
    let sink = Sink::start().await?;
    let floor = floor_of(args, Some(sink.url())).await?;
    let scene = Scene::having_delivered(args, &sink.url()).await?;
    let child = scene.serve().await?;
    let load = Load {
        address: child.address,
        path: scene.path.clone(),
        connections: args.connections,
        rate: args.rate,
    };
    sink.expect_new();
    let before = child.usage()?;
    let started = tokio::time::Instant::now();
    let taken = load.run(span(args)).await?;
    let arrived = sink.wait_for_messages(taken.count, DRAIN).await;
    let took = started.elapsed();
    let usage = child.usage()?.since(&before);
    if arrived < taken.count {
        bail!("{arrived} of {} acknowledged messages were delivered", taken.count);
    }
    let sustained = taken.count as f64 / took.as_secs_f64();
    let mut line = Line::of("cycle", args, &taken).with_usage(usage, taken.count);
    line.rate = sustained;
    let line = line.with_ratio(sustained / floor.rate()).with_kept(scene.kept_per_event().await?);
    let end_to_end = Line::of("end to end", args, &sink.latencies());
    child.stop().await?;
    Ok(vec![Line::of("floor", args, &floor), line, end_to_end])
}

/// The drain of what was owed before the start.
async fn delivery(args: &BenchArgs) -> anyhow::Result<Vec<Line>> {
    let owed = if args.stored == 0 { 20_000 } else { args.stored };
    let sink = Sink::start().await?;
    let scene = Scene::owing(&BenchArgs { stored: owed, ..args.clone() }, &sink.url()).await?;
    sink.expect_new();
    let started = tokio::time::Instant::now();
    let child = scene.serve().await?;
    let arrived = sink.wait_for_messages(owed, DRAIN).await;
    let took = started.elapsed();
    if arrived < owed {
        bail!("{arrived} of {owed} deliveries arrived in {DRAIN:?}");
    }
    let usage = child.usage()?;
    let taken = Taken { count: owed, took, latencies: Vec::new() };
    child.stop().await?;
    Ok(vec![Line::of("delivery", args, &taken).with_usage(usage, owed)])
}

/// Start to ready, and memory, with much waiting.
async fn backlog(args: &BenchArgs) -> anyhow::Result<Vec<Line>> {
    let owed = if args.stored == 0 { 100_000 } else { args.stored };
    // Nobody listens there: everything stays owed.
    let scene = Scene::owing(&BenchArgs { stored: owed, ..args.clone() }, NOWHERE).await?;
    let started = tokio::time::Instant::now();
    let child = scene.serve().await?;
    let ready = Taken { count: 1, took: started.elapsed(), latencies: vec![started.elapsed()] };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let usage = child.usage()?;
    child.stop().await?;
    Ok(vec![Line::of("backlog: start to ready", args, &ready).with_usage(usage, 1)])
}

/// The newest 50 of each list, by each single filter.
async fn listing(args: &BenchArgs) -> anyhow::Result<Vec<Line>> {
    let sink = Sink::start().await?;
    let scene =
        Scene::having_delivered(&BenchArgs { stored: args.stored.max(1_000), ..args.clone() }, &sink.url())
            .await?;
    let began = tokio::time::Instant::now();
    let count = scene.summarise().await?;
    let summary = Taken { count, took: began.elapsed(), latencies: Vec::new() };
    let child = scene.serve().await?;
    let mut lines = vec![Line::of("blocks", args, &summary)];
    for path in scene.listings().await? {
        let taken =
            load::get_many(child.address, &path, &scene.token, 200).await.with_context(|| path.clone())?;
        lines.push(Line::of(&path, args, &taken));
    }
    child.stop().await?;
    Ok(lines)
}

/// Ingest while retention removes what is old, against ingest while nothing is.
async fn retention(args: &BenchArgs) -> anyhow::Result<Vec<Line>> {
    let stored = if args.stored == 0 { 100_000 } else { args.stored };
    let (now, started) = (Clock::System.now(), tokio::time::Instant::now());
    let scene = Scene::of_the_past(&BenchArgs { stored, ..args.clone() }, now.minus(OLD)).await?;
    let prefill = Taken { count: stored, took: started.elapsed(), latencies: Vec::new() };
    let load = |child: &Child| Load {
        address: child.address,
        path: scene.path.clone(),
        connections: args.connections,
        rate: args.rate,
    };
    let child = scene.serve_keeping(Some(LONGER_THAN_OLD)).await?;
    load(&child).run(Duration::from_secs(1)).await?;
    let idle = child.usage()?;
    let before = load(&child).run(span(args)).await?;
    let usage_before = child.usage()?.since(&idle);
    child.stop().await?;
    let child = scene.serve().await?;
    let (store, started) = (scene.look().await?, tokio::time::Instant::now());
    let mut during = Taken::default();
    while during.count == 0 || past::is_there(&store, now).await? {
        during.add(load(&child).run(Duration::from_secs(1)).await?);
        if started.elapsed() > REMOVAL_MAX {
            bail!("not everything old was gone after {REMOVAL_MAX:?}");
        }
    }
    let removed = Taken { count: stored, took: started.elapsed(), latencies: Vec::new() };
    let usage_during = child.usage()?;
    child.stop().await?;
    Ok(vec![
        Line::of("prefill", args, &prefill),
        Line::of("ingest before", args, &before).with_usage(usage_before, before.count),
        Line::of("ingest during", args, &during)
            .with_usage(usage_during, during.count)
            .with_ratio(during.rate() / before.rate()),
        Line::of("removed", args, &removed),
    ])
}

async fn floor_of(args: &BenchArgs, forward: Option<String>) -> anyhow::Result<Taken> {
    let child = Child::floor(scene::APP_SECRET, forward)?;
    let load =
        Load { address: child.address, path: "/".to_owned(), connections: args.connections, rate: None };
    load.run(Duration::from_secs(1)).await?;
    let taken = load.run(span(args)).await?;
    child.stop().await?;
    Ok(taken)
}
