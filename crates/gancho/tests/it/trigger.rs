//! `gancho trigger` sends every sample of every platform to a real gateway.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use model::event::EventPattern;
use model::secret::Secret;
use model::source::{SecretRole, Settings};
use model::time::{Clock, Timestamp};
use platforms::registry::PLATFORMS;
use serde_json::{Value, json};
use simulator::Sender;
use simulator::sender::{Filling, Sample};
use testkit::place::{Engine, Place};
use testkit::process::{Gancho, free_address};
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::{Scene, open};

const PATIENCE: Duration = Duration::from_secs(60);
const BINARY: &str = env!("CARGO_BIN_EXE_gancho");
/// What every platform proves itself with; of Discord's key pair it is the seed.
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// How many events of each sample are sent, each of them twice.
const EVENTS: usize = 2;
/// The samples that hold nothing by which a repeat could be known: each request is an event.
const WITHOUT_A_KEY: [&str; 1] = ["whatzme.connection"];

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_acknowledged_known_and_counted_once() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::fresh(engine).await? else { continue };
        let receiver = Receiver::start(Manner::Good).await?;
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        let all = |endpoint: &mut model::endpoint::Endpoint| {
            endpoint.subscription.types = EventPattern::new("*").into_iter().collect();
            endpoint.concurrency = 8;
        };
        scene.endpoint(&store, receiver.url(), all).await?;
        let address = free_address()?;
        let mut urls = BTreeMap::new();
        for platform in PLATFORMS.iter().map(|platform| platform.kind()) {
            let sender = sender(platform)?;
            let held = sender.public_key().map_or(SECRET, Secret::expose);
            let secrets = [(sender.role(), held), (SecretRole::VerifyToken, "verify")];
            let id = scene.source_of(&store, platform, &settings(platform), &secrets).await?;
            urls.insert(platform, format!("http://{address}/in/{id}"));
        }
        drop(store);
        let gancho = Gancho::start(Path::new(BINARY), &place, address, &[]).await?;
        let mut expected: Vec<(String, String)> = Vec::new();
        for sample in Sample::all() {
            triggered(&sample, &urls[sample.platform])?;
            let event = (sample.platform.to_owned(), becomes(&sample, &urls[sample.platform])?);
            let is_known_again = !WITHOUT_A_KEY.contains(&sample.name().as_str());
            expected.extend(vec![event; if is_known_again { EVENTS } else { 2 * EVENTS }]);
        }
        for (platform, url) in &urls {
            refused(platform, url)?;
        }
        let enough = |came: &[Came]| came.iter().filter_map(told).count() >= expected.len();
        assert!(receiver.wait(PATIENCE, enough).await, "everything arrived");
        let mut told: Vec<(String, String)> = receiver.came().iter().filter_map(told).collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
        anyhow::ensure!(gancho.stop().await?, "it ends well");
    }
    Ok(())
}

/// Sends a sample some times, each time twice, and looks at what is said of it.
fn triggered(sample: &Sample, url: &str) -> anyhow::Result<()> {
    let repeat = EVENTS.to_string();
    let output = run(&[&sample.name(), "--to", url, "--repeat", &repeat, "--duplicate", "--json"])?;
    let said = String::from_utf8(output.stdout)?;
    anyhow::ensure!(output.status.success(), "{}: {said}", sample.name());
    let lines: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 2 * EVENTS, "{said}");
    for (line, at) in lines.iter().zip(0..) {
        assert_eq!(line["event"], sample.name());
        assert_eq!((&line["acknowledged"], &line["again"]), (&json!(true), &json!(at % 2 == 1)), "{line}");
    }
    Ok(())
}

/// A wrong signature is refused, and that is what was asked for; a wrong secret is refused, and that is said.
fn refused(platform: &str, url: &str) -> anyhow::Result<()> {
    let sample = Sample::of(platform).next().expect("each platform has samples").name();
    let output = run(&[&sample, "--to", url, "--wrong-signature"])?;
    anyhow::ensure!(output.status.success(), "{sample}: {}", String::from_utf8_lossy(&output.stdout));
    let output = trigger(&[&sample, "--to", url], &SECRET.replace('0', "f"))?;
    anyhow::ensure!(!output.status.success(), "{sample}: that is not the secret");
    let said = String::from_utf8(output.stdout)?;
    let asks = if platform == "discord" {
        "la fuente debe tener esto"
    } else {
        "el secreto no es el que la fuente tiene"
    };
    assert!(said.contains("401") && said.contains(asks), "{said}");
    let output = run(&[&sample, "--to", &format!("{url}0")])?;
    anyhow::ensure!(!output.status.success(), "{sample}: there is no such source");
    let said = String::from_utf8(output.stdout)?;
    assert!(said.contains("404") && said.contains("ninguna fuente tiene esta URL"), "{said}");
    Ok(())
}

