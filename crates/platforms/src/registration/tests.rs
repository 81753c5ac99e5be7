//! What each platform is told and asked, and how its answers are read.

use super::*;
use crate::fixture::{NOW, source};
use crate::registry;
use model::source::SecretRole::{AccessToken, Credential, Signing, VerifyToken};
use serde_json::json;

const URL: &str = "https://gw.example/in/src_1";

/// The steps for a source that has everything.
fn steps(platform: &str, settings: &Value, accounts: &[&str]) -> Result<Vec<Step>, Unsupported> {
    let token = if platform == "telegram" { "42:token" } else { "token" };
    let mut secrets = vec![(AccessToken, token), (Credential, "shown"), (VerifyToken, "vt")];
    if matches!(platform, "whatsapp" | "messenger" | "instagram") {
        secrets.push((Signing, "app-secret"));
    }
    let source = source(platform, settings, &secrets);
    let adapter = registry::find(platform).expect("a platform");
    let wanted = Wanted { source: &source, accounts, url: URL, now: NOW };
    adapter.registration(&wanted).expect("its API can be told")
}

fn only(platform: &str, settings: &Value) -> Step {
    let mut steps = steps(platform, settings, &[]).expect("nothing is missing");
    assert_eq!(steps.len(), 1, "{platform}");
    steps.remove(0)
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, retry_after_secs: None, body: Bytes::from(body.to_string()) }
}

fn look(step: &Step, status: u16, body: &Value) -> Found {
    let look = step.look.as_ref().expect("it can be asked");
    (look.read)(&answer(status, body), &look.ours)
}

fn sent(call: &Call) -> Value {
    serde_json::from_slice(&call.body).expect("JSON")
}

fn other(words: &str) -> Found {
    Found::Other(words.to_owned())
}

#[test]
fn a_bot_of_telegram_gets_its_url_with_every_kind_of_update() {
    let step = only("telegram", &json!({ "api_base": "http://tg" }));
    assert_eq!(step.set.url, "http://tg/bot42:token/setWebhook");
    let told = sent(&step.set);
    assert_eq!((&told["url"], &told["secret_token"]), (&json!(URL), &json!("shown")));
    assert!(told["allowed_updates"].as_array().is_some_and(|all| all.contains(&json!("message_reaction"))));
    let info = |url: &str| json!({ "ok": true, "result": { "url": url, "pending_update_count": 0 } });
    assert_eq!(look(&step, 200, &info(URL)), Found::Ours);
    assert_eq!(look(&step, 200, &info("")), other("the platform has no URL"));
    let theirs = other("the platform calls https://other.example/hook");
    assert_eq!(look(&step, 200, &info("https://other.example/hook?key=secret")), theirs);
    let unclear = look(&step, 401, &json!({ "ok": false, "description": "Unauthorized" }));
    assert_eq!(unclear, Found::Unclear("HTTP 401: Unauthorized".to_owned()));
    assert_eq!((step.read)(&answer(200, &json!({ "ok": true, "result": true }))), Outcome::Done);
    let refused = (step.read)(&answer(400, &json!({ "ok": false, "description": "bad webhook" })));
    assert_eq!(refused, Outcome::Refused("HTTP 400: bad webhook".to_owned()));
}

#[test]
fn line_is_told_by_put_and_says_when_its_webhook_is_switched_off() {
    let step = only("line", &json!({}));
    assert_eq!(step.set.method, Method::PUT);
    assert_eq!(sent(&step.set), json!({ "endpoint": URL }));
    assert_eq!(look(&step, 200, &json!({ "endpoint": URL, "active": true })), Found::Ours);
    let off = look(&step, 200, &json!({ "endpoint": URL, "active": false }));
    assert!(matches!(off, Found::Other(words) if words.contains("switched off")));
    assert_eq!(look(&step, 404, &json!({ "message": "Not found" })), other("the platform has no URL"));
    assert_eq!((step.read)(&answer(200, &json!({}))), Outcome::Done);
}

#[test]
fn viber_says_in_its_status_whether_it_took_the_url() {
    let step = only("viber", &json!({}));
    assert!(step.set.headers.contains(&("x-viber-auth-token".to_owned(), "token".to_owned())));
    assert_eq!(look(&step, 200, &json!({ "status": 0, "webhook": URL })), Found::Ours);
    assert!(matches!(look(&step, 200, &json!({ "status": 2, "status_message": "bad" })), Found::Unclear(_)));
    assert_eq!((step.read)(&answer(200, &json!({ "status": 0 }))), Outcome::Done);
    let refused = (step.read)(&answer(200, &json!({ "status": 1, "status_message": "no answer" })));
    assert_eq!(refused, Outcome::Refused("HTTP 200: no answer".to_owned()));
}

#[test]
fn a_number_of_a_client_is_told_with_what_proves_its_requests() {
    let headers = |platform: &str, settings: &Value| sent(&only(platform, settings).set)["headers"].clone();
    let base = "https://waba.example";
    let shown = json!({ "authorization": "shown" });
    assert_eq!(headers("whatsapp_onpremises", &json!({ "api_base": base })), shown);
    assert_eq!(headers("dialog360", &json!({})), shown);
    let bearer = json!({ "api_base": base, "scheme": "bearer" });
    assert_eq!(headers("whatsapp_onpremises", &bearer), json!({ "authorization": "Bearer shown" }));
    let step = only("whatsapp_onpremises", &json!({ "api_base": base, "scheme": "url_token" }));
    assert_eq!(sent(&step.set), json!({ "url": format!("{URL}?key=shown"), "headers": {} }));
    assert_eq!(look(&step, 200, &json!({ "url": format!("{URL}?key=shown") })), Found::Ours);
    assert_eq!(look(&step, 200, &json!({ "url": URL })), other(&format!("the platform calls {URL}")));
    assert_eq!(look(&step, 404, &json!({})), other("the platform has no URL"));
    let refused = json!({ "meta": { "success": false, "developer_message": "Invalid URL" } });
    assert_eq!((step.read)(&answer(400, &refused)), Outcome::Refused("HTTP 400: Invalid URL".to_owned()));
}

