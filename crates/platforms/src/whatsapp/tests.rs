//! The adapter as a whole: its settings and pace, and the sources the other tests use.

use super::*;

/// A source with these secrets and settings.
pub(crate) fn source(secrets: &[(SecretRole, &str)], settings: &serde_json::Value) -> Source {
    crate::fixture::source("whatsapp", settings, secrets)
}

/// The secrets of a source that receives and sends.
pub(crate) const SECRETS: [(SecretRole, &str); 3] = [
    (SecretRole::Signing, "app-secret-1"),
    (SecretRole::VerifyToken, "abc"),
    (SecretRole::AccessToken, "EAAtoken"),
];

#[test]
fn a_complete_source_is_accepted() {
    let all = serde_json::json!({
        "unsigned": false, "allow_sha1": true, "api_base": "http://127.0.0.1:9000/", "api_version": "v25.0",
        "messages_per_second": 20,
    });
    assert_eq!(WhatsApp.check(&source(&SECRETS, &all)), Ok(()));
    assert_eq!(WhatsApp.check(&source(&SECRETS[..2], &serde_json::json!({}))), Ok(()));
    assert_eq!(WhatsApp.check(&source(&[], &serde_json::json!({"unsigned": true}))), Ok(()));
}

#[test]
fn an_incomplete_source_is_refused_with_what_to_do() {
    let refusal = |secrets: &[(SecretRole, &str)], settings| {
        WhatsApp.check(&source(secrets, &settings)).expect_err("a refusal")
    };
    let mut refusals = vec![
        refusal(&SECRETS[1..], serde_json::json!({})),
        refusal(&SECRETS[..1], serde_json::json!({})),
        refusal(&[(SecretRole::Signing, "app-secret-1\n")], serde_json::json!({})),
    ];
    for wrong in [
        serde_json::json!({"verify": 1}),
        serde_json::json!({"unsigned": "yes"}),
        serde_json::json!({"allow_sha1": 1}),
        serde_json::json!({"messages_per_second": 0}),
        serde_json::json!({"api_base": "graph.facebook.com"}),
        serde_json::json!({"api_version": "25"}),
        serde_json::json!({"api_version": "v25/../x"}),
    ] {
        refusals.push(refusal(&SECRETS, wrong));
    }
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!("refusals_of_a_source", refusals);
    });
}

#[test]
fn a_number_keeps_to_metas_limits_or_to_its_own() {
    let pace = |settings: serde_json::Value| {
        let source = source(&SECRETS, &settings);
        WhatsApp.pace(&source).expect("WhatsApp has limits")
    };
    let usual = pace(serde_json::json!({}));
    assert_eq!(usual.account_interval, Duration::from_micros(12_500));
    assert_eq!((usual.account_burst, usual.pair_interval, usual.pair_burst), (8, Duration::from_secs(6), 45));
    let slow = pace(serde_json::json!({"messages_per_second": 5}));
    assert_eq!((slow.account_interval, slow.account_burst), (Duration::from_millis(200), 1));
}

#[test]
fn a_genuine_request_is_answered_with_exactly_200_and_nothing() {
    let request = meta::tests::delivery(b"{}", &[]);
    let verified = crate::proof::by_nothing(&request, crate::proof::Unsigned::SettingSaysSo);
    let reply = WhatsApp.acknowledge(&source(&SECRETS, &serde_json::json!({})), &verified);
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(crate::registry::find("whatsapp").map(Platform::kind), Some("whatsapp"));
}
