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
    let secret = || Secret::new("user:password-of-the-shop");
    let generic = Sample::named("generic.event").expect("a sample");
    let schemes =
        [r#"{"scheme":"header","header":"X-Key"}"#, r#"{"scheme":"url_token"}"#, r#"{"scheme":"basic"}"#];
    for settings in schemes {
        let settings = Settings::new(serde_json::from_str(settings).expect("an object"));
        let sender = Sender::of("generic", secret(), settings, None).expect("a sender");
        let request = sender.request(&generic, &Filling::of(1, NOW), URL).expect("a request");
        assert_eq!(sender.becomes(&request, NOW), Ok(vec!["generic.payment.succeeded".to_owned()]));
    }
    let unknown = Settings::new(serde_json::from_str(r#"{"colour":"blue"}"#).expect("an object"));
    assert!(Sender::of("generic", secret(), unknown, None).is_err());
    assert!(Sender::of("pigeon", secret(), Settings::default(), None).is_err());
    assert!(Sender::of("discord", secret(), Settings::default(), None).is_err());
}
