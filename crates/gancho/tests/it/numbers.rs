//! A bot that was written for WhatsApp's on-premises client: it sets its webhook with the number's key, is told in that client's
//! shape, and answers through that client's API.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::secret::Secret;
use model::source::Account;
use model::time::Clock;
use serde_json::{Value, json};
use simulator::{WhatsApp, whatsapp};
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::{APP_SECRET, Scene, open};
use testkit::sender::{client, send};

const PATIENCE: Duration = Duration::from_secs(60);
const ACCESS_TOKEN: &str = "story-access-token";
const CUSTOMER: &str = "5215512345678";

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_written_for_the_client_runs_unchanged() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::fresh(engine).await? else { continue };
        let (app_secret, token) = (Secret::new(APP_SECRET), Secret::new(ACCESS_TOKEN));
        let whatsapp = WhatsApp::start(whatsapp::Settings::new(app_secret, token, 23, Clock::System)).await?;
        let bot = Receiver::start(Manner::Good).await?;
        let number = Number::set_up(&place, &whatsapp).await?;
        let key = number.renew_key().await?;

        let none = number.ask((Method::GET, "configs/webhook"), &key, &Value::Null, 404).await?;
        assert_eq!((&none["meta"]["success"], &none["errors"][0]["code"]), (&json!(false), &json!(1006)));
        let webhook = json!({ "url": bot.url(), "headers": { "Authorization": "Basic Ym90OnNlY3JldA==" } });
        let echoed = number.ask((Method::POST, "configs/webhook"), &key, &webhook, 200).await?;
        assert_eq!(echoed, webhook);
        assert_eq!(number.ask((Method::GET, "configs/webhook"), &key, &Value::Null, 200).await?, webhook);

        // 204 is no success to the client: it tells it once more.
        bot.becomes(Manner::Answers(204));
        let ana = whatsapp.customer("Ana", CUSTOMER);
        anyhow::ensure!(ana.says("hola").await.is_acknowledged(), "the message was taken");
        assert!(bot.wait(PATIENCE, |came| !came.is_empty()).await);
        bot.becomes(Manner::Good);
        assert!(bot.wait(PATIENCE, |came| came.iter().any(|one| one.answered == 200)).await);
        let told = told_by(&bot.came()[0]);
        let message = &told["messages"][0];
        assert_eq!(told["contacts"][0], json!({ "profile": { "name": "Ana" }, "wa_id": CUSTOMER }));
        assert_eq!((&message["from"], &message["text"]["body"]), (&json!(CUSTOMER), &json!("hola")));
        assert_eq!(bot.came()[0].headers["authorization"], "Basic Ym90OnNlY3JldA==");
        assert!(!bot.came()[0].headers.contains_key("webhook-signature"));

        answers(&number, &key, &whatsapp, &bot, message).await?;
        renews(&number, &key, &whatsapp, &bot).await?;
        anyhow::ensure!(number.gancho.stop().await?, "it ends well");
    }
    Ok(())
}

/// Marks as read, checks the number, answers, and hears how far the answer came under the id it was given.
async fn answers(
    number: &Number,
    key: &str,
    whatsapp: &WhatsApp,
    bot: &Receiver,
    message: &Value,
) -> anyhow::Result<()> {
    let wamid = message["id"].as_str().expect("an id");
    number.ask((Method::PUT, &format!("messages/{wamid}")), key, &json!({ "status": "read" }), 200).await?;
    let asked = json!({ "blocking": "wait", "contacts": [format!("+{CUSTOMER}"), "nobody"] });
    let checked = number.ask((Method::POST, "contacts"), key, &asked, 200).await?;
    assert_eq!(checked["contacts"][0]["wa_id"], json!(CUSTOMER));
    assert_eq!(checked["contacts"][1]["status"], json!("invalid"));
    let answer = json!({ "recipient_type": "individual", "to": CUSTOMER, "type": "text", "text": { "body": "¡hola!" } });
    let sent = number.ask((Method::POST, "messages"), key, &answer, 201).await?;
    let id = sent["messages"][0]["id"].as_str().expect("an id").to_owned();
    let taken = whatsapp.wait_for_sends(1, PATIENCE).await?;
    assert_eq!(taken[0].body["text"]["body"], json!("¡hola!"));
    let steps = |came: &[Came]| {
        let statuses =
            came.iter().filter(|one| one.answered == 200).map(|one| told_by(one)["statuses"][0].clone());
        statuses.filter(|status| status["id"] == id.as_str()).count()
    };
    assert!(bot.wait(PATIENCE, |came| steps(came) == 3).await, "sent, delivered, read");
    assert_eq!(whatsapp.reads().len(), 1);
    let odd = json!({ "to": CUSTOMER, "type": "hologram", "hologram": {} });
    let refused = number.ask((Method::POST, "messages"), key, &odd, 422).await?;
    assert_eq!(refused["errors"][0]["code"], json!(1009));
    assert!(refused["errors"][0]["details"].as_str().is_some_and(|words| words.contains("hologram")));
    Ok(())
}

