//! What proves a request, and everything near it that does not.

use model::time::Timestamp;
use serde_json::json;

use super::*;
use crate::fixture;
use crate::whatsapp::WhatsApp;
use crate::whatsapp::tests::{SECRETS, source};

const BODY: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;
const GOOD: &str = "sha256=0ca28c0f1996234eb6829e59ad3c11a18161f6eb043943d601e420c312432cdf";
const GOOD_SHA1: &str = "sha1=eb6072e7a30271eb1e3f4fac9c589e84f3ecc944";

/// A POST of this body with these headers, at a time after those in the fixtures.
pub(crate) fn delivery(body: &[u8], headers: &[(&str, &str)]) -> Incoming {
    let received_at = Timestamp::from_secs(1_790_000_500);
    Incoming { received_at, ..fixture::post(headers, body.to_vec()) }
}

fn check(query: Option<&str>) -> Incoming {
    Incoming { query: query.map(str::to_owned), ..fixture::get("") }
}

fn outcome(source: &Source, request: &Incoming) -> Result<(), Reason> {
    verify(source, request).map(|_| ()).map_err(|rejection| rejection.0)
}

fn signed(body: &[u8], headers: &[(&str, &str)]) -> Result<(), Reason> {
    outcome(&source(&SECRETS, &json!({})), &delivery(body, headers))
}

#[test]
fn metas_own_vectors_are_genuine() {
    assert_eq!(signed(BODY, &[(HEADER, GOOD)]), Ok(()));
    let escaped = br#"{"object":"page","entry":[{"id":"1","messaging":[{"message":{"mid":"m1","text":"\u00e4\u00f6"}}]}]}"#;
    let signature = "sha256=cf8aded7ae33885ad5deab93ff840e879b54c38082d8ccd3331ea2f6ceead2e3";
    assert_eq!(signed(escaped, &[(HEADER, signature)]), Ok(()));
}

#[test]
fn what_we_sign_is_what_meta_signs() {
    let headers = |keys: &[&str]| {
        fixture::signed(&WhatsApp, &source(&[], &json!({})), keys, BODY, Timestamp::from_secs(0))
    };
    let expected = vec![(HEADER.to_owned(), GOOD.to_owned())];
    assert_eq!(headers(&["app-secret-1"]), expected);
    assert_eq!(headers(&["app-secret-1", "a-retiring-one"]), expected, "there is room for one signature");
    assert_eq!(headers(&[]), []);
}

#[test]
fn either_of_two_app_secrets_proves_and_a_third_does_not() {
    let two = [(SecretRole::Signing, "another"), (SecretRole::Signing, "app-secret-1")];
    let request = delivery(BODY, &[(HEADER, GOOD)]);
    assert_eq!(outcome(&source(&two, &json!({})), &request), Ok(()));
    assert_eq!(outcome(&source(&two[..1], &json!({})), &request), Err(Reason::SignatureWrong));
    let roles = [(SecretRole::VerifyToken, "app-secret-1"), (SecretRole::AccessToken, "app-secret-1")];
    assert_eq!(outcome(&source(&roles, &json!({})), &request), Err(Reason::SecretNotConfigured));
}

#[test]
fn one_altered_byte_of_body_or_signature_is_noticed() {
    for at in 0..BODY.len() {
        let mut altered = BODY.to_vec();
        altered[at] ^= 1;
        assert_eq!(signed(&altered, &[(HEADER, GOOD)]), Err(Reason::SignatureWrong), "body byte {at}");
    }
    let altered = GOOD.replace("0ca2", "0ca3");
    assert_eq!(signed(BODY, &[(HEADER, &altered)]), Err(Reason::SignatureWrong));
}

#[test]
fn a_signature_in_another_form_is_malformed() {
    let digits = &GOOD["sha256=".len()..];
    let upper = format!("sha256={}", digits.to_uppercase());
    let long = format!("{GOOD}00");
    let spaced = format!("sha256= {digits}");
    let forms =
        [digits, &upper, &GOOD[..GOOD.len() - 2], &GOOD[..GOOD.len() - 1], &long, &spaced, "sha256=", ""];
    for form in forms.into_iter().chain([GOOD_SHA1, "SHA256=00"]) {
        assert_eq!(signed(BODY, &[(HEADER, form)]), Err(Reason::SignatureMalformed), "{form}");
    }
}

