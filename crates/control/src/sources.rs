//! Sources: the configured places webhooks come in, and their secrets.

use std::time::Duration;

use ipnet::IpNet;
use model::id::{AppId, SourceId};
use model::page::{Page, PageRequest};
use model::secret::{Key, Secret, rotate};
use model::source::{SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use platforms::registry;

use crate::listing::page_of;
use crate::{Action, Actor, Control, Error, Words, check};

/// The most networks on a source's list.
const NETWORKS_MAX: usize = 200;
/// The most secrets of a source.
const SECRETS_MAX: usize = 16;
/// The longest secret, in bytes: a public key in PEM fits.
const SECRET_BYTES_MAX: usize = 8_192;
/// How many letters and digits a secret that we make has.
const MADE_SECRET_LENGTH: usize = 43;

/// Sources.
pub struct Sources<'c>(&'c Control);

impl Control {
    /// Sources.
    pub fn sources(&self) -> Sources<'_> {
        Sources(self)
    }
}

/// A source to be made.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// Who its events belong to.
    pub app: Option<AppId>,
    /// A name of the registry of platforms.
    pub platform: String,
    /// What people call it.
    pub name: String,
    /// A path of its own.
    pub path: Option<String>,
    /// Its secrets, by what they are for.
    pub secrets: Vec<(SecretRole, Secret)>,
    /// What the adapter needs to know besides secrets.
    pub settings: Settings,
    /// What happens to an account that nobody has named.
    pub unknown_accounts: UnknownAccounts,
    /// Networks requests may come from, as CIDR text.
    pub allowed_networks: Vec<String>,
    /// The most requests a second.
    pub rate_per_second: Option<u32>,
}

/// What is to change of a source; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct SourceChange {
    /// What people call it.
    pub name: Option<String>,
    /// A path of its own, or none any more.
    pub path: Option<Option<String>>,
    /// All of its settings.
    pub settings: Option<Settings>,
    /// What happens to an account that nobody has named.
    pub unknown_accounts: Option<UnknownAccounts>,
    /// Networks requests may come from.
    pub allowed_networks: Option<Vec<String>>,
    /// The most requests a second, or no limit any more.
    pub rate_per_second: Option<Option<u32>>,
}

/// A secret that takes the place of those of its role.
#[derive(Clone, Debug)]
pub struct SecretRotation {
    /// What it is for.
    pub role: SecretRole,
    /// The secret; made by us when absent.
    pub secret: Option<Secret>,
    /// How long the ones before stay good; a day when absent, which is also the most.
    pub overlap: Option<Duration>,
}