#[test]
fn wati_is_told_the_url_with_its_token_and_cannot_be_asked() {
    let step = only("wati", &json!({ "api_base": "https://live.wati.example/", "account": "15550001" }));
    assert_eq!(step.set.url, "https://live.wati.example/api/v2/webhookEndpoints");
    let told = sent(&step.set);
    assert_eq!(told[0]["url"], json!(format!("{URL}?key=shown")));
    assert_eq!((&told[0]["status"], &told[0]["phoneNumber"]), (&json!(1), &json!("15550001")));
    assert!(step.look.is_none());
    assert_eq!((step.read)(&answer(200, &json!({ "result": true }))), Outcome::Done);
    assert!(matches!((step.read)(&answer(200, &json!({ "result": false }))), Outcome::Refused(_)));
    assert!(matches!((step.read)(&answer(503, &json!({}))), Outcome::Retry { .. }));
}

#[test]
fn an_app_of_meta_is_registered_with_its_secret_and_then_each_account() {
    let settings = json!({ "app_id": "77", "api_base": "http://graph", "api_version": "v25.0" });
    let steps = steps("messenger", &settings, &["500", "501"]).expect("nothing is missing");
    let urls: Vec<&str> = steps.iter().map(|step| step.set.url.as_str()).collect();
    let graph = "http://graph/v25.0";
    assert_eq!(
        urls,
        ["/77/subscriptions", "/500/subscribed_apps", "/501/subscribed_apps"].map(|p| format!("{graph}{p}"))
    );
    assert_eq!(steps[0].set.headers[0].1, "Bearer 77|app-secret");
    let told = sent(&steps[0].set);
    assert_eq!(
        (&told["object"], &told["callback_url"], &told["verify_token"]),
        (&json!("page"), &json!(URL), &json!("vt"))
    );
    let listed = |object: &str, url: &str| json!({ "data": [{ "object": object, "callback_url": url }] });
    assert_eq!(look(&steps[0], 200, &listed("page", URL)), Found::Ours);
    assert_eq!(look(&steps[0], 200, &listed("instagram", URL)), other("the platform has no URL"));
    assert_eq!(look(&steps[1], 200, &json!({ "data": [{ "id": "77" }] })), Found::Ours);
    assert_eq!(
        look(&steps[1], 200, &json!({ "data": [] })),
        other("the app is not subscribed to the account")
    );
    for success in [json!(true), json!("true")] {
        assert_eq!((steps[1].read)(&answer(200, &json!({ "success": success }))), Outcome::Done);
    }
    let refused = (steps[1].read)(&answer(400, &json!({ "error": { "message": "no rights", "code": 200 } })));
    assert_eq!(refused, Outcome::Refused("HTTP 400: no rights".to_owned()));
}

#[test]
fn whatsapp_is_registered_at_the_app_the_business_account_or_each_number() {
    let at = |settings: &Value, accounts: &[&str]| steps("whatsapp", settings, accounts);
    let app = at(&json!({ "app_id": "77", "business_account_id": "100" }), &[]).expect("nothing is missing");
    assert_eq!(app.len(), 2);
    let subscribed = json!({ "data": [{ "whatsapp_business_api_data": { "id": "77", "name": "ours" } }] });
    assert_eq!(look(&app[1], 200, &subscribed), Found::Ours);
    let business = at(&json!({ "business_account_id": "100" }), &[]).expect("nothing is missing");
    let overriding = json!({ "override_callback_uri": URL, "verify_token": "vt" });
    assert_eq!(sent(&business[0].set), overriding);
    assert_eq!(look(&business[0], 200, &json!({ "data": [{ "override_callback_uri": URL }] })), Found::Ours);
    let number = at(&json!({}), &["200"]).expect("nothing is missing");
    assert_eq!(sent(&number[0].set), json!({ "webhook_configuration": overriding }));
    let has = |urls: Value| json!({ "webhook_configuration": urls, "id": "200" });
    assert_eq!(look(&number[0], 200, &has(json!({ "phone_number": URL }))), Found::Ours);
    let app_only = has(json!({ "application": "https://other.example" }));
    assert_eq!(look(&number[0], 200, &app_only), other("the platform has no URL"));
    assert!(at(&json!({}), &[]).is_err_and(|missing| missing.to_string().contains("name an account")));
    let many = vec!["1"; ACCOUNTS_MAX + 1];
    assert!(at(&json!({}), &many).is_err_and(|missing| missing.to_string().contains("as a whole")));
}

#[test]
fn what_is_missing_is_said() {
    for platform in ["telegram", "line", "viber", "dialog360", "whatsapp", "messenger"] {
        let source = source(platform, &json!({}), &[]);
        let adapter = registry::find(platform).expect("a platform");
        let wanted = Wanted { source: &source, accounts: &["1"], url: URL, now: NOW };
        let missing = adapter.registration(&wanted).expect("its API can be told").expect_err("no secrets");
        assert!(missing.to_string().contains("secret"), "{platform}: {missing}");
    }
    let by_hand = ["stripe", "github", "shopify", "slack", "discord", "twilio", "generic", "whatzme"];
    for platform in by_hand {
        let source = source(platform, &json!({}), &[]);
        let wanted = Wanted { source: &source, accounts: &[], url: URL, now: NOW };
        assert!(registry::find(platform).expect("a platform").registration(&wanted).is_none(), "{platform}");
    }
}