fn run(args: &[&str]) -> anyhow::Result<Output> {
    trigger(args, SECRET)
}

fn trigger(args: &[&str], secret: &str) -> anyhow::Result<Output> {
    let mut command = Command::new(BINARY);
    command.arg("trigger").args(args).env("GANCHO_TRIGGER_SECRET", secret).env("GANCHO_LANGUAGE", "es");
    Ok(command.output()?)
}

fn sender(platform: &str) -> anyhow::Result<Sender> {
    let settings = Settings::new(settings(platform).as_object().cloned().unwrap_or_default());
    Ok(Sender::of(platform, Secret::new(SECRET), settings, None)?)
}

/// The settings of a source: those that `gancho trigger` takes for granted where it is told none.
fn settings(platform: &str) -> Value {
    match platform {
        "generic" => {
            json!({ "scheme": "hmac", "header": "X-Signature", "prefix": "sha256=", "dedupe_pointer": "/id" })
        }
        _ => json!({}),
    }
}

/// The type of the event that a sample is, which is one we know.
fn becomes(sample: &Sample, url: &str) -> anyhow::Result<String> {
    let (sender, now): (_, Timestamp) = (sender(sample.platform)?, Clock::System.now());
    let events = sender.becomes(&sender.request(sample, &Filling::of(1, now), url)?, now)?;
    let [event] = &events[..] else { anyhow::bail!("{}: {events:?}", sample.name()) };
    assert!(!event.ends_with(".unrecognised"), "{}: {event}", sample.name());
    Ok(event.clone())
}

/// Whose event it was, and of which type; nothing where the gateway itself tells of a conversation.
fn told(came: &Came) -> Option<(String, String)> {
    let body: Value = serde_json::from_slice(&came.body).expect("an envelope");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let event_type = text(&body["type"]);
    let is_ours = event_type.starts_with("conversation.");
    (!is_ours).then(|| (text(&body["context"]["platform"]), event_type))
}

#[test]
fn what_can_be_triggered_is_listed_with_what_becomes_of_it() -> anyhow::Result<()> {
    let said = String::from_utf8(run(&["--list"])?.stdout)?;
    for sample in Sample::all() {
        assert!(said.contains(&sample.name()), "{said}");
    }
    let listed = String::from_utf8(run(&["telegram.message", "--list", "--json"])?.stdout)?;
    let listed: Value = serde_json::from_str(&listed)?;
    let event =
        json!({ "event": "telegram.message", "becomes": ["message.received"], "secret": "credential" });
    assert_eq!(listed, event);
    Ok(())
}

#[test]
fn whoever_reads_only_the_first_lines_of_the_list_hears_no_complaint() -> anyhow::Result<()> {
    let mut child = Command::new(BINARY)
        .args(["trigger", "--list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn what_cannot_be_sent_is_said_before_anything_is() -> anyhow::Result<()> {
    let complaint = |args: &[&str]| -> anyhow::Result<String> {
        let output = run(args)?;
        anyhow::ensure!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
        Ok(String::from_utf8(output.stderr)?)
    };
    assert!(complaint(&["pigeon.message"])?.contains("no hay ninguna muestra \"pigeon.message\""));
    assert!(complaint(&["github.pull"])?.contains("github.pull_request"));
    assert!(complaint(&["github.push", "--set", "a.b=c"])?.contains("there is no a of a.b in the sample"));
    assert!(complaint(&["github.push", "--source", "colour=blue"])?.contains("colour"));
    let output = run(&["github.push", "--to", &format!("http://{}", free_address()?)])?;
    let said = String::from_utf8(output.stdout)?;
    assert!(!output.status.success() && said.contains("¿está en marcha la pasarela?"), "{said}");
    Ok(())
}
