//! Apps, tokens and idempotency keys.

use std::time::Duration;

use model::access::{App, Role, Token};
use store::access::Claim;
use store::{Error, Versioned};

use crate::engine::on_every_engine;

#[tokio::test]
async fn an_app_is_stored_and_renamed() {
    on_every_engine(async |scene| {
        for name in ["shop", "the shop"] {
            scene.access().save_app(App { id: scene.app(), name: name.to_owned() }).await.expect("saved");
        }
        let apps = scene.access().apps().await.expect("apps");
        assert_eq!(apps, [App { id: scene.app(), name: "the shop".to_owned() }]);
        let found = scene.access().app(scene.app()).await.expect("an app");
        assert_eq!((found.version, found.thing.name.as_str()), (2, "the shop"));
        assert!(matches!(scene.access().app(scene.fresh_id()).await, Err(Error::NotFound("app"))));
    })
    .await;
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_not_replaced() {
    on_every_engine(async |scene| {
        let access = scene.access();
        access.save_app(App { id: scene.app(), name: "shop".to_owned() }).await.expect("saved");
        let seen = access.app(scene.app()).await.expect("an app");
        assert_eq!(access.replace_app(seen.clone()).await.expect("replaced"), 2);
        assert!(matches!(access.replace_app(seen).await, Err(Error::Stale)));
        let none = Versioned { version: 1, thing: App { id: scene.fresh_id(), name: String::new() } };
        assert!(matches!(access.replace_app(none).await, Err(Error::NotFound("app"))));

        let (source, endpoint) = (scene.source().await, scene.endpoint().await);
        let seen = scene.sources().get(source.id).await.expect("a source");
        scene.sources().replace(seen.clone()).await.expect("replaced");
        assert!(matches!(scene.sources().replace(seen).await, Err(Error::Stale)));
        let seen = scene.endpoints().get(endpoint.id).await.expect("an endpoint");
        let mut renamed = seen.clone();
        renamed.thing.name = "renamed".to_owned();
        scene.endpoints().replace(renamed).await.expect("replaced");
        assert!(matches!(scene.endpoints().replace(seen).await, Err(Error::Stale)));
        assert_eq!(scene.routing().endpoint(endpoint.id).expect("an endpoint").name, "renamed");
        scene.receive(&source, vec![crate::scene::message("m1", "ana")]).await;
        let account = scene.routing().account(source.id, "34600").expect("an account").id;
        let seen = scene.sources().account(account).await.expect("an account");
        scene.sources().replace_account(seen.clone()).await.expect("replaced");
        assert!(matches!(scene.sources().replace_account(seen).await, Err(Error::Stale)));
    })
    .await;
}

#[tokio::test]
async fn a_token_is_found_by_its_hash_until_it_is_revoked() {
    on_every_engine(async |scene| {
        let token = Token {
            id: scene.fresh_id(),
            name: "laptop".to_owned(),
            role: Role::Operator,
            app: Some(scene.app()),
            account: None,
            expires_at: Some(scene.now().plus(Duration::from_secs(60))),
            hint: "x7Qa".to_owned(),
        };
        scene.access().save_token(token.clone(), vec![7; 32]).await.expect("saved");
        assert_eq!(scene.access().token(vec![7; 32]).await.expect("a read"), Some(token.clone()));
        assert_eq!(scene.access().token(vec![8; 32]).await.expect("a read"), None);
        assert_eq!(scene.access().tokens().await.expect("tokens"), std::slice::from_ref(&token));
        scene.access().revoke_token(token.id).await.expect("revoked");
        assert_eq!(scene.access().token(vec![7; 32]).await.expect("a read"), None);
        assert!(matches!(scene.access().revoke_token(token.id).await, Err(Error::NotFound("token"))));
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_is_answered_once_and_bound_to_its_request() {
    on_every_engine(async |scene| {
        let claim = async |caller, body| {
            scene.access().claim_key(caller, "POST /v1/messages", "k", body).await.expect("a claim")
        };
        assert_eq!(claim(1, 10).await, Claim::Fresh);
        assert_eq!(claim(1, 10).await, Claim::UnderWay);
        assert_eq!(claim(1, 11).await, Claim::OtherRequest);
        assert_eq!(claim(2, 11).await, Claim::Fresh, "another caller's key is another key");
        let answer = Some("201 {}".to_owned());
        scene.access().answered(1, "POST /v1/messages", "k", answer).await.expect("answered");
        assert_eq!(claim(1, 10).await, Claim::Answered("201 {}".to_owned()));
        scene.access().answered(2, "POST /v1/messages", "k", None).await.expect("given back");
        assert_eq!(claim(2, 12).await, Claim::Fresh);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_a_dead_process_left_behind_passes_on_after_a_minute() {
    on_every_engine(async |scene| {
        let claim = async || scene.access().claim_key(1, "route", "k", 10).await.expect("a claim");
        assert_eq!(claim().await, Claim::Fresh);
        scene.clock.advance(Duration::from_secs(59));
        assert_eq!(claim().await, Claim::UnderWay);
        scene.clock.advance(Duration::from_secs(1));
        assert_eq!(claim().await, Claim::Fresh);
        assert_eq!(claim().await, Claim::UnderWay, "only one has taken it over");
    })
    .await;
}
