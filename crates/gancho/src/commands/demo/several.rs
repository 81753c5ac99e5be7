//! A conversation on each of several platforms at once, through one gateway and one bot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use model::access::App;
use model::id::AppId;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use model::time::Clock;
use model::watch::Watchdog;
use serde_json::{Value, json};
use simulator::bot::Attempt;
use simulator::chats::PLATFORMS;
use simulator::sender::Sender;
use simulator::whatsapp;
use simulator::{Bot, Chats, Replies, WhatsApp};
use store::Store;

use super::{Folder, WHATSAPP, config, give_endpoint, taken, text_of};
use crate::app::{self, Signals, World};
use crate::cli::DemoArgs;
use crate::words::Words;

/// How long each message may take, on top of the rest: some platforms take one a second in a chat.
const PATIENCE_A_MESSAGE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
/// What is told of a reply on WhatsApp, besides that it was taken.
const STEPS: [&str; 3] = ["message.sent", "message.delivered", "message.read"];
const TAKEN: &str = "message.accepted";
const VERIFY_TOKEN: &str = "demo-verify-token";
const CUSTOMER: &str = "5215512345678";
/// What Twilio calls the account, and the host that it believes to call.
const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789abcdef";
const ORIGIN: &str = "https://gw.example";

/// Shows it. With `once` it ends; otherwise the gateway stays open until it is asked to end.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub(super) async fn run(args: &DemoArgs, words: &Words) -> anyhow::Result<()> {
    let platforms = named(&args.platform, words)?;
    let signals = Signals::listen()?;
    let stage = Stage::set(args, &platforms).await?;
    println!("{}", words.demo_begins_on(&stage.address(), &platforms));
    stage.play(args.messages as usize, words).await?;
    if !args.once {
        println!("{}", words.demo_stays(&stage.address(), stage.token.expose()));
        signals.asked().await;
    }
    stage.app.stop().await;
    drop(stage.folder);
    Ok(())
}

/// Every platform that was named, once.
fn named(wanted: &[String], words: &Words) -> anyhow::Result<Vec<&'static str>> {
    let known: Vec<&'static str> = [WHATSAPP].into_iter().chain(PLATFORMS).collect();
    if wanted.iter().any(|name| name == "all") {
        return Ok(known);
    }
    if let Some(name) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("{}", words.demo_unknown(name, &known));
    }
    Ok(known.into_iter().filter(|known| wanted.iter().any(|name| name == known)).collect())
}

/// Everything that takes part.
struct Stage {
    app: app::App,
    whatsapp: WhatsApp,
    chats: Chats,
    bot: Bot,
    token: Secret,
    folder: Folder,
    platforms: Vec<&'static str>,
}

/// What was heard on one platform.
struct Heard {
    texts: Vec<String>,
    steps: Vec<String>,
}

