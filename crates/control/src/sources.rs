//! Sources: the configured places webhooks come in, and their secrets.

use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use model::id::{AppId, SourceId};
use model::page::{Page, PageRequest};
use model::secret::{Key, Secret, rotate};
use model::source::{SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use model::watch::Watchdog;
use platforms::registry;

use crate::listing::page_of;
use crate::version::{Expected, Versioned, until_fresh};
use crate::{Action, Actor, Control, Error, Words, check};

/// How many requests a second a source may be limited to.
pub const RATE_PER_SECOND: RangeInclusive<u64> = 1..=100_000;
/// The most sources of an app.
pub const SOURCES_MAX: usize = 1_000;
/// The most networks on a source's list.
pub const NETWORKS_MAX: usize = 200;
/// The most secrets of a source.
pub const SECRETS_MAX: usize = 16;
/// The longest secret, in bytes: a public key in PEM fits.
pub const SECRET_BYTES_MAX: usize = 8_192;
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
    /// What is done when the platform no longer calls our URL, or falls silent.
    pub watchdog: Watchdog,
    /// Whether the files of its messages are fetched and stored.
    pub fetches_files: bool,
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
    /// What is done when the platform no longer calls our URL, or falls silent.
    pub watchdog: Option<Watchdog>,
    /// Whether the files of its messages are fetched and stored.
    pub fetches_files: Option<bool>,
}

impl SourceChange {
    fn apply(self, source: &mut Source) {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut source.name, self.name);
        set(&mut source.path, self.path);
        set(&mut source.settings, self.settings);
        set(&mut source.unknown_accounts, self.unknown_accounts);
        set(&mut source.allowed_networks, self.allowed_networks);
        set(&mut source.rate_per_second, self.rate_per_second);
        set(&mut source.watchdog, self.watchdog);
        set(&mut source.fetches_files, self.fetches_files);
    }
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
    pub async fn create(&self, actor: &Actor, new: NewSource) -> Result<Versioned<Source>, Error> {
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
            watchdog: new.watchdog,
            fetches_files: new.fetches_files,
        };
        checked(&source)?;
        source.app = self.0.apps().owner(actor, new.app).await?;
        self.stands_apart(actor, &source)?;
        let held = self.0.store.routing().sources().filter(|other| other.app == source.app).count();
        check::room(held, SOURCES_MAX)?;
        let store = self.0.acting(actor, Some(source.app), "source.create", &source.id);
        let saved = store.sources().save(source.clone()).await;
        saved.map_err(|error| self.taken(actor, &source, error))?;
        Ok(Versioned { version: 1, thing: source })
    }

    /// Changes a source; its secrets are changed by [`Sources::rotate`] only.
    pub async fn update(
        &self,
        actor: &Actor,
        id: SourceId,
        expected: &Expected,
        change: SourceChange,
    ) -> Result<Versioned<Source>, Error> {
        actor.must(Action::Configure)?;
        until_fresh(|| async {
            let mut found = self.find(actor, id).await?;
            self.must_be_unshared(actor, id)?;
            expected.check(found.version)?;
            let before = found.thing.clone();
            change.clone().apply(&mut found.thing);
            checked(&found.thing)?;
            may_decide(actor, &before, &found.thing)?;
            self.stands_apart(actor, &found.thing)?;
            self.replace(actor, found, "source.update").await
        })
        .await
    }

    /// Removes a source; what it has brought stays.
    pub async fn delete(&self, actor: &Actor, id: SourceId, expected: &Expected) -> Result<(), Error> {
        actor.must(Action::Configure)?;
        let found = self.find(actor, id).await?;
        self.must_be_unshared(actor, id)?;
        expected.check(found.version)?;
        let store = self.0.acting(actor, Some(found.thing.app), "source.delete", &id);
        Ok(store.sources().remove(id).await?)
    }

    /// One source.
    pub async fn get(&self, actor: &Actor, id: SourceId) -> Result<Versioned<Source>, Error> {
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
        expected: &Expected,
        rotation: SecretRotation,
    ) -> Result<Secret, Error> {
        actor.must(Action::ChangeSecrets)?;
        let now = self.0.now();
        let end = check::overlap_end(rotation.overlap, now)?;
        let fresh = rotation.secret.unwrap_or_else(|| Secret::new(self.0.random.base62(MADE_SECRET_LENGTH)));
        until_fresh(|| async {
            let mut found = self.find(actor, id).await?;
            self.must_be_unshared(actor, id)?;
            expected.check(found.version)?;
            let held = std::mem::take(&mut found.thing.secrets);
            let (same, mut others): (Vec<_>, Vec<_>) =
                held.into_iter().partition(|held| held.role == rotation.role);
            let mut keys: Vec<Key> = same.into_iter().map(|held| held.key).collect();
            rotate(&mut keys, fresh.clone(), end, now);
            others.extend(keys.into_iter().map(|key| SourceSecret { role: rotation.role, key }));
            found.thing.secrets = others;
            checked(&found.thing)?;
            self.replace(actor, found, "source.rotate_secret").await
        })
        .await?;
        Ok(fresh)
    }

    async fn replace(
        &self,
        actor: &Actor,
        changed: Versioned<Source>,
        action: &str,
    ) -> Result<Versioned<Source>, Error> {
        let store = self.0.acting(actor, Some(changed.thing.app), action, &changed.thing.id);
        let replaced = store.sources().replace(changed.clone()).await;
        let version = replaced.map_err(|error| self.taken(actor, &changed.thing, error))?;
        Ok(Versioned { version, ..changed })
    }

    /// Refuses a path above or below the path of another app's source: what is appended to one would reach the other.
    fn stands_apart(&self, actor: &Actor, source: &Source) -> Result<(), Error> {
        let Some(path) = &source.path else { return Ok(()) };
        let routing = self.0.store.routing();
        let is_within =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        let overlaps = |other: &str| is_within(path, other) || is_within(other, path);
        let mut others = routing.sources().filter(|other| other.app != source.app);
        let in_the_way = others.find(|other| other.path.as_deref().is_some_and(overlaps));
        in_the_way.map_or(Ok(()), |other| Err(clash(actor, other)))
    }

    /// What to say when the store finds the path taken.
    fn taken(&self, actor: &Actor, source: &Source, error: store::Error) -> Error {
        let routing = self.0.store.routing();
        let other = source.path.as_deref().and_then(|path| routing.source_at(path));
        match error {
            store::Error::Conflict(_) => {
                other.map_or_else(check::path_not_available, |other| clash(actor, other))
            }
            error => error.into(),
        }
    }

    /// Refuses somebody bound to one app when accounts of others are on the source: whoever decides what is believed
    /// there could tell them anything.
    pub(crate) fn must_be_unshared(&self, actor: &Actor, id: SourceId) -> Result<(), Error> {
        let routing = self.0.store.routing();
        if routing.accounts_of(id).all(|one| actor.sees(one.app)) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// The source as stored now, so that a change is made to the newest state.
    pub(crate) async fn find(&self, actor: &Actor, id: SourceId) -> Result<Versioned<Source>, Error> {
        let found = self.0.store.sources().get(id).await?;
        actor.must_see(found.thing.app, "source")?;
        Ok(found)
    }
}

