//! A store in a folder of its own, a clock that stands still, and the router over both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use control::{Control, Random};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest};
use model::id::SourceId;
use model::receipt::ReceiptState;
use model::time::{Clock, ManualClock, Timestamp};
use platforms::http::Incoming;
use platforms::proof::{Hash, mac};
use platforms::registry;
use serde_json::{Value, json};
use std::time::Duration;

use store::arrivals::{Appended, Arrival, Request, Verdict};
use store::files::FileOutcome;
use store::{Faults, Location, Store};
use tower_service::Service;
use vault::Vault;

/// The largest file that is kept, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 1_000;

/// The admin token of the configuration.
pub(crate) const ADMIN: &str = "the-admin-token-of-this-configuration";
/// The App Secret of WhatsApp sources.
pub(crate) const APP_SECRET: &str = "canary-app-secret";

pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) control: Control,
    pub(crate) clock: ManualClock,
    pub(crate) faults: Faults,
    router: Router,
    _folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer that must be a success.
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }

    /// The code of an answer that must be this problem.
    pub(crate) fn problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
    }
}

/// The text under a key that must be there.
pub(crate) fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_else(|| panic!("no text {key} in {body}")).to_owned()
}

/// The ids of a page's rows.
pub(crate) fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().expect("a page").iter().map(|row| text(row, "id")).collect()
}

