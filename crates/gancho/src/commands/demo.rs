//! A whole conversation on one machine: a simulated WhatsApp number, the gateway, and a bot that answers; or one on each of several
//! platforms at once.

mod several;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use model::access::App;
use model::endpoint::Endpoint;
use model::event::EventPattern;
use model::id::AppId;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use model::time::Clock;
use simulator::bot::Attempt;
use simulator::{Bot, Replies, WhatsApp, whatsapp};
use store::Store;

use crate::app::{self, Signals, World};
use crate::cli::DemoArgs;
use crate::config::process_environment;
use crate::settings::Config;
use crate::words::Words;

/// The platform that is shown where none is named.
const WHATSAPP: &str = "whatsapp";
/// How long the whole conversation may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What each reply is told of: taken, sent, delivered, read.
const STEPS: [&str; 4] = ["message.accepted", "message.sent", "message.delivered", "message.read"];

/// Runs the demo. With `once` it ends; otherwise the gateway stays open until it is asked to end.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let words = Words::of(process_environment);
    if args.platform != [WHATSAPP] {
        return several::run(args, &words).await;
    }
    let signals = Signals::listen()?;
    let stage = Stage::set(args).await?;
    println!("{}", words.demo_begins(&stage.address()));
    let told = stage.play(args.messages, &words).await?;
    println!("\n{}", words.demo_ends(told.messages, told.replies, told.steps));
    if !args.once {
        println!("{}", words.demo_stays(&stage.address(), stage.token.expose()));
        signals.asked().await;
    }
    stage.strike().await;
    Ok(())
}

/// Everything that takes part.
struct Stage {
    app: app::App,
    platform: WhatsApp,
    bot: Bot,
    token: Secret,
    folder: Folder,
}

/// What the conversation came to, once it was found to be complete.
struct Told {
    messages: usize,
    replies: usize,
    steps: usize,
}

impl Stage {
    async fn set(args: &DemoArgs) -> anyhow::Result<Stage> {
        let world = World::real();
        let secret = |prefix: &str| Secret::new(format!("{prefix}{}", world.random.base62(32)));
        let (app_secret, access_token, token) = (secret("app-"), secret("access-"), secret("demo-"));
        let folder = Folder::fresh();
        let config = config(&folder, &token, args.once)?;
        let seed = u64::from_be_bytes(world.random.bytes());
        let settings = whatsapp::Settings::new(app_secret.clone(), access_token.clone(), seed, Clock::System);
        let platform = WhatsApp::start(settings).await.context("the simulated platform cannot start")?;
        let key = delivery::signature::fresh_secret(&world.random.bytes::<32>());
        let bot = Bot::start(Some(key.clone()), Clock::System).await.context("the bot cannot start")?;
        let app = app::App::start(&config, world).await?;
        let source = furnish(app.store(), &platform, &bot, [app_secret, access_token, key]).await?;
        let address = format!("http://{}", app.address());
        let verify_token = source.secrets.iter().find(|held| held.role == SecretRole::VerifyToken);
        let verify_token = verify_token.map(|held| held.key.secret.expose()).unwrap_or_default();
        if !platform.subscribes(&format!("{address}/in/{}", source.id), verify_token).await {
            bail!("the platform's check of the URL was not answered");
        }
        bot.replies_with(Some(Replies::in_words(&address, token.clone(), |text| {
            Some(format!("¡Hola! ({text})"))
        })));
        Ok(Stage { app, platform, bot, token, folder })
    }

    fn address(&self) -> String {
        format!("http://{}", self.app.address())
    }

    /// Lets a customer write, and waits until every message, reply and status has come where it belongs.
    #[allow(clippy::print_stdout, reason = "what the user asked to see")]
    async fn play(&self, count: u32, words: &Words) -> anyhow::Result<Told> {
        let ana = self.platform.customer("Ana", "5215512345678");
        for number in 1..=count {
            let text = format!("hola {number}");
            let answered = ana.says(&text).await;
            let failure = answered.failure.clone().unwrap_or_default();
            anyhow::ensure!(answered.is_acknowledged(), "{text} was not acknowledged: {failure}");
            println!("{}", words.demo_acknowledged(&text, answered.latency));
        }
        let count = count as usize;
        let wanted = count * (1 + STEPS.len());
        let complete = |attempts: &[Arc<Attempt>]| taken(attempts).count() >= wanted;
        if self.bot.wait_until(PATIENCE, complete).await.is_err() {
            let arrived = taken(&self.bot.attempts()).count();
            let last = self.bot.replied().last().map(|reply| (reply.status, reply.answer.clone()));
            bail!(
                "only {arrived} of {wanted} events arrived in {PATIENCE:?}; the last reply was answered {last:?}"
            );
        }
        let attempts = self.bot.attempts();
        for attempt in taken(&attempts) {
            println!("{}", words.demo_delivered(attempt));
        }
        self.verify(&attempts, count)
    }

