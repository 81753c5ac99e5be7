//! Tests of the proofs: what must never be accepted, first of all.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fixture::token::{claims, hs256, jwt, rs256, rsa_pair, unsigned};
use crate::fixture::{NOW, post};

const BODY: &str = r#"{"zen":"ok"}"#;

fn refused<T: std::fmt::Debug>(result: Result<T, Rejection>) -> Reason {
    result.expect_err("a refusal").0
}

fn mac_of(key: &str) -> Vec<u8> {
    mac(Hash::Sha256, key.as_bytes(), &[BODY.as_bytes()])
}

fn proven(presented: &[Vec<u8>], keys: &[&str]) -> Result<(), Rejection> {
    let request = post(&[], BODY);
    by_mac(&request, Hash::Sha256, presented, keys, &[BODY.as_bytes()]).map(drop)
}

#[test]
fn a_mac_is_accepted_under_any_of_the_keys() {
    assert_eq!(proven(&[mac_of("new")], &["new", "old"]), Ok(()));
    assert_eq!(proven(&[mac_of("old")], &["new", "old"]), Ok(()));
    assert_eq!(proven(&[mac_of("other"), mac_of("old")], &["new", "old"]), Ok(()));
}

#[test]
fn a_mac_is_accepted_at_full_length_only() {
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
        let request = post(&[], BODY);
        let full = mac(hash, b"key", &[BODY.as_bytes()]);
        assert_eq!(full.len(), hash.bytes());
        for length in 0..full.len() {
            let short = [full[..length].to_vec()];
            let result = by_mac(&request, hash, &short, ["key"], &[BODY.as_bytes()]);
            assert_eq!(refused(result), Reason::SignatureWrong, "{length} bytes");
        }
        let long = [[full.as_slice(), &[0]].concat()];
        assert!(by_mac(&request, hash, &long, ["key"], &[BODY.as_bytes()]).is_err());
    }
}

#[test]
fn a_mac_under_another_key_or_no_key_is_refused() {
    assert_eq!(proven(&[mac_of("other")], &["key"]), Err(Rejection(Reason::SignatureWrong)));
    assert_eq!(proven(&[], &["key"]), Err(Rejection(Reason::SignatureWrong)));
    assert_eq!(proven(&[mac_of("key")], &[]), Err(Rejection(Reason::SecretNotConfigured)));
}

#[test]
fn an_empty_secret_proves_nothing() {
    let request = post(&[("authorization", "Bearer ")], BODY);
    assert_eq!(proven(&[mac_of("")], &[""]), Err(Rejection(Reason::SecretNotConfigured)));
    assert_eq!(refused(by_token(&request, Some(""), [&Secret::new("")])), Reason::SecretNotConfigured);
    let forged = hs256(&json!({}), "");
    let result = by_jwt(&request, Some(&forged), JwtAlgorithm::Hs256, [&Secret::new("")]);
    assert_eq!(refused(result), Reason::SecretNotConfigured);
}

#[test]
fn the_pieces_of_a_mac_are_its_bytes_one_after_the_other() {
    assert_eq!(mac(Hash::Sha256, b"k", &[b"a", b"", b"bc"]), mac(Hash::Sha256, b"k", &[b"abc"]));
}

#[test]
fn a_retired_key_is_refused_from_its_end_on() {
    use crate::fixture::source;
    use model::source::SecretRole;
    let mut source =
        source("generic", &json!({}), &[(SecretRole::Signing, "new"), (SecretRole::Signing, "old")]);
    source.secrets[1].key.retires_at = Some(NOW);
    let request = post(&[], BODY);
    let at = |now| {
        let keys = source.secrets(SecretRole::Signing, now).map(Secret::expose);
        by_mac(&request, Hash::Sha256, &[mac_of("old")], keys, &[BODY.as_bytes()]).is_ok()
    };
    assert!(at(NOW.minus(Duration::from_millis(1))));
    assert!(!at(NOW));
}

#[test]
fn a_token_must_be_equal_and_shown() {
    let request = post(&[], BODY);
    let (one, two) = (Secret::new("one"), Secret::new("two"));
    assert!(by_token(&request, Some("two"), [&one, &two]).is_ok());
    for wrong in ["", "tw", "Two", "two ", "three"] {
        assert_eq!(
            refused(by_token(&request, Some(wrong), [&one, &two])),
            Reason::CredentialWrong,
            "{wrong}"
        );
    }
    assert_eq!(refused(by_token(&request, None, [&one])), Reason::CredentialMissing);
    assert_eq!(refused(by_token(&request, Some("two"), [])), Reason::SecretNotConfigured);
}

