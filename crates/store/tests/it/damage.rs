//! Bytes that have changed in the store: found before they are signed, and in nobody else's way.

use model::endpoint::Format;
use model::event::Content;
use model::retry::Next;

use crate::engine::{on_every_engine, on_sqlite};
use crate::scene::{dead, message};

#[tokio::test]
async fn a_changed_content_is_found_and_harms_no_other() {
    on_every_engine(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "leo")]).await;
        scene.raw("UPDATE events SET content = replace(content, 'hello m1', 'hellp m1')").await;
        let claimed = scene.claim(10).await;
        assert_eq!(claimed.iter().map(|one| one.damaged).collect::<Vec<_>>(), [true, false]);
        scene.record(&claimed[0], dead()).await.expect("set aside");
        scene.record(&claimed[1], Next::Delivered).await.expect("delivered");
    })
    .await;
}

#[tokio::test]
async fn a_changed_body_is_found_where_it_would_be_sent() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.endpoint_that(|endpoint| endpoint.format = Format::Platform).await;
        let mut whole = message("m1", "ana");
        whole.content = Content::Body;
        let appended = scene.receive(&source, vec![whole]).await;
        let other_byte =
            if scene.is_embedded() { "CAST('}' || substr(body, 2) AS BLOB)" } else { "set_byte(body, 0, 7)" };
        scene.raw(&format!("UPDATE bodies SET body = {other_byte}")).await;
        assert!(scene.claim(10).await[0].damaged);
        let came = scene.receipts().came(appended.receipt.expect("a receipt")).await.expect("a read");
        assert!(!came.expect("the body").intact);
    })
    .await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_at_all_does_not_stop_the_others() {
    on_every_engine(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "leo")]).await;
        let first = scene.all_deliveries().await.pop().expect("a delivery");
        scene
            .raw(&format!("UPDATE events SET event_type = 'not a type!' WHERE id = {}", first.event.raw()))
            .await;
        let claimed = scene.claim(10).await;
        assert_eq!(claimed.iter().map(|one| one.damaged).collect::<Vec<_>>(), [true, false]);
        assert_eq!(claimed[0].event.id, first.event);
    })
    .await;
}

#[tokio::test]
async fn text_that_is_no_longer_utf8_is_damage_and_not_a_failed_claim() {
    on_sqlite(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        scene.receive(&source, vec![message("m1", "ana")]).await;
        scene
            .raw("UPDATE events SET content = CAST(x'7bff7d' AS TEXT) WHERE event_type = 'message.received'")
            .await;
        assert!(scene.claim(10).await[0].damaged);
    })
    .await;
}
