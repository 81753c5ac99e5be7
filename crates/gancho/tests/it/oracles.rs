//! Other people's libraries say whether our signatures are right.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use model::endpoint::Format;
use model::secret::{Key, Secret};
use testkit::place::{Engine, Place, tool};
use testkit::process::{Gancho, free_address};
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::{ENDPOINT_SECRET, Scene, open};
use testkit::sender;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_accepted_by_the_libraries_of_python_and_node() -> anyhow::Result<()> {
    let Some(came) = one_delivery().await? else { return Ok(()) };
    let altered = Came { body: [&came.body[..], b" "].concat().into(), ..came.clone() };
    for oracle in oracles()? {
        assert!(accepts(&oracle, &came)?, "{oracle:?} refused a genuine delivery");
        assert!(!accepts(&oracle, &altered)?, "{oracle:?} accepted an altered body");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_written_with_pywa_works_behind_a_platform_endpoint() -> anyhow::Result<()> {
    let Some(python) = tool("GANCHO_TEST_PYTHON")? else { return Ok(()) };
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let bot_address = free_address()?;
    let mut bot = Command::new(python)
        .arg(script("pywa_bot.py"))
        .args([&bot_address.port().to_string(), "the-bots-own-app-secret"])
        .stdout(Stdio::piped())
        .spawn()?;
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    scene
        .endpoint(&store, format!("http://{bot_address}/hook"), |endpoint| {
            endpoint.format = Format::Platform;
            endpoint.keys = vec![Key::current(Secret::new("the-bots-own-app-secret"))];
            endpoint.retry.waits = vec![Duration::from_millis(200); 50];
        })
        .await?;
    drop(store);
    let address = free_address()?;
    let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
    let url = format!("http://{address}/in/{}", scene.source);
    let answer =
        sender::post_signed(&sender::client(), &url, &sender::message("wamid.P1", 1, "hola pywa")).await?;
    assert_eq!(answer.status, 200);

    let out = bot.stdout.take().expect("its output is piped");
    let said = tokio::task::spawn_blocking(move || BufReader::new(out).lines().next());
    let said = tokio::time::timeout(PATIENCE, said).await.map(|said| said.ok().flatten());
    bot.kill()?;
    bot.wait()?;
    let said = said?.expect("it said something")?;
    assert_eq!(said, "got hola pywa");
    gancho.stop().await?;
    Ok(())
}

/// One delivery as an endpoint got it from the real binary.
async fn one_delivery() -> anyhow::Result<Option<Came>> {
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(None) };
    let receiver = Receiver::start(Manner::Good).await?;
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    scene.endpoint(&store, receiver.url(), |_| {}).await?;
    drop(store);
    let address = free_address()?;
    let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
    let url = format!("http://{address}/in/{}", scene.source);
    sender::post_signed(&sender::client(), &url, &sender::message("wamid.O1", 1, "¡hola! ñandú 🐦")).await?;
    assert!(receiver.wait(PATIENCE, |came| !came.is_empty()).await, "the delivery came");
    gancho.stop().await?;
    Ok(receiver.came().first().cloned())
}

fn oracles() -> anyhow::Result<Vec<Vec<PathBuf>>> {
    let mut oracles = Vec::new();
    if let Some(python) = tool("GANCHO_TEST_PYTHON")? {
        oracles.push(vec![python, script("verify.py")]);
    }
    if let Some(modules) = tool("GANCHO_TEST_NODE_MODULES")? {
        oracles.push(vec![PathBuf::from("node"), script("verify.mjs"), modules]);
    }
    Ok(oracles)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles").join(name)
}

fn accepts(oracle: &[PathBuf], came: &Came) -> anyhow::Result<bool> {
    let headers: serde_json::Map<String, serde_json::Value> = came
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let delivery = serde_json::json!({
        "secret": ENDPOINT_SECRET, "headers": headers, "body": String::from_utf8_lossy(&came.body),
    });
    let mut child = Command::new(&oracle[0])
        .args(&oracle[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().expect("its input is piped").write_all(delivery.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(output.status.success() && output.stdout.starts_with(b"ok"))
}