#[test]
fn a_signature_that_is_there_twice_is_refused() {
    let repeated = Err(Reason::HeaderRepeated);
    for second in [GOOD, "sha256=00", ""] {
        assert_eq!(signed(BODY, &[(HEADER, GOOD), (HEADER, second)]), repeated);
        assert_eq!(signed(BODY, &[(HEADER, second), (HEADER, GOOD)]), repeated);
    }
    let allowed = source(&SECRETS, &json!({"allow_sha1": true}));
    let old = delivery(BODY, &[(HEADER_SHA1, GOOD_SHA1), (HEADER_SHA1, GOOD_SHA1)]);
    assert_eq!(outcome(&allowed, &old), repeated);
}

#[test]
fn a_missing_signature_is_not_an_unsigned_request_unless_the_source_says_so() {
    assert_eq!(signed(BODY, &[]), Err(Reason::SignatureMissing));
    assert_eq!(outcome(&source(&[], &json!({"unsigned": true})), &delivery(BODY, &[])), Ok(()));
}

#[test]
fn sha1_counts_only_where_allowed_and_only_alone() {
    let allowed = source(&SECRETS, &json!({"allow_sha1": true}));
    let old = delivery(BODY, &[(HEADER_SHA1, GOOD_SHA1)]);
    assert_eq!(outcome(&allowed, &old), Ok(()));
    assert_eq!(outcome(&source(&SECRETS, &json!({})), &old), Err(Reason::SignatureMissing));
    let wrong = GOOD.replace("0ca2", "0ca3");
    let both = delivery(BODY, &[(HEADER, &wrong), (HEADER_SHA1, GOOD_SHA1)]);
    assert_eq!(outcome(&allowed, &both), Err(Reason::SignatureWrong));
    let truncated = delivery(BODY, &[(HEADER_SHA1, &GOOD_SHA1[..43])]);
    assert_eq!(outcome(&allowed, &truncated), Err(Reason::SignatureMalformed));
}

#[test]
fn the_check_of_our_url_gets_its_challenge_back() {
    let request = check(Some("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=abc"));
    let held = source(&SECRETS, &json!({}));
    let verified = verify(&held, &request).expect("a genuine check");
    assert_eq!(handshake(verified.request()), Some(Reply::text("1158201444".to_owned())));
    assert_eq!(handshake(&delivery(BODY, &[])), None);
}

#[test]
fn a_check_with_another_token_or_mode_is_refused() {
    let held = source(&SECRETS, &json!({}));
    let refused = |query: Option<&str>| outcome(&held, &check(query)).expect_err("a refusal");
    assert_eq!(refused(Some("hub.mode=subscribe&hub.verify_token=abd")), Reason::VerifyTokenWrong);
    assert_eq!(refused(Some("hub.mode=subscribe&hub.verify_token=app-secret-1")), Reason::VerifyTokenWrong);
    assert_eq!(refused(Some("hub.mode=subscribe")), Reason::VerifyTokenWrong);
    assert_eq!(refused(Some("hub.mode=unsubscribe&hub.verify_token=abc")), Reason::MethodNotAllowed);
    assert_eq!(refused(None), Reason::MethodNotAllowed);
    let bare = source(&[], &json!({}));
    let request = check(Some("hub.mode=subscribe&hub.verify_token="));
    assert_eq!(outcome(&bare, &request), Err(Reason::SecretNotConfigured));
}

#[test]
fn a_token_is_checked_even_where_deliveries_are_unsigned() {
    let unsigned = json!({"unsigned": true});
    let request = check(Some("hub.mode=subscribe&hub.challenge=1&hub.verify_token=abd"));
    assert_eq!(outcome(&source(&SECRETS, &unsigned), &request), Err(Reason::VerifyTokenWrong));
    assert_eq!(outcome(&source(&[], &unsigned), &request), Ok(()));
}

#[test]
fn other_methods_are_not_metas() {
    for method in [Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PATCH] {
        let request = Incoming { method, ..delivery(BODY, &[(HEADER, GOOD)]) };
        assert_eq!(outcome(&source(&SECRETS, &json!({})), &request), Err(Reason::MethodNotAllowed));
    }
}
