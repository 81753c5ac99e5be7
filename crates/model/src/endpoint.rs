//! Endpoints: where events of an app are delivered, and which events each wants.

use std::time::Duration;

use crate::event::EventPattern;
use crate::id::{AccountId, AppId, EndpointId, SourceId};
use crate::retry::RetryPolicy;
use crate::secret::Key;
use crate::time::Timestamp;

/// How long an endpoint may fail without a single success before it is disabled.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(5 * 24 * 3600);
/// How many deliveries of one endpoint may be under way at a time, unless it says otherwise.
pub const CONCURRENCY_DEFAULT: u16 = 10;
/// How long a whole exchange may take, body included, unless the endpoint says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);

/// How much of a URL's host an endpoint is called by, in characters.
const NAME_MAX: usize = 100;

/// Where events of an app are delivered.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose events it gets.
    pub app: AppId,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it receives.
    pub format: Format,
    /// Which events it wants.
    pub subscription: Subscription,
    /// The keys deliveries are signed with, current first.
    pub keys: Vec<Key>,
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
    /// Whether deliveries are made.
    pub state: EndpointState,
    /// Since when it has only failed; `None` after a success.
    pub failing_since: Option<Timestamp>,
}

impl Endpoint {
    /// An endpoint at a URL, enabled and without a key, that gets every event of its app: as it is unless somebody
    /// decides otherwise. It is called by the URL's host.
    pub fn new(id: EndpointId, app: AppId, url: impl Into<String>) -> Endpoint {
        let url = url.into();
        Endpoint {
            id,
            app,
            name: url.split('/').nth(2).unwrap_or_default().chars().take(NAME_MAX).collect(),
            url,
            format: Format::Standard,
            subscription: Subscription::default(),
            keys: Vec::new(),
            headers: Vec::new(),
            retry: RetryPolicy::standard(),
            concurrency: CONCURRENCY_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
            order: Order::ByConversation,
            on_dead: OnDead::Skip,
            allow_http: false,
            state: EndpointState::Enabled,
            failing_since: None,
        }
    }
}

/// What an endpoint receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Standard Webhooks: `{"type","timestamp","data"}` with `webhook-*` headers.
    Standard,
    /// The original bytes, signed in the platform's scheme with the endpoint's secret.
    Platform,
    /// The shape of WhatsApp's on-premises client, whatever platform an event came from; only exactly 200 counts.
    Client,
}

/// How deliveries of an endpoint stay in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Per conversation, or the key the source gives: at most one of a line is under way.
    ByConversation,
    /// In parallel.
    None,
}

/// What happens to a line when its head dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnDead {
    /// The next one goes on.
    Skip,
    /// The line is held until a person decides.
    Hold,
}

/// Whether deliveries are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointState {
    /// They are.
    Enabled,
    /// A person paused it; deliveries are held.
    Paused,
    /// It failed too long or said 410; deliveries are held.
    Disabled,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 3] = [Format::Standard, Format::Platform, Format::Client];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Standard => "standard",
            Format::Platform => "platform",
            Format::Client => "client",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

impl Order {
    /// Every order.
    pub const ALL: [Order; 2] = [Order::ByConversation, Order::None];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Order::ByConversation => "conversation",
            Order::None => "none",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Order> {
        Order::ALL.into_iter().find(|order| order.as_str() == name)
    }
}

impl OnDead {
    /// Every rule.
    pub const ALL: [OnDead; 2] = [OnDead::Skip, OnDead::Hold];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            OnDead::Skip => "skip",
            OnDead::Hold => "hold",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<OnDead> {
        OnDead::ALL.into_iter().find(|rule| rule.as_str() == name)
    }
}

impl EndpointState {
    /// Every state.
    pub const ALL: [EndpointState; 3] =
        [EndpointState::Enabled, EndpointState::Paused, EndpointState::Disabled];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointState::Enabled => "enabled",
            EndpointState::Paused => "paused",
            EndpointState::Disabled => "disabled",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<EndpointState> {
        EndpointState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Which events an endpoint wants. An empty list means all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subscription {
    /// Event types.
    pub types: Vec<EventPattern>,
    /// Sources.
    pub sources: Vec<SourceId>,
    /// Accounts.
    pub accounts: Vec<AccountId>,
}

impl Subscription {
    /// Whether an event is wanted.
    pub fn wants(&self, event_type: &str, source: Option<SourceId>, account: Option<AccountId>) -> bool {
        let by_type = self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(event_type));
        let by_source = self.sources.is_empty() || source.is_some_and(|id| self.sources.contains(&id));
        by_type && by_source && self.wants_account(account)
    }

    /// Whether what happens on an account is wanted at all.
    pub fn wants_account(&self, account: Option<AccountId>) -> bool {
        self.accounts.is_empty() || account.is_some_and(|id| self.accounts.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_subscription_wants_everything_and_each_list_narrows_it() {
        let everything = Subscription::default();
        assert!(everything.wants("message.received", None, None));

        let source = SourceId::from_raw(7);
        let narrow = Subscription {
            types: vec![EventPattern::new("message.*").expect("a pattern")],
            sources: vec![source],
            accounts: Vec::new(),
        };
        assert!(narrow.wants("message.read", Some(source), None));
        assert!(!narrow.wants("conversation.created", Some(source), None));
        assert!(!narrow.wants("message.read", None, None));
    }
}
