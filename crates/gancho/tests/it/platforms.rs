//! A conversation on each chat platform: what a person writes arrives at the endpoint in order, and the answer leaves
//! through the platform's own API.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use model::endpoint::Endpoint;
use model::id::SourceId;
use model::secret::Secret;
use model::source::{SecretRole, Settings, Source};
use model::time::Clock;
use serde_json::{Value, json};
use simulator::chats::PLATFORMS;
use simulator::sender::{Filling, Request, Sample, Way};
use simulator::{Chats, Sender};
use store::Store;
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{client, get, send};

const PATIENCE: Duration = Duration::from_secs(60);
/// What the platforms' APIs want to be shown; a bot's token begins with its number.
const TOKEN: &str = "123456:the-bot-token";
/// What the platforms prove themselves with; of Discord's key pair it is the seed.
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const MESSAGES: u64 = 5;
/// Those whose requests show a text, which proves who sends and not what.
const SHOWING: [&str; 3] = ["telegram", "wati", "whatsapp_onpremises"];
/// How far each platform tells that a message came. The others tell nothing, and Messenger not which messages were read.
const STEPS: [(&str, &[&str]); 7] = [
    ("messenger", &["delivered"]),
    ("instagram", &["read"]),
    ("wati", &["delivered", "read"]),
    ("viber", &["delivered", "read"]),
    ("twilio", &["sent", "delivered", "read"]),
    ("whatsapp_onpremises", &["sent", "delivered", "read"]),
    ("dialog360", &["sent", "delivered", "read"]),
];
/// The platforms on which a message can be marked as read.
const MARKING: [&str; 4] = ["messenger", "instagram", "whatsapp_onpremises", "dialog360"];
/// Twilio's name of the account, and the host that it calls.
const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789abcdef";
const ORIGIN: &str = "https://gw.example";

/// A gateway with a source of each platform, one endpoint, and the platforms before it.
pub(crate) struct Stage {
    pub(crate) gancho: Gancho,
    pub(crate) chats: Chats,
    pub(crate) receiver: Receiver,
    /// The sources, by their platforms.
    pub(crate) sources: Vec<(&'static str, SourceId)>,
    _place: Place,
}

impl Stage {
    /// Sets it; each source is changed by `change` before it is saved. Nothing on an engine that is not there.
    pub(crate) async fn set(engine: Engine, change: impl Fn(&mut Source)) -> anyhow::Result<Option<Stage>> {
        let Some(place) = Place::fresh(engine).await? else { return Ok(None) };
        let chats = Chats::start(Secret::new(TOKEN)).await?;
        let receiver = Receiver::start(Manner::Good).await?;
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        scene.endpoint(&store, receiver.url(), |endpoint: &mut Endpoint| endpoint.concurrency = 8).await?;
        let mut sources = Vec::new();
        for platform in PLATFORMS {
            let id = source(&store, &scene, platform, &chats.url()).await?;
            let mut source = store.sources().get(id).await?.thing;
            change(&mut source);
            store.sources().save(source).await?;
            sources.push((platform, id));
        }
        drop(store);
        let address = free_address()?;
        let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
        Ok(Some(Stage { gancho, chats, receiver, sources, _place: place }))
    }

