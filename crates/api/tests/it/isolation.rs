//! Two apps: what belongs to one is not there for the other, by any route.

use serde_json::{Value, json};

use crate::scene::{ADMIN, Scene, ids, text};

/// Everything of one app that a token could reach for.
struct Belongings {
    paths: Vec<String>,
    source: String,
    endpoint: String,
    event: String,
    account: String,
    conversation: String,
}

async fn belongings(scene: &Scene, app: &str) -> Belongings {
    let (source, endpoint) = (scene.whatsapp_source(app, "s").await, scene.endpoint(app).await);
    let phone = format!("2{}", source.len());
    let appended = scene.whatsapp_message(&source, "s", &phone, "wamid.1").await;
    let receipt = appended.receipt.expect("a receipt").to_string();
    let of_app = async |path: &str| ids(&scene.get(path).await.ok()).remove(0);
    let event = of_app(&format!("/v1/events?app={app}")).await;
    let delivery = of_app(&format!("/v1/deliveries?endpoint={endpoint}")).await;
    let conversation = of_app(&format!("/v1/conversations?app={app}")).await;
    let contact = of_app(&format!("/v1/contacts?app={app}")).await;
    let account = of_app(&format!("/v1/accounts?source={source}")).await;
    let send = json!({ "conversation": conversation, "type": "text", "text": { "body": "x" } });
    let message = text(&scene.post("/v1/messages", send).await.ok(), "id");
    let token = json!({ "name": "t", "role": "viewer", "app": app });
    let token = text(&scene.post("/v1/tokens", token).await.ok(), "id");
    let paths = vec![
        format!("/v1/apps/{app}"),
        format!("/v1/sources/{source}"),
        format!("/v1/accounts/{account}"),
        format!("/v1/endpoints/{endpoint}"),
        format!("/v1/events/{event}"),
        format!("/v1/receipts/{receipt}"),
        format!("/v1/receipts/{receipt}/request"),
        format!("/v1/deliveries/{delivery}"),
        format!("/v1/deliveries/{delivery}/attempts"),
        format!("/v1/conversations/{conversation}"),
        format!("/v1/contacts/{contact}"),
        format!("/v1/messages/{message}"),
        format!("/v1/messages/{message}/attempts"),
        format!("/v1/tokens/{token}"),
    ];
    Belongings { paths, source, endpoint, event, account, conversation }
}

#[tokio::test]
async fn what_belongs_to_another_app_cannot_be_read() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let (mine, theirs) = (belongings(&scene, &one).await, belongings(&scene, &two).await);
    let token = scene.token("admin", Some(&one)).await;
    for path in &mine.paths {
        assert_eq!(scene.ask("GET", path, &token, &Value::Null).await.status, 200, "{path}");
    }
    for path in &theirs.paths {
        scene.ask("GET", path, &token, &Value::Null).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn listings_show_only_ones_own() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let (mine, theirs) = (belongings(&scene, &one).await, belongings(&scene, &two).await);
    let token = scene.token("admin", Some(&one)).await;
    let nouns = [
        "apps",
        "sources",
        "accounts",
        "endpoints",
        "events",
        "receipts",
        "deliveries",
        "conversations",
        "contacts",
        "messages",
    ];
    for noun in nouns {
        let listed = scene.ask("GET", &format!("/v1/{noun}"), &token, &Value::Null).await.ok();
        let listed = ids(&listed);
        assert!(!listed.is_empty(), "{noun}");
        for id in listed {
            assert!(!theirs.paths.iter().any(|path| path.contains(&id)), "{noun} {id}");
        }
    }
    assert_eq!(ids(&scene.ask("GET", "/v1/tokens", &token, &Value::Null).await.ok()).len(), 2);
    for query in [
        format!("/v1/events?app={two}"),
        format!("/v1/conversations?app={two}"),
        format!("/v1/contacts?app={two}"),
        format!("/v1/receipts?app={two}"),
        format!("/v1/deliveries?app={two}"),
        format!("/v1/messages?app={two}"),
        format!("/v1/audit?app={two}"),
    ] {
        scene.ask("GET", &query, &token, &Value::Null).await.problem(404, "not_found");
    }
    for query in [
        format!("/v1/events?source={}", theirs.source),
        format!("/v1/events?account={}", theirs.account),
        format!("/v1/events?conversation={}", theirs.conversation),
        format!("/v1/receipts?source={}", theirs.source),
        format!("/v1/deliveries?endpoint={}", theirs.endpoint),
        format!("/v1/deliveries?event={}", theirs.event),
        format!("/v1/messages?conversation={}", theirs.conversation),
        format!("/v1/accounts?source={}", theirs.source),
    ] {
        assert!(ids(&scene.ask("GET", &query, &token, &Value::Null).await.ok()).is_empty(), "{query}");
    }
    let own = format!("/v1/events?source={}", mine.source);
    assert!(!ids(&scene.ask("GET", &own, &token, &Value::Null).await.ok()).is_empty());
}

