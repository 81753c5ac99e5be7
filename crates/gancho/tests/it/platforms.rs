//! A conversation on each chat platform: what a person writes arrives at the endpoint in order, and the answer leaves
//! through the platform's own API.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::Method;
use model::endpoint::Endpoint;
use model::id::SourceId;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use model::time::{Clock, Timestamp};
use platforms::platform::ToSign;
use platforms::proof::{Hash, mac};
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
const PLATFORMS: [&str; 11] = [
    "telegram",
    "messenger",
    "instagram",
    "discord",
    "wati",
    "line",
    "slack",
    "viber",
    "twilio",
    "whatsapp_onpremises",
    "dialog360",
];
/// Those whose requests show a text, which proves who sends and not what.
const SHOWING: [&str; 3] = ["telegram", "wati", "whatsapp_onpremises"];
/// Twilio's name of the account, and the host that it calls.
const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789abcdef";
const ORIGIN: &str = "https://gw.example";

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
                let path = format!(
                    "/in/{id}{}",
                    if *platform == "wati" { format!("?key={SECRET}") } else { String::new() }
                );
                let url = format!("http://{address}{path}");
                let (headers, body) = written(platform, n, &path)?;
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                // A platform that heard nothing sends again.
                for _ in 0..2 {
                    let answer = send(&client(), Method::POST, &url, &headers, body.clone()).await?;
                    assert_eq!(answer.status, 200, "{platform}: {:?}", answer.body);
                }
                let altered = Bytes::from([&body[..], b" "].concat());
                let refused = send(&client(), Method::POST, &url, &headers, altered).await?;
                assert_eq!(refused.status, if SHOWING.contains(platform) { 200 } else { 401 }, "{platform}");
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
        of("/chat.postMessage", "C1"),
        of("/messages", "+15551112222"),
        of("/pa/send_message", "01234567890A="),
        of("/sendMessage", ""),
        of("/v1/messages", "15551112222"),
        of("/v2/bot/message/push", "U42"),
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

async fn source(store: &Store, scene: &Scene, platform: &str, api_base: &str) -> anyhow::Result<SourceId> {
    let source = Source { id: store.fresh_id(), app: scene.app.id, ..source_of(platform, api_base) };
    registry::find(platform).expect("a platform").check(&source).map_err(anyhow::Error::msg)?;
    let id = source.id;
    store.sources().save(source).await?;
    Ok(id)
}

/// A source of a platform as somebody would set it up.
fn source_of(platform: &str, api_base: &str) -> Source {
    let secret = |role, text: &str| SourceSecret { role, key: Key::current(Secret::new(text)) };
    let signing =
        if platform == "discord" { hex::encode(pair().public_key().as_ref()) } else { SECRET.to_owned() };
    let settings = match platform {
        "viber" => json!({ "api_base": api_base, "sender_name": "Tienda" }),
        "twilio" => json!({ "api_base": api_base, "public_url": ORIGIN, "account_sid": ACCOUNT_SID }),
        _ => json!({ "api_base": api_base }),
    };
    Source {
        id: SourceId::from_raw(1),
        app: model::id::AppId::from_raw(1),
        platform: platform.to_owned(),
        name: platform.to_owned(),
        path: None,
        secrets: vec![
            secret(SecretRole::Signing, &signing),
            secret(SecretRole::Credential, SECRET),
            secret(SecretRole::VerifyToken, "verify"),
            secret(SecretRole::AccessToken, TOKEN),
        ],
        settings: Settings::new(settings.as_object().cloned().unwrap_or_default()),
        unknown_accounts: UnknownAccounts::Adopt,
        allowed_networks: Vec::new(),
        rate_per_second: None,
        watchdog: model::watch::Watchdog::Off,
    }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes")
}

/// What the person says, as the endpoint is told.
fn said(platform: &str, n: u64) -> String {
    if platform == "discord" { format!("/di texto:{n}") } else { format!("{platform} {n}") }
}

/// The request of a message to a path, signed as the platform does it.
fn written(platform: &str, n: u64, path: &str) -> anyhow::Result<(Vec<(String, String)>, Bytes)> {
    let now = Clock::System.now();
    if platform == "twilio" {
        return Ok(form(n, path));
    }
    let body = Bytes::from(told(platform, n, now).to_string());
    if platform == "discord" {
        let time = now.as_secs().to_string();
        let signature = pair().sign(&[time.as_bytes(), &body].concat());
        let signature = ("x-signature-ed25519".to_owned(), hex::encode(signature.as_ref()));
        return Ok((vec![signature, ("x-signature-timestamp".to_owned(), time)], body));
    }
    // A bot of Viber has one token for everything.
    let key = Secret::new(if platform == "viber" { TOKEN } else { SECRET });
    let what = ToSign { keys: &[&key], id: "evt_1", body: &body, now };
    let adapter = registry::find(platform).context("a platform")?;
    Ok((adapter.sign(&source_of(platform, "https://api.example"), &what), body))
}

