//! The lane over a store, a clock that moves only when told to, and a simulated WhatsApp behind real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails, in its helpers too")]

mod repeats;
mod turns;

use std::sync::Arc;

use dispatcher::Lane;
use egress::{Config, Egress, Roots};
use model::id::{AccountId, AppId, SendId};
use model::secret::{Key, Secret};
use model::send::{OutgoingBody, OutgoingMessage, Recipient, TextBody};
use model::source::{Account, SecretRole, Settings, Source, SourceSecret};
use model::time::{Clock, ManualClock, Timestamp};
use sending::SendingLane;
use sending::lane::Owed;
use serde_json::json;
use simulator::WhatsApp;
use simulator::whatsapp::{self, Number};
use store::sends::{NewSend, Queued};
use store::{Faults, Location, Store};

const ACCESS_TOKEN: &str = "access-token-of-the-tests";

/// A gateway's sending part, and the platform it sends to.
struct Scene {
    store: Store,
    lane: SendingLane,
    clock: ManualClock,
    whatsapp: WhatsApp,
    folder: tempfile::TempDir,
}

fn number(id: &str) -> Number {
    Number { phone_number_id: id.to_owned(), ..Number::default() }
}

async fn open(folder: &tempfile::TempDir, clock: &ManualClock) -> (Store, SendingLane) {
    let location = Location::Folder(folder.path().to_owned());
    let config = store::Config { location, node: 1, faults: Faults::default() };
    let store = Store::open(&config, Clock::Manual(clock.clone())).await.unwrap();
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    let egress = Egress::new(&Config { allowed, roots: Roots::Bundled, ..Config::default() }).unwrap();
    let lane = SendingLane::new(store.clone(), egress, Arc::new(|| 0.5), true);
    (store, lane)
}

impl Scene {
    async fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::starting_at(Timestamp::from_secs(1_790_000_000));
        let (store, lane) = open(&folder, &clock).await;
        let settings = whatsapp::Settings {
            numbers: vec![number("201"), number("202")],
            ..whatsapp::Settings::new(
                Secret::new("secret"),
                Secret::new(ACCESS_TOKEN),
                7,
                Clock::Manual(clock.clone()),
            )
        };
        let whatsapp = WhatsApp::start(settings).await.unwrap();
        Scene { store, lane, clock, whatsapp, folder }
    }

    /// Ends this gateway and starts another over the same folder.
    async fn restarted(self) -> Scene {
        drop((self.store, self.lane));
        let (store, lane) = open(&self.folder, &self.clock).await;
        Scene { store, lane, ..self }
    }

    /// A number that may send ten messages a second, one at once.
    async fn account(&self, address: &str, access_token: &str) -> AccountId {
        let settings = json!({ "api_base": self.whatsapp.api_base(), "messages_per_second": 10 });
        self.account_of(("whatsapp", address), &settings, access_token).await
    }

    /// An account of a platform whose API is there.
    async fn account_at(&self, platform: &str, api_base: &str, access_token: &str) -> AccountId {
        self.account_of((platform, "one"), &json!({ "api_base": api_base }), access_token).await
    }

    async fn account_of(
        &self,
        (platform, address): (&str, &str),
        settings: &serde_json::Value,
        access_token: &str,
    ) -> AccountId {
        let secret = |role, text: &str| SourceSecret { role, key: Key::current(Secret::new(text)) };
        let source = Source {
            name: address.to_owned(),
            secrets: vec![
                secret(SecretRole::Signing, "secret"),
                secret(SecretRole::VerifyToken, "verify"),
                secret(SecretRole::AccessToken, access_token),
            ],
            settings: Settings::new(settings.as_object().unwrap().clone()),
            ..Source::new(self.store.fresh_id(), AppId::from_raw(1), platform)
        };
        self.store.sources().save(source.clone()).await.unwrap();
        let account = Account {
            id: self.store.fresh_id(),
            source: source.id,
            app: source.app,
            address: address.to_owned(),
            name: None,
        };
        self.store.sources().save_account(account).await.unwrap().id
    }

    async fn queue(&self, account: AccountId, to: &str) -> SendId {
        let body = OutgoingBody::Text { text: TextBody { body: "hello".to_owned(), preview_url: false } };
        let new = NewSend {
            app: AppId::from_raw(1),
            account,
            conversation: None,
            message: OutgoingMessage { to: Recipient::Address(to.to_owned()), reply_to: None, body },
            key: None,
        };
        match self.store.sends().queue(new).await.unwrap() {
            Queued::New(id) => id,
            other => panic!("it should be new: {other:?}"),
        }
    }

    /// Claims what may leave now.
    async fn claim(&self) -> Vec<Owed> {
        self.lane.claim(64).await.unwrap()
    }

    /// Claims what may leave now and sends it; says how much it was.
    async fn send_due(&self) -> usize {
        let owed = self.claim().await;
        for one in &owed {
            let done = self.lane.attempt(one).await;
            self.lane.record(one, &done).await.unwrap();
        }
        owed.len()
    }
}