    /// Has the platforms send their webhooks to the sources.
    pub(crate) fn connect(&self) -> anyhow::Result<()> {
        for (platform, id) in &self.sources {
            let url = format!("http://{}/in/{id}", self.gancho.address);
            self.chats.webhooks_to(&url, sender(platform)?, Clock::System)?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_on_each_platform_goes_through_in_order_and_is_answered() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(stage) = Stage::set(engine, |_| ()).await? else { continue };
        let Stage { gancho, chats, receiver, sources, .. } = &stage;
        let address = gancho.address;
        let way = Way::open()?;
        for (platform, id) in sources {
            let (sender, sample) = (sender(platform)?, message(platform)?);
            for n in 1..=MESSAGES {
                let filling =
                    Filling { text: format!("{platform} {n}"), ..Filling::of(n, Clock::System.now()) };
                let request = sender.request(&sample, &filling, &format!("http://{address}/in/{id}"))?;
                // A platform that heard nothing sends again.
                for _ in 0..2 {
                    let answered = way.send(&request).await;
                    assert_eq!(answered.status, Some(200), "{platform}: {}", answered.words);
                }
                let body = Bytes::from([&request.body[..], b" "].concat());
                let refused = way.send(&Request { body, ..request }).await;
                let expected = if SHOWING.contains(platform) { 200 } else { 401 };
                assert_eq!(refused.status, Some(expected), "{platform}");
            }
        }
        let all = PLATFORMS.len() * MESSAGES as usize;
        assert!(receiver.wait(PATIENCE, |came| came.len() >= all).await, "everything arrived");
        for platform in PLATFORMS {
            let told =
                |body: &Value| body["context"]["platform"] == platform && body["type"] == "message.received";
            let bodies = receiver
                .came()
                .into_iter()
                .filter_map(|came| serde_json::from_slice::<Value>(&came.body).ok());
            let texts: Vec<String> =
                bodies.filter(told).map(|body| body["data"]["message"]["text"].to_string()).collect();
            let expected: Vec<String> =
                (1..=MESSAGES).map(|n| format!("\"{}\"", said(platform, n))).collect();
            assert_eq!(texts, expected, "{platform}: once, in order");
        }
        stage.connect()?;
        chats.limit(2);
        answer_all(gancho, receiver, chats).await?;
        hear_of_all(gancho, receiver, chats).await?;
        mark_all(gancho, receiver, chats).await?;
        part(receiver, chats).await?;
        anyhow::ensure!(stage.gancho.stop().await?, "it ends well");
    }
    Ok(())
}

/// Answers in each conversation, and follows the answers to the platforms and back.
async fn answer_all(gancho: &Gancho, receiver: &Receiver, chats: &Chats) -> anyhow::Result<()> {
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let base = format!("http://{}", gancho.address);
    let listed =
        send(&client(), Method::GET, &format!("{base}/v1/conversations"), &headers, Bytes::new()).await?;
    let listed: Value = serde_json::from_slice(&listed.body)?;
    let conversations = listed["data"].as_array().cloned().unwrap_or_default();
    assert_eq!(conversations.len(), PLATFORMS.len());
    for conversation in conversations {
        let message =
            json!({ "conversation": conversation["id"], "type": "text", "text": { "body": "¡hola!" } });
        let url = format!("{base}/v1/messages");
        let queued = send(&client(), Method::POST, &url, &headers, Bytes::from(message.to_string())).await?;
        assert_eq!(queued.status, 202, "{:?}", queued.body);
    }
    let calls = chats.wait_for(PLATFORMS.len(), PATIENCE).await?;
    let mut sent: Vec<(String, String)> = calls
        .iter()
        .map(|call| {
            let named = ["chat_id", "to", "channel", "receiver", "To"].map(|name| &call.body[name]);
            let to = named.into_iter().chain([&call.body["recipient"]["id"]]).find(|to| !to.is_null());
            (call.path.clone(), to.and_then(Value::as_str).map_or_else(|| "".to_owned(), str::to_owned))
        })
        .collect();
    sent.sort();
    let of = |path: &str, to: &str| (path.to_owned(), to.to_owned());
    let twilio = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json");
    let expected = [
        of(&twilio, "whatsapp:+15551112222"),
        of("/api/v1/sendSessionMessage/15551112222", ""),
        of("/channels/55/messages", ""),
        of("/chat.postMessage", "D0ANA"),
        of("/messages", "+15551112222"),
        of("/pa/send_message", "01234567890A="),
        of("/sendMessage", ""),
        of("/v1/messages", "15551112222"),
        of("/v2/bot/message/push", "U1234567890abcdef1234567890abcdef"),
        of("/v25.0/IG1/messages", "900"),
        of("/v25.0/PAGE1/messages", "5550001"),
    ];
    assert_eq!(sent, expected);
    let accepted = |body: &[u8]| String::from_utf8_lossy(body).contains("\"message.accepted\"");
    let enough = |count: usize| count == PLATFORMS.len();
    let told =
        receiver.wait(PATIENCE, |came| enough(came.iter().filter(|one| accepted(&one.body)).count())).await;
    assert!(told, "each answer was taken, and is told so");
    Ok(())
}

/// Each answer is told of as far as its platform tells of it, once, and its message says how far it came.
async fn hear_of_all(gancho: &Gancho, receiver: &Receiver, chats: &Chats) -> anyhow::Result<()> {
    chats.settled().await;
    let mut expected: Vec<(String, String)> = STEPS
        .iter()
        .flat_map(|(platform, steps)| {
            steps.iter().map(|step| (platform.to_string(), format!("message.{step}")))
        })
        .collect();
    expected.sort();
    let told = |came: &[Came]| {
        let bodies = came.iter().filter_map(|came| serde_json::from_slice::<Value>(&came.body).ok());
        let steps = bodies.filter(|body| {
            body["data"]["status"]["state"] != "accepted" && !body["data"]["status"].is_null()
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        steps.map(|body| (text(&body["context"]["platform"]), text(&body["type"]))).collect::<Vec<_>>()
    };
    receiver.wait(PATIENCE, |came| told(came).len() >= expected.len()).await;
    let mut heard = told(&receiver.came());
    heard.sort();
    assert_eq!(heard, expected);
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let url = format!("http://{}/v1/messages", gancho.address);
    let listed = get(&url, &[("authorization", bearer.as_str())]).await?;
    let listed: Value = serde_json::from_slice(&listed.body)?;
    let messages = listed["data"].as_array().cloned().unwrap_or_default();
    let came = |state: &str| messages.iter().filter(|message| message["message_state"] == state).count();
    assert_eq!((came("accepted"), came("delivered"), came("read")), (4, 1, 6), "{listed}");
    Ok(())
}

/// Marks what each customer wrote last as read, where the platform has that; where it has not, that is said in words and nothing
/// is called.
async fn mark_all(gancho: &Gancho, receiver: &Receiver, chats: &Chats) -> anyhow::Result<()> {
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let before = chats.count();
    let mut marked = BTreeMap::new();
    for came in receiver.came() {
        let body: Value = serde_json::from_slice(&came.body)?;
        if body["type"] == "message.received" {
            let told = (body["context"]["conversation"].clone(), body["data"]["message"]["id"].clone());
            marked.insert(body["context"]["platform"].as_str().unwrap_or_default().to_owned(), told);
        }
    }
    assert_eq!(marked.len(), PLATFORMS.len());
    for (platform, (conversation, message_id)) in &marked {
        let conversation = conversation.as_str().context("it has a conversation")?;
        let url = format!("http://{}/v1/conversations/{conversation}/read", gancho.address);
        let mark = Bytes::from(json!({ "message_id": message_id }).to_string());
        let answer = send(&client(), Method::POST, &url, &headers, mark).await?;
        let can = MARKING.contains(&platform.as_str());
        assert_eq!(answer.status, if can { 202 } else { 422 }, "{platform}: {:?}", answer.body);
    }
    let calls = chats.wait_for(before + MARKING.len(), PATIENCE).await?;
    let mut sent: Vec<(String, Value)> =
        calls[before..].iter().map(|call| (call.path.clone(), call.body.clone())).collect();
    sent.sort_by(|one, other| one.0.cmp(&other.0));
    let id = |platform: &str| marked[platform].1.clone();
    let client_path = format!("/v1/messages/{}", id("whatsapp_onpremises").as_str().unwrap_or_default());
    let seen = |to: &str| json!({ "recipient": { "id": to }, "sender_action": "mark_seen" });
    let read = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": id("dialog360") });
    let expected = [
        ("/messages".to_owned(), read),
        (client_path, json!({ "status": "read" })),
        ("/v25.0/IG1/messages".to_owned(), seen("900")),
        ("/v25.0/PAGE1/messages".to_owned(), seen("5550001")),
    ];
    assert_eq!(sent, expected);
    Ok(())
}

/// Every customer says goodbye, and is heard.
async fn part(receiver: &Receiver, chats: &Chats) -> anyhow::Result<()> {
    for platform in PLATFORMS {
        let customer = chats.customer(platform, "Ana").context("the platform knows where webhooks go")?;
        let answered = customer.says("adiós").await?;
        assert!(answered.is_acknowledged(), "{platform}: {answered:?}");
    }
    let is_goodbye = |came: &&Came| String::from_utf8_lossy(&came.body).contains("adiós");
    let all = |came: &[Came]| came.iter().filter(is_goodbye).count() >= PLATFORMS.len();
    assert!(receiver.wait(PATIENCE, all).await, "every goodbye arrived");
    Ok(())
}

/// A source of a platform, with what the platform proves itself with and everything that sending needs.
pub(crate) async fn source(
    store: &Store,
    scene: &Scene,
    platform: &str,
    api_base: &str,
) -> anyhow::Result<SourceId> {
    let sender = sender(platform)?;
    let signing = sender.public_key().map_or(SECRET, Secret::expose);
    let mut settings = settings(platform);
    settings["api_base"] = json!(api_base);
    let secrets = [
        (SecretRole::Signing, signing),
        (SecretRole::Credential, SECRET),
        (SecretRole::VerifyToken, "verify"),
        (SecretRole::AccessToken, TOKEN),
    ];
    scene.source_of(store, platform, &settings, &secrets).await
}

fn settings(platform: &str) -> Value {
    match platform {
        "viber" => json!({ "sender_name": "Tienda" }),
        "twilio" => json!({ "public_url": ORIGIN, "account_sid": ACCOUNT_SID }),
        _ => json!({}),
    }
}

/// Whoever sends the webhooks of a platform. 360dialog signs as it does for partners.
fn sender(platform: &str) -> anyhow::Result<Sender> {
    let settings = Settings::new(settings(platform).as_object().cloned().unwrap_or_default());
    let role = (platform == "dialog360").then_some(SecretRole::Signing);
    // A bot of Viber has one token for everything.
    let secret = Secret::new(if platform == "viber" { TOKEN } else { SECRET });
    Ok(Sender::of(platform, secret, settings, role)?)
}

/// The sample of a message that a person writes in a conversation.
fn message(platform: &str) -> anyhow::Result<Sample> {
    let event = if platform == "discord" { "command" } else { "message" };
    Sample::named(&format!("{platform}.{event}")).context("each platform has one")
}

/// What the person says, as the endpoint is told.
pub(crate) fn said(platform: &str, n: u64) -> String {
    let before = if platform == "discord" { "/di texto:" } else { "" };
    format!("{before}{platform} {n}")
}