#[tokio::test]
async fn what_belongs_to_another_app_cannot_be_touched() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let (mine, theirs) = (belongings(&scene, &one).await, belongings(&scene, &two).await);
    let token = scene.token("admin", Some(&one)).await;
    let id_of = |noun: &str| {
        let path =
            theirs.paths.iter().find(|path| path.starts_with(&format!("/v1/{noun}/"))).expect("a path");
        path.clone()
    };
    let mut acts = vec![
        ("PATCH", id_of("apps"), json!({ "name": "x" })),
        ("PATCH", id_of("sources"), json!({ "name": "x" })),
        ("DELETE", id_of("sources"), Value::Null),
        ("PATCH", id_of("accounts"), json!({ "name": "x" })),
        ("PATCH", id_of("endpoints"), json!({ "name": "x" })),
        ("DELETE", id_of("endpoints"), Value::Null),
        ("DELETE", id_of("tokens"), Value::Null),
        ("POST", "/v1/replays".to_owned(), json!({ "endpoint": theirs.endpoint })),
        ("POST", format!("/v1/events/{}/replay", mine.event), json!({ "endpoint": theirs.endpoint })),
        ("POST", format!("/v1/events/{}/replay", theirs.event), json!({ "endpoint": mine.endpoint })),
        ("POST", "/v1/endpoints".to_owned(), json!({ "url": "https://example.com", "app": two })),
        ("POST", "/v1/accounts".to_owned(), json!({ "source": theirs.source, "address": "9" })),
        ("POST", "/v1/tokens".to_owned(), json!({ "name": "t", "role": "viewer", "app": two })),
        (
            "POST",
            "/v1/messages".to_owned(),
            json!({ "conversation": theirs.conversation, "type": "text", "text": { "body": "x" } }),
        ),
    ];
    for (noun, verbs) in [
        ("sources", vec!["rotate-secret"]),
        ("endpoints", vec!["pause", "resume", "rotate-secret"]),
        ("deliveries", vec!["cancel", "replay"]),
        ("messages", vec!["cancel"]),
        ("receipts", vec!["verify", "release"]),
        ("conversations", vec!["handoff", "resolve", "reopen", "read"]),
    ] {
        for verb in verbs {
            let body = match (noun, verb) {
                ("sources", _) => json!({ "role": "signing", "secret": "x" }),
                (_, "read") => json!({ "message_id": "x" }),
                _ => json!({}),
            };
            acts.push(("POST", format!("{}/{verb}", id_of(noun)), body));
        }
    }
    for (method, path, body) in acts {
        let answer = scene.ask(method, &path, &token, &body).await;
        assert_eq!(answer.status, 404, "{method} {path} {}", answer.body);
    }
    let from_theirs = json!({ "from": theirs.account, "to": "1", "type": "text", "text": { "body": "x" } });
    scene.ask("POST", "/v1/messages", &token, &from_theirs).await.problem(422, "invalid");
    for path in &theirs.paths {
        assert_eq!(scene.get(path).await.status, 200, "{path} is untouched");
    }
}