    /// Everything exactly once, in order, and for each message one reply that came all the way back.
    fn verify(&self, attempts: &[Arc<Attempt>], count: usize) -> anyhow::Result<Told> {
        let ids: Vec<&str> = taken(attempts).filter_map(|attempt| attempt.id.as_deref()).collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        anyhow::ensure!(ids.len() == distinct.len(), "an event was delivered twice");
        anyhow::ensure!(attempts.iter().all(|attempt| attempt.genuine), "a signature was wrong");
        let texts: Vec<String> = taken(attempts).filter_map(text_of).collect();
        let expected: Vec<String> = (1..=count).map(|number| format!("hola {number}")).collect();
        anyhow::ensure!(texts == expected, "the messages came as {texts:?}");
        let replies = self.platform.sends().len();
        anyhow::ensure!(replies == count, "{replies} replies reached the platform, not {count}");
        for step in STEPS {
            let told = taken(attempts).filter(|attempt| attempt.event_type.as_deref() == Some(step)).count();
            anyhow::ensure!(told == count, "{told} of {count} replies told {step}");
        }
        Ok(Told { messages: texts.len(), replies, steps: count * STEPS.len() })
    }

    async fn strike(self) {
        self.app.stop().await;
        drop(self.folder);
    }
}

fn taken(attempts: &[Arc<Attempt>]) -> impl Iterator<Item = &Attempt> {
    attempts.iter().map(Arc::as_ref).filter(|attempt| attempt.is_taken())
}

fn text_of(attempt: &Attempt) -> Option<String> {
    let is_message = attempt.event_type.as_deref() == Some("message.received");
    let text = attempt.body.as_ref()?.pointer("/data/message/text")?.as_str()?;
    is_message.then(|| text.to_owned())
}

pub(super) fn config(folder: &Folder, token: &Secret, once: bool) -> anyhow::Result<Config> {
    let store = format!("sqlite:{}", folder.0.display());
    // A demo that ends takes any free port; one that stays takes the one everybody knows, when it is free.
    let listen = if once || std::net::TcpListener::bind("127.0.0.1:8080").is_err() {
        "127.0.0.1:0"
    } else {
        "127.0.0.1:8080"
    };
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let flags = [
        set("listen", listen),
        set("store", &store),
        set("egress_allow", "127.0.0.0/8"),
        set("egress_http", "true"),
        set("log", "warn"),
    ];
    let loaded = crate::config::load(None, &|_| None, &flags)?.config;
    let config = Config { admin_token: Some(token.clone()), ..loaded };
    crate::telemetry::start(&config);
    Ok(config)
}

/// An app, the WhatsApp source, and the bot's endpoint.
async fn furnish(
    store: &Store,
    platform: &WhatsApp,
    bot: &Bot,
    [app_secret, access_token, key]: [Secret; 3],
) -> anyhow::Result<Source> {
    let app = App { id: store.fresh_id(), name: "demo".to_owned() };
    store.access().save_app(app.clone()).await?;
    let verify_token = Secret::new("demo-verify-token");
    let source = whatsapp_source(store, app.id, platform, [app_secret, verify_token, access_token]);
    store.sources().save(source.clone()).await?;
    give_endpoint(store, app.id, bot, key).await?;
    Ok(source)
}

/// The source of a simulated number.
pub(super) fn whatsapp_source(
    store: &Store,
    app: AppId,
    platform: &WhatsApp,
    [app_secret, verify_token, access_token]: [Secret; 3],
) -> Source {
    let secret = |role, secret| SourceSecret { role, key: Key::current(secret) };
    let settings = [("api_base".to_owned(), serde_json::Value::from(platform.api_base()))];
    Source {
        id: store.fresh_id(),
        app,
        platform: WHATSAPP.to_owned(),
        name: "simulated".to_owned(),
        path: None,
        secrets: vec![
            secret(SecretRole::Signing, app_secret),
            secret(SecretRole::VerifyToken, verify_token),
            secret(SecretRole::AccessToken, access_token),
        ],
        settings: Settings::new(settings.into_iter().collect()),
        unknown_accounts: UnknownAccounts::Adopt,
        allowed_networks: Vec::new(),
        rate_per_second: None,
        watchdog: model::watch::Watchdog::Off,
    }
}

/// The bot's endpoint, which wants to hear of messages.
async fn give_endpoint(store: &Store, app: AppId, bot: &Bot, key: Secret) -> anyhow::Result<()> {
    let mut endpoint = Endpoint::new(store.fresh_id(), app, bot.url());
    endpoint.name = "bot".to_owned();
    endpoint.subscription.types = EventPattern::new("message.*").into_iter().collect();
    endpoint.keys = vec![Key::current(key)];
    endpoint.allow_http = true;
    Ok(store.endpoints().save(endpoint).await?)
}

/// A folder that goes with the demo.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn fresh() -> Folder {
        let name = format!("gancho-demo-{}-{}", std::process::id(), Clock::System.now().as_millis());
        Folder(Path::new(&std::env::temp_dir()).join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind at worst: it is a temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