impl Sources<'_> {
    /// Makes a source.
    pub async fn create(&self, actor: &Actor, new: NewSource) -> Result<Source, Error> {
        actor.must(Action::Configure)?;
        let held = |(role, secret)| SourceSecret { role, key: Key::current(secret) };
        let mut source = Source {
            id: self.0.store.fresh_id(),
            app: AppId::from_raw(0),
            platform: new.platform,
            name: new.name,
            path: new.path,
            secrets: new.secrets.into_iter().map(held).collect(),
            settings: new.settings,
            unknown_accounts: new.unknown_accounts,
            allowed_networks: new.allowed_networks,
            rate_per_second: new.rate_per_second,
        };
        checked(&source)?;
        source.app = self.0.apps().owner(actor, new.app).await?;
        self.stands_apart(&source)?;
        self.save(actor, source, "source.create").await
    }

    /// Changes a source; its secrets are changed by [`Sources::rotate`] only.
    pub async fn update(&self, actor: &Actor, id: SourceId, change: SourceChange) -> Result<Source, Error> {
        actor.must(Action::Configure)?;
        let mut source = self.find(actor, id).await?;
        source.name = change.name.unwrap_or(source.name);
        source.path = change.path.unwrap_or(source.path);
        source.settings = change.settings.unwrap_or(source.settings);
        source.unknown_accounts = change.unknown_accounts.unwrap_or(source.unknown_accounts);
        source.allowed_networks = change.allowed_networks.unwrap_or(source.allowed_networks);
        source.rate_per_second = change.rate_per_second.unwrap_or(source.rate_per_second);
        checked(&source)?;
        self.stands_apart(&source)?;
        self.save(actor, source, "source.update").await
    }

    /// Refuses a path above or below the path of another app's source: what is appended to one would reach the other.
    fn stands_apart(&self, source: &Source) -> Result<(), Error> {
        let Some(path) = &source.path else { return Ok(()) };
        let routing = self.0.store.routing();
        let others = routing.sources().filter(|other| other.app != source.app);
        let is_within =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        let mut paths = others.filter_map(|other| other.path.as_deref());
        if paths.any(|other| is_within(path, other) || is_within(other, path)) {
            return Err(Error::conflict("another source has this path", "otra fuente tiene esta ruta"));
        }
        Ok(())
    }

    /// Removes a source; what it has brought stays.
    pub async fn delete(&self, actor: &Actor, id: SourceId) -> Result<(), Error> {
        actor.must(Action::Configure)?;
        let source = self.find(actor, id).await?;
        self.0.store.sources().remove(id).await?;
        self.0.audit(actor, Some(source.app), "source.delete", id.to_string()).await
    }

    /// One source.
    pub async fn get(&self, actor: &Actor, id: SourceId) -> Result<Source, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await
    }

    /// The sources the actor sees, newest first.
    pub async fn list(&self, actor: &Actor, page: PageRequest) -> Result<Page<Source>, Error> {
        actor.must(Action::Read)?;
        let mut sources = self.0.store.sources().all().await?;
        sources.retain(|source| actor.sees(source.app));
        Ok(page_of(sources, page, |source| source.id.raw()))
    }

    /// Gives a source a new secret for a role; those before it stay good for the overlap. Returns the secret, which
    /// is shown this once.
    pub async fn rotate(
        &self,
        actor: &Actor,
        id: SourceId,
        rotation: SecretRotation,
    ) -> Result<Secret, Error> {
        actor.must(Action::ChangeSecrets)?;
        let mut source = self.find(actor, id).await?;
        let now = self.0.now();
        let end = check::overlap_end(rotation.overlap, now)?;
        let fresh = rotation.secret.unwrap_or_else(|| Secret::new(self.0.random.base62(MADE_SECRET_LENGTH)));
        let (same, mut others): (Vec<_>, Vec<_>) =
            source.secrets.into_iter().partition(|held| held.role == rotation.role);
        let mut keys: Vec<Key> = same.into_iter().map(|held| held.key).collect();
        rotate(&mut keys, fresh.clone(), end, now);
        others.extend(keys.into_iter().map(|key| SourceSecret { role: rotation.role, key }));
        source.secrets = others;
        checked(&source)?;
        self.save(actor, source, "source.rotate_secret").await?;
        Ok(fresh)
    }

    async fn save(&self, actor: &Actor, source: Source, action: &str) -> Result<Source, Error> {
        match self.0.store.sources().save(source.clone()).await {
            Err(store::Error::Conflict(_)) => {
                return Err(Error::conflict("another source has this path", "otra fuente tiene esta ruta"));
            }
            outcome => outcome?,
        }
        self.0.audit(actor, Some(source.app), action, source.id.to_string()).await?;
        Ok(source)
    }

    /// The source as stored now, so that a change is made to the newest state.
    pub(crate) async fn find(&self, actor: &Actor, id: SourceId) -> Result<Source, Error> {
        let found = self.0.store.sources().all().await?.into_iter().find(|source| source.id == id);
        let source = found.ok_or(Error::NotFound("source"))?;
        actor.must_see(source.app, "source")?;
        Ok(source)
    }
}

/// Refuses a source that could not work, in words.
fn checked(source: &Source) -> Result<(), Error> {
    check::name(&source.name, "name")?;
    source.path.as_deref().map_or(Ok(()), check::path)?;
    check::at_most(&source.allowed_networks, NETWORKS_MAX, "allowed_networks")?;
    check::at_most(&source.secrets, SECRETS_MAX, "secrets")?;
    if let Some(at) = source.allowed_networks.iter().position(|text| text.parse::<IpNet>().is_err()) {
        let words = Words::new("a network such as 192.0.2.0/24", "una red como 192.0.2.0/24");
        return Err(Error::invalid(format!("allowed_networks/{at}"), words));
    }
    if let Some(at) = source.secrets.iter().position(|held| held.key.secret.expose().len() > SECRET_BYTES_MAX)
    {
        let words = Words::new(
            format!("a secret has at most {SECRET_BYTES_MAX} bytes"),
            format!("un secreto tiene como máximo {SECRET_BYTES_MAX} bytes"),
        );
        return Err(Error::invalid(format!("secrets/{at}"), words));
    }
    if let Some(rate) = source.rate_per_second {
        check::within(u64::from(rate), 1..=100_000, "rate_per_second")?;
    }
    let platform = registry::find(&source.platform).ok_or_else(|| {
        let kinds: Vec<&str> = registry::PLATFORMS.iter().map(|platform| platform.kind()).collect();
        let kinds = kinds.join(", ");
        Error::invalid("platform", Words::new(format!("one of {kinds}"), format!("una de {kinds}")))
    })?;
    platform.check(source).map_err(|words| Error::invalid("settings", Words::untranslated(words)))
}
