//! Endpoints: where events of an app are delivered.

use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::endpoint::{Endpoint, EndpointState, Format, OnDead, Order, Subscription};
use model::id::{AppId, EndpointId};
use model::page::{Page, PageRequest};
use model::retry::{RETRIES_MAX, RetryPolicy};
use model::secret::{Key, Secret, rotate};
use url::Url;

use crate::listing::page_of;
use crate::version::{Expected, Versioned, until_fresh};
use crate::{Action, Actor, Control, Error, Words, check};

/// How many deliveries to one endpoint may be under way at a time.
pub const CONCURRENCY: RangeInclusive<u64> = 1..=100;
/// How many seconds a whole exchange may take.
pub const TIMEOUT_S: RangeInclusive<u64> = 1..=60;
/// The most endpoints of an app.
pub const ENDPOINTS_MAX: usize = 1_000;
/// What a symmetric secret of Standard Webhooks begins with.
const SECRET_PREFIX: &str = "whsec_";
/// The most entries in each list of a subscription.
pub const SUBSCRIPTION_MAX: usize = 100;

/// Endpoints.
pub struct Endpoints<'c>(&'c Control);

impl Control {
    /// Endpoints.
    pub fn endpoints(&self) -> Endpoints<'_> {
        Endpoints(self)
    }
}

/// An endpoint to be made.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Whose events it gets.
    pub app: Option<AppId>,
    /// The key deliveries are signed with; made by us when absent.
    pub secret: Option<Secret>,
    /// Everything else.
    pub settings: EndpointSettings,
}

/// What a person decides about an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it receives.
    pub format: Format,
    /// Which events it wants.
    pub subscription: Subscription,
    /// Headers sent along.
    pub headers: Vec<(String, String)>,
    /// When attempts are made again.
    pub retry: RetryPolicy,
    /// How many deliveries may be under way at a time.
    pub concurrency: u16,
    /// How long a whole exchange may take.
    pub timeout: Duration,
    /// How deliveries stay in order.
    pub order: Order,
    /// What happens to a line when its head dies.
    pub on_dead: OnDead,
    /// Whether plain http is allowed.
    pub allow_http: bool,
}

impl EndpointSettings {
    /// What an endpoint at a URL is like unless somebody decides otherwise.
    pub fn at(url: &str) -> EndpointSettings {
        EndpointSettings::of(&Endpoint::new(EndpointId::from_raw(0), AppId::from_raw(0), url))
    }

    /// The settings an endpoint has.
    fn of(endpoint: &Endpoint) -> EndpointSettings {
        EndpointSettings {
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            format: endpoint.format,
            subscription: endpoint.subscription.clone(),
            headers: endpoint.headers.clone(),
            retry: endpoint.retry.clone(),
            concurrency: endpoint.concurrency,
            timeout: endpoint.timeout,
            order: endpoint.order,
            on_dead: endpoint.on_dead,
            allow_http: endpoint.allow_http,
        }
    }

    fn apply(self, endpoint: &mut Endpoint) {
        endpoint.name = self.name;
        endpoint.url = self.url;
        endpoint.format = self.format;
        endpoint.subscription = self.subscription;
        endpoint.headers = self.headers;
        endpoint.retry = self.retry;
        endpoint.concurrency = self.concurrency;
        endpoint.timeout = self.timeout;
        endpoint.order = self.order;
        endpoint.on_dead = self.on_dead;
        endpoint.allow_http = self.allow_http;
    }

    /// Refuses settings that could not work, in words.
    fn check(&self) -> Result<(), Error> {
        // The name of an endpoint that was given none comes of its URL: what is wrong with that is said of the URL.
        check::url(&self.url, self.allow_http)?;
        check::name(&self.name, "name")?;
        check::headers(&self.headers)?;
        check::within(u64::from(self.concurrency), CONCURRENCY, "concurrency")?;
        check::within(self.timeout.as_secs(), TIMEOUT_S, "timeout_s")?;
        check::at_most(&self.retry.waits, RETRIES_MAX, "retry")?;
        check::at_most(&self.subscription.types, SUBSCRIPTION_MAX, "types")?;
        check::at_most(&self.subscription.sources, SUBSCRIPTION_MAX, "sources")?;
        check::at_most(&self.subscription.accounts, SUBSCRIPTION_MAX, "accounts")
    }
}