#[test]
fn an_ed25519_signature_is_accepted_under_any_of_the_keys_and_over_the_same_bytes_only() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes");
    let public = pair.public_key().as_ref().to_vec();
    let signature = pair.sign(BODY.as_bytes()).as_ref().to_vec();
    let request = post(&[], BODY);
    let prove = |signature: &[u8], keys: Vec<Vec<u8>>, signed: &str| {
        by_ed25519(&request, &[signature.to_vec()], keys, signed.as_bytes()).map(drop)
    };
    assert_eq!(prove(&signature, vec![vec![1; 32], public.clone()], BODY), Ok(()));
    assert_eq!(prove(&signature, vec![public.clone()], "{}"), Err(Rejection(Reason::SignatureWrong)));
    assert_eq!(prove(&signature[..63], vec![public], BODY), Err(Rejection(Reason::SignatureWrong)));
    assert_eq!(prove(&signature, vec![vec![]], BODY), Err(Rejection(Reason::SignatureWrong)));
    assert_eq!(prove(&signature, vec![], BODY), Err(Rejection(Reason::SecretNotConfigured)));
}

#[test]
fn a_signed_time_is_near_both_ways_and_no_further() {
    let tolerance = Duration::from_secs(300);
    let (span, more) = (tolerance, tolerance + Duration::from_millis(1));
    assert_eq!(near(NOW.minus(span), NOW, tolerance), Ok(()));
    assert_eq!(near(NOW.plus(span), NOW, tolerance), Ok(()));
    assert_eq!(near(NOW.minus(more), NOW, tolerance), Err(Rejection(Reason::TimestampOutside)));
    assert_eq!(near(NOW.plus(more), NOW, tolerance), Err(Rejection(Reason::TimestampOutside)));
    for far in [i64::MIN, -1, 0, i64::MAX] {
        assert!(near(Timestamp::from_secs(far), NOW, tolerance).is_err(), "{far}");
    }
}

#[test]
fn an_authorization_header_is_read_by_its_scheme_in_any_case() {
    let basic = post(&[("Authorization", "bAsIc YW5hOnM6M2NyZXQ=")], "");
    assert_eq!(basic_credential(&basic), Ok(Some("ana:s:3cret".to_owned())));
    assert_eq!(bearer_token(&basic), Ok(None));
    let bearer = post(&[("authorization", "bearer  t0ken ")], "");
    assert_eq!(bearer_token(&bearer), Ok(Some("t0ken")));
    for broken in ["Bearer", "Basic !!!", "", "Basic /w=="] {
        let request = post(&[("authorization", broken)], "");
        assert_eq!((basic_credential(&request), bearer_token(&request)), (Ok(None), Ok(None)), "{broken}");
    }
}

#[test]
fn several_copies_of_a_header_that_proves_something_are_refused_even_when_they_are_equal() {
    let repeated = Err(Rejection(Reason::HeaderRepeated));
    for second in ["Bearer t0ken", "Bearer other", ""] {
        let twice = post(&[("authorization", "Bearer t0ken"), ("authorization", second)], "");
        assert_eq!(bearer_token(&twice), repeated);
        assert_eq!(basic_credential(&twice), Err(Rejection(Reason::HeaderRepeated)));
        assert_eq!(twice.header("authorization"), None, "what is there twice is not there once");
    }
    let once = post(&[("authorization", "Bearer t0ken"), ("x-other", "1")], "");
    assert_eq!(proving_header(&once, "Authorization"), Ok(Some("Bearer t0ken")));
    assert_eq!(proving_header(&once, "x-absent"), Ok(None));
    let mut binary = post(&[], "");
    binary.headers.insert("x-s", http::HeaderValue::from_bytes(b"\xff").expect("any bytes"));
    assert_eq!((proving_header(&binary, "x-s"), binary.header("x-s")), (Ok(Some("")), None));
}

// ── JWT ──

fn shown(token: &str, algorithm: JwtAlgorithm, secrets: &[&Secret]) -> Result<(), Rejection> {
    let request = post(&[], BODY);
    by_jwt(&request, Some(token), algorithm, secrets.iter().copied()).map(drop)
}

#[test]
fn a_jwt_is_accepted_under_any_of_the_keys() {
    let (new, old) = (Secret::new("new-key"), Secret::new("old-key"));
    let token = hs256(&claims(600), "old-key");
    assert_eq!(shown(&token, JwtAlgorithm::Hs256, &[&new, &old]), Ok(()));
    assert_eq!(shown(&token, JwtAlgorithm::Hs256, &[&new]), Err(Rejection(Reason::CredentialWrong)));
    assert_eq!(shown(&token, JwtAlgorithm::Hs256, &[]), Err(Rejection(Reason::SecretNotConfigured)));
    assert_eq!(shown(&hs256(&json!({}), "new-key"), JwtAlgorithm::Hs256, &[&new]), Ok(()));
    let request = post(&[], BODY);
    assert_eq!(refused(by_jwt(&request, None, JwtAlgorithm::Hs256, [&new])), Reason::CredentialMissing);
}

