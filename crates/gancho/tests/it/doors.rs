//! Ports of their own for webhooks, the API, and those who watch.

use std::path::Path;

use bytes::Bytes;
use http::Method;
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::scene::{Scene, open};
use testkit::sender::{client, get, message, post_signed, send, signed};

async fn status(url: String) -> anyhow::Result<u16> {
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    Ok(get(&url, &[("authorization", &bearer)]).await?.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_port_of_its_own_is_nowhere_else() -> anyhow::Result<()> {
    let place = Place::fresh(Engine::Sqlite).await?.expect("a folder is always there");
    let scene = Scene::build(&open(&place).await?).await?;
    let [public, api, operations] = [free_address()?, free_address()?, free_address()?];
    let ports =
        [("GANCHO_API_LISTEN", api.to_string()), ("GANCHO_OPERATIONS_LISTEN", operations.to_string())];
    let ports = ports.each_ref().map(|(name, address)| (*name, address.as_str()));
    let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, public, &ports).await?;

    let webhook = format!("/in/{}", scene.source);
    let sent = async |address| {
        let url = format!("http://{address}{webhook}");
        Ok::<_, anyhow::Error>(post_signed(&client(), &url, &message("m1", 1, "hello")).await?.status)
    };
    assert_eq!(sent(public).await?, 200);
    assert_ne!(sent(api).await?, 200, "webhooks come in where they are meant to");
    assert_ne!(sent(operations).await?, 200);
    let paths = ["/v1/apps", "/metrics"];
    for (address, open_there) in [(public, None), (api, Some("/v1/apps")), (operations, Some("/metrics"))] {
        for path in paths {
            let wanted = if Some(path) == open_there { 200 } else { 404 };
            assert_eq!(status(format!("http://{address}{path}")).await?, wanted, "{path} at {address}");
        }
    }
    assert!(gancho.stop().await?, "it ends well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_of_ours_everybody_has_the_address_it_says_and_only_the_genuine_use_a_rate_up()
-> anyhow::Result<()> {
    let place = Place::fresh(Engine::Sqlite).await?.expect("a folder is always there");
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    let mut listed = store.sources().get(scene.source).await?;
    listed.thing.allowed_networks = vec!["198.51.100.0/24".to_owned()];
    listed.thing.rate_per_second = Some(1);
    store.sources().replace(listed).await?;
    let proxies = [("GANCHO_TRUSTED_PROXIES", "127.0.0.0/8")];
    let binary = Path::new(env!("CARGO_BIN_EXE_gancho"));
    let gancho = Gancho::start(binary, &place, free_address()?, &proxies).await?;
    let url = format!("http://{}/in/{}", gancho.address, scene.source);
    let sent = async |from: &str, body: &str, signature: &str| {
        let headers = [("x-forwarded-for", from), ("x-hub-signature-256", signature)];
        let body = Bytes::copy_from_slice(body.as_bytes());
        Ok::<_, anyhow::Error>(send(&client(), Method::POST, &url, &headers, body).await?.status)
    };
    let (first, forged) = (message("m1", 1, "hello"), "sha256=00");
    for _ in 0..5 {
        assert_eq!(sent("203.0.113.7", &first, &signed(&first)).await?, 401, "not of the list");
        assert_eq!(sent("198.51.100.7, 203.0.113.7", &first, &signed(&first)).await?, 401, "the last counts");
        assert_eq!(sent("198.51.100.7", &first, forged).await?, 401);
    }
    assert_eq!(sent("198.51.100.7", &first, &signed(&first)).await?, 200, "nobody has used its turn up");
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(sent("198.51.100.7", &first, &signed(&first)).await?);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(gancho.stop().await?, "it ends well");
    Ok(())
}
