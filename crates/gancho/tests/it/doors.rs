//! Ports of their own for webhooks, the API, and those who watch.

use std::path::Path;

use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::scene::{Scene, open};
use testkit::sender::{client, get, message, post_signed};

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
