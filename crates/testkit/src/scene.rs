//! Sets a store up before a story: an app, a WhatsApp source, endpoints.

use std::time::Duration;

use anyhow::Context;
use model::access::App;
use model::endpoint::Endpoint;
use model::event::EventPattern;
use model::id::SourceId;
use model::retry::RetryPolicy;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret};
use model::time::Clock;
use platforms::registry;
use serde_json::Value;
use store::{Config, Faults, Location, Store};

use crate::place::Place;

/// What the source's requests are signed with.
pub const APP_SECRET: &str = "story-app-secret";
/// What deliveries are signed with.
pub const ENDPOINT_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// An app with one WhatsApp source.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The app.
    pub app: App,
    /// The source; its webhooks come to `/in/<id>`.
    pub source: SourceId,
}

/// Opens the store of a place, as one more node.
pub async fn open(place: &Place) -> anyhow::Result<Store> {
    let config = Config { location: Location::parse(&place.store)?, node: 1000, faults: Faults::default() };
    Ok(Store::open(&config, Clock::System).await?)
}

impl Scene {
    /// Makes the app and the source.
    pub async fn build(store: &Store) -> anyhow::Result<Scene> {
        let app = App { id: store.fresh_id(), name: "story".to_owned() };
        store.access().save_app(app.clone()).await?;
        let secret = |role, text: &str| SourceSecret { role, key: Key::current(Secret::new(text)) };
        let source = Source {
            name: "story".to_owned(),
            secrets: vec![
                secret(SecretRole::Signing, APP_SECRET),
                secret(SecretRole::VerifyToken, "story-verify"),
            ],
            ..Source::new(store.fresh_id(), app.id, "whatsapp")
        };
        store.sources().save(source.clone()).await?;
        Ok(Scene { app, source: source.id })
    }

    /// Gives the app's source what it needs to send: where the platform's API is and other settings, and a token for it.
    pub async fn may_send(&self, store: &Store, settings: &Value, token: &str) -> anyhow::Result<()> {
        let mut source = Source::clone(store.routing().source(self.source).context("the story's source")?);
        source.settings = Settings::new(settings.as_object().cloned().unwrap_or_default());
        let key = Key::current(Secret::new(token));
        source.secrets.push(SourceSecret { role: SecretRole::AccessToken, key });
        Ok(store.sources().save(source).await?)
    }

    /// A source of a platform as somebody would set it up.
    pub async fn source_of(
        &self,
        store: &Store,
        platform: &str,
        settings: &Value,
        secrets: &[(SecretRole, &str)],
    ) -> anyhow::Result<SourceId> {
        let secret =
            |(role, text): &(_, &str)| SourceSecret { role: *role, key: Key::current(Secret::new(*text)) };
        let source = Source {
            secrets: secrets.iter().map(secret).collect(),
            settings: Settings::new(settings.as_object().cloned().unwrap_or_default()),
            ..Source::new(store.fresh_id(), self.app.id, platform)
        };
        let known = registry::find(platform).with_context(|| format!("there is no platform {platform}"))?;
        known.check(&source).map_err(anyhow::Error::msg)?;
        store.sources().save(source.clone()).await?;
        Ok(source.id)
    }

    /// An endpoint of the app that wants messages and tries again quickly; changed by `with` before it is saved.
    pub async fn endpoint(
        &self,
        store: &Store,
        url: String,
        with: impl FnOnce(&mut Endpoint),
    ) -> anyhow::Result<Endpoint> {
        let mut endpoint = Endpoint::new(store.fresh_id(), self.app.id, url);
        endpoint.subscription.types = EventPattern::new("message.*").into_iter().collect();
        endpoint.keys = vec![Key::current(Secret::new(ENDPOINT_SECRET))];
        endpoint.retry = RetryPolicy { waits: vec![Duration::from_millis(50); 50] };
        endpoint.timeout = Duration::from_secs(2);
        endpoint.allow_http = true;
        with(&mut endpoint);
        store.endpoints().save(endpoint.clone()).await?;
        Ok(endpoint)
    }
}