impl Scene {
    pub(crate) async fn new() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::Folder(folder.path().to_owned());
        let faults = Faults::default();
        let config = store::Config { location, node: 1, faults: faults.clone() };
        let clock = ManualClock::starting_at(Timestamp::from_secs(1_790_000_000));
        let store = Store::open(&config, Clock::Manual(clock.clone())).await.expect("a store");
        let hash = control::tokens::hash(ADMIN);
        let reached_at = Some("https://gw.example".to_owned());
        let vault = Vault::in_folder(&folder.path().join("files"), FILE_BYTES_MAX).expect("a vault");
        let control =
            Control::new(store.clone(), counting(), Some(hash)).reached_at(reached_at).keeping(vault);
        let router = api::router(control.clone());
        Scene { store, control, clock, faults, router, _folder: folder }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: HttpRequest<Body>) -> Answer {
        let response = self.router.clone().call(request).await.expect("a router answers");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        self.ask_with((method, path), token, body, &[]).await
    }

    pub(crate) async fn ask_with(
        &self,
        (method, path): (&str, &str),
        token: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = HttpRequest::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).expect("a request")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, ADMIN, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, ADMIN, &body).await
    }

    pub(crate) async fn app(&self, name: &str) -> String {
        text(&self.post("/v1/apps", json!({ "name": name })).await.ok(), "id")
    }

    pub(crate) async fn token(&self, role: &str, app: Option<&str>) -> String {
        let made = self.post("/v1/tokens", json!({ "name": role, "role": role, "app": app })).await.ok();
        text(&made, "token")
    }

    /// A source that believes everything; the type of an event is under `event`, its id under `id`.
    pub(crate) async fn open_source(&self, app: &str) -> String {
        let settings =
            json!({ "scheme": "unsigned", "event_type_pointer": "/event", "dedupe_pointer": "/id" });
        let new = json!({ "platform": "generic", "name": "open", "app": app, "settings": settings });
        text(&self.post("/v1/sources", new).await.ok(), "id")
    }

    pub(crate) async fn whatsapp_source(&self, app: &str, secret: &str) -> String {
        let secrets = json!([
            { "role": "signing", "secret": secret },
            { "role": "verify_token", "secret": "canary-verify-token" },
            { "role": "access_token", "secret": "canary-access-token" },
        ]);
        let new = json!({ "platform": "whatsapp", "name": "wa", "app": app, "secrets": secrets });
        text(&self.post("/v1/sources", new).await.ok(), "id")
    }

    pub(crate) async fn endpoint(&self, app: &str) -> String {
        let new = json!({ "url": "https://example.com/hook", "app": app });
        text(&self.post("/v1/endpoints", new).await.ok(), "id")
    }

    /// What ingest does with a request.
    pub(crate) async fn receive(
        &self,
        source: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Appended {
        let id: SourceId = source.parse().expect("an id");
        let source = self.store.routing().source(id).cloned().expect("a source");
        let mut map = HeaderMap::new();
        let mut lines = String::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
            lines.push_str(&format!("{name}: {value}\n"));
        }
        let incoming = Incoming {
            method: Method::POST,
            path: format!("/in/{id}"),
            query: None,
            headers: map,
            body: Bytes::copy_from_slice(body.as_bytes()),
            received_at: self.clock.now(),
        };
        let platform = registry::find(&source.platform).expect("a platform");
        let verdict = match platform.verify(&source, &incoming) {
            Ok(verified) => Verdict::Genuine(platform.parse(&source, &verified).expect("readable").into()),
            Err(rejection) => Verdict::Rejected(rejection.0),
        };
        let request = Request {
            receipt: None,
            method: "POST".to_owned(),
            path: format!("/in/{id}?token=canary-query"),
            peer: "192.0.2.7".to_owned(),
            headers: lines,
            body: incoming.body.clone(),
            is_whole: true,
        };
        let arrival =
            Arrival { source: Some(Arc::clone(&source)), app: None, request: Some(request), verdict };
        self.store.arrivals().append(arrival).await.expect("stored")
    }

    /// An event on an open source.
    pub(crate) async fn event(&self, source: &str, event_type: &str, number: u32) -> Appended {
        let body = json!({ "event": event_type, "id": number.to_string() }).to_string();
        let appended = self.receive(source, &[("content-type", "application/json")], &body).await;
        assert_eq!(appended.state, ReceiptState::Accepted);
        appended
    }

    /// A text message of a contact's to the number `phone`, signed with `secret`.
    pub(crate) async fn whatsapp_message(
        &self,
        source: &str,
        secret: &str,
        phone: &str,
        id: &str,
    ) -> Appended {
        let text = ("text", json!({ "body": "hello" }));
        self.whatsapp_item(source, secret, (phone, id), text).await
    }

    /// A file of a message that could not be had.
    pub(crate) async fn failed_file(&self, app: &str) -> String {
        let source = self.whatsapp_source(app, APP_SECRET).await;
        let path = format!("/v1/sources/{source}");
        self.ask("PATCH", &path, ADMIN, &json!({ "fetches_files": true })).await.ok();
        self.whatsapp_item(&source, APP_SECRET, ("77", "wamid.file"), ("image", json!({ "id": "7" }))).await;
        let files = self.store.files();
        let claimed = files.claim(1, Duration::from_secs(60)).await.expect("a claim").remove(0);
        let id = claimed.file.id.to_string();
        files.record(claimed, FileOutcome::Failed("gone".to_owned()), None).await.expect("a record");
        id
    }

    async fn whatsapp_item(
        &self,
        source: &str,
        secret: &str,
        (phone, id): (&str, &str),
        (kind, content): (&str, Value),
    ) -> Appended {
        let message = json!({
            "from": "15550000042", "id": id, "timestamp": self.clock.now().as_secs().to_string(),
            "type": kind, kind: content,
        });
        let value = json!({
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "15550000001", "phone_number_id": phone },
            "contacts": [{ "profile": { "name": "Ana" }, "wa_id": "15550000042" }],
            "messages": [message],
        });
        let body = json!({
            "object": "whatsapp_business_account",
            "entry": [{ "id": "100", "changes": [{ "field": "messages", "value": value }] }],
        })
        .to_string();
        let signature = hex::encode(mac(Hash::Sha256, secret.as_bytes(), &[body.as_bytes()]));
        let headers =
            [("x-hub-signature-256", &*format!("sha256={signature}")), ("authorization", "canary-header")];
        self.receive(source, &headers, &body).await
    }
}

/// Randomness that never repeats within a test and is the same in every run.
fn counting() -> Random {
    let count = AtomicU64::new(1);
    Random::of(move |bytes| {
        for byte in bytes {
            let mixed = count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *byte = mixed.to_be_bytes()[0];
        }
    })
}
