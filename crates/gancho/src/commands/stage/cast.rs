//! Who is on the stage: simulated platforms, each with a source in the gateway, and a person who writes on it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use model::id::SourceId;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret};
use model::time::Clock;
use platforms::registry;
use serde_json::{Value, json};
use simulator::switches::Step;
use simulator::{Chats, Sender, WhatsApp, chats, whatsapp};

use super::Stage;

/// The platform that is played in every detail, and the first that is thought of.
pub const WHATSAPP: &str = "whatsapp";
/// What Meta asks a URL for.
const VERIFY_TOKEN: &str = "demo-verify-token";
/// The number of the person who writes on WhatsApp.
const WA_ID: &str = "5215512345678";
/// What WhatsApp says of a message that cannot be delivered.
const UNDELIVERABLE: i64 = 131_026;
/// Twilio's name of the account, and the host that it believes it calls.
const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789abcdef";
const ORIGIN: &str = "https://gateway.example";
/// What a command of Discord's puts before the text of a person.
const COMMAND: &str = "/di texto:";

/// Every platform that can be written to without an account.
pub fn platforms() -> Vec<&'static str> {
    [WHATSAPP].into_iter().chain(chats::PLATFORMS).collect()
}

/// How far a platform tells that an answer came, in order.
pub fn steps(platform: &str) -> Vec<&'static str> {
    let told: &[&str] =
        if platform == WHATSAPP { &["sent", "delivered", "read"] } else { chats::steps(platform) };
    ["accepted"].into_iter().chain(told.iter().copied()).collect()
}

/// What a person has said, by what an endpoint is told.
pub fn said(text: &str) -> &str {
    text.strip_prefix(COMMAND).unwrap_or(text)
}

/// The simulated platforms. They end when it is dropped.
pub struct Cast {
    whatsapp: Option<WhatsApp>,
    chats: Option<Chats>,
    people: BTreeMap<&'static str, Person>,
}

/// A person on one of the platforms.
#[derive(Clone)]
pub enum Person {
    /// On WhatsApp.
    WhatsApp(whatsapp::Customer),
    /// Anywhere else.
    Chat(chats::Customer),
}

/// What the gateway answered to a webhook.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Whether the platform takes it as arrived.
    pub is_acknowledged: bool,
    /// The status, or nothing where no answer came.
    pub status: Option<u16>,
    /// From the first byte sent to the last byte received.
    pub latency: Duration,
    /// Why it is not taken as arrived.
    pub words: String,
}

impl Cast {
    /// Starts the platforms, each with a source of its own, and has `name` write on them.
    pub async fn assemble(stage: &Stage, platforms: &[&'static str], name: &str) -> anyhow::Result<Cast> {
        let mut cast = Cast { whatsapp: None, chats: None, people: BTreeMap::new() };
        if platforms.contains(&WHATSAPP) {
            cast.play_whatsapp(stage).await?;
        }
        let others: Vec<&'static str> =
            platforms.iter().copied().filter(|platform| *platform != WHATSAPP).collect();
        if !others.is_empty() {
            cast.play_chats(stage, &others).await?;
        }
        for platform in platforms {
            let person = cast.person(platform, name).with_context(|| format!("nobody is on {platform}"))?;
            cast.people.insert(platform, person);
        }
        Ok(cast)
    }

    /// The person on each platform.
    pub fn people(&self) -> &BTreeMap<&'static str, Person> {
        &self.people
    }

    /// The same person on a platform, by whatever name.
    pub fn person(&self, platform: &str, name: &str) -> Option<Person> {
        match &self.whatsapp {
            Some(whatsapp) if platform == WHATSAPP => Some(Person::WhatsApp(whatsapp.customer(name, WA_ID))),
            _ => self.chats.as_ref()?.customer(platform, name).map(Person::Chat),
        }
    }

    /// How many messages reached a platform.
    pub fn replies(&self, platform: &str) -> usize {
        match &self.whatsapp {
            Some(whatsapp) if platform == WHATSAPP => whatsapp.sends().len(),
            _ => {
                let calls = self.chats.as_ref().map(Chats::calls).unwrap_or_default();
                calls.iter().filter(|call| call.platform == Some(platform)).count()
            }
        }
    }

    /// Whether a platform can be told to let messages fail.
    pub fn can_fail(&self) -> bool {
        self.whatsapp.is_some()
    }

    /// Lets messages of the gateway's fail from now on once the platform has taken them, or come through again.
    pub fn let_fail(&self, is_failing: bool) {
        let steps: &[Step] = match is_failing {
            true => &[Step::Sent, Step::Failed(UNDELIVERABLE)],
            false => &[Step::Sent, Step::Delivered, Step::Read],
        };
        if let Some(whatsapp) = &self.whatsapp {
            whatsapp.switches().statuses(steps);
        }
    }

