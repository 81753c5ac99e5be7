//! A stage for simulated platforms: a gateway of its own over a temporary folder, gone when it ends.

pub mod cast;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use model::access::App;
use model::endpoint::Endpoint;
use model::id::AppId;
use model::secret::{Key, Secret};
use model::time::Clock;
use serde_json::json;
use simulator::Replies;
use store::Store;

use self::cast::said;
use crate::app::{self, World};
use crate::settings::Config;

/// Where everybody looks for a gateway.
const USUAL: &str = "127.0.0.1:8080";
/// Any free port.
const ANY: &str = "127.0.0.1:0";

/// A gateway in a temporary folder, with one app.
pub struct Stage {
    app: app::App,
    owner: AppId,
    /// Opens the API.
    pub token: Secret,
    world: World,
    folder: Folder,
}

impl Stage {
    /// Starts the gateway. One that stays takes the port that everybody knows, when it is free.
    pub async fn set(name: &str, stays: bool) -> anyhow::Result<Stage> {
        let world = World::real();
        let token = Secret::new(format!("{name}-{}", world.random.base62(32)));
        let folder = Folder::fresh(name);
        let config = config(&folder, &token, stays)?;
        let app = app::App::start(&config, world.clone()).await?;
        let owner = App { id: app.store().fresh_id(), name: name.to_owned() };
        app.store().access().save_app(owner.clone()).await?;
        Ok(Stage { app, owner: owner.id, token, world, folder })
    }

    /// Where webhooks come in, and where the API is.
    pub fn address(&self) -> String {
        format!("http://{}", self.app.address())
    }

    /// What an operator can do.
    pub fn control(&self) -> &control::Control {
        self.app.control()
    }

    /// What is in the gateway.
    pub fn store(&self) -> &Store {
        self.app.store()
    }

    /// Whose everything is.
    pub fn owner(&self) -> AppId {
        self.owner
    }

    /// A secret that nobody else has.
    pub fn secret(&self, prefix: &str) -> Secret {
        Secret::new(format!("{prefix}{}", self.world.random.base62(32)))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        self.world.random.bytes()
    }

    /// An endpoint at a URL, changed by `with` before it is saved, and the key that its deliveries are signed with.
    pub async fn endpoint(
        &self,
        url: String,
        with: impl FnOnce(&mut Endpoint),
    ) -> anyhow::Result<(Endpoint, Secret)> {
        let key = delivery::signature::fresh_secret(&self.bytes::<32>());
        let mut endpoint = Endpoint::new(self.store().fresh_id(), self.owner, url);
        endpoint.name = "bot".to_owned();
        endpoint.keys = vec![Key::current(key.clone())];
        endpoint.allow_http = true;
        with(&mut endpoint);
        self.store().endpoints().save(endpoint.clone()).await?;
        Ok((endpoint, key))
    }

    /// How a bot answers each text with the same text, in the conversation that it came in.
    pub fn replies(&self) -> Replies {
        let url = format!("{}/v1/messages", self.address());
        Replies::composed(url, self.token.clone(), |attempt| {
            let body = attempt.body.as_ref()?;
            let text = said(body["data"]["message"]["text"].as_str()?);
            let conversation = body["context"]["conversation"].as_str()?;
            let text = json!({ "body": format!("¡Hola! ({text})") });
            Some(json!({ "conversation": conversation, "type": "text", "text": text }))
        })
    }

    /// Ends the gateway and removes its folder.
    pub async fn strike(self) {
        self.app.stop().await;
        drop(self.folder);
    }
}

fn config(folder: &Folder, token: &Secret, stays: bool) -> anyhow::Result<Config> {
    let store = format!("sqlite:{}", folder.0.display());
    let listen = if stays && TcpListener::bind(USUAL).is_ok() { USUAL } else { ANY };
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let flags = [
        set("listen", listen),
        set("store", &store),
        set("egress_allow", "127.0.0.0/8,::1/128"),
        set("egress_http", "true"),
        set("log", "warn"),
    ];
    let loaded = crate::config::load(None, &|_| None, &flags)?.config;
    let config = Config { admin_token: Some(token.clone()), ..loaded };
    crate::telemetry::start(&config);
    Ok(config)
}

/// A folder that goes with the stage.
struct Folder(PathBuf);

impl Folder {
    fn fresh(name: &str) -> Folder {
        let name = format!("gancho-{name}-{}-{}", std::process::id(), Clock::System.now().as_millis());
        Folder(Path::new(&std::env::temp_dir()).join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind at worst: it is a temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