impl Endpoints<'_> {
    /// Makes an endpoint. Returns it with its secret, which is shown this once.
    pub async fn create(
        &self,
        actor: &Actor,
        new: NewEndpoint,
    ) -> Result<(Versioned<Endpoint>, Secret), Error> {
        actor.must(Action::Configure)?;
        new.settings.check()?;
        let secret = self.secret(new.secret, new.settings.format)?;
        let app = self.0.apps().owner(actor, new.app).await?;
        check::room(self.0.store.routing().endpoints_of(app).len(), ENDPOINTS_MAX)?;
        self.check_subscription(app, &new.settings.subscription).await?;
        let mut endpoint = Endpoint::new(self.0.store.fresh_id(), app, "");
        endpoint.keys = vec![Key::current(secret.clone())];
        new.settings.apply(&mut endpoint);
        let store = self.0.acting(actor, Some(app), "endpoint.create", &endpoint.id);
        store.endpoints().save(endpoint.clone()).await?;
        Ok((Versioned { version: 1, thing: endpoint }, secret))
    }

    /// Changes an endpoint: `change` is given its settings as they are.
    pub async fn update(
        &self,
        actor: &Actor,
        id: EndpointId,
        expected: &Expected,
        change: impl Fn(&mut EndpointSettings),
    ) -> Result<Versioned<Endpoint>, Error> {
        actor.must(Action::Configure)?;
        until_fresh(|| async {
            let mut found = self.find(actor, id).await?;
            expected.check(found.version)?;
            let before = EndpointSettings::of(&found.thing);
            let mut settings = before.clone();
            change(&mut settings);
            settings.check()?;
            may_send_there(actor, &before, &settings)?;
            self.check_subscription(found.thing.app, &settings.subscription).await?;
            settings.apply(&mut found.thing);
            self.replace(actor, found, "endpoint.update").await
        })
        .await
    }

    /// Removes an endpoint; what is still owed to it is cancelled.
    pub async fn delete(&self, actor: &Actor, id: EndpointId, expected: &Expected) -> Result<(), Error> {
        actor.must(Action::Configure)?;
        let found = self.find(actor, id).await?;
        expected.check(found.version)?;
        let store = self.0.acting(actor, Some(found.thing.app), "endpoint.delete", &id);
        Ok(store.endpoints().remove(id).await?)
    }

    /// Holds its deliveries.
    pub async fn pause(
        &self,
        actor: &Actor,
        id: EndpointId,
        expected: &Expected,
    ) -> Result<Versioned<Endpoint>, Error> {
        self.set_state(actor, id, expected, (EndpointState::Paused, "endpoint.pause")).await
    }

    /// Lets deliveries go on, whether a person paused it or its failures disabled it.
    pub async fn resume(
        &self,
        actor: &Actor,
        id: EndpointId,
        expected: &Expected,
    ) -> Result<Versioned<Endpoint>, Error> {
        self.set_state(actor, id, expected, (EndpointState::Enabled, "endpoint.resume")).await
    }

    /// Gives an endpoint a new key; those before it sign along for the overlap. Returns the secret, which is shown
    /// this once.
    pub async fn rotate(
        &self,
        actor: &Actor,
        id: EndpointId,
        expected: &Expected,
        (given, overlap): (Option<Secret>, Option<Duration>),
    ) -> Result<Secret, Error> {
        actor.must(Action::ChangeSecrets)?;
        let now = self.0.now();
        let end = check::overlap_end(overlap, now)?;
        until_fresh(|| async {
            let mut found = self.find(actor, id).await?;
            expected.check(found.version)?;
            let secret = self.secret(given.clone(), found.thing.format)?;
            rotate(&mut found.thing.keys, secret.clone(), end, now);
            self.replace(actor, found, "endpoint.rotate_secret").await?;
            Ok(secret)
        })
        .await
    }

    /// One endpoint.
    pub async fn get(&self, actor: &Actor, id: EndpointId) -> Result<Versioned<Endpoint>, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await
    }

    /// The endpoints the actor sees, newest first.
    pub async fn list(&self, actor: &Actor, page: PageRequest) -> Result<Page<Endpoint>, Error> {
        actor.must(Action::Read)?;
        let mut endpoints = self.0.store.endpoints().all().await?;
        endpoints.retain(|endpoint| actor.sees(endpoint.app));
        Ok(page_of(endpoints, page, |endpoint| endpoint.id.raw()))
    }

    async fn set_state(
        &self,
        actor: &Actor,
        id: EndpointId,
        expected: &Expected,
        (state, action): (EndpointState, &str),
    ) -> Result<Versioned<Endpoint>, Error> {
        actor.must(Action::Operate)?;
        let found = self.find(actor, id).await?;
        expected.check(found.version)?;
        let store = self.0.acting(actor, Some(found.thing.app), action, &id);
        store.endpoints().set_state(id, state, None).await?;
        self.find(actor, id).await
    }

    async fn replace(
        &self,
        actor: &Actor,
        changed: Versioned<Endpoint>,
        action: &str,
    ) -> Result<Versioned<Endpoint>, Error> {
        let store = self.0.acting(actor, Some(changed.thing.app), action, &changed.thing.id);
        Ok(Versioned { version: store.endpoints().replace(changed.clone()).await?, ..changed })
    }

    /// The endpoint as stored now, so that a change is made to the newest state.
    pub(crate) async fn find(&self, actor: &Actor, id: EndpointId) -> Result<Versioned<Endpoint>, Error> {
        let found = self.0.store.endpoints().get(id).await?;
        actor.must_see(found.thing.app, "endpoint")?;
        Ok(found)
    }

    /// Refuses sources and accounts that bring this app no events.
    async fn check_subscription(&self, app: AppId, subscription: &Subscription) -> Result<(), Error> {
        if subscription.sources.is_empty() && subscription.accounts.is_empty() {
            return Ok(());
        }
        let accounts = self.0.store.sources().accounts().await?;
        let sources = self.0.store.sources().all().await?;
        let has_account = |id| accounts.iter().any(|account| account.id == id && account.app == app);
        let has_source = |id| {
            sources.iter().any(|source| source.id == id && source.app == app)
                || accounts.iter().any(|account| account.source == id && account.app == app)
        };
        if let Some(at) = subscription.sources.iter().position(|id| !has_source(*id)) {
            let words = Words::new("the app has no such source", "la app no tiene esta fuente");
            return Err(Error::invalid(format!("sources/{at}"), words));
        }
        if let Some(at) = subscription.accounts.iter().position(|id| !has_account(*id)) {
            let words = Words::new("the app has no such account", "la app no tiene esta cuenta");
            return Err(Error::invalid(format!("accounts/{at}"), words));
        }
        Ok(())
    }

    /// The secret given, if it can sign, or a new one of 32 random bytes.
    fn secret(&self, given: Option<Secret>, format: Format) -> Result<Secret, Error> {
        let Some(given) = given else {
            let bytes: [u8; 32] = self.0.random.bytes();
            return Ok(Secret::new(format!("{SECRET_PREFIX}{}", BASE64.encode(bytes))));
        };
        if can_sign(&given, format) {
            return Ok(given);
        }
        let words = Words::new(
            "a secret is whsec_ and 24 to 64 bytes in base64; leave it out and one is made",
            "un secreto es whsec_ y de 24 a 64 bytes en base64; omítelo y se crea uno",
        );
        Err(Error::invalid("secret", words))
    }
}