#[tokio::test]
async fn a_source_with_accounts_of_several_apps_is_changed_only_by_who_is_bound_to_none() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let token = scene.token("admin", Some(&one)).await;
    let source = scene.whatsapp_source(&one, "s").await;
    let path = format!("/v1/sources/{source}");
    let rename = json!({ "name": "mine" });
    scene.ask("PATCH", &path, &token, &rename).await.ok();
    scene.post("/v1/accounts", json!({ "source": source, "address": "2", "app": two })).await.ok();
    let rotation = json!({ "role": "signing", "secret": "known-to-one" });
    for (method, path, body) in [
        ("PATCH", path.clone(), json!({ "settings": { "unsigned": true } })),
        ("POST", format!("{path}/rotate-secret"), rotation.clone()),
        ("POST", "/v1/accounts".to_owned(), json!({ "source": source, "address": "3" })),
        ("DELETE", path.clone(), Value::Null),
    ] {
        scene.ask(method, &path, &token, &body).await.problem(403, "forbidden");
    }
    scene.ask("GET", &path, &token, &Value::Null).await.ok();
    scene.post(&format!("{path}/rotate-secret"), rotation).await.ok();
    scene.ask("DELETE", &path, ADMIN, &Value::Null).await;
    scene.get(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_path_that_another_app_has_sounds_like_one_of_ours() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let token = scene.token("admin", Some(&one)).await;
    let new = |path: &str, app: &str| json!({ "platform": "generic", "name": "x", "app": app, "path": path, "settings": { "scheme": "unsigned" } });
    let theirs = text(&scene.post("/v1/sources", new("/shop/in", &two)).await.ok(), "id");
    let mine = text(&scene.ask("POST", "/v1/sources", &token, &new("/mine", &one)).await.ok(), "id");
    let heard = async |path: &str| {
        let mut made = scene.ask("POST", "/v1/sources", &token, &new(path, &one)).await;
        let change = json!({ "path": path });
        let mut changed = scene.ask("PATCH", &format!("/v1/sources/{mine}"), &token, &change).await;
        for answer in [&mut made, &mut changed] {
            answer.problem(422, "invalid");
            answer.body.as_object_mut().expect("an object").remove("request_id");
        }
        assert_eq!(made.body, changed.body);
        made.body
    };
    let ours = heard("/metrics").await;
    for taken in ["/shop/in", "/shop", "/shop/in/more"] {
        assert_eq!(heard(taken).await, ours, "{taken}");
    }
    // Who may see both hears which it is; so does an app of its own.
    for (token, app, path, other) in
        [(ADMIN, &one, "/shop/in", &theirs), (ADMIN, &one, "/shop", &theirs), (&token, &one, "/mine", &mine)]
    {
        let answer = scene.ask("POST", "/v1/sources", token, &new(path, app)).await;
        answer.problem(409, "conflict");
        assert!(text(&answer.body, "detail").contains(other.as_str()), "{}", answer.body);
    }
}

#[tokio::test]
async fn what_was_owed_to_an_endpoint_that_was_removed_stays_with_its_app() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let (mine, theirs) = (belongings(&scene, &one).await, belongings(&scene, &two).await);
    for endpoint in [&mine.endpoint, &theirs.endpoint] {
        scene.ask("DELETE", &format!("/v1/endpoints/{endpoint}"), ADMIN, &Value::Null).await;
    }
    let token = scene.token("viewer", Some(&one)).await;
    let listed = async |query: &str| {
        let path = format!("/v1/deliveries?{query}");
        scene.ask("GET", &path, &token, &Value::Null).await.ok()["data"].as_array().expect("a page").clone()
    };
    let seen = listed("").await;
    assert!(!seen.is_empty() && seen.iter().all(|one| one["endpoint"] == mine.endpoint.as_str()));
    assert_eq!(listed("status=cancelled").await, seen);
    assert_eq!(listed(&format!("endpoint={}", mine.endpoint)).await, seen);
    assert!(listed(&format!("endpoint={}", theirs.endpoint)).await.is_empty());
    let all = scene.get(&format!("/v1/deliveries?app={two}")).await.ok();
    assert!(
        all["data"].as_array().expect("a page").iter().all(|one| one["endpoint"] == theirs.endpoint.as_str())
    );
    assert!(!ids(&all).is_empty());
}
