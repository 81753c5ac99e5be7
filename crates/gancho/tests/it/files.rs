//! Files: what a customer sends is here before the platform forgets it, and what we send is fetched from us.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::event::EventPattern;
use model::secret::Secret;
use model::source::Account;
use model::time::Clock;
use serde_json::{Value, json};
use simulator::chats::PLATFORMS;
use simulator::{WhatsApp, whatsapp};
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::{APP_SECRET, Scene, open};
use testkit::sender::{Answer, client, get, post_signed, send};

use crate::platforms::Stage;

const PATIENCE: Duration = Duration::from_secs(60);
const ACCESS_TOKEN: &str = "story-access-token";
const CUSTOMER: &str = "5215512345678";
/// The largest file that the stories' gateways keep, in bytes.
const MAX: usize = 1_000_000;

/// A gateway whose only source, a number of WhatsApp's, fetches files.
struct Desk {
    place: Place,
    gancho: Gancho,
    whatsapp: WhatsApp,
    bot: Receiver,
    source: String,
    account: String,
}

impl Desk {
    async fn open(engine: Engine) -> anyhow::Result<Option<Desk>> {
        let Some(place) = Place::fresh(engine).await? else { return Ok(None) };
        let (app_secret, token) = (Secret::new(APP_SECRET), Secret::new(ACCESS_TOKEN));
        let whatsapp = WhatsApp::start(whatsapp::Settings::new(app_secret, token, 29, Clock::System)).await?;
        let bot = Receiver::start(Manner::Good).await?;
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        scene.may_send(&store, &json!({ "api_base": whatsapp.api_base() }), ACCESS_TOKEN).await?;
        let mut source = store.sources().get(scene.source).await?.thing;
        source.fetches_files = true;
        store.sources().save(source).await?;
        let (id, address) = (store.fresh_id(), whatsapp::Number::default().phone_number_id);
        let account = Account { id, source: scene.source, app: scene.app.id, address, name: None };
        let account = store.sources().save_account(account).await?;
        scene
            .endpoint(&store, bot.url(), |endpoint| {
                endpoint.subscription.types =
                    ["message.*", "file.*"].into_iter().filter_map(EventPattern::new).collect();
            })
            .await?;
        drop(store);
        let gancho = serve(&place).await?;
        let source = scene.source.to_string();
        whatsapp.webhooks_to(&format!("http://{}/in/{source}", gancho.address));
        Ok(Some(Desk { place, gancho, whatsapp, bot, source, account: account.id.to_string() }))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let (url, bearer) =
            (format!("http://{}{path}", self.gancho.address), format!("Bearer {ADMIN_TOKEN}"));
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/pdf")];
        send(&client(), method, &url, &headers, body).await
    }

    async fn told(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = self.ask(method, path, body).await?;
        anyhow::ensure!(answer.status < 300, "{path}: {} {:?}", answer.status, answer.body);
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// The first event of a type that the bot has been told of, and its data.
    async fn heard(&self, event_type: &str) -> anyhow::Result<Value> {
        let is = |came: &Came| said(came)["type"] == event_type;
        anyhow::ensure!(self.bot.wait(PATIENCE, |came| came.iter().any(is)).await, "{event_type} never came");
        let came = self.bot.came();
        Ok(came.iter().map(said).find(|body| body["type"] == event_type).expect("it came")["data"].clone())
    }
}

/// A gateway that its platform reaches at its own address.
async fn serve(place: &Place) -> anyhow::Result<Gancho> {
    let address = free_address()?;
    let (origin, max) = (format!("http://{address}"), MAX.to_string());
    let more = [("GANCHO_PUBLIC_URL", origin.as_str()), ("GANCHO_FILE_BYTES_MAX", max.as_str())];
    Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), place, address, &more).await
}

fn said(came: &Came) -> Value {
    serde_json::from_slice(&came.body).unwrap_or_default()
}

