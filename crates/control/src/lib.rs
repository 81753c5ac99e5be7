//! What an operator can do, and the one place with admin rules. Every door (REST, pages, CLI) opens on this room.
//!
//! Start with [`actor`], who may do what; then one file a noun. Every act is written to the audit log.

pub mod accounts;
pub mod actor;
pub mod apps;
pub mod audit;
pub mod check;
pub mod contacts;
pub mod conversations;
pub mod deliveries;
pub mod endpoints;
pub mod error;
pub mod events;
pub mod files;
pub mod idempotency;
mod listing;
mod masked;
pub mod messages;
pub mod numbers;
pub mod random;
pub mod receipts;
pub mod registrations;
pub mod replay;
pub mod sources;
pub mod stats;
pub mod tokens;
pub mod version;

use std::sync::Arc;

use model::id::AppId;
use model::time::Timestamp;
use store::Store;
use store::audit::Act;
use tokio::sync::Semaphore;
use vault::Vault;

pub use crate::actor::{Action, Actor};
pub use crate::error::{Error, Words};
pub use crate::random::Random;
use crate::stats::Counted;
use crate::tokens::Seen;

/// What an operator can do. Cheap to clone; all clones share one memory of tokens and counts.
#[derive(Clone)]
pub struct Control {
    store: Store,
    random: Random,
    admin_token_hash: Option<[u8; 32]>,
    public_url: Option<String>,
    vault: Option<Vault>,
    uploads: Arc<Semaphore>,
    seen: Arc<Seen>,
    counted: Arc<Counted>,
}

impl Control {
    /// Control over a store. The hash is that of the admin token of the configuration, where there is one.
    pub fn new(store: Store, random: Random, admin_token_hash: Option<[u8; 32]>) -> Control {
        Control {
            store,
            random,
            admin_token_hash,
            public_url: None,
            vault: None,
            uploads: Arc::new(Semaphore::new(files::UPLOADS_MAX)),
            seen: Arc::default(),
            counted: Arc::default(),
        }
    }

    /// Knows where platforms reach us: scheme and host.
    pub fn reached_at(self, public_url: Option<String>) -> Control {
        Control { public_url, ..self }
    }

    /// Keeps the bytes of files in a vault.
    pub fn keeping(self, vault: Vault) -> Control {
        Control { vault: Some(vault), ..self }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// Where new secrets come from.
    pub fn random(&self) -> &Random {
        &self.random
    }

    /// The store for somebody who acts: what is done through it is written to the audit log in the same transaction.
    fn acting(&self, actor: &Actor, app: Option<AppId>, action: &str, subject: &impl ToString) -> Store {
        self.store.acting(Act {
            app,
            actor: actor.name.clone(),
            action: action.to_owned(),
            subject: subject.to_string(),
        })
    }

    /// Writes that a payload was looked at. A full disk must not keep people from looking.
    async fn audit_view(&self, actor: &Actor, app: Option<AppId>, action: &str, subject: &impl ToString) {
        if let Err(error) = self.acting(actor, app, action, subject).audit().note().await {
            tracing::warn!(%error, action, "a view could not be written to the audit log");
        }
    }
}