    /// Waits until no webhook is under way or waits for another try.
    pub async fn settled(&self) {
        if let Some(whatsapp) = &self.whatsapp {
            whatsapp.settled().await;
        }
        if let Some(chats) = &self.chats {
            chats.settled().await;
        }
    }

    async fn play_whatsapp(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let (app_secret, access_token) = (stage.secret("app-"), stage.secret("access-"));
        let seed = u64::from_be_bytes(stage.bytes());
        let settings = whatsapp::Settings::new(app_secret.clone(), access_token.clone(), seed, Clock::System);
        let platform = WhatsApp::start(settings).await.context("the simulated platform cannot start")?;
        let secrets = [
            (SecretRole::Signing, app_secret),
            (SecretRole::VerifyToken, Secret::new(VERIFY_TOKEN)),
            (SecretRole::AccessToken, access_token),
        ];
        let id = source(stage, WHATSAPP, json!({ "api_base": platform.api_base() }), &secrets).await?;
        let url = format!("{}/in/{id}", stage.address());
        ensure!(
            platform.subscribes(&url, VERIFY_TOKEN).await,
            "the platform's check of the URL was not answered"
        );
        self.whatsapp = Some(platform);
        Ok(())
    }

    async fn play_chats(&mut self, stage: &Stage, platforms: &[&'static str]) -> anyhow::Result<()> {
        // A bot's token begins with its number.
        let token = stage.secret("123456:");
        let played = Chats::start(token.clone()).await.context("the simulated platforms cannot start")?;
        for platform in platforms {
            // A bot of Viber has one token for everything; of Discord's key pair it is the seed.
            let proof = match *platform {
                "viber" => token.clone(),
                _ => Secret::new(hex::encode(stage.bytes::<32>())),
            };
            let told = settings(platform);
            let role = (*platform == "dialog360").then_some(SecretRole::Signing);
            let of_source = Settings::new(told.as_object().cloned().unwrap_or_default());
            let sender = Sender::of(platform, proof.clone(), of_source, role)?;
            let signing = sender.public_key().cloned().unwrap_or_else(|| proof.clone());
            let secrets = [
                (SecretRole::Signing, signing),
                (SecretRole::Credential, proof),
                (SecretRole::VerifyToken, Secret::new(VERIFY_TOKEN)),
                (SecretRole::AccessToken, token.clone()),
            ];
            let mut told = told;
            told["api_base"] = json!(played.url());
            let id = source(stage, platform, told, &secrets).await?;
            played.webhooks_to(&format!("{}/in/{id}", stage.address()), sender, Clock::System)?;
        }
        self.chats = Some(played);
        Ok(())
    }
}

impl Person {
    /// Writes a text and waits for the gateway's answer.
    pub async fn says(&self, text: &str) -> anyhow::Result<Heard> {
        Ok(match self {
            Person::WhatsApp(customer) => {
                let answered = customer.says(text).await;
                Heard {
                    is_acknowledged: answered.is_acknowledged(),
                    status: answered.status,
                    latency: answered.latency,
                    words: answered
                        .failure
                        .unwrap_or_else(|| answered.status.unwrap_or_default().to_string()),
                }
            }
            Person::Chat(customer) => {
                let answered = customer.says(text).await?;
                Heard {
                    is_acknowledged: answered.is_acknowledged(),
                    status: answered.status,
                    latency: answered.latency,
                    words: answered.words,
                }
            }
        })
    }
}

/// What the adapter of a platform needs to know besides secrets.
fn settings(platform: &str) -> Value {
    match platform {
        "viber" => json!({ "sender_name": "Tienda" }),
        "twilio" => json!({ "public_url": ORIGIN, "account_sid": ACCOUNT_SID }),
        _ => json!({}),
    }
}

async fn source(
    stage: &Stage,
    platform: &'static str,
    settings: Value,
    secrets: &[(SecretRole, Secret)],
) -> anyhow::Result<SourceId> {
    let held = |(role, secret): &(SecretRole, Secret)| SourceSecret {
        role: *role,
        key: Key::current(secret.clone()),
    };
    let source = Source {
        secrets: secrets.iter().map(held).collect(),
        settings: Settings::new(settings.as_object().cloned().unwrap_or_default()),
        ..Source::new(stage.store().fresh_id(), stage.owner(), platform)
    };
    let known = registry::find(platform).with_context(|| format!("there is no platform {platform}"))?;
    known.check(&source).map_err(anyhow::Error::msg)?;
    stage.store().sources().save(source.clone()).await?;
    Ok(source.id)
}
