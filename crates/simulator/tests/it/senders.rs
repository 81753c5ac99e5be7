//! Samples of every platform, as its adapter reads them.

use model::secret::Secret;
use model::source::Settings;
use model::time::Timestamp;
use platforms::registry::PLATFORMS;
use simulator::Sender;
use simulator::sender::{Filling, Sample};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const URL: &str = "http://127.0.0.1:8080/in/src_1";

/// A sender with a secret that every platform can read.
fn sender(platform: &str) -> Sender {
    let secret = Secret::new("0123456789abcdef".repeat(4));
    Sender::of(platform, secret, Settings::default(), None).expect("a sender")
}

#[test]
fn every_platform_has_samples_and_its_adapter_knows_what_each_tells_of() {
    for platform in PLATFORMS {
        assert!(Sample::of(platform.kind()).count() >= 2, "{}", platform.kind());
    }
    for sample in Sample::all() {
        let name = sample.name();
        let sender = sender(sample.platform);
        let request = sender.request(&sample, &Filling::of(1, NOW), URL).expect("a request");
        let events = sender.becomes(&request, NOW).unwrap_or_else(|unfit| panic!("{name}: {unfit}"));
        assert_eq!(events.len(), 1, "{name}: {events:?}");
        assert!(!events[0].ends_with(".unrecognised"), "{name}: {events:?}");
        assert_eq!(Sample::named(&name), Some(sample));
    }
}

#[test]
fn a_sender_with_a_wrong_secret_is_never_believed() {
    for sample in Sample::all() {
        let sender = sender(sample.platform);
        let request = sender.with_a_wrong_secret().request(&sample, &Filling::of(1, NOW), URL);
        assert!(sender.becomes(&request.expect("a request"), NOW).is_err(), "{}", sample.name());
    }
}

#[test]
fn with_another_serial_the_same_sample_is_another_request() {
    for sample in Sample::all() {
        let sender = sender(sample.platform);
        let request = |serial| sender.request(&sample, &Filling::of(serial, NOW), URL).expect("a request");
        assert_eq!(request(1), request(1), "{}", sample.name());
        assert_ne!(request(1), request(2), "{}", sample.name());
    }
}

#[test]
fn settings_of_the_source_say_how_its_sender_proves_itself() {
    let secret = |settings: &str| match settings.contains("basic") {
        true => Secret::new("user:password-of-the-shop"),
        false => Secret::new("password-of-the-shop"),
    };
    let schemes = [
        ("generic.event", r#"{"scheme":"header","header":"X-Key"}"#),
        ("generic.event", r#"{"scheme":"url_token"}"#),
        ("generic.event", r#"{"scheme":"url_token","in_path":true}"#),
        ("generic.event", r#"{"scheme":"basic"}"#),
        ("generic.event", r#"{"scheme":"jwt_hs256"}"#),
        ("generic.event", r#"{"scheme":"hmac","header":"X-Mac","hash":"sha512","encoding":"base64"}"#),
        ("whatzme.message", r#"{"signature_style":"waha"}"#),
        ("whatzme.message", r#"{"signature":false,"auth":"jwt_hs256"}"#),
        ("whatsapp_onpremises.message", r#"{"scheme":"bearer"}"#),
        ("dialog360.message", r#"{"scheme":"url_token"}"#),
        ("wati.message", r#"{"parameter":"token"}"#),
    ];
    for (name, settings) in schemes {
        let sample = Sample::named(name).expect("a sample");
        let secret = secret(settings);
        let settings = Settings::new(serde_json::from_str(settings).expect("an object"));
        let sender = Sender::of(sample.platform, secret, settings.clone(), None).expect("a sender");
        let becomes = |sender: &Sender| {
            let request = sender.request(&sample, &Filling::of(1, NOW), URL).expect("a request");
            sender.becomes(&request, NOW)
        };
        assert_eq!(becomes(&sender).map(|events| events.len()), Ok(1), "{name}: {settings:?}");
        assert!(becomes(&sender.with_a_wrong_secret()).is_err(), "{name}: {settings:?}");
    }
}

#[test]
fn what_no_source_could_be_set_up_with_is_refused_in_words() {
    let refused = |platform: &str, secret: &str, settings: &str| {
        let settings = Settings::new(serde_json::from_str(settings).expect("an object"));
        let sender = Sender::of(platform, Secret::new(secret), settings, None);
        sender.err().expect("a refusal").0
    };
    assert!(refused("generic", "x", r#"{"colour":"blue"}"#).starts_with("unknown setting \"colour\""));
    assert!(refused("generic", "no-colon", r#"{"scheme":"basic"}"#).contains("user:password"));
    assert_eq!(refused("pigeon", "x", "{}"), "there is no platform pigeon");
    assert!(refused("discord", "x", "{}").contains("64 characters"));
    assert!(refused("standard_webhooks", "?", "{}").contains("cannot be read"));
}
