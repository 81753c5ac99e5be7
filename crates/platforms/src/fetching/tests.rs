//! Which calls fetch a file, and to whom a credential is shown.

use bytes::Bytes;
use model::message::Media;
use model::source::SecretRole;
use serde_json::json;

use super::*;
use crate::fixture::{NOW, source};
use crate::registry;

/// What a platform is asked for a file, and what follows an answer to that.
struct Desk {
    platform: &'static str,
    source: model::source::Source,
}

impl Desk {
    fn of(platform: &'static str, settings: &serde_json::Value, token: &str) -> Desk {
        Desk { platform, source: source(platform, settings, &[(SecretRole::AccessToken, token)]) }
    }

    fn sender(&self) -> Sender<'_> {
        Sender { source: &self.source, account: "1001", correlation: "", now: NOW }
    }

    fn fetch(&self, media: &Media) -> Result<Fetch, Unsupported> {
        registry::find(self.platform).expect("a platform").fetch(&self.sender(), media)
    }

    /// The only call: its URL, and its headers.
    fn file(&self, media: &Media) -> (String, Vec<(String, String)>) {
        match self.fetch(media).expect("a call") {
            Fetch::File(call) => (call.url, call.headers),
            Fetch::Place { .. } => panic!("{} asks first", self.platform),
        }
    }

    /// The call that asks, and the call that follows an answer.
    fn place(&self, media: &Media, status: u16, answer: &serde_json::Value) -> (Call, Result<Call, Outcome>) {
        let body = Bytes::from(answer.to_string());
        match self.fetch(media).expect("a call") {
            Fetch::Place { ask, read } => {
                (ask, read(&self.sender(), &Answer { status, retry_after_secs: None, body }))
            }
            Fetch::File(_) => panic!("{} does not ask", self.platform),
        }
    }
}

fn by_id(id: &str) -> Media {
    Media { id: Some(id.to_owned()), ..Media::default() }
}

fn by_url(url: &str) -> Media {
    Media { url: Some(url.to_owned()), ..Media::default() }
}

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

#[test]
fn whatsapp_asks_where_the_file_is_and_shows_its_token_to_hosts_of_meta_only() {
    let desk = Desk::of("whatsapp", &json!({}), "T0K");
    let told = json!({ "url": "https://lookaside.fbsbx.com/whatsapp?mid=7", "id": "7" });
    let (ask, call) = desk.place(&by_id("7001"), 200, &told);
    assert_eq!(ask.url, "https://graph.facebook.com/v25.0/7001");
    assert_eq!(ask.headers, header("authorization", "Bearer T0K"));
    let call = call.expect("a call");
    assert_eq!(
        (call.url.as_str(), call.headers),
        ("https://lookaside.fbsbx.com/whatsapp?mid=7", ask.headers)
    );
    let (_, elsewhere) = desk.place(&by_id("7001"), 200, &json!({ "url": "https://example.com/f" }));
    assert_eq!(elsewhere.expect("a call").headers, []);
    let (_, gone) = desk.place(&by_id("7001"), 404, &json!({ "error": { "code": 100 } }));
    assert!(matches!(gone, Err(Outcome::Refused(_))));
    let (_, later) = desk.place(&by_id("7001"), 500, &json!({}));
    assert!(matches!(later, Err(Outcome::Retry { .. })));
    let (odd, _) = desk.place(&by_id("../7001?x"), 200, &told);
    assert_eq!(odd.url, "https://graph.facebook.com/v25.0/..%2F7001%3Fx");
    assert!(desk.fetch(&Media::default()).is_err());
}

#[test]
fn telegram_asks_for_a_path_and_nothing_else_is_followed() {
    let desk = Desk::of("telegram", &json!({}), "12:AB");
    let told = json!({ "ok": true, "result": { "file_id": "F", "file_path": "photos/file 1.jpg" } });
    let (ask, call) = desk.place(&by_id("AgAD"), 200, &told);
    assert_eq!(ask.url, "https://api.telegram.org/bot12:AB/getFile?file_id=AgAD");
    assert_eq!(call.expect("a call").url, "https://api.telegram.org/file/bot12:AB/photos/file%201.jpg");
    for path in ["../secret", "/etc/passwd", "a//b", ""] {
        let told = json!({ "ok": true, "result": { "file_path": path } });
        assert!(desk.place(&by_id("F"), 200, &told).1.is_err(), "{path}");
    }
    let large = json!({ "ok": false, "error_code": 400, "description": "Bad Request: file is too big" });
    assert_eq!(
        desk.place(&by_id("F"), 400, &large).1,
        Err(Outcome::Refused("Bad Request: file is too big".to_owned()))
    );
}

