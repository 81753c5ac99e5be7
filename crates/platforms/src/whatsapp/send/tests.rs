//! The call of every kind of message, and the messages that are refused in words.

use model::message::Location;
use model::time::Timestamp;
use serde_json::{Value, json};

use super::super::tests::{SECRETS, source};
use super::*;

fn sent(
    settings: &Value,
    secrets: &[(SecretRole, &str)],
    message: &OutgoingMessage,
) -> Result<Call, Unsupported> {
    let source = source(secrets, settings);
    let now = Timestamp::from_secs(1_790_000_000);
    compose(&Sender { source: &source, account: "100200300", correlation: "snd_77", now }, message)
}

fn to(address: &str, body: OutgoingBody) -> OutgoingMessage {
    OutgoingMessage { to: Recipient::Address(address.to_owned()), reply_to: None, body }
}

fn text(body: impl Into<String>) -> OutgoingBody {
    OutgoingBody::Text { text: TextBody { body: body.into(), preview_url: false } }
}

fn reaction(emoji: Option<&str>) -> OutgoingBody {
    let (message_id, emoji) = ("wamid.A1".to_owned(), emoji.map(str::to_owned));
    OutgoingBody::Reaction { reaction: OutgoingReaction { message_id, emoji } }
}

fn by_id(caption: Option<&str>, filename: Option<&str>) -> OutgoingMedia {
    OutgoingMedia {
        id: Some("7001".to_owned()),
        link: None,
        file: None,
        caption: caption.map(str::to_owned),
        filename: filename.map(str::to_owned),
    }
}

fn by_link() -> OutgoingMedia {
    OutgoingMedia { link: Some("https://files.example/a".to_owned()), ..OutgoingMedia::default() }
}

fn interactive(value: &Value) -> OutgoingBody {
    OutgoingBody::Interactive { interactive: value_of(value) }
}

fn buttons(count: usize, id: usize, title: usize) -> OutgoingBody {
    let button = json!({"type": "reply", "reply": {"id": "i".repeat(id), "title": "ñ".repeat(title)}});
    let action = json!({"buttons": vec![button; count]});
    interactive(&json!({"type": "button", "body": {"text": "?"}, "action": action}))
}

fn list(sections: usize, rows: usize, title: usize) -> OutgoingBody {
    let row = json!({"id": "r", "title": "t".repeat(title)});
    let section = json!({"title": "S", "rows": vec![row; rows]});
    let action = json!({"button": "Menu", "sections": vec![section; sections]});
    interactive(&json!({"type": "list", "body": {"text": "?"}, "action": action}))
}

fn refusal(body: OutgoingBody) -> Option<String> {
    sent(&json!({}), &SECRETS, &to("5215551112222", body)).err().map(|refusal| refusal.0)
}

fn refused(name: &str, bodies: impl IntoIterator<Item = OutgoingBody>) {
    let words: Vec<String> = bodies.into_iter().map(|body| refusal(body).expect("a refusal")).collect();
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!(name, words);
    });
}

#[test]
fn every_kind_of_message_has_its_body() {
    let place = Location {
        latitude: 19.4,
        longitude: -99.1,
        name: Some("Zócalo".to_owned()),
        address: None,
        url: None,
    };
    let template = json!({"name": "aviso", "language": {"code": "es_MX"}});
    let cards = json!([{"name": {"formatted_name": "Luis"}}]);
    let read = |typing| OutgoingBody::Read { read: ReadMark { message_id: "wamid.A1".to_owned(), typing } };
    let bodies = [
        text("hola"),
        OutgoingBody::Image { image: by_id(Some("El recibo"), None) },
        OutgoingBody::Video { video: by_link() },
        OutgoingBody::Audio { audio: by_id(None, None) },
        OutgoingBody::Document { document: by_id(Some("Factura"), Some("12.pdf")) },
        OutgoingBody::Sticker { sticker: by_link() },
        OutgoingBody::Template { template: value_of(&template) },
        buttons(3, 256, 20),
        list(2, 5, 24),
        interactive(&json!({"type": "cta_url", "action": {"name": "cta_url"}})),
        reaction(Some("👍")),
        reaction(None),
        OutgoingBody::Location { location: place },
        OutgoingBody::Contacts { contacts: value_of(&cards) },
        read(false),
        read(true),
    ];
    let calls: Vec<Value> = bodies
        .into_iter()
        .map(|body| {
            let call = sent(&json!({}), &SECRETS, &to("5215551112222", body)).expect("it can be sent");
            serde_json::from_slice(&call.body).expect("a body is JSON")
        })
        .collect();
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!("calls", calls);
    });
}