/// Twilio's form, signed with the URL that it calls.
fn form(n: u64, path: &str) -> (Vec<(String, String)>, Bytes) {
    let (id, text) = (format!("SM{n}"), said("twilio", n));
    let fields = [
        ("Body", text.as_str()),
        ("From", "whatsapp:+15551112222"),
        ("MessageSid", &id),
        ("To", "whatsapp:+15550002222"),
    ];
    let signed = fields.iter().fold(format!("{ORIGIN}{path}"), |text, (name, value)| text + name + value);
    let mac = mac(Hash::Sha1, SECRET.as_bytes(), &[signed.as_bytes()]);
    let headers = [
        ("x-twilio-signature", BASE64.encode(mac)),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    (headers.map(|(name, value)| (name.to_owned(), value)).to_vec(), Bytes::from(body))
}

/// What a platform says when a person has written.
fn told(platform: &str, n: u64, now: Timestamp) -> Value {
    let text = said(platform, n);
    let messaging = |page: &str, person: &str, object: &str| {
        let item = json!({ "sender": { "id": person }, "recipient": { "id": page },
            "timestamp": now.as_millis(), "message": { "mid": format!("m_{n}"), "text": text } });
        json!({ "object": object, "entry": [{ "id": page, "time": now.as_millis(), "messaging": [item] }] })
    };
    let whatsapp = || {
        let message = json!({ "from": "15551112222", "id": format!("wamid.{platform}{n}"),
            "timestamp": now.as_secs().to_string(), "type": "text", "text": { "body": text } });
        json!({ "contacts": [{ "profile": { "name": "Ana" }, "wa_id": "15551112222" }], "messages": [message] })
    };
    match platform {
        "telegram" => {
            json!({ "update_id": 9000 + n, "message": { "message_id": n, "date": now.as_secs(), "text": text,
            "from": { "id": 42, "is_bot": false }, "chat": { "id": 42, "type": "private", "first_name": "Ana" } } })
        }
        "messenger" => messaging("PAGE1", "5550001", "page"),
        "instagram" => messaging("IG1", "900", "instagram"),
        "wati" => {
            json!({ "id": format!("w{n}"), "whatsappMessageId": format!("wamid.W{n}"), "eventType": "message", "type": "text",
            "owner": false, "waId": "15551112222", "senderName": "Ana", "text": text, "timestamp": now.as_secs().to_string() })
        }
        "line" => {
            let event = json!({ "type": "message", "mode": "active", "timestamp": now.as_millis(), "webhookEventId": format!("01H{n}"),
                "source": { "type": "user", "userId": "U42" }, "message": { "id": n.to_string(), "type": "text", "text": text } });
            json!({ "destination": "Uffff", "events": [event] })
        }
        "slack" => {
            let ts = format!("{}.00000{n}", now.as_secs());
            let event = json!({ "type": "message", "channel": "C1", "user": "U1", "text": text, "ts": ts, "event_ts": ts });
            json!({ "token": "t", "team_id": "T1", "api_app_id": "A1", "type": "event_callback", "event_id": format!("Ev{n}"), "event": event })
        }
        "viber" => {
            json!({ "event": "message", "timestamp": now.as_millis(), "message_token": 4_912_661_846_655_238_145_u64 + n,
            "sender": { "id": "01234567890A=", "name": "Ana" }, "message": { "type": "text", "text": text } })
        }
        "whatsapp_onpremises" => whatsapp(),
        "dialog360" => {
            let mut value = whatsapp();
            value["messaging_product"] = json!("whatsapp");
            value["metadata"] = json!({ "display_phone_number": "15550002222", "phone_number_id": "200" });
            json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1000", "changes": [{ "field": "messages", "value": value }] }] })
        }
        _ => json!({ "id": (1_100_000_000_000_000_000 + n).to_string(), "application_id": "900", "type": 2,
            "token": "interaction-token", "version": 1, "channel_id": "55", "user": { "id": "42", "username": "ana" },
            "data": { "id": "1", "name": "di", "options": [{ "name": "texto", "type": 4, "value": n }] } }),
    }
}