/// Bytes that are not like one another.
fn bytes(count: usize) -> Bytes {
    (0..count).map(|at| ((at * 7919) >> 3) as u8).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_sends_is_had_from_us_by_whoever_is_told_the_link() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(desk) = Desk::open(engine).await? else { continue };
        let picture = bytes(700_001);
        let ana = desk.whatsapp.customer("Ana", CUSTOMER);
        let sent = ana.sends_file("image", ("image/png", picture.clone()), Some("mi perro")).await;
        anyhow::ensure!(sent.is_acknowledged(), "the message was taken");
        let data = desk.heard("message.received").await?;
        assert_eq!(data["message"]["caption"], "mi perro");
        let (id, url) = (text(&data["file"]["id"]), text(&data["file"]["url"]));
        // Whoever is quicker than the platform waits for it.
        let answer = get(&url, &[]).await?;
        assert_eq!((answer.status, &answer.headers["content-type"]), (200, &"image/png".parse()?));
        assert!(answer.body == picture, "{} bytes came", answer.body.len());
        assert_eq!(answer.headers["content-security-policy"], "sandbox; default-src 'none'");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let part = get(&url, &[("range", "bytes=700000-")]).await?;
        assert_eq!((part.status, part.body.as_ref()), (206, &picture[700_000..]));
        assert_eq!(part.headers["content-range"], "bytes 700000-700000/700001");
        let beyond = get(&url, &[("range", "bytes=900000-")]).await?;
        assert_eq!((beyond.status, beyond.body.len()), (200, picture.len()));
        for wrong in [
            url.replace("until=", "until=9"),
            url.replace(&id, "file_00000000001"),
            url[..url.len() - 1].to_owned(),
        ] {
            assert_eq!(get(&wrong, &[]).await?.status, 404, "{wrong}");
        }
        let bare = format!("http://{}/files/{id}", desk.gancho.address);
        assert_eq!(get(&bare, &[]).await?.status, 404);
        let known = desk.told(Method::GET, &format!("/v1/files/{id}"), &Value::Null).await?;
        assert_eq!((&known["state"], &known["bytes"]), (&json!("stored"), &json!(700_001)));
        let listed = desk.told(Method::GET, "/v1/files?status=stored", &Value::Null).await?;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
        let content = desk.ask(Method::GET, &format!("/v1/files/{id}/content"), Bytes::new()).await?;
        assert!(content.body == picture);

        let Desk { place, gancho, .. } = desk;
        gancho.kill()?;
        let gancho = serve(&place).await?;
        let moved = url.replace(url.split('/').nth(2).expect("a host"), &gancho.address.to_string());
        assert!(get(&moved, &[]).await?.body == picture, "the link outlives the process");
        anyhow::ensure!(gancho.stop().await?, "it ends well");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_no_longer_has_is_told_and_seen_and_can_be_tried_again() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(desk) = Desk::open(engine).await? else { continue };
        let gone = testkit::sender::message("wamid.gone", 1, "x")
            .replace(r#""text":{"body":"x"}"#, r#""image":{"id":"799"}"#)
            .replace(r#""type":"text""#, r#""type":"image""#);
        let url = format!("http://{}/in/{}", desk.gancho.address, desk.source);
        assert_eq!(post_signed(&client(), &url, &gone).await?.status, 200);
        let failed = desk.heard("file.failed").await?;
        let received = desk.heard("message.received").await?;
        let id = text(&received["file"]["id"]);
        assert_eq!(failed["file"], id.as_str());
        assert!(text(&failed["words"]).contains("does not have the file any more"), "{failed}");
        let answer = get(&text(&received["file"]["url"]), &[("accept-language", "es")]).await?;
        let problem: Value = serde_json::from_slice(&answer.body)?;
        assert_eq!((answer.status, &problem["code"]), (409, &json!("conflict")));
        assert!(text(&problem["detail"]).starts_with("no se pudo obtener el archivo"), "{problem}");
        let listed = desk.told(Method::GET, "/v1/files?status=failed", &Value::Null).await?;
        assert_eq!(listed["data"][0]["id"], id.as_str());
        let retried = desk.told(Method::POST, &format!("/v1/files/{id}/retry"), &Value::Null).await?;
        assert_eq!(retried["id"], id.as_str());
        let twice = |came: &[Came]| came.iter().filter(|one| said(one)["type"] == "file.failed").count() == 2;
        assert!(desk.bot.wait(PATIENCE, twice).await, "it was tried again");
        anyhow::ensure!(desk.gancho.stop().await?, "it ends well");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_uploaded_is_sent_by_its_id_and_the_platform_fetches_it_from_us() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(desk) = Desk::open(engine).await? else { continue };
        let catalogue = bytes(300_000);
        let answer = desk.ask(Method::POST, "/v1/files?name=cat%C3%A1logo.pdf", catalogue.clone()).await?;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        let file: Value = serde_json::from_slice(&answer.body)?;
        assert_eq!((&file["name"], &file["mime_type"]), (&json!("catálogo.pdf"), &json!("application/pdf")));
        let message = |file: &Value| {
            let document = json!({ "file": file, "filename": "catálogo.pdf" });
            json!({ "from": desk.account, "to": CUSTOMER, "type": "document", "document": document, "override_window": true })
        };
        desk.told(Method::POST, "/v1/messages", &message(&file["id"])).await?;
        let sent = desk.whatsapp.wait_for_sends(1, PATIENCE).await?;
        let document = &sent[0].body["document"];
        assert!(document.get("file").is_none());
        let fetched = get(&text(&document["link"]), &[]).await?;
        assert!(fetched.status == 200 && fetched.body == catalogue);
        assert!(
            fetched.headers["content-disposition"].to_str()?.contains("filename*=UTF-8''cat%C3%A1logo.pdf")
        );

        let unknown = json!("file_00000000001");
        let refused =
            desk.ask(Method::POST, "/v1/messages", Bytes::from(message(&unknown).to_string())).await?;
        assert_eq!(refused.status, 422, "{:?}", refused.body);
        let large = desk.ask(Method::POST, "/v1/files", bytes(MAX + 1)).await?;
        let problem: Value = serde_json::from_slice(&large.body)?;
        assert_eq!(
            (large.status, text(&problem["detail"])),
            (413, format!("a file has at most {MAX} bytes"))
        );
        let failed = desk.told(Method::GET, "/v1/files?status=failed", &Value::Null).await?;
        assert_eq!(failed["data"].as_array().map(Vec::len), Some(1), "it is seen that it was tried");
        let path = format!("/v1/files/{}", text(&file["id"]));
        assert_eq!(desk.ask(Method::DELETE, &path, Bytes::new()).await?.status, 204);
        assert_eq!(get(&text(&document["link"]), &[]).await?.status, 409, "its bytes are gone");
        let again =
            desk.ask(Method::POST, "/v1/messages", Bytes::from(message(&file["id"]).to_string())).await?;
        assert_eq!(again.status, 422);
        anyhow::ensure!(desk.gancho.stop().await?, "it ends well");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_of_the_on_premises_client_has_and_sends_files_by_its_numbers_key() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(desk) = Desk::open(engine).await? else { continue };
        let made =
            desk.told(Method::POST, &format!("/v1/accounts/{}/key", desk.account), &Value::Null).await?;
        let key = text(&made["token"]);
        let bot = Receiver::start(Manner::Good).await?;
        let ask = async |method: Method, path: &str, kind: &str, body: Bytes| {
            let url = format!("http://{}/waba/v1/{path}", desk.gancho.address);
            send(&client(), method, &url, &[("D360-API-KEY", key.as_str()), ("content-type", kind)], body)
                .await
        };
        let webhook = Bytes::from(json!({ "url": bot.url() }).to_string());
        assert_eq!(ask(Method::POST, "configs/webhook", "application/json", webhook).await?.status, 200);
        let voice = bytes(5_000);
        let ana = desk.whatsapp.customer("Ana", CUSTOMER);
        let sent = ana.sends_file("image", ("image/png", voice.clone()), None).await;
        anyhow::ensure!(sent.is_acknowledged(), "the message was taken");
        assert!(bot.wait(PATIENCE, |came| !came.is_empty()).await);
        let image = said(&bot.came()[0])["messages"][0]["image"].clone();
        let path = format!("media/{}", text(&image["id"]));
        let had = ask(Method::GET, &path, "", Bytes::new()).await?;
        assert!(had.status == 200 && had.body == voice && had.headers["content-type"] == "image/png");

        let answer = ask(Method::POST, "media", "image/jpeg", bytes(2_000)).await?;
        assert_eq!(answer.status, 201);
        let uploaded: Value = serde_json::from_slice(&answer.body)?;
        let id = &uploaded["media"][0]["id"];
        let message = json!({ "to": CUSTOMER, "type": "image", "image": { "id": id, "caption": "hola" } });
        let told =
            ask(Method::POST, "messages", "application/json", Bytes::from(message.to_string())).await?;
        assert_eq!(told.status, 201, "{:?}", told.body);
        let taken = desk.whatsapp.wait_for_sends(1, PATIENCE).await?;
        let image = &taken[0].body["image"];
        assert_eq!((&image["caption"], &image["id"]), (&json!("hola"), &Value::Null));
        assert_eq!(get(&text(&image["link"]), &[]).await?.body, bytes(2_000));
        let path = format!("media/{}", text(id));
        assert_eq!(ask(Method::DELETE, &path, "", Bytes::new()).await?.status, 200);
        assert!(ask(Method::GET, &path, "", Bytes::new()).await?.status >= 400);
        // What is somebody else's is not there.
        let other = desk.ask(Method::POST, "/v1/files", bytes(10)).await?;
        let other: Value = serde_json::from_slice(&other.body)?;
        let path = format!("media/{}", text(&other["id"]));
        assert_eq!(ask(Method::GET, &path, "", Bytes::new()).await?.status, 404);
        anyhow::ensure!(desk.gancho.stop().await?, "it ends well");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_each_platform_is_fetched_in_its_way_and_had_from_us() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(stage) = Stage::set(engine, |source| source.fetches_files = true).await? else { continue };
        stage.connect()?;
        let bot = &stage.receiver;
        // Discord's pictures do not come over HTTP.
        let platforms: Vec<&str> = PLATFORMS.into_iter().filter(|platform| *platform != "discord").collect();
        for (at, platform) in platforms.iter().enumerate() {
            let customer =
                stage.chats.customer(platform, "Ana").expect("the platform knows where webhooks go");
            let sent = customer.sends_picture(bytes(1_000 + at), "mira").await?;
            assert!(sent.is_acknowledged(), "{platform}: {sent:?}");
        }
        let received =
            |came: &[Came]| came.iter().filter(|one| said(one)["type"] == "message.received").count();
        assert!(bot.wait(PATIENCE, |came| received(came) >= platforms.len()).await, "each was told");
        for (at, platform) in platforms.iter().enumerate() {
            let came = bot.came();
            let told = came.iter().map(said).find(|body| body["context"]["platform"] == *platform);
            let url = text(&told.expect("it was told")["data"]["file"]["url"]);
            // LINE is not ready at once; the link waits for it.
            let had = get(&url, &[]).await?;
            assert!(
                had.status == 200 && had.body == bytes(1_000 + at),
                "{platform}: {} {:?}",
                had.status,
                had.body
            );
        }
        anyhow::ensure!(stage.gancho.stop().await?, "it ends well");
    }
    Ok(())
}
