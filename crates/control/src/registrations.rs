//! Registrations: whether a source's platform calls our URL, and having it do so.

use std::time::Duration;

use model::id::SourceId;
use model::source::Source;
use model::watch::Watch;
use platforms::registration::Wanted;
use platforms::registry;

use crate::{Action, Actor, Control, Error, Words};

/// How long the caller waits for the platform.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether a node has seen to it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Registrations.
pub struct Registrations<'c>(&'c Control);

impl Control {
    /// Registrations.
    pub fn registrations(&self) -> Registrations<'_> {
        Registrations(self)
    }
}

/// What is known of a registration.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Where the platform is to call: what proves a request in the URL is left out.
    pub url: Option<String>,
    /// What is known.
    pub watch: Watch,
    /// Whether a node is still about it.
    pub is_under_way: bool,
}

impl Registrations<'_> {
    /// What is known of a source's registration.
    pub async fn get(&self, actor: &Actor, id: SourceId) -> Result<Registration, Error> {
        let source = self.0.sources().get(actor, id).await?.thing;
        let (watch, _) = self.0.store.watches().get(id, None).await?;
        Ok(Registration { url: self.url(&source), watch, is_under_way: false })
    }

    /// Has the platform call our URL, and says what came of it. What takes longer than twenty seconds goes on, and is told as
    /// under way.
    pub async fn register(&self, actor: &Actor, id: SourceId) -> Result<Registration, Error> {
        actor.must(Action::Configure)?;
        let source = self.0.sources().get(actor, id).await?.thing;
        self.can_be_told(&source)?;
        let store = self.0.acting(actor, Some(source.app), "source.register", &id);
        let asked = store.watches().ask(id).await?;
        let url = self.url(&source);
        let waiting = async {
            loop {
                let (watch, is_done) = self.0.store.watches().get(id, Some(asked)).await?;
                if is_done {
                    return Ok(Registration { url: url.clone(), watch, is_under_way: false });
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(done) => done,
            Err(_) => {
                let (watch, _) = self.0.store.watches().get(id, None).await?;
                Ok(Registration { url, watch, is_under_way: true })
            }
        }
    }

    fn url(&self, source: &Source) -> Option<String> {
        self.0.public_url.as_ref().map(|origin| format!("{origin}{}", source.url_path()))
    }

    /// Refuses what can be seen to be missing before any platform is called.
    fn can_be_told(&self, source: &Source) -> Result<(), Error> {
        let url = self.url(source).ok_or_else(|| {
            Error::conflict(
                "set \"public_url\" first: where platforms reach this gateway, such as https://hooks.example.com",
                "configura primero \"public_url\": dónde alcanzan las plataformas a este gateway, como https://hooks.example.com",
            )
        })?;
        let routing = self.0.store.routing();
        let accounts: Vec<&str> =
            routing.accounts_of(source.id).map(|account| account.address.as_str()).collect();
        let wanted = Wanted { source, accounts: &accounts, url: &url, now: self.0.now() };
        let steps = registry::find(&source.platform).and_then(|platform| platform.registration(&wanted));
        match steps {
            Some(Ok(_)) => Ok(()),
            Some(Err(missing)) => Err(Error::Unsupported(Words::untranslated(missing.to_string()))),
            None => Err(Error::Unsupported(Words::new(
                format!("{} has no API for it: enter {url} there, as the guide says", source.platform),
                format!(
                    "{} no tiene API para ello: introduce allí {url}, como dice la guía",
                    source.platform
                ),
            ))),
        }
    }
}
