//! What is sent back: each message once, in its turn, and one number's broadcast is nobody else's wait.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::secret::Secret;
use model::source::Account;
use model::time::Clock;
use serde_json::{Value, json};
use simulator::WhatsApp;
use simulator::whatsapp::{self, Number};
use store::Store;
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{client, post_signed, send};

const PATIENCE: Duration = Duration::from_secs(60);
const ACCESS_TOKEN: &str = "story-access-token";
/// The number that writes to many, and the one that answers somebody.
const NUMBERS: [&str; 2] = ["201", "202"];
const PER_SECOND: usize = 10;
const MESSAGES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_leaves_in_turns_keeps_nobody_waiting_and_can_be_called_off() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::fresh(engine).await? else { continue };
        let whatsapp = WhatsApp::start(platform()).await?;
        whatsapp.switches().statuses(&[]);
        let receiver = Receiver::start(Manner::Good).await?;
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        scene.endpoint(&store, receiver.url(), |_| {}).await?;
        may_send(&store, &scene, &whatsapp).await?;
        drop(store);
        let nodes = start(&place, engine).await?;

        let mut broadcast = Vec::new();
        for n in 0..MESSAGES {
            let node = &nodes[n % nodes.len()];
            broadcast.push(ask(node, NUMBERS[0], &format!("1555000{n:04}")).await?);
        }
        let called_off = broadcast.last().expect("there are some");
        let answer = post(&nodes[0], &format!("/v1/messages/{called_off}/cancel"), &json!({})).await?;
        assert_eq!(answer["state"], "cancelled");
        let reply = ask(&nodes[0], NUMBERS[1], "15559990000").await?;

        let taken = whatsapp.wait_for_sends(MESSAGES, PATIENCE).await?;
        let at = taken.iter().position(|one| one.correlation.as_ref() == Some(&reply));
        assert!(at.is_some_and(|at| at < MESSAGES - 10), "the answer did not wait for the broadcast: {at:?}");
        let to: HashSet<&str> = taken.iter().map(|one| one.to.as_str()).collect();
        assert_eq!(to.len(), MESSAGES, "each once, but for the one that was called off");
        assert!(!taken.iter().any(|one| one.correlation.as_ref() == Some(called_off)));
        let times = || taken.iter().filter(|one| one.phone_number_id == NUMBERS[0]).map(|one| one.at);
        let took = times().max().unwrap_or_default().since(times().min().unwrap_or_default());
        let shortest = Duration::from_secs(1) * (MESSAGES as u32 - 5) / PER_SECOND as u32;
        assert!(took >= shortest, "{} nodes kept to the pace of one number: {took:?}", nodes.len());
        let told = |body: &[u8]| {
            let body = String::from_utf8_lossy(body);
            body.contains("message.failed") && body.contains(called_off.as_str())
        };
        assert!(receiver.wait(PATIENCE, |came| came.iter().any(|one| told(&one.body))).await);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_on_the_phone_takes_the_conversation_over_and_an_echo_of_the_bot_does_not()
-> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::fresh(engine).await? else { continue };
        let whatsapp = WhatsApp::start(platform()).await?;
        whatsapp.switches().statuses(&[]);
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        may_send(&store, &scene, &whatsapp).await?;
        drop(store);
        let node = start(&place, engine).await?.remove(0);
        let url = format!("http://{}/in/{}", node.address, scene.source);

        ask(&node, NUMBERS[0], "+15550000001").await?;
        // The echo may be quicker than the platform's answer: both ways round it is the bot's own.
        let taken = whatsapp.wait_for_sends(1, PATIENCE).await?.remove(0);
        let echoes = [
            ("message_echoes", taken.wamid.as_str(), "open"),
            ("smb_message_echoes", "wamid.typed", "handed_off"),
        ];
        for (field, wamid, state) in echoes {
            assert_eq!(post_signed(&client(), &url, &echo(field, wamid)).await?.status, 200);
            let conversations = get(&node, "/v1/conversations").await?;
            assert_eq!(conversations["data"][0]["state"], state, "{wamid}");
        }
        assert_eq!(
            get(&node, "/v1/events?type=message.echo").await?["data"].as_array().map(Vec::len),
            Some(2)
        );
        assert_eq!(
            get(&node, "/v1/events?type=conversation.handoff").await?["data"].as_array().map(Vec::len),
            Some(1)
        );
        anyhow::ensure!(node.stop().await?, "it ends well");
    }
    Ok(())
}

/// What Meta tells of a message written on our side: on the phone of the business, or by an app.
fn echo(field: &str, wamid: &str) -> String {
    let message = json!({ "from": "15550009999", "to": "15550000001", "id": wamid, "timestamp": "1767225600",
        "type": "text", "text": { "body": "le atiendo yo" } });
    let value = json!({ "messaging_product": "whatsapp", "message_echoes": [message],
        "metadata": { "display_phone_number": "15550009999", "phone_number_id": NUMBERS[0] } });
    let change = json!({ "field": field, "value": value });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "100", "changes": [change] }] })
        .to_string()
}

fn platform() -> whatsapp::Settings {
    let number = |id: &str| Number { phone_number_id: id.to_owned(), ..Number::default() };
    whatsapp::Settings {
        numbers: NUMBERS.map(number).to_vec(),
        ..whatsapp::Settings::new(Secret::new("unused"), Secret::new(ACCESS_TOKEN), 11, Clock::System)
    }
}

/// Gives the story's source what it needs to send, and two numbers.
async fn may_send(store: &Store, scene: &Scene, whatsapp: &WhatsApp) -> anyhow::Result<()> {
    let settings = json!({
        "api_base": whatsapp.api_base(), "messages_per_second": PER_SECOND, "echo_is_human": true,
    });
    scene.may_send(store, &settings, ACCESS_TOKEN).await?;
    for address in NUMBERS {
        let (id, source, app) = (store.fresh_id(), scene.source, scene.app.id);
        let account = Account { id, source, app, address: address.to_owned(), name: None };
        store.sources().save_account(account).await?;
    }
    Ok(())
}

/// One gateway on a folder, two on a database.
async fn start(place: &Place, engine: Engine) -> anyhow::Result<Vec<Gancho>> {
    let count = if engine == Engine::Postgres { 2 } else { 1 };
    let mut nodes = Vec::new();
    for number in 0..count {
        let node = number.to_string();
        let binary = Path::new(env!("CARGO_BIN_EXE_gancho"));
        nodes.push(Gancho::start(binary, place, free_address()?, &[("GANCHO_NODE", &node)]).await?);
    }
    Ok(nodes)
}

/// Asks for a message; returns its id.
async fn ask(node: &Gancho, from: &str, to: &str) -> anyhow::Result<String> {
    let text = json!({ "body": "hola" });
    let new = json!({ "from": from, "to": to, "override_window": true, "type": "text", "text": text });
    let id = post(node, "/v1/messages", &new).await?["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| anyhow::anyhow!("the answer has no id"))
}

async fn post(node: &Gancho, path: &str, body: &Value) -> anyhow::Result<Value> {
    call(node, Method::POST, path, Bytes::from(body.to_string())).await
}

async fn get(node: &Gancho, path: &str) -> anyhow::Result<Value> {
    call(node, Method::GET, path, Bytes::new()).await
}

async fn call(node: &Gancho, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
    let token = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let url = format!("http://{}{path}", node.address);
    let answer = send(&client(), method, &url, &headers, body).await?;
    anyhow::ensure!(answer.status < 300, "{path} was answered {}: {:?}", answer.status, answer.body);
    Ok(serde_json::from_slice(&answer.body)?)
}
