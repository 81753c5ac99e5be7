//! The WhatsApp Cloud API, played: customers who write, the Graph API that takes the answers, and the statuses of those
//! (platforms.md section 1).

mod graph;
mod media;
mod phone;
mod status;
mod wamid;
mod webhook;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use model::secret::Secret;
use model::time::{Clock, Timestamp};
use serde_json::Value;

use crate::log::{Log, TooFew};
use crate::server::Server;
use crate::switches::Switches;
use crate::whatsapp::graph::Graph;
use crate::whatsapp::media::Files;
use crate::whatsapp::wamid::Wamids;
use crate::whatsapp::webhook::Webhooks;

pub use crate::whatsapp::phone::Customer;
pub use crate::whatsapp::webhook::Answered;

/// How many sends and read marks are remembered; older ones are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// What the platform is told before it starts.
#[derive(Clone)]
pub struct Settings {
    /// The App Secret of the Meta app: the key of every webhook.
    pub app_secret: Secret,
    /// The only bearer token that may send.
    pub access_token: Secret,
    /// The phone numbers of the business; customers write to the first unless told otherwise. At least one.
    pub numbers: Vec<Number>,
    /// Goes into every message id. Two platforms in front of one gateway need different ones, and so does one that
    /// starts again in front of a gateway that remembers.
    pub seed: u64,
    /// The waits between the tries of a webhook that was not answered with 200; when they are used up it is dropped.
    pub retry_waits: Vec<Duration>,
    /// Where the times in webhooks come from.
    pub clock: Clock,
}

impl Settings {
    /// One number, and webhooks that are tried again at once and then at growing intervals, ten times in two minutes.
    pub fn new(app_secret: Secret, access_token: Secret, seed: u64, clock: Clock) -> Settings {
        let waits_ms = [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];
        Settings {
            app_secret,
            access_token,
            numbers: vec![Number::default()],
            seed,
            retry_waits: waits_ms.map(Duration::from_millis).to_vec(),
            clock,
        }
    }
}

/// A phone number of a business.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Number {
    /// Its id, by which webhooks and sends name it.
    pub phone_number_id: String,
    /// The number as people read it.
    pub display_phone_number: String,
    /// The WhatsApp Business account it belongs to.
    pub business_account_id: String,
}

impl Default for Number {
    fn default() -> Number {
        Number {
            phone_number_id: "200000000000001".to_owned(),
            display_phone_number: "15550000001".to_owned(),
            business_account_id: "100000000000001".to_owned(),
        }
    }
}

/// A message that the Graph API took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The id it was given.
    pub wamid: String,
    /// The phone number id it was sent from.
    pub phone_number_id: String,
    /// Whom it was sent to, as the caller wrote it.
    pub to: String,
    /// Its type.
    pub kind: String,
    /// What the caller wants to hear again with its statuses.
    pub correlation: Option<String>,
    /// The whole request.
    pub body: Value,
    /// When it was taken.
    pub at: Timestamp,
}

/// The platform. It ends when it is dropped, with its webhooks under way.
pub struct WhatsApp {
    state: Arc<State>,
    graph: Server<Graph>,
}

/// What customers and the Graph API share.
struct State {
    access_token: Secret,
    numbers: Vec<Number>,
    clock: Clock,
    wamids: Wamids,
    switches: Switches,
    webhooks: Webhooks,
    sends: Log<Taken>,
    reads: Log<String>,
    files: Files,
}

impl WhatsApp {
    /// Starts the Graph API on a free port of loopback. Customers can be heard once [`WhatsApp::webhooks_to`] or
    /// [`WhatsApp::subscribes`] has named the gateway. Fails without a number, a socket or threads.
    pub async fn start(settings: Settings) -> io::Result<WhatsApp> {
        if settings.numbers.is_empty() {
            let words = "a business needs at least one phone number";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let switches = Switches::default();
        let webhooks = Webhooks::new(settings.app_secret, settings.retry_waits, switches.clone())?;
        let state = Arc::new(State {
            access_token: settings.access_token,
            numbers: settings.numbers,
            clock: settings.clock,
            wamids: Wamids::of_seed(settings.seed),
            switches,
            webhooks,
            sends: Log::keeping(REMEMBERED_MAX),
            reads: Log::keeping(REMEMBERED_MAX),
            files: Files::default(),
        });
        let graph = Server::start(Graph::new(Arc::clone(&state))).await?;
        Ok(WhatsApp { state, graph })
    }

    /// Forgets every file that customers have sent so far.
    pub fn loses_files(&self) {
        self.state.files.lose_all();
    }

    /// The address of the Graph API, for the source's setting `api_base`.
    pub fn api_base(&self) -> String {
        format!("http://{}", self.graph.address())
    }

    /// Sends webhooks to this URL from now on, without asking it.
    pub fn webhooks_to(&self, url: &str) {
        self.state.webhooks.send_to(url);
    }

    /// Asks the URL for a challenge as Meta does when it is entered in the dashboard, and sends webhooks to it from
    /// now on if it echoes that; says whether it did (platforms.md 1.1).
    pub async fn subscribes(&self, url: &str, verify_token: &str) -> bool {
        let challenge = self.state.wamids.challenge();
        let is_ours = self.state.webhooks.check(url, verify_token, &challenge).await;
        if is_ours {
            self.webhooks_to(url);
        }
        is_ours
    }

    /// A person with WhatsApp, who writes to the first number.
    pub fn customer(&self, name: &str, wa_id: &str) -> Customer {
        Customer::new(Arc::clone(&self.state), name, wa_id)
    }

    /// What can be made to go wrong.
    pub fn switches(&self) -> &Switches {
        &self.state.switches
    }

    /// The last 100,000 messages that were taken, oldest first.
    pub fn sends(&self) -> Vec<Arc<Taken>> {
        self.state.sends.all()
    }

    /// The last 100,000 messages that were marked as read, by id.
    pub fn reads(&self) -> Vec<Arc<String>> {
        self.state.reads.all()
    }

    /// Waits until this many messages have been taken since the start, and gives those remembered.
    pub async fn wait_for_sends(&self, count: usize, deadline: Duration) -> Result<Vec<Arc<Taken>>, TooFew> {
        self.state.sends.wait_for(count, deadline).await
    }

    /// Waits until no webhook is under way or waits for another try: everything that was taken has had its statuses
    /// acknowledged or dropped. Does not wait for what customers are still writing.
    pub async fn settled(&self) {
        self.state.webhooks.settled().await;
    }
}

impl Drop for WhatsApp {
    fn drop(&mut self) {
        self.state.webhooks.stop();
    }
}
