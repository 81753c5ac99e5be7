//! What an endpoint of format `platform` gets of a request that is not all its own.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use model::access::App;
use model::endpoint::{Endpoint, Format};
use model::event::{Event, NewEvent};
use model::id::{AppId, EndpointId, SourceId};
use model::page::PageRequest;
use model::source::{Account, Settings, Source, SourceSecret, UnknownAccounts};
use platforms::http::Incoming;
use serde_json::{Value, json};
use store::Store;
use store::arrivals::{Arrival, Request, Verdict};
use store::claims::Wish;
use store::events::EventFilter;
use testkit::place::{Engine, Place};
use testkit::scene::{Scene, open};

use super::*;
use crate::envelope;

const BOT_SECRET: &str = "the-bots-own-secret";

/// A store with one source, whose accounts belong to apps.
struct Stage {
    store: Store,
    scene: Scene,
    _place: Place,
}

impl Stage {
    async fn on(engine: Engine) -> anyhow::Result<Option<Stage>> {
        let Some(place) = Place::fresh(engine).await? else { return Ok(None) };
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        Ok(Some(Stage { store, scene, _place: place }))
    }

    fn source(&self) -> Arc<Source> {
        Arc::clone(self.store.routing().source(self.scene.source).expect("the source"))
    }

    async fn change_source(&self, change: impl FnOnce(&mut Source)) -> anyhow::Result<()> {
        let mut source = (*self.source()).clone();
        change(&mut source);
        Ok(self.store.sources().save(source).await?)
    }

    async fn app(&self) -> anyhow::Result<AppId> {
        let app = App { id: self.store.fresh_id(), name: "another".to_owned() };
        self.store.access().save_app(app.clone()).await?;
        Ok(app.id)
    }

    async fn account(&self, address: &str, app: AppId) -> anyhow::Result<Account> {
        let source: SourceId = self.scene.source;
        let account =
            Account { id: self.store.fresh_id(), source, app, address: address.to_owned(), name: None };
        Ok(self.store.sources().save_account(account).await?)
    }

    async fn bot(&self, app: AppId, with: impl FnOnce(&mut Endpoint)) -> anyhow::Result<EndpointId> {
        let url = "https://bot.example/hook".to_owned();
        let endpoint = self.scene.endpoint(&self.store, url, |endpoint| {
            endpoint.app = app;
            endpoint.format = Format::Platform;
            endpoint.keys = vec![Key::current(Secret::new(BOT_SECRET))];
            with(endpoint);
        });
        Ok(endpoint.await?.id)
    }

    /// A request as ingest stores it, read by its adapter, or as one event that is its body where that cannot.
    async fn receives(&self, body: &str) -> anyhow::Result<()> {
        let source = self.source();
        let platform = registry::find(&source.platform).expect("a platform");
        let incoming = Incoming {
            method: Method::POST,
            path: "/in/src".to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            received_at: self.store.clock().now(),
        };
        let verified = platforms::proof::by_nothing(&incoming, platforms::proof::Unsigned::ProvenBefore);
        let events = platform.parse(&source, &verified).unwrap_or_else(|_| vec![unreadable(&incoming)]);
        let request = Request {
            receipt: None,
            method: "POST".to_owned(),
            path: "/in/src".to_owned(),
            peer: "192.0.2.1".to_owned(),
            headers: "content-type: application/json; charset=utf-8\n".to_owned(),
            body: incoming.body.clone(),
            is_whole: true,
        };
        let verdict = Verdict::Genuine(events.into());
        let arrival = Arrival { source: Some(source), app: None, request: Some(request), verdict };
        self.store.arrivals().append(arrival).await?;
        Ok(())
    }

    async fn events_of(&self, app: AppId, event_type: &str) -> anyhow::Result<Vec<Event>> {
        let filter =
            EventFilter { app: Some(app), event_type: Some(event_type.to_owned()), ..EventFilter::default() };
        Ok(self.store.events().list(filter, PageRequest::newest(50)).await?.items)
    }

    /// Owes every event of this type once more to an endpoint of its app, and takes all that is due to it.
    async fn owed(&self, endpoint: EndpointId, event_type: &str) -> anyhow::Result<Vec<Claimed>> {
        let app = self.store.routing().endpoint(endpoint).expect("the endpoint").app;
        for event in self.events_of(app, event_type).await? {
            self.store.replays().event(event.id, endpoint).await?;
        }
        let claimed = self.store.deliveries().claim(Wish::new(100, Duration::from_secs(30))).await?;
        let own: Vec<Claimed> = claimed.into_iter().filter(|one| one.endpoint.id == endpoint).collect();
        anyhow::ensure!(!own.is_empty(), "nothing is due");
        Ok(own)
    }

