//! Apps, tokens, idempotency keys and the audit log.

use std::time::Duration;

use model::access::{App, Role, Token};
use store::Error;
use store::access::{AuditLine, Claim};

use crate::engine::on_every_engine;

#[tokio::test]
async fn an_app_is_stored_and_renamed() {
    on_every_engine(async |scene| {
        for name in ["shop", "the shop"] {
            scene.access().save_app(App { id: scene.app(), name: name.to_owned() }).await.expect("saved");
        }
        let apps = scene.access().apps().await.expect("apps");
        assert_eq!(apps, [App { id: scene.app(), name: "the shop".to_owned() }]);
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

#[tokio::test]
async fn who_did_what_is_written_down() {
    on_every_engine(async |scene| {
        let line = AuditLine {
            id: scene.fresh_id(),
            app: None,
            actor: "token laptop".to_owned(),
            action: "endpoint.create".to_owned(),
            subject: "ep_1".to_owned(),
        };
        scene.access().audit(line).await.expect("written");
        let rows = scene.raw("SELECT actor, action, subject FROM audit").await;
        assert!(rows.len() == 1 && rows[0].join(" ").contains("endpoint.create"));
    })
    .await;
}
