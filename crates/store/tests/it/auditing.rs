//! The audit log: a line with every act, in its transaction, and how lines are found.

use std::time::Duration;

use model::access::App;
use model::id::TokenId;
use model::page::{PageRequest, Span};
use store::Store;
use store::audit::{Act, AuditFilter, AuditLine, Who};

use crate::engine::on_every_engine;
use crate::scene::Scene;

fn act(action: &str, actor: &str) -> Act {
    Act { app: None, actor: actor.to_owned(), action: action.to_owned(), subject: "app_1".to_owned() }
}

async fn lines(scene: &Scene, filter: AuditFilter) -> Vec<AuditLine> {
    scene.audit().list(filter, PageRequest::newest(50)).await.expect("lines").items
}

async fn rename(store: &Store, app: App) {
    store.access().save_app(app).await.expect("saved");
}

#[tokio::test]
async fn what_is_done_by_somebody_leaves_a_line_and_what_the_machine_does_leaves_none() {
    on_every_engine(async |scene| {
        let app = App { id: scene.app(), name: "shop".to_owned() };
        rename(&scene, app.clone()).await;
        assert!(lines(&scene, AuditFilter::default()).await.is_empty());
        let who = act("app.create", "console");
        rename(&scene.acting(who.clone()), app).await;
        let written = lines(&scene, AuditFilter::default()).await;
        assert_eq!(written.iter().map(|line| &line.act).collect::<Vec<_>>(), [&who]);
        assert_eq!(written[0].id.made_at(), scene.now());
        let gone = scene.acting(who).access().revoke_token(scene.fresh_id()).await;
        assert!(gone.is_err());
        assert_eq!(lines(&scene, AuditFilter::default()).await.len(), 1, "nothing was done");
    })
    .await;
}

#[tokio::test]
async fn lines_are_found_by_app_actor_action_and_time() {
    on_every_engine(async |scene| {
        let token: TokenId = scene.fresh_id();
        let laptop = format!("{token} laptop");
        let note = async |act: Act| scene.acting(act).audit().note().await.expect("written");
        note(act("app.create", "console")).await;
        scene.clock.advance(Duration::from_secs(60));
        let later = scene.now();
        note(Act { app: Some(scene.app()), ..act("endpoint.create", &laptop) }).await;
        note(act("endpoint.delete", &laptop)).await;
        let found = async |filter: AuditFilter| {
            lines(&scene, filter).await.into_iter().map(|line| line.act.action).collect::<Vec<_>>()
        };
        let all = AuditFilter::default;
        assert_eq!(found(all()).await, ["endpoint.delete", "endpoint.create", "app.create"]);
        assert_eq!(found(AuditFilter { app: Some(scene.app()), ..all() }).await, ["endpoint.create"]);
        let by = |who| AuditFilter { actor: Some(who), ..all() };
        assert_eq!(found(by(Who::Token(token))).await.len(), 2);
        assert!(found(by(Who::Token(scene.fresh_id()))).await.is_empty());
        assert_eq!(found(by(Who::Name("console".to_owned()))).await, ["app.create"]);
        let of = |action: &str| AuditFilter { action: Some(action.to_owned()), ..all() };
        assert_eq!(found(of("endpoint.delete")).await, ["endpoint.delete"]);
        assert_eq!(found(of("endpoint.*")).await.len(), 2);
        assert!(found(of("end")).await.is_empty());
        let since = Span { since: Some(later), until: None };
        assert_eq!(found(AuditFilter { span: since, ..all() }).await.len(), 2);
        let until = Span { since: None, until: Some(later) };
        assert_eq!(found(AuditFilter { span: until, ..all() }).await, ["app.create"]);
    })
    .await;
}
