//! JSON Web Tokens through the adapters that take them: what is genuine, and every way to come close to it.

use std::time::Duration;

use http::HeaderValue;
use model::receipt::Reason;
use model::source::Source;
use serde_json::json;

use super::*;
use crate::fixture::token::{claims, hs256, rs256, rsa_pair, unsigned};
use crate::fixture::{self, NOW, post};
use crate::platform::Platform;
use crate::registry;
use crate::whatzme::WhatzMe;

/// The sources of every adapter that are set to take tokens of this algorithm only.
fn sources(algorithm: &str, credentials: &[&str]) -> Vec<(&'static dyn Platform, Source)> {
    let settings = [
        ("generic", json!({ "scheme": algorithm })),
        ("whatzme", json!({ "auth": algorithm, "signature": false })),
        ("whatzme", json!({ "auth": algorithm })),
    ];
    let signing = [(SecretRole::Signing, "whatz-secret")];
    let credentials = credentials.iter().map(|key| (SecretRole::Credential, *key));
    let secrets: Vec<(SecretRole, &str)> = credentials.chain(signing).collect();
    let source = |(kind, settings)| {
        (registry::find(kind).expect("a platform"), fixture::source(kind, &settings, &secrets))
    };
    settings.into_iter().map(source).collect()
}

/// What all of them say of a request with this token.
fn told(algorithm: &str, credentials: &[&str], token: &str) -> Result<(), Reason> {
    let request = post(&[("authorization", &format!("Bearer {token}"))], "{}");
    told_of(&sources(algorithm, credentials), &request)
}

/// What all of them say of a request; they must agree.
fn told_of(sources: &[(&'static dyn Platform, Source)], request: &Incoming) -> Result<(), Reason> {
    let hmac_alone = fixture::source("whatzme", &json!({}), &[]);
    let told: Vec<Result<(), Reason>> = sources
        .iter()
        .map(|(platform, source)| {
            // Where an HMAC is demanded besides, it is right, so that the token decides.
            let request = fixture::sealed(&WhatzMe, &hmac_alone, "whatz-secret", request.clone());
            platform.verify(source, &request).map(drop).map_err(|rejection| rejection.0)
        })
        .collect();
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "the adapters disagree: {told:?}");
    told[0]
}

#[test]
fn a_token_of_the_private_key_is_accepted_under_any_of_the_public_keys_and_no_other() {
    let ((pair, public), (_, other)) = (rsa_pair(), rsa_pair());
    let token = rs256(&pair, &claims(600));
    for (platform, source) in sources("jwt_rs256", &[&public]) {
        assert_eq!(platform.check(&source), Ok(()));
    }
    assert_eq!(told("jwt_rs256", &[&public], &token), Ok(()));
    assert_eq!(told("jwt_rs256", &[&other, &public], &token), Ok(()));
    assert_eq!(told("jwt_rs256", &[&other], &token), Err(Reason::CredentialWrong));
    assert_eq!(told("jwt_rs256", &[], &token), Err(Reason::SecretNotConfigured));
}

#[test]
fn a_public_key_that_has_retired_proves_nothing() {
    let (pair, public) = rsa_pair();
    let header = format!("Bearer {}", rs256(&pair, &claims(600)));
    let request = post(&[("authorization", &header)], "{}");
    let until = |end| {
        let mut sources = sources("jwt_rs256", &[&public]);
        sources.iter_mut().for_each(|(_, source)| source.secrets[0].key.retires_at = Some(end));
        told_of(&sources, &request)
    };
    assert_eq!(until(NOW.plus(Duration::from_secs(1))), Ok(()));
    assert_eq!(until(NOW), Err(Reason::SecretNotConfigured));
}

#[test]
fn the_algorithm_is_the_sources_so_that_a_public_key_never_signs() {
    let (_, public) = rsa_pair();
    // The classic: the public key, which everybody has, used as the key of an HMAC.
    for key in [&*public, public.trim(), public.trim_end(), &public.replace('\n', "")] {
        let forged = hs256(&claims(600), key);
        assert_eq!(told("jwt_rs256", &[&public], &forged), Err(Reason::CredentialWrong));
        assert_eq!(told("jwt_hs256", &[&public], &forged), Err(Reason::SecretNotConfigured));
    }
    for (platform, source) in sources("jwt_hs256", &[&public]) {
        assert!(platform.check(&source).is_err(), "a public key is no shared key");
    }
    for (platform, source) in sources("jwt_rs256", &["a-shared-key"]) {
        assert!(platform.check(&source).is_err(), "a shared key is no public key");
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let (pair, public) = rsa_pair();
    let none = unsigned(&claims(600));
    let genuine = rs256(&pair, &claims(600));
    let (bare, _) = genuine.rsplit_once('.').expect("three parts");
    for forged in [&*none, none.trim_end_matches('.'), bare, &format!("{bare}."), "..", ""] {
        let reason = told("jwt_rs256", &[&public], forged).expect_err("a refusal");
        assert!([Reason::CredentialWrong, Reason::CredentialMissing].contains(&reason), "{forged}");
    }
}

#[test]
fn an_altered_token_is_refused() {
    let (pair, public) = rsa_pair();
    let token = rs256(&pair, &claims(600));
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII");
        assert_eq!(told("jwt_rs256", &[&public], &altered), Err(Reason::CredentialWrong), "byte {at}");
    }
}

#[test]
fn a_token_counts_within_its_time_give_or_take_five_minutes() {
    let (pair, public) = rsa_pair();
    let at = |claims| told("jwt_rs256", &[&public], &rs256(&pair, &claims));
    let outside = Err(Reason::CredentialExpired);
    assert_eq!(at(claims(-300)), Ok(()));
    assert_eq!(at(claims(-301)), outside);
    assert_eq!(at(json!({ "nbf": NOW.as_secs() + 300 })), Ok(()));
    assert_eq!(at(json!({ "nbf": NOW.as_secs() + 301 })), outside);
    assert_eq!(at(json!({ "exp": "tomorrow" })), Err(Reason::CredentialWrong));
    assert_eq!(at(json!({})), Ok(()));
}

#[test]
fn a_token_must_be_shown_once_and_as_a_bearer_token() {
    let (pair, public) = rsa_pair();
    let token = rs256(&pair, &claims(600));
    let sources = sources("jwt_rs256", &[&public]);
    assert_eq!(told_of(&sources, &post(&[], "{}")), Err(Reason::CredentialMissing));
    let bearer = format!("Bearer {token}");
    for wrong in [format!("Basic {token}"), token, "Bearer".to_owned()] {
        let shown = told_of(&sources, &post(&[("authorization", &wrong)], "{}"));
        assert_eq!(shown, Err(Reason::CredentialMissing), "{wrong}");
    }
    let mut twice = post(&[("authorization", &bearer)], "{}");
    twice.headers.append("authorization", HeaderValue::from_static("Bearer x"));
    assert_eq!(told_of(&sources, &twice), Err(Reason::HeaderRepeated));
}
