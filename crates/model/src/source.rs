//! Sources: the configured places webhooks come in, and the accounts on them.

use crate::id::{AccountId, AppId, SourceId};
use crate::secret::{Key, Secret};
use crate::time::Timestamp;
use crate::watch::Watchdog;

/// The longest address of an account, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 200;
/// The most accounts of a source: all of them are kept in memory. What is for more is not dropped but set aside.
pub const ACCOUNTS_MAX: usize = 10_000;

/// One configured place webhooks come in.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its id; `/in/<id>` always leads to it.
    pub id: SourceId,
    /// Who its events belong to, unless the account says otherwise.
    pub app: AppId,
    /// The kind of outside system: a name of the registry in `platforms`.
    pub platform: String,
    /// What people call it.
    pub name: String,
    /// A path of its own, such as `/webhooks/whatz`; begins with a slash.
    pub path: Option<String>,
    /// Its secrets, by what they are for.
    pub secrets: Vec<SourceSecret>,
    /// What the adapter needs to know besides secrets.
    pub settings: Settings,
    /// What happens to an account that nobody has named.
    pub unknown_accounts: UnknownAccounts,
    /// Networks requests may come from, as CIDR text; empty means anywhere.
    pub allowed_networks: Vec<String>,
    /// The most requests a second; `None` means no limit of its own.
    pub rate_per_second: Option<u32>,
    /// What is done when the platform no longer calls our URL, or falls silent.
    pub watchdog: Watchdog,
    /// Whether the files of its messages are fetched and stored, before the platform forgets them.
    pub fetches_files: bool,
}

impl Source {
    /// A source of a platform, called by the platform's name: with no secret, setting or limit, adopting accounts, watched by
    /// nobody; as it is unless somebody decides otherwise.
    pub fn new(id: SourceId, app: AppId, platform: impl Into<String>) -> Source {
        let platform = platform.into();
        Source {
            id,
            app,
            name: platform.clone(),
            platform,
            path: None,
            secrets: Vec::new(),
            settings: Settings::default(),
            unknown_accounts: UnknownAccounts::Adopt,
            allowed_networks: Vec::new(),
            rate_per_second: None,
            watchdog: Watchdog::Off,
            fetches_files: false,
        }
    }

    /// The path that webhooks come in at: its own, or the one that always leads to it.
    pub fn url_path(&self) -> String {
        self.path.clone().unwrap_or_else(|| format!("/in/{}", self.id))
    }

    /// The secrets of one role that are good now, current ones first.
    pub fn secrets(&self, role: SecretRole, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.secrets
            .iter()
            .filter(move |held| held.role == role && held.key.is_active(now))
            .map(|held| &held.key.secret)
    }
}

/// A secret of a source and what it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceSecret {
    /// What it is for.
    pub role: SecretRole,
    /// The secret and its retirement.
    pub key: Key,
}

/// What a secret of a source is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SecretRole {
    /// The key of the platform's signature; for asymmetric schemes the public key.
    Signing,
    /// What the platform shows when it checks that a URL is ours.
    VerifyToken,
    /// A credential the sender shows: bearer token, password, key of a JWT, token in the URL.
    Credential,
    /// What we show the platform when we send.
    AccessToken,
}

impl SecretRole {
    /// Every role.
    pub const ALL: [SecretRole; 4] =
        [SecretRole::Signing, SecretRole::VerifyToken, SecretRole::Credential, SecretRole::AccessToken];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            SecretRole::Signing => "signing",
            SecretRole::VerifyToken => "verify_token",
            SecretRole::Credential => "credential",
            SecretRole::AccessToken => "access_token",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<SecretRole> {
        SecretRole::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// What happens to an account that nobody has named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnknownAccounts {
    /// It becomes an account of the source's app.
    Adopt,
    /// Its requests wait in quarantine until somebody says whose it is.
    Quarantine,
}

impl UnknownAccounts {
    /// Every rule.
    pub const ALL: [UnknownAccounts; 2] = [UnknownAccounts::Adopt, UnknownAccounts::Quarantine];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            UnknownAccounts::Adopt => "adopt",
            UnknownAccounts::Quarantine => "quarantine",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<UnknownAccounts> {
        UnknownAccounts::ALL.into_iter().find(|rule| rule.as_str() == name)
    }
}

/// An adapter's settings: a flat JSON object whose keys the adapter documents and checks.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings(serde_json::Map<String, serde_json::Value>);

impl Settings {
    /// Wraps an object.
    pub fn new(object: serde_json::Map<String, serde_json::Value>) -> Settings {
        Settings(object)
    }

    /// The text under a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(serde_json::Value::as_str)
    }

    /// The whole number under a key.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(serde_json::Value::as_i64)
    }

    /// Whether a switch is on; off when absent.
    pub fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(serde_json::Value::as_bool).unwrap_or(false)
    }

    /// The object.
    pub fn object(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.0
    }
}

/// An address on a source: a phone number id, a page, a bot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The source it is on.
    pub source: SourceId,
    /// Who its events belong to.
    pub app: AppId,
    /// The platform's own name for it.
    pub address: String,
    /// What people call it.
    pub name: Option<String>,
}
