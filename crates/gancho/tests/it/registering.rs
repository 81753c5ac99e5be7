//! Registrations: platforms are told our URL, are asked whether they still have it, and are told again.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::endpoint::Endpoint;
use model::event::EventPattern;
use model::secret::Secret;
use serde_json::{Value, json};
use simulator::Chats;
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{client, send};

const PATIENCE: Duration = Duration::from_secs(60);
/// What the platforms' APIs want to be shown.
const TOKEN: &str = "123456:the-token";
const ELSEWHERE: &str = "https://elsewhere.example/hook";

/// A platform, what its source needs besides secrets, an account on it, and where its registration is found.
type Told = (&'static str, Value, Option<&'static str>, &'static str);

/// Every platform that can be told, each at another place of the simulator.
fn all() -> [Told; 7] {
    [
        ("telegram", json!({}), None, "/bot"),
        ("line", json!({}), None, "/v2/bot/channel/webhook/endpoint"),
        ("viber", json!({ "sender_name": "Tienda" }), None, "/pa"),
        ("whatsapp_onpremises", json!({}), None, "/v1/configs/webhook"),
        ("wati", json!({}), None, "/api/v2/webhookEndpoints"),
        ("messenger", json!({ "app_id": "77" }), Some("500"), "/v25.0/77/subscriptions"),
        ("whatsapp", json!({}), Some("200"), "/v25.0/200"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_a_platform_lost_is_found_at_the_start_and_registered_again() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::fresh(engine).await? else { continue };
        let chats = Chats::start(Secret::new(TOKEN)).await?;
        let receiver = told_of_sources(&place).await?;
        let gancho = Gateway::start(&place).await?;
        for (platform, settings, account, of) in all() {
            let id = gancho.source(platform, &settings, &chats.url(), "registers").await?;
            if let Some(address) = account {
                gancho
                    .ask(Method::POST, "/v1/accounts", &json!({ "source": id, "address": address }), 201)
                    .await?;
            }
            let told =
                gancho.ask(Method::POST, &format!("/v1/sources/{id}/register"), &json!({}), 200).await?;
            assert_eq!((&told["state"], &told["reason"]), (&json!("registered"), &Value::Null), "{platform}");
            let hook = chats.hooks().into_iter().find(|hook| hook.of == of).expect("it is registered");
            assert!(hook.url.starts_with(told["url"].as_str().expect("a URL")), "{platform}: {}", hook.url);
        }
        let ours = chats.hooks();
        chats.replace_hooks(Some(ELSEWHERE));
        let gancho = gancho.restarted(&place).await?;
        // WATI cannot be asked; of Messenger the app has a URL, and the page none.
        let askable = all().len() - 1;
        assert!(receiver.wait(PATIENCE, |came| came.len() >= askable).await, "each was told");
        for came in receiver.came() {
            let told = told_by(&came);
            assert_eq!(
                (&told["type"], &told["data"]["registered_again"]),
                (&json!("source.unregistered"), &json!(true))
            );
            assert!(
                told["data"]["found"].as_str().is_some_and(|found| found.contains("elsewhere.example")),
                "{told}"
            );
        }
        let mut again = chats.hooks();
        again.retain(|hook| hook.url != ELSEWHERE);
        let is_again = |of: &str| again.iter().any(|hook| hook.of == of);
        for (platform, _, _, of) in all().iter().filter(|told| told.0 != "wati") {
            assert!(is_again(of), "{platform}");
        }
        assert!(again.iter().all(|hook| ours.contains(hook)), "what is registered is the same as before");
        assert!(gancho.gancho.stop().await?, "it ends well");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_is_to_be_told_of_is_not_registered_again() -> anyhow::Result<()> {
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let chats = Chats::start(Secret::new(TOKEN)).await?;
    let receiver = told_of_sources(&place).await?;
    let gancho = Gateway::start(&place).await?;
    let id = gancho.source("telegram", &json!({}), &chats.url(), "tells").await?;
    gancho.ask(Method::POST, &format!("/v1/sources/{id}/register"), &json!({}), 200).await?;
    chats.replace_hooks(None);
    let gancho = gancho.restarted(&place).await?;
    assert!(receiver.wait(PATIENCE, |came| !came.is_empty()).await, "it was told");
    assert_eq!(told_by(&receiver.came()[0])["data"]["registered_again"], json!(false));
    let known = gancho.ask(Method::GET, &format!("/v1/sources/{id}/registration"), &Value::Null, 200).await?;
    assert_eq!(known["state"], json!("unregistered"));
    assert_eq!(known["reason"], json!("the webhook of the bot: the platform has no URL"));
    assert!(chats.hooks().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_registered_is_said_in_words() -> anyhow::Result<()> {
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let chats = Chats::start(Secret::new("another-token")).await?;
    let store = open(&place).await?;
    Scene::build(&store).await?;
    drop(store);
    let gancho = Gateway::start(&place).await?;
    let refused = gancho.source("telegram", &json!({}), &chats.url(), "tells").await?;
    let told = gancho.ask(Method::POST, &format!("/v1/sources/{refused}/register"), &json!({}), 200).await?;
    assert_eq!(told["state"], json!("unregistered"));
    assert_eq!(told["reason"], json!("the webhook of the bot: HTTP 401: the token is not known"));
    let accountless = gancho.source("whatsapp", &json!({}), &chats.url(), "tells").await?;
    let told =
        gancho.ask(Method::POST, &format!("/v1/sources/{accountless}/register"), &json!({}), 422).await?;
    assert_eq!(told["code"], json!("unsupported"), "{told}");
    let by_hand = json!({ "platform": "github", "name": "ci", "secrets": [{ "role": "signing", "secret": "gh-secret" }] });
    let by_hand = gancho.ask(Method::POST, "/v1/sources", &by_hand, 201).await?;
    let path = format!("/v1/sources/{}/register", by_hand["id"].as_str().expect("an id"));
    let told = gancho.ask(Method::POST, &path, &json!({}), 422).await?;
    assert!(told["detail"].as_str().is_some_and(|words| words.contains("/in/src_")), "{told}");
    let (address, mut nowhere) = (gancho.gancho.address, gancho);
    anyhow::ensure!(nowhere.gancho.stop().await?, "it ends well");
    nowhere.gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
    let told = nowhere.ask(Method::POST, &path, &json!({}), 409).await?;
    assert!(told["detail"].as_str().is_some_and(|words| words.contains("public_url")), "{told}");
    Ok(())
}

/// An endpoint that hears what is told of sources.
async fn told_of_sources(place: &Place) -> anyhow::Result<Receiver> {
    let receiver = Receiver::start(Manner::Good).await?;
    let store = open(place).await?;
    let source_events = |endpoint: &mut Endpoint| {
        endpoint.subscription.types = EventPattern::new("source.*").into_iter().collect();
    };
    Scene::build(&store).await?.endpoint(&store, receiver.url(), source_events).await?;
    Ok(receiver)
}

fn told_by(came: &Came) -> Value {
    serde_json::from_slice(&came.body).expect("JSON")
}

/// A gateway that platforms reach at its own address.
struct Gateway {
    gancho: Gancho,
}

impl Gateway {
    async fn start(place: &Place) -> anyhow::Result<Gateway> {
        Gateway::at(place, free_address()?).await
    }

    async fn at(place: &Place, address: std::net::SocketAddr) -> anyhow::Result<Gateway> {
        let public_url = format!("http://{address}");
        let more = [("GANCHO_PUBLIC_URL", public_url.as_str())];
        let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), place, address, &more).await?;
        Ok(Gateway { gancho })
    }

    async fn restarted(self, place: &Place) -> anyhow::Result<Gateway> {
        let address = self.gancho.address;
        anyhow::ensure!(self.gancho.stop().await?, "it ends well");
        Gateway::at(place, address).await
    }

    async fn source(
        &self,
        platform: &str,
        settings: &Value,
        api_base: &str,
        watchdog: &str,
    ) -> anyhow::Result<String> {
        let mut settings = settings.clone();
        settings["api_base"] = json!(api_base);
        let secret = |role: &str, text: &str| json!({ "role": role, "secret": text });
        let source = json!({
            "platform": platform,
            "name": platform,
            "settings": settings,
            "watchdog": watchdog,
            "secrets": [
                secret("signing", TOKEN),
                secret("credential", "shown-by-the-platform"),
                secret("verify_token", "verify-token"),
                secret("access_token", TOKEN),
            ],
        });
        let made = self.ask(Method::POST, "/v1/sources", &source, 201).await?;
        Ok(made["id"].as_str().expect("an id").to_owned())
    }

    async fn ask(&self, method: Method, path: &str, body: &Value, expected: u16) -> anyhow::Result<Value> {
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let url = format!("http://{}{path}", self.gancho.address);
        let body = if method == Method::GET { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = send(&client(), method, &url, &headers, body).await?;
        assert_eq!(answer.status, expected, "{path}: {:?}", answer.body);
        Ok(serde_json::from_slice(&answer.body)?)
    }
}