impl Stage {
    async fn set(args: &DemoArgs, platforms: &[&'static str]) -> anyhow::Result<Stage> {
        let world = World::real();
        let secret = |prefix: &str| Secret::new(format!("{prefix}{}", world.random.base62(32)));
        let (app_secret, token) = (secret("app-"), secret("demo-"));
        // A bot's token begins with its number; it opens the APIs of all.
        let access_token = secret("123456:");
        let folder = Folder::fresh();
        let config = config(&folder, &token, args.once)?;
        let seed = u64::from_be_bytes(world.random.bytes());
        let settings = whatsapp::Settings::new(app_secret.clone(), access_token.clone(), seed, Clock::System);
        let whatsapp = WhatsApp::start(settings).await.context("the simulated platform cannot start")?;
        let chats =
            Chats::start(access_token.clone()).await.context("the simulated platforms cannot start")?;
        let key = delivery::signature::fresh_secret(&world.random.bytes::<32>());
        let bot = Bot::start(Some(key.clone()), Clock::System).await.context("the bot cannot start")?;
        // Discord's is the seed of a key pair, in hexadecimal; any other platform takes it as it is.
        let proof = Secret::new(hex::encode(world.random.bytes::<32>()));
        let app = app::App::start(&config, world).await?;
        let stage = Stage { app, whatsapp, chats, bot, token, folder, platforms: platforms.to_vec() };
        let store = stage.app.store();
        let owner = App { id: store.fresh_id(), name: "demo".to_owned() };
        store.access().save_app(owner.clone()).await?;
        for platform in platforms {
            stage.furnish(store, owner.id, platform, [&app_secret, &proof, &access_token]).await?;
        }
        give_endpoint(store, owner.id, &stage.bot, key).await?;
        stage.let_answer();
        Ok(stage)
    }

    fn address(&self) -> String {
        format!("http://{}", self.app.address())
    }

    /// The bot answers in the conversation that it is told of.
    fn let_answer(&self) {
        let url = format!("{}/v1/messages", self.address());
        self.bot.replies_with(Some(Replies::composed(url, self.token.clone(), |attempt| {
            let body = attempt.body.as_ref()?;
            let words = format!("¡Hola! ({})", body["data"]["message"]["text"].as_str()?);
            let conversation = &body["context"]["conversation"];
            Some(json!({ "conversation": conversation, "type": "text", "text": { "body": words } }))
        })));
    }

    /// A source of a platform, and the platform's way to it.
    async fn furnish(
        &self,
        store: &Store,
        app: AppId,
        platform: &str,
        [app_secret, proof, access_token]: [&Secret; 3],
    ) -> anyhow::Result<()> {
        let is_whatsapp = platform == WHATSAPP;
        let api_base = if is_whatsapp { self.whatsapp.api_base() } else { self.chats.url() };
        let mut settings = settings_of(platform);
        settings["api_base"] = json!(api_base);
        // A bot of Viber has one token for everything.
        let proof = if platform == "viber" { access_token } else { proof };
        let plain = Settings::new(settings_of(platform).as_object().cloned().unwrap_or_default());
        let role = (platform == "dialog360").then_some(SecretRole::Signing);
        let sender = (!is_whatsapp).then(|| Sender::of(platform, proof.clone(), plain, role)).transpose()?;
        let signing = sender.as_ref().and_then(Sender::public_key).unwrap_or(proof);
        let signing = if is_whatsapp { app_secret } else { signing };
        let secrets = [
            (SecretRole::Signing, signing.clone()),
            (SecretRole::Credential, proof.clone()),
            (SecretRole::VerifyToken, Secret::new(VERIFY_TOKEN)),
            (SecretRole::AccessToken, access_token.clone()),
        ];
        let source = source(store, app, platform, (settings, secrets.to_vec()));
        store.sources().save(source.clone()).await?;
        let url = format!("{}/in/{}", self.address(), source.id);
        match sender {
            Some(sender) => self.chats.webhooks_to(&url, sender, Clock::System)?,
            None if self.whatsapp.subscribes(&url, VERIFY_TOKEN).await => {}
            None => bail!("the platform's check of the URL was not answered"),
        }
        Ok(())
    }

    /// Lets a customer write on each platform in turn, and waits until all that is to come has come.
    #[allow(clippy::print_stdout, reason = "what the user asked to see")]
    async fn play(&self, count: usize, words: &Words) -> anyhow::Result<()> {
        for number in 1..=count {
            for platform in &self.platforms {
                let text = format!("hola {number}");
                let latency = self.says(platform, &text).await?;
                println!("{}", words.demo_acknowledged_on(platform, &text, latency));
            }
        }
        let wanted: usize = self.platforms.iter().map(|one| count * (2 + self.steps_of(one).len())).sum();
        let complete = |attempts: &[Arc<Attempt>]| taken(attempts).count() >= wanted;
        let patience = PATIENCE + PATIENCE_A_MESSAGE * u32::try_from(count).unwrap_or(u32::MAX);
        let is_complete = self.bot.wait_until(patience, complete).await.is_ok();
        let attempts = self.bot.attempts();
        if !is_complete {
            let last = self.bot.replied().last().map(|reply| (reply.status, reply.answer.clone()));
            let arrived = taken(&attempts).count();
            bail!(
                "only {arrived} of {wanted} events arrived in {patience:?}; the last reply was answered {last:?}"
            );
        }
        for attempt in taken(&attempts) {
            println!("{}", words.demo_delivered_on(platform_of(attempt).unwrap_or("?"), attempt));
        }
        self.verify(&attempts, count, words)
    }

    async fn says(&self, platform: &str, text: &str) -> anyhow::Result<Duration> {
        if platform == WHATSAPP {
            let answered = self.whatsapp.customer("Ana", CUSTOMER).says(text).await;
            let failure = answered.failure.clone().unwrap_or_default();
            anyhow::ensure!(answered.is_acknowledged(), "{text} was not acknowledged: {failure}");
            return Ok(answered.latency);
        }
        let customer =
            self.chats.customer(platform, "Ana").context("the platform has a way to the gateway")?;
        let answered = customer.says(text).await?;
        anyhow::ensure!(
            answered.is_acknowledged(),
            "{text} was not acknowledged on {platform}: {}",
            answered.words
        );
        Ok(answered.latency)
    }

    fn steps_of(&self, platform: &str) -> Vec<String> {
        if platform == WHATSAPP { STEPS.map(str::to_owned).to_vec() } else { self.chats.steps_of(platform) }
    }

    /// On each platform everything exactly once, in order, and for each message one reply with the steps that the platform tells.
    #[allow(clippy::print_stdout, reason = "what the user asked to see")]
    fn verify(&self, attempts: &[Arc<Attempt>], count: usize, words: &Words) -> anyhow::Result<()> {
        let ids: Vec<&str> = taken(attempts).filter_map(|attempt| attempt.id.as_deref()).collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        anyhow::ensure!(ids.len() == distinct.len(), "an event was delivered twice");
        anyhow::ensure!(attempts.iter().all(|attempt| attempt.genuine), "a signature was wrong");
        let replies = self.whatsapp.sends().len() + self.chats.count();
        let all = self.platforms.len() * count;
        anyhow::ensure!(replies == all, "{replies} replies reached the platforms, not {all}");
        println!("\n{}", words.demo_table());
        let mut steps_in_all = 0;
        for platform in &self.platforms {
            let heard = heard_on(attempts, platform);
            let before = if *platform == "discord" { "/di texto:" } else { "" };
            let expected: Vec<String> = (1..=count).map(|number| format!("{before}hola {number}")).collect();
            anyhow::ensure!(heard.texts == expected, "the messages of {platform} came as {:?}", heard.texts);
            for step in [TAKEN.to_owned()].into_iter().chain(self.steps_of(platform)) {
                let told = heard.steps.iter().filter(|one| **one == step).count();
                anyhow::ensure!(told == count, "{told} of {count} replies on {platform} told {step}");
            }
            steps_in_all += heard.steps.len();
            println!("{}", words.demo_row(platform, heard.texts.len(), count, heard.steps.len()));
        }
        println!("\n{}", words.demo_ends(all, replies, steps_in_all));
        Ok(())
    }
}

/// What a source of a platform has to know besides where the API is.
fn settings_of(platform: &str) -> Value {
    match platform {
        "viber" => json!({ "sender_name": "Tienda" }),
        "twilio" => json!({ "public_url": ORIGIN, "account_sid": ACCOUNT_SID }),
        _ => json!({}),
    }
}

fn source(
    store: &Store,
    app: AppId,
    platform: &str,
    (settings, secrets): (Value, Vec<(SecretRole, Secret)>),
) -> Source {
    let held = |(role, secret)| SourceSecret { role, key: Key::current(secret) };
    Source {
        id: store.fresh_id(),
        app,
        platform: platform.to_owned(),
        name: "demo".to_owned(),
        path: None,
        secrets: secrets.into_iter().map(held).collect(),
        settings: Settings::new(settings.as_object().cloned().unwrap_or_default()),
        unknown_accounts: UnknownAccounts::Adopt,
        allowed_networks: Vec::new(),
        rate_per_second: None,
        watchdog: Watchdog::Off,
    }
}

fn platform_of(attempt: &Attempt) -> Option<&str> {
    attempt.body.as_ref()?.pointer("/context/platform")?.as_str()
}

fn heard_on(attempts: &[Arc<Attempt>], platform: &str) -> Heard {
    let of_it = || taken(attempts).filter(|attempt| platform_of(attempt) == Some(platform));
    let is_step = |attempt: &&Attempt| {
        let body = attempt.body.as_ref();
        body.is_some_and(|body| body.pointer("/data/status").is_some())
    };
    let steps = of_it().filter(is_step).filter_map(|attempt| attempt.event_type.clone());
    Heard { texts: of_it().filter_map(text_of).collect(), steps: steps.collect() }
}