/// Refuses to send what is secret elsewhere than before, unless the actor may change secrets: they could have it sent to
/// themselves. Headers along with a delivery may be secrets, and some platforms' proof is the key itself: to begin with
/// that is to send it where it was not sent before, whoever chose the place.
fn may_send_there(actor: &Actor, before: &EndpointSettings, after: &EndpointSettings) -> Result<(), Error> {
    let origin = |settings: &EndpointSettings| Url::parse(&settings.url).ok().map(|url| url.origin());
    let keeps_header = after.headers.iter().any(|header| before.headers.contains(header));
    let is_elsewhere = origin(before) != origin(after);
    let shows_key = after.format == Format::Platform;
    let is_new = shows_key && before.format != Format::Platform;
    if is_new || is_elsewhere && (keeps_header || shows_key) {
        return actor.must(Action::ChangeSecrets);
    }
    Ok(())
}

/// Whether a secret fits the format: of Standard Webhooks, or, in a platform's format, any text.
fn can_sign(secret: &Secret, format: Format) -> bool {
    let text = secret.expose();
    let key = text.strip_prefix(SECRET_PREFIX).and_then(|encoded| BASE64.decode(encoded).ok());
    match format {
        Format::Standard | Format::Client => key.is_some_and(|key| (24..=64).contains(&key.len())),
        Format::Platform => {
            !text.is_empty() && text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_standard_webhooks_has_its_prefix_and_length() {
        let fits = |text: &str, format| can_sign(&Secret::new(text), format);
        assert!(fits("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", Format::Standard));
        for wrong in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_AAEC", "whsec_***", ""] {
            assert!(!fits(wrong, Format::Standard), "{wrong}");
        }
        assert!(fits("an-app-secret", Format::Platform));
        assert!(!fits("", Format::Platform));
        assert!(!fits("two words", Format::Platform));
    }
}