#[test]
fn a_call_goes_to_the_number_with_the_token() {
    let message = to("5215551112222", text("hola"));
    let call = sent(&json!({}), &SECRETS, &message).expect("it can be sent");
    assert_eq!(call.url, "https://graph.facebook.com/v25.0/100200300/messages");
    assert_eq!(call.method, http::Method::POST);
    assert!(call.headers.contains(&("authorization".to_owned(), "Bearer EAAtoken".to_owned())));
    let settings = json!({"api_base": "http://127.0.0.1:9000/", "api_version": "v26.0"});
    let call = sent(&settings, &SECRETS, &message).expect("it can be sent");
    assert_eq!(call.url, "http://127.0.0.1:9000/v26.0/100200300/messages");
}

#[test]
fn a_platform_shape_is_sent_with_all_its_members() {
    let template =
        json!({"name": "aviso", "language": {"code": "es_MX"}, "not_known_to_us": [1, {"deep": true}]});
    let body = OutgoingBody::Template { template: template.clone() };
    let call = sent(&json!({}), &SECRETS, &to("5215551112222", body)).expect("it can be sent");
    let wire: serde_json::Value = serde_json::from_slice(&call.body).expect("the body is JSON");
    assert_eq!(wire["template"], template);
}

#[test]
fn each_kind_of_recipient_and_an_answer_have_their_members() {
    let body = |message: &OutgoingMessage| -> Value {
        let call = sent(&json!({}), &SECRETS, message).expect("it can be sent");
        serde_json::from_slice(&call.body).expect("a body is JSON")
    };
    let mut message = to("+52 155 5111 2222", text("hola"));
    message.reply_to = Some("wamid.A1".to_owned());
    let number = body(&message);
    assert_eq!(
        (&number["to"], &number["recipient_type"]),
        (&json!("+52 155 5111 2222"), &json!("individual"))
    );
    assert_eq!(number["context"], json!({"message_id": "wamid.A1"}));
    assert_eq!(number["biz_opaque_callback_data"], json!("snd_77"));
    message.to = Recipient::Bsuid { bsuid: "MX.1349".to_owned() };
    let user = body(&message);
    assert_eq!((&user["recipient"], &user["to"]), (&json!("MX.1349"), &Value::Null));
    let group = body(&to("Z3J1cG8x", text("hola")));
    assert_eq!((&group["to"], &group["recipient_type"]), (&json!("Z3J1cG8x"), &json!("group")));
}

#[test]
fn what_meta_would_refuse_is_refused_in_words() {
    let media = |id: Option<&str>, link: Option<&str>| OutgoingMedia {
        id: id.map(str::to_owned),
        link: link.map(str::to_owned),
        ..OutgoingMedia::default()
    };
    let north = Location { latitude: 91.0, ..Location::default() };
    let bodies = [
        text(""),
        text("é".repeat(4097)),
        OutgoingBody::Image { image: media(None, None) },
        OutgoingBody::Image { image: media(Some("1"), Some("https://files.example/a")) },
        OutgoingBody::Image { image: media(None, Some("/etc/passwd")) },
        OutgoingBody::Image { image: by_id(None, Some("a.png")) },
        OutgoingBody::Audio { audio: by_id(Some("words"), None) },
        OutgoingBody::Sticker { sticker: by_id(Some("words"), None) },
        OutgoingBody::Template { template: value_of(&"aviso") },
        OutgoingBody::Template { template: value_of(&json!({"name": "aviso"})) },
        OutgoingBody::Reaction { reaction: OutgoingReaction { message_id: String::new(), emoji: None } },
        OutgoingBody::Location { location: north },
        OutgoingBody::Contacts { contacts: value_of(&json!([])) },
        OutgoingBody::Read { read: ReadMark { message_id: String::new(), typing: false } },
    ];
    refused("refusals_of_a_message", bodies);
    assert_eq!(refusal(text("é".repeat(4096))), None);
}

#[test]
fn controls_beyond_metas_limits_are_refused_in_words() {
    let bodies = [
        interactive(&json!([])),
        interactive(&json!({"type": "button"})),
        interactive(&json!({"type": "button", "action": {"buttons": [{"title": "no reply"}]}})),
        buttons(0, 1, 1),
        buttons(4, 1, 1),
        buttons(1, 257, 1),
        buttons(1, 1, 21),
        buttons(1, 0, 1),
        list(2, 6, 1),
        list(1, 0, 1),
        list(1, 1, 25),
    ];
    refused("refusals_of_a_control", bodies);
}

#[test]
fn nothing_is_sent_without_a_token_a_number_or_a_recipient() {
    let message = to("5215551112222", text("hola"));
    let refusal = sent(&json!({}), &SECRETS[..2], &message).expect_err("there is no access token");
    assert!(refusal.0.contains("access_token"), "{refusal}");
    assert!(sent(&json!({}), &SECRETS, &to("", text("hola"))).is_err());
    let source = source(&SECRETS, &json!({}));
    for account in ["", "../me", "1/2", "1?x"] {
        let sender = Sender { source: &source, account, correlation: "snd_77", now: Timestamp::from_secs(0) };
        assert!(compose(&sender, &message).is_err(), "{account}");
    }
}

fn value_of(written: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(written).expect("test values have text keys only")
}