#[test]
fn dialog360_reaches_metas_host_for_us_and_no_other() {
    let desk = Desk::of("dialog360", &json!({}), "KEY");
    let told = json!({ "url": "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=7" });
    let (ask, call) = desk.place(&by_id("7001"), 200, &told);
    assert_eq!(
        (ask.url.as_str(), &ask.headers),
        ("https://waba-v2.360dialog.io/7001", &header("D360-API-KEY", "KEY"))
    );
    let call = call.expect("a call");
    assert_eq!(call.url, "https://waba-v2.360dialog.io/whatsapp_business/attachments/?mid=7");
    assert_eq!(call.headers, ask.headers);
    assert!(desk.place(&by_id("7001"), 200, &json!({ "url": "https://example.com/f" })).1.is_err());
}

#[test]
fn one_call_is_enough_elsewhere() {
    let client = Desk::of("whatsapp_onpremises", &json!({ "api_base": "https://client.example" }), "KEY");
    assert_eq!(
        client.file(&by_id("7001")),
        ("https://client.example/v1/media/7001".to_owned(), header("D360-API-KEY", "KEY"))
    );
    let line = Desk::of("line", &json!({}), "T0K");
    assert_eq!(
        line.file(&by_id("325708")),
        (
            "https://api-data.line.me/v2/bot/message/325708/content".to_owned(),
            header("authorization", "Bearer T0K")
        )
    );
    let external = Media { url: Some("https://example.com/a.jpg".to_owned()), ..by_id("325708") };
    assert_eq!(line.file(&external), ("https://example.com/a.jpg".to_owned(), Vec::new()));
}

#[test]
fn a_url_of_the_platform_is_shown_the_credential_and_one_of_anybody_else_is_not() {
    let sid = "AC0123456789abcdef0123456789abcdef";
    let basic = "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpUMEs=";
    for (platform, settings, own, shown) in [
        ("slack", json!({}), "https://files.slack.com/files-pri/T-F/a.png", "Bearer T0K"),
        ("twilio", json!({ "account_sid": sid }), "https://api.twilio.com/2010-04-01/Media/ME1", basic),
        (
            "wati",
            json!({ "api_base": "https://live-server-1.wati.io" }),
            "https://live-server-1.wati.io/f",
            "Bearer T0K",
        ),
    ] {
        let desk = Desk::of(platform, &settings, "T0K");
        assert_eq!(desk.file(&by_url(own)), (own.to_owned(), header("authorization", shown)), "{platform}");
        let other = "https://files.example.com/a.png";
        assert_eq!(desk.file(&by_url(other)), (other.to_owned(), Vec::new()), "{platform}");
        assert!(desk.fetch(&Media::default()).is_err(), "{platform}");
    }
    for platform in ["messenger", "instagram", "viber", "discord", "whatzme"] {
        let desk = Desk::of(platform, &json!({}), "T0K");
        let url = "https://cdn.example.com/a.jpg";
        assert_eq!(desk.file(&by_url(url)), (url.to_owned(), Vec::new()), "{platform}");
        assert!(desk.fetch(&by_id("7")).is_err(), "{platform}");
    }
}

#[test]
fn a_credential_is_shown_to_hosts_of_the_platform_only() {
    let is = |url| is_own(url, &["slack.com"], "http://127.0.0.1:9000/api");
    for own in ["https://slack.com/f", "https://files.slack.com/f", "http://127.0.0.1:9000/f"] {
        assert!(is(own), "{own}");
    }
    for other in [
        "https://slack.com.example.com/f",
        "https://notslack.com/f",
        "http://files.slack.com/f",
        "https://example.com/slack.com",
        "https://slack.com@example.com/f",
        "http://127.0.0.1:9001/f",
        "https://127.0.0.1:9000/f",
        "/f",
        "",
    ] {
        assert!(!is(other), "{other}");
    }
}

#[test]
fn what_passes_is_tried_again_and_what_is_gone_is_not() {
    for status in [202, 401, 403, 408, 425, 429, 500, 503] {
        assert!(matches!(outcome(status, Some(7)), Outcome::Retry { .. }), "{status}");
    }
    for status in [204, 301, 400, 404, 410] {
        assert!(matches!(outcome(status, None), Outcome::Refused(_)), "{status}");
    }
    assert_eq!(outcome(200, None), Outcome::Done);
}
