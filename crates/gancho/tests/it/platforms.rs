//! A conversation on each chat platform: what a person writes arrives at the endpoint in order, and the answer leaves
//! through the platform's own API.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bytes::Bytes;
use http::Method;
use model::endpoint::Endpoint;
use model::id::SourceId;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use model::time::Clock;
use platforms::platform::ToSign;
use platforms::registry;
use serde_json::{Value, json};
use simulator::Chats;
use store::Store;
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{client, send};

const PATIENCE: Duration = Duration::from_secs(60);
/// What the platforms' APIs want to be shown; a bot's token begins with its number.
const TOKEN: &str = "123456:the-bot-token";
const SECRET: &str = "the-platforms-secret";
const MESSAGES: u64 = 5;
const PLATFORMS: [&str; 4] = ["telegram", "messenger", "instagram", "discord"];

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_on_each_platform_goes_through_in_order_and_is_answered() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::fresh(engine).await? else { continue };
        let chats = Chats::start(Secret::new(TOKEN)).await?;
        let receiver = Receiver::start(Manner::Good).await?;
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        scene.endpoint(&store, receiver.url(), |endpoint: &mut Endpoint| endpoint.concurrency = 8).await?;
        let mut sources = Vec::new();
        for platform in PLATFORMS {
            sources.push((platform, source(&store, &scene, platform, &chats.url()).await?));
        }
        drop(store);
        let address = free_address()?;
        let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
        for (platform, id) in &sources {
            for n in 1..=MESSAGES {
                let url = format!("http://{address}/in/{id}");
                let (headers, body) = written(platform, n);
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                // A platform that heard nothing sends again.
                for _ in 0..2 {
                    let answer = send(&client(), Method::POST, &url, &headers, body.clone()).await?;
                    assert_eq!(answer.status, 200, "{platform}: {:?}", answer.body);
                }
                let altered = Bytes::from([&body[..], b" "].concat());
                let refused = send(&client(), Method::POST, &url, &headers, altered).await?;
                // A token in a header proves who sends, not what.
                assert_eq!(refused.status, if *platform == "telegram" { 200 } else { 401 });
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
        chats.limit(2);
        answer_all(&gancho, &receiver, &chats).await?;
        anyhow::ensure!(gancho.stop().await?, "it ends well");
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
            let to =
                [&call.body["chat_id"], &call.body["recipient"]["id"]].into_iter().find(|to| !to.is_null());
            (call.path.clone(), to.map(Value::to_string).unwrap_or_default())
        })
        .collect();
    sent.sort();
    let of = |path: &str, to: &str| (path.to_owned(), to.to_owned());
    let expected = [
        of("/channels/55/messages", ""),
        of("/sendMessage", "42"),
        of("/v25.0/IG1/messages", "\"900\""),
        of("/v25.0/PAGE1/messages", "\"5550001\""),
    ];
    assert_eq!(sent, expected);
    let accepted = |body: &[u8]| String::from_utf8_lossy(body).contains("\"message.accepted\"");
    let enough = |count: usize| count == PLATFORMS.len();
    let told =
        receiver.wait(PATIENCE, |came| enough(came.iter().filter(|one| accepted(&one.body)).count())).await;
    assert!(told, "each answer was taken, and is told so");
    Ok(())
}

async fn source(store: &Store, scene: &Scene, platform: &str, api_base: &str) -> anyhow::Result<SourceId> {
    let secret = |role, text: &str| SourceSecret { role, key: Key::current(Secret::new(text)) };
    let signing =
        if platform == "discord" { hex::encode(pair().public_key().as_ref()) } else { SECRET.to_owned() };
    let settings = json!({ "api_base": api_base });
    let source = Source {
        id: store.fresh_id(),
        app: scene.app.id,
        platform: platform.to_owned(),
        name: platform.to_owned(),
        path: None,
        secrets: vec![
            secret(SecretRole::Signing, &signing),
            secret(SecretRole::Credential, SECRET),
            secret(SecretRole::VerifyToken, "verify"),
            secret(SecretRole::AccessToken, TOKEN),
        ],
        settings: Settings::new(settings.as_object().expect("an object").clone()),
        unknown_accounts: UnknownAccounts::Adopt,
        allowed_networks: Vec::new(),
        rate_per_second: None,
    };
    registry::find(platform).expect("a platform").check(&source).map_err(anyhow::Error::msg)?;
    let id = source.id;
    store.sources().save(source).await?;
    Ok(id)
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes")
}

/// What the person says, as the endpoint is told.
fn said(platform: &str, n: u64) -> String {
    if platform == "discord" { format!("/di texto:{n}") } else { format!("{platform} {n}") }
}

/// The request of a message, signed as the platform does it.
fn written(platform: &str, n: u64) -> (Vec<(String, String)>, Bytes) {
    let now = Clock::System.now();
    let text = said(platform, n);
    let messaging = |page: &str, person: &str, object: &str| {
        let item = json!({ "sender": { "id": person }, "recipient": { "id": page },
            "timestamp": now.as_millis(), "message": { "mid": format!("m_{n}"), "text": text } });
        json!({ "object": object, "entry": [{ "id": page, "time": now.as_millis(), "messaging": [item] }] })
    };
    let body = match platform {
        "telegram" => {
            json!({ "update_id": 9000 + n, "message": { "message_id": n, "date": now.as_secs(), "text": text,
            "from": { "id": 42, "is_bot": false }, "chat": { "id": 42, "type": "private", "first_name": "Ana" } } })
        }
        "messenger" => messaging("PAGE1", "5550001", "page"),
        "instagram" => messaging("IG1", "900", "instagram"),
        _ => json!({ "id": (1_100_000_000_000_000_000 + n).to_string(), "application_id": "900", "type": 2,
            "token": "interaction-token", "version": 1, "channel_id": "55", "user": { "id": "42", "username": "ana" },
            "data": { "id": "1", "name": "di", "options": [{ "name": "texto", "type": 4, "value": n }] } }),
    };
    let body = Bytes::from(body.to_string());
    if platform == "discord" {
        let time = now.as_secs().to_string();
        let signature = pair().sign(&[time.as_bytes(), &body].concat());
        let signature = ("x-signature-ed25519".to_owned(), hex::encode(signature.as_ref()));
        return (vec![signature, ("x-signature-timestamp".to_owned(), time)], body);
    }
    let nobodys = Source {
        id: SourceId::from_raw(1),
        app: model::id::AppId::from_raw(1),
        platform: platform.to_owned(),
        name: String::new(),
        path: None,
        secrets: Vec::new(),
        settings: Settings::default(),
        unknown_accounts: UnknownAccounts::Adopt,
        allowed_networks: Vec::new(),
        rate_per_second: None,
    };
    let key = Secret::new(SECRET);
    let signed = registry::find(platform)
        .expect("a platform")
        .sign(&nobodys, &ToSign { keys: &[&key], id: "evt_1", body: &body, now });
    (signed, body)
}