/// A new key takes the webhook away until it is set again; what came meanwhile is not lost.
async fn renews(number: &Number, old: &str, whatsapp: &WhatsApp, bot: &Receiver) -> anyhow::Result<()> {
    let key = number.renew_key().await?;
    let refused = number.ask((Method::GET, "configs/webhook"), old, &Value::Null, 401).await?;
    assert_eq!(refused["errors"][0]["code"], json!(1005));
    number.ask((Method::GET, "configs/webhook"), &key, &Value::Null, 404).await?;
    let before = bot.came().len();
    let ana = whatsapp.customer("Ana", CUSTOMER);
    anyhow::ensure!(ana.says("¿sigues ahí?").await.is_acknowledged(), "the message was taken");
    let elsewhere = Receiver::start(Manner::Good).await?;
    let webhook = json!({ "url": elsewhere.url(), "headers": {} });
    number.ask((Method::PUT, "configs/webhook"), &key, &webhook, 200).await?;
    let said = |came: &Came| told_by(came)["messages"][0]["text"]["body"] == "¿sigues ahí?";
    assert!(elsewhere.wait(PATIENCE, |came| came.iter().any(said)).await, "what was held came");
    assert_eq!(bot.came().len(), before, "the URL before hears nothing");
    number.ask((Method::DELETE, "configs/webhook"), &key, &Value::Null, 200).await?;
    number.ask((Method::GET, "configs/webhook"), &key, &Value::Null, 404).await?;
    // The key speaks for its number, and for nothing else of ours.
    let url = format!("http://{}/v1/conversations", number.gancho.address);
    let bearer = format!("Bearer {key}");
    let answer =
        send(&client(), Method::GET, &url, &[("authorization", bearer.as_str())], Bytes::new()).await?;
    assert_eq!(answer.status, 403);
    let admin = number.ask((Method::GET, "configs/webhook"), ADMIN_TOKEN, &Value::Null, 403).await?;
    assert_eq!(admin["errors"][0]["code"], json!(1005), "an administrator is no number");
    Ok(())
}

fn told_by(came: &Came) -> Value {
    serde_json::from_slice(&came.body).unwrap_or_default()
}

/// A number, behind a gateway that platforms reach.
struct Number {
    gancho: Gancho,
    account: String,
}

impl Number {
    async fn set_up(place: &Place, whatsapp: &WhatsApp) -> anyhow::Result<Number> {
        let store = open(place).await?;
        let scene = Scene::build(&store).await?;
        scene.may_send(&store, &json!({ "api_base": whatsapp.api_base() }), ACCESS_TOKEN).await?;
        let address = whatsapp::Number::default().phone_number_id;
        let (id, source, app) = (store.fresh_id(), scene.source, scene.app.id);
        let account = store.sources().save_account(Account { id, source, app, address, name: None }).await?;
        drop(store);
        let address = free_address()?;
        let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), place, address, &[]).await?;
        whatsapp.webhooks_to(&format!("http://{address}/in/{}", scene.source));
        Ok(Number { gancho, account: account.id.to_string() })
    }

    async fn renew_key(&self) -> anyhow::Result<String> {
        let url = format!("http://{}/v1/accounts/{}/key", self.gancho.address, self.account);
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let answer =
            send(&client(), Method::POST, &url, &[("authorization", bearer.as_str())], Bytes::new()).await?;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let made: Value = serde_json::from_slice(&answer.body)?;
        Ok(made["token"].as_str().expect("a key").to_owned())
    }

    async fn ask(
        &self,
        (method, path): (Method, &str),
        key: &str,
        body: &Value,
        expected: u16,
    ) -> anyhow::Result<Value> {
        let url = format!("http://{}/waba/v1/{path}", self.gancho.address);
        let headers = [("D360-API-KEY", key), ("content-type", "application/json")];
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = send(&client(), method, &url, &headers, body).await?;
        assert_eq!(answer.status, expected, "{path}: {:?}", answer.body);
        Ok(serde_json::from_slice(&answer.body)?)
    }
}
