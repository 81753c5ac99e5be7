//! Numbers: an account as somebody speaks for it who holds its key, with the webhook and messages of WhatsApp's on-premises
//! client (platforms.md section 2). Whatever platform it is on.

use std::time::Duration;

use model::endpoint::{Endpoint, EndpointState, Format};
use model::event::EventPattern;
use model::id::AccountId;
use model::retry::RetryPolicy;
use model::secret::Secret;
use model::send::{OutgoingBody, OwedSend, ReadMark, Recipient};
use model::source::Account;
use platforms::whatsapp_onpremises::tell::TOLD;
use url::{Host, Url};

use crate::messages::NewMessage;
use crate::{Action, Actor, Control, Error, check};

/// The client waits so much longer after each failure, up to so long, for about a day.
const BACKOFF_STEP: Duration = Duration::from_secs(3);
const BACKOFF_MAX: Duration = Duration::from_secs(900);
const BACKOFF_IN_ALL: Duration = Duration::from_secs(24 * 3600);
/// How long the client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Numbers.
pub struct Numbers<'c>(&'c Control);

impl Control {
    /// Numbers.
    pub fn numbers(&self) -> Numbers<'_> {
        Numbers(self)
    }
}

impl Numbers<'_> {
    /// Makes a new key for an account; the one before stops working, and its webhook is held until it is set again with the
    /// new one. Returns the key, which is shown this once.
    pub async fn renew_key(&self, actor: &Actor, id: AccountId) -> Result<Secret, Error> {
        actor.must(Action::ManageTokens)?;
        let account = self.0.accounts().find(actor, id).await?.thing;
        if let Some(held) = self.endpoint(id) {
            let store = self.0.acting(actor, Some(account.app), "endpoint.pause", &held.id);
            store.endpoints().set_state(held.id, EndpointState::Paused, None).await?;
        }
        self.0.tokens().renew(actor, &account).await
    }

    /// The webhook that was set; `None` where there is none, or none since the key is another.
    pub fn webhook(&self, actor: &Actor) -> Result<Option<Endpoint>, Error> {
        let id = speaker(actor)?;
        Ok(self.endpoint(id).filter(|endpoint| endpoint.state != EndpointState::Paused))
    }

    /// Has the account's events go to a URL, with headers along; in place of the URL before. What was held goes there too.
    pub async fn set_webhook(
        &self,
        actor: &Actor,
        url: String,
        headers: Vec<(String, String)>,
    ) -> Result<Endpoint, Error> {
        let id = speaker(actor)?;
        check::url(&url, is_of_this_machine(&url))?;
        check::headers(&headers)?;
        let account = self.0.accounts().find(actor, id).await?.thing;
        let held = self.endpoint(id);
        let fresh = || Endpoint::new(self.0.store.fresh_id(), account.app, url.clone());
        let is_new = held.is_none();
        let mut endpoint = held.unwrap_or_else(fresh);
        if is_new {
            check::room(
                self.0.store.routing().endpoints_of(account.app).len(),
                crate::endpoints::ENDPOINTS_MAX,
            )?;
            endpoint.name = format!("webhook of {}", account.address).chars().take(100).collect();
            endpoint.format = Format::Client;
            endpoint.subscription.accounts = vec![id];
            endpoint.subscription.types = TOLD.iter().filter_map(|name| EventPattern::new(name)).collect();
            endpoint.retry = RetryPolicy::linear(BACKOFF_STEP, BACKOFF_MAX, BACKOFF_IN_ALL);
            endpoint.timeout = TIMEOUT;
        }
        endpoint.allow_http = url.starts_with("http://");
        (endpoint.url, endpoint.headers) = (url, headers);
        let action = if is_new { "endpoint.create" } else { "endpoint.update" };
        self.0
            .acting(actor, Some(account.app), action, &endpoint.id)
            .endpoints()
            .save(endpoint.clone())
            .await?;
        let store = self.0.acting(actor, Some(account.app), "endpoint.resume", &endpoint.id);
        store.endpoints().set_state(endpoint.id, EndpointState::Enabled, None).await?;
        Ok(endpoint)
    }

    /// Takes the webhook away; what is owed to it is cancelled.
    pub async fn remove_webhook(&self, actor: &Actor) -> Result<(), Error> {
        let id = speaker(actor)?;
        let held = self.endpoint(id).ok_or(Error::NotFound("webhook"))?;
        self.0.acting(actor, Some(held.app), "endpoint.delete", &held.id).endpoints().remove(held.id).await?;
        Ok(())
    }

    /// Owes a message of the account's to its platform.
    pub async fn send(
        &self,
        actor: &Actor,
        to: String,
        reply_to: Option<String>,
        body: OutgoingBody,
    ) -> Result<OwedSend, Error> {
        let id = speaker(actor)?;
        let new = NewMessage {
            from: Some(id.to_string()),
            conversation: None,
            to: Some(Recipient::Address(to)),
            reply_to,
            body,
            override_window: false,
            key: None,
        };
        self.0.messages().send(&sender(actor), new).await
    }

    /// Marks a message of a contact's as read.
    pub async fn mark_read(&self, actor: &Actor, message_id: String) -> Result<OwedSend, Error> {
        let id = speaker(actor)?;
        let read = ReadMark { message_id: message_id.clone(), typing: false };
        let new = NewMessage {
            from: Some(id.to_string()),
            conversation: None,
            // The message is named by its id alone: nobody is written to.
            to: Some(Recipient::Address(message_id)),
            reply_to: None,
            body: OutgoingBody::Read { read },
            override_window: true,
            key: None,
        };
        self.0.messages().send(&sender(actor), new).await
    }

    /// The account that the actor speaks for.
    pub(crate) fn own(&self, actor: &Actor) -> Result<Account, Error> {
        let id = speaker(actor)?;
        self.0.store.routing().account_by_id(id).cloned().ok_or(Error::NotFound("account"))
    }

    fn endpoint(&self, account: AccountId) -> Option<Endpoint> {
        let routing = self.0.store.routing();
        let app = routing.account_by_id(account)?.app;
        let is_its = |endpoint: &Endpoint| {
            endpoint.format == Format::Client && endpoint.subscription.accounts == [account]
        };
        let mut all = routing.endpoints_of(app).iter().map(AsRef::as_ref);
        all.find(|endpoint| is_its(endpoint)).cloned()
    }
}

/// A bot on the same machine needs no encryption on the way.
fn is_of_this_machine(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    host.is_some_and(|host| match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    })
}

/// The account that whoever holds its key speaks for.
fn speaker(actor: &Actor) -> Result<AccountId, Error> {
    actor.must(Action::SpeakForNumber)?;
    actor.account.ok_or(Error::Forbidden)
}

/// Whoever speaks for an account may send from it: the account is named by us, and by nobody else.
fn sender(actor: &Actor) -> Actor {
    Actor { role: model::access::Role::Sender, ..actor.clone() }
}