    /// The bodies an endpoint gets, which must all be signed with its own key.
    async fn bodies(&self, endpoint: EndpointId, event_type: &str) -> anyhow::Result<Vec<String>> {
        let (routing, now) = (self.store.routing(), self.store.clock().now());
        let mut bodies = Vec::new();
        for claimed in self.owed(endpoint, event_type).await? {
            let passed = pass_on(&claimed, &routing, now).map_err(anyhow::Error::msg)?;
            assert_eq!(passed.content_type, "application/json; charset=utf-8");
            let mac =
                platforms::proof::mac(platforms::proof::Hash::Sha256, BOT_SECRET.as_bytes(), &[&passed.body]);
            assert!(passed.headers[0].1.starts_with("sha256="), "{:?}", passed.headers);
            assert_eq!(passed.headers[0].1.trim_start_matches("sha256="), hex(&mac));
            bodies.push(String::from_utf8(passed.body.to_vec())?);
        }
        Ok(bodies)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unreadable(incoming: &Incoming) -> NewEvent {
    NewEvent {
        event_type: model::event::EventType::from_foreign("whatzme", "unrecognised"),
        dedupe_key: None,
        account: None,
        party: None,
        order_key: None,
        occurred_at: incoming.received_at,
        content: model::event::Content::Body,
    }
}

/// A change with one message to a number.
fn change(number: &str, id: &str) -> String {
    format!(
        r#"{{"field":"messages", "value":{{"metadata":{{"phone_number_id":"{number}"}},"messages":[{{"from":"15550000001","id":"{id}","timestamp":"1767225600","type":"text","text":{{"body":"\u00e1"}}}}]}}}}"#
    )
}

fn batch(changes: &[String]) -> String {
    let changes = changes.join(" , ");
    format!(r#"{{"object": "whatsapp_business_account","entry":[{{"id":"W1","changes":[{changes}]}}]}}"#)
}

#[tokio::test]
async fn each_app_gets_its_own_part_of_a_request_that_several_share() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(stage) = Stage::on(engine).await? else { continue };
        stage.change_source(|source| source.unknown_accounts = UnknownAccounts::Quarantine).await?;
        let (ours, theirs) = (stage.scene.app.id, stage.app().await?);
        stage.account("PN1", ours).await?;
        stage.account("PN2", theirs).await?;
        let (bot, other) = (stage.bot(ours, |_| {}).await?, stage.bot(theirs, |_| {}).await?);
        let changes = [change("PN1", "wamid.1"), change("PN2", "wamid.2"), change("PN3", "wamid.3")];
        stage.receives(&batch(&changes)).await?;
        for (endpoint, own) in [(bot, &changes[0]), (other, &changes[1])] {
            for body in stage.bodies(endpoint, "message.received").await? {
                assert_eq!(body, batch(std::slice::from_ref(own)), "{engine:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_request_of_one_app_keeps_its_very_bytes() -> anyhow::Result<()> {
    let Some(stage) = Stage::on(Engine::Sqlite).await? else { return Ok(()) };
    let bot = stage.bot(stage.scene.app.id, |_| {}).await?;
    let body = batch(&[change("PN1", "wamid.1"), change("PN2", "wamid.2")]);
    stage.receives(&body).await?;
    assert!(stage.bodies(bot, "message.received").await?.iter().all(|passed| *passed == body));
    Ok(())
}

#[tokio::test]
async fn an_endpoint_of_one_number_does_not_see_the_other_numbers_of_its_app() -> anyhow::Result<()> {
    let Some(stage) = Stage::on(Engine::Sqlite).await? else { return Ok(()) };
    let app = stage.scene.app.id;
    let (one, two) = (stage.account("PN1", app).await?, stage.account("PN2", app).await?);
    let bot = stage.bot(app, |endpoint| endpoint.subscription.accounts = vec![one.id]).await?;
    let changes = [change("PN1", "wamid.1"), change("PN2", "wamid.2")];
    stage.receives(&batch(&changes)).await?;
    let claimed = stage.owed(bot, "message.received").await?;
    let (routing, now) = (stage.store.routing(), stage.store.clock().now());
    let mut seen = Vec::new();
    for claimed in claimed {
        let passed = pass_on(&claimed, &routing, now).map_err(anyhow::Error::msg)?;
        let expected = match claimed.event.account {
            // Somebody replayed an event of the other number to it by name: that event it gets as well.
            account if account == Some(two.id) => batch(&changes),
            _ => batch(&changes[..1]),
        };
        assert_eq!(passed.body, expected);
        seen.push(claimed.event.account);
    }
    assert!(seen.contains(&Some(one.id)) && seen.contains(&Some(two.id)));
    Ok(())
}

#[tokio::test]
async fn an_account_that_was_given_away_since_is_still_whose_it_was_when_the_request_came()
-> anyhow::Result<()> {
    let Some(stage) = Stage::on(Engine::Sqlite).await? else { return Ok(()) };
    let (ours, theirs) = (stage.scene.app.id, stage.app().await?);
    stage.account("PN1", ours).await?;
    stage.account("PN2", theirs).await?;
    let (bot, other) = (stage.bot(ours, |_| {}).await?, stage.bot(theirs, |_| {}).await?);
    let changes = [change("PN1", "wamid.1"), change("PN2", "wamid.2")];
    stage.receives(&batch(&changes)).await?;
    stage.account("PN1", theirs).await?;
    assert_eq!(stage.bodies(bot, "message.received").await?[0], batch(&changes[..1]));
    assert_eq!(stage.bodies(other, "message.received").await?[0], batch(&changes[1..]));
    Ok(())
}

#[tokio::test]
async fn a_gateways_api_key_is_passed_on_in_no_format() -> anyhow::Result<()> {
    let Some(stage) = Stage::on(Engine::Sqlite).await? else { return Ok(()) };
    stage.change_source(|source| source.platform = "whatzme".to_owned()).await?;
    let app = stage.scene.app.id;
    let bot = stage.bot(app, |_| {}).await?;
    let standard = stage.bot(app, |endpoint| endpoint.format = Format::Standard).await?;
    // Not readable to its end, so that the body itself is the event; refused and trusted, so that it is stored as it came.
    stage.receives(r#"{"event":"messages.upsert","apikey":"HUSH","data":"#).await?;
    let masked = r#"{"event":"messages.upsert","apikey":"***","data":"#;
    assert!(stage.bodies(bot, "whatzme.unrecognised").await?.iter().all(|body| body == masked));
    for claimed in stage.owed(standard, "whatzme.unrecognised").await? {
        let body: Value = serde_json::from_slice(&envelope::standard(&claimed, &stage.store.routing()))?;
        assert_eq!(body["data"], masked);
    }
    Ok(())
}

#[tokio::test]
async fn the_id_of_a_standard_webhook_is_the_events_and_is_there_once() -> anyhow::Result<()> {
    let Some(stage) = Stage::on(Engine::Sqlite).await? else { return Ok(()) };
    let secret = Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
    let change = |source: &mut Source| {
        source.platform = "generic".to_owned();
        let settings = json!({ "scheme": "hmac", "header": "webhook-signature", "prefix": "v1,", "separator": " ",
            "encoding": "base64", "signed": "{id}.{timestamp}.{body}", "id_header": "webhook-id",
            "timestamp_header": "webhook-timestamp", "key_encoding": "base64", "key_prefix": "whsec_" });
        source.settings = Settings::new(settings.as_object().expect("an object").clone());
        source.secrets.iter_mut().for_each(|held: &mut SourceSecret| held.key = Key::current(secret.clone()));
    };
    stage.change_source(change).await?;
    let keys = || vec![Key::current(Secret::new("whsec_b3RoZXI=")), Key::current(secret.clone())];
    let bot = stage.bot(stage.scene.app.id, |endpoint| endpoint.keys = keys()).await?;
    stage.receives(r#"{"type":"paid"}"#).await?;
    for platform in ["generic", "standard_webhooks"] {
        if platform == "standard_webhooks" {
            let by_name = |source: &mut Source| {
                source.platform = platform.to_owned();
                source.settings = Settings::default();
            };
            stage.change_source(by_name).await?;
        }
        let claimed = stage.owed(bot, "generic.paid").await?.remove(0);
        let now = stage.store.clock().now();
        let passed = pass_on(&claimed, &stage.store.routing(), now).map_err(anyhow::Error::msg)?;
        let id = claimed.event.id.to_string();
        let ours = crate::signature::headers(&claimed.endpoint.keys, &id, now, &passed.body);
        let mut headers = with_signed(ours.clone(), passed.headers);
        headers.sort();
        let mut expected = ours;
        expected.sort();
        // The scheme is our own, told in settings or by name: the same headers, with the signatures of both keys.
        assert_eq!(headers, expected, "{platform}");
        assert!(headers.contains(&("webhook-id".to_owned(), id)));
    }
    Ok(())
}
