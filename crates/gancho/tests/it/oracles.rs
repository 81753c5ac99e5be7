//! Other people's libraries say whether our signatures are right.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::endpoint::Format;
use model::secret::{Key, Secret};
use model::time::Clock;
use serde_json::json;
use simulator::{WhatsApp, whatsapp};
use testkit::place::{Engine, Place, tool};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::{APP_SECRET, ENDPOINT_SECRET, Scene, open};
use testkit::sender;

const PATIENCE: Duration = Duration::from_secs(30);
const ACCESS_TOKEN: &str = "story-access-token";

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
async fn a_bot_written_with_pywa_works_behind_a_platform_endpoint_and_answers_through_our_graph()
-> anyhow::Result<()> {
    let Some(python) = tool("GANCHO_TEST_PYTHON")? else { return Ok(()) };
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let (secret, token) = (Secret::new(APP_SECRET), Secret::new(ACCESS_TOKEN));
    let whatsapp = WhatsApp::start(whatsapp::Settings::new(secret, token, 5, Clock::System)).await?;
    let (bot_address, address) = (free_address()?, free_address()?);
    let graph = format!("http://{address}/graph/v25.0");
    let port = bot_address.port().to_string();
    let mut bot = Bot::start(&python, &[&port, "the-bots-own-app-secret", &graph, ADMIN_TOKEN])?;
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    scene.may_send(&store, &json!({ "api_base": whatsapp.api_base() }), ACCESS_TOKEN).await?;
    scene
        .endpoint(&store, format!("http://{bot_address}/hook"), |endpoint| {
            endpoint.format = Format::Platform;
            endpoint.keys = vec![Key::current(Secret::new("the-bots-own-app-secret"))];
            endpoint.retry.waits = vec![Duration::from_millis(200); 50];
        })
        .await?;
    drop(store);
    let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
    whatsapp.webhooks_to(&format!("http://{address}/in/{}", scene.source));
    let said = whatsapp.customer("Ana", "5215512345678").says("hola pywa").await;
    assert!(said.is_acknowledged(), "{said:?}");

    let out = bot.0.stdout.take().expect("its output is piped");
    let lines = tokio::task::spawn_blocking(move || {
        BufReader::new(out).lines().take(5).collect::<Result<Vec<_>, _>>()
    });
    let lines = tokio::time::timeout(PATIENCE, lines).await;
    drop(bot);
    let lines = lines???;
    let taken = whatsapp.sends();
    assert_eq!((taken.len(), whatsapp.reads().len()), (1, 1));
    assert_eq!(taken[0].body["text"]["body"], "¡hola!");
    assert!(taken[0].body["context"]["message_id"].is_string(), "it quotes what it answers");
    let mut told = ["got hola pywa".to_owned(), format!("sent {}", taken[0].wamid)].to_vec();
    told.extend(["sent", "delivered", "read"].map(|step| format!("{step} {}", taken[0].wamid)));
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(lines[0], told[0]);
    assert_eq!(sorted(lines), sorted(told), "the id that the call gave is the one of the statuses");
    gancho.stop().await?;
    Ok(())
}

/// A process of Python that ends with the test, however that ends.
struct Bot(Child);

impl Bot {
    fn start(python: &Path, args: &[&str]) -> anyhow::Result<Bot> {
        let mut command = Command::new(python);
        command.arg(script("pywa_bot.py")).args(args).env("PYTHONIOENCODING", "utf-8");
        Ok(Bot(command.stdout(Stdio::piped()).spawn()?))
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        // Ended already at worst.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