#[test]
fn a_jwt_outside_its_time_is_refused() {
    let key = Secret::new("key");
    let at = |claims: Value| shown(&hs256(&claims, "key"), JwtAlgorithm::Hs256, &[&key]);
    let (now, expired) = (NOW.as_secs(), Err(Rejection(Reason::CredentialExpired)));
    assert_eq!(at(json!({ "exp": now - 300 })), Ok(()));
    assert_eq!(at(json!({ "exp": now - 301 })), expired);
    assert_eq!(at(json!({ "exp": 0.5 })), expired);
    assert_eq!(at(json!({ "nbf": now + 300 })), Ok(()));
    assert_eq!(at(json!({ "nbf": now + 301 })), expired);
    assert_eq!(at(json!({ "exp": 1e300 })), Ok(()));
}

#[test]
fn a_jwt_that_cannot_be_understood_whole_is_refused() {
    let key = Secret::new("key");
    let wrong = Err(Rejection(Reason::CredentialWrong));
    for unreadable in [json!({ "exp": "never" }), json!({ "nbf": [1] }), json!(5), json!("claims")] {
        let token = hs256(&unreadable, "key");
        assert_eq!(shown(&token, JwtAlgorithm::Hs256, &[&key]), wrong, "{unreadable}");
    }
    let header = json!({ "alg": "HS256", "crit": ["b64"], "b64": false });
    let critical = jwt(&header, &claims(600), |signed| mac(Hash::Sha256, b"key", &[signed]));
    assert_eq!(shown(&critical, JwtAlgorithm::Hs256, &[&key]), wrong);
    for broken in ["", ".", "..", "a.b.c", "a.b", "a.b.c.d"] {
        assert_eq!(shown(broken, JwtAlgorithm::Hs256, &[&key]), wrong, "{broken}");
    }
}

#[test]
fn the_algorithm_of_a_jwt_is_the_sources_and_never_the_tokens() {
    let (pair, pem) = rsa_pair();
    let public = Secret::new(pem);
    let wrong = Err(Rejection(Reason::CredentialWrong));
    let rs = |token: &str| shown(token, JwtAlgorithm::Rs256, &[&public]);
    let genuine = rs256(&pair, &claims(600));
    assert_eq!(rs(&genuine), Ok(()));
    assert_eq!(
        shown(&rs256(&pair, &claims(-301)), JwtAlgorithm::Rs256, &[&public]),
        Err(Rejection(Reason::CredentialExpired))
    );

    let none = unsigned(&claims(600));
    assert_eq!(rs(&none), wrong);
    assert_eq!(rs(none.trim_end_matches('.')), wrong);
    // The classic: the public key, which everybody has, used as the key of an HMAC.
    for key in [public.expose(), public.expose().trim()] {
        assert_eq!(rs(&hs256(&claims(600), key)), wrong);
        let as_shared = shown(&hs256(&claims(600), key), JwtAlgorithm::Hs256, &[&public]);
        assert_eq!(as_shared, Err(Rejection(Reason::SecretNotConfigured)));
    }
    let (signed, _) = genuine.rsplit_once('.').expect("three parts");
    assert_eq!(rs(&format!("{signed}.")), wrong);
    assert_eq!(shown(&genuine, JwtAlgorithm::Rs256, &[&Secret::new(rsa_pair().1)]), wrong);
}

#[test]
fn a_key_of_the_wrong_sort_is_not_taken() {
    let public = Secret::new(rsa_pair().1);
    assert!(JwtAlgorithm::Rs256.takes(&public));
    assert!(!JwtAlgorithm::Hs256.takes(&public));
    assert!(!JwtAlgorithm::Rs256.takes(&Secret::new("shared")));
    let private = "-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----";
    assert!(!JwtAlgorithm::Rs256.takes(&Secret::new(private)));
}

proptest! {
    #[test]
    fn any_altered_byte_of_a_body_is_noticed(body in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8) {
        let signature = mac(Hash::Sha256, b"key", &[&body]);
        let mut altered = body.clone();
        altered[at.index(body.len())] ^= 1_u8 << bit;
        let request = post(&[], altered.clone());
        prop_assert!(by_mac(&request, Hash::Sha256, &[signature], ["key"], &[&altered]).is_err());
    }

    #[test]
    fn no_token_panics(token in ".{0,80}", parts in "[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}") {
        let key = Secret::new("key");
        prop_assert!(shown(&token, JwtAlgorithm::Hs256, &[&key]).is_err());
        prop_assert!(shown(&parts, JwtAlgorithm::Hs256, &[&key]).is_err());
    }
}
