//! Files over REST: uploads within their bounds, bytes as they came, and nobody else's.

use axum::body::Body;
use http::Request as HttpRequest;
use serde_json::{Value, json};

use crate::scene::{ADMIN, FILE_BYTES_MAX, Scene, ids, text};

async fn upload(scene: &Scene, path: &str, token: &str, bytes: usize) -> crate::scene::Answer {
    let request = HttpRequest::builder().method("POST").uri(path);
    let request =
        request.header("authorization", format!("Bearer {token}")).header("content-type", "text/plain");
    scene.send(request.body(Body::from(vec![b'x'; bytes])).expect("a request")).await
}

#[tokio::test]
async fn an_upload_is_as_large_as_a_file_may_be_and_no_larger() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let path = format!("/v1/files?app={app}&name=notes.txt");
    let most = usize::try_from(FILE_BYTES_MAX).expect("small");
    let stored = upload(&scene, &path, ADMIN, most).await.ok();
    assert_eq!((&stored["state"], &stored["bytes"]), (&json!("stored"), &json!(FILE_BYTES_MAX)));
    assert_eq!((&stored["name"], &stored["mime_type"]), (&json!("notes.txt"), &json!("text/plain")));
    assert!(stored["sha256"].as_str().is_some_and(|hash| hash.len() == 64));
    upload(&scene, &path, ADMIN, most + 1).await.problem(413, "too_large");
    let failed = scene.get("/v1/files?status=failed").await.ok();
    assert_eq!(ids(&failed).len(), 1, "that it was tried is seen");
    upload(&scene, &format!("/v1/files?app={app}&name="), ADMIN, 1).await.problem(422, "invalid");
    upload(&scene, &format!("/v1/files?app={app}&nome=x"), ADMIN, 1).await.problem(422, "invalid");
    scene.get("/v1/files?status=lost").await.problem(422, "invalid");
}

#[tokio::test]
async fn files_of_another_app_are_not_there_and_a_sender_uploads_but_does_not_read() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let file = text(&upload(&scene, &format!("/v1/files?app={one}"), ADMIN, 3).await.ok(), "id");
    let other = scene.token("operator", Some(&two)).await;
    for (method, path) in [
        ("GET", format!("/v1/files/{file}")),
        ("GET", format!("/v1/files/{file}/content")),
        ("POST", format!("/v1/files/{file}/retry")),
        ("DELETE", format!("/v1/files/{file}")),
    ] {
        scene.ask(method, &path, &other, &Value::Null).await.problem(404, "not_found");
    }
    assert_eq!(ids(&scene.ask("GET", "/v1/files", &other, &Value::Null).await.ok()).len(), 0);
    upload(&scene, &format!("/v1/files?app={one}"), &other, 3).await.problem(404, "not_found");
    let sender = scene.token("sender", Some(&two)).await;
    upload(&scene, "/v1/files", &sender, 3).await.ok();
    scene.ask("GET", "/v1/files", &sender, &Value::Null).await.problem(403, "forbidden");
    let viewer = scene.token("viewer", Some(&two)).await;
    upload(&scene, "/v1/files", &viewer, 3).await.problem(403, "forbidden");
    assert_eq!(ids(&scene.ask("GET", "/v1/files", &viewer, &Value::Null).await.ok()).len(), 1);
}

#[tokio::test]
async fn only_what_failed_to_be_fetched_is_fetched_again() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let id = scene.failed_file(&app).await;
    let shown = scene.get(&format!("/v1/files/{id}")).await.ok();
    assert_eq!(
        (&shown["state"], &shown["reason"], &shown["attempts"]),
        (&json!("failed"), &json!("gone"), &json!(1))
    );
    assert_eq!(shown["url"], Value::Null, "there is nothing to link to");
    scene.get(&format!("/v1/files/{id}/content")).await.problem(409, "conflict");
    let again = scene.post(&format!("/v1/files/{id}/retry"), Value::Null).await.ok();
    assert_eq!((&again["state"], &again["attempts"]), (&json!("waiting"), &json!(0)));
    scene.post(&format!("/v1/files/{id}/retry"), Value::Null).await.problem(409, "conflict");
    scene.get("/v1/files/file_00000000000").await.problem(404, "not_found");
}