/// Refuses to change what is believed of a source, and where its token is sent, unless the actor may trust: who could
/// weaken a proof, release what was refused, and set it back, would be as good as the platform.
fn may_decide(actor: &Actor, before: &Source, after: &Source) -> Result<(), Error> {
    let is_same = before.settings == after.settings && before.allowed_networks == after.allowed_networks;
    if is_same { Ok(()) } else { actor.must(Action::Trust) }
}

/// Who may see the source in the way hears which it is; anybody else hears what they would hear of a path of ours.
fn clash(actor: &Actor, other: &Source) -> Error {
    if !actor.sees(other.app) {
        return check::path_not_available();
    }
    let id = other.id;
    Error::Conflict(Words::new(
        format!("the source {id} has this path, or one above or below it"),
        format!("la fuente {id} tiene esta ruta, o una por encima o por debajo"),
    ))
}

/// The names of the platforms that sources can be of.
pub fn platforms() -> Vec<&'static str> {
    registry::PLATFORMS.iter().map(|platform| platform.kind()).collect()
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
        check::within(u64::from(rate), RATE_PER_SECOND, "rate_per_second")?;
    }
    let platform = registry::find(&source.platform).ok_or_else(|| {
        let kinds = platforms().join(", ");
        Error::invalid("platform", Words::new(format!("one of {kinds}"), format!("una de {kinds}")))
    })?;
    platform.check(source).map_err(|words| Error::invalid("settings", Words::untranslated(words)))
}
