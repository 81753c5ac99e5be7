//! Somebody develops a bot with no account anywhere: `gancho simulate` plays the platform, and a page shows what came of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::secret::Secret;
use model::time::Clock;
use platforms::proof::{Hash, mac};
use serde_json::json;
use simulator::{Bot, Replies};
use testkit::sender::{Answer, client, get, send};

const PATIENCE: Duration = Duration::from_secs(30);
const FORM: &str = "application/x-www-form-urlencoded";

/// A simulation in a process of its own.
struct Simulation {
    child: Child,
    page: String,
    secret: Secret,
    api: String,
    token: Secret,
}

impl Simulation {
    /// Starts it and reads what it says that somebody needs.
    fn start(platform: &str, bot: &str) -> anyhow::Result<Simulation> {
        Simulation::start_in(platform, bot, "standard")
    }

    fn start_in(platform: &str, bot: &str, format: &str) -> anyhow::Result<Simulation> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gancho"))
            .args(["simulate", "--listen", "127.0.0.1:0", "--platform", platform, "--url", bot])
            .args(["--format", format])
            .env("GANCHO_LANGUAGE", "en")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("it says something")?).lines();
        let mut told = |name: &str| -> anyhow::Result<String> {
            for line in lines.by_ref() {
                if let Some(value) = line?.trim().strip_prefix(name) {
                    return Ok(value.trim().to_owned());
                }
            }
            anyhow::bail!("it ended without saying its {name}")
        };
        let (page, secret) = (told("page")?, Secret::new(told("endpoint secret")?));
        let (api, token) = (told("gateway's API")?, Secret::new(told("API token")?));
        // Whoever stops listening before somebody has finished breaks their pipe.
        told("Ctrl-C")?;
        Ok(Simulation { child, page, secret, api, token })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.page.trim_end_matches('/'))
    }

    /// Lets the bot verify with the endpoint's secret, and answer through the API.
    fn befriend(&self, bot: &Bot) {
        bot.expects(Some(self.secret.clone()));
        let url = format!("{}/messages", self.api);
        bot.replies_with(Some(Replies::composed(url, self.token.clone(), |attempt| {
            let event = attempt.body.as_ref()?;
            let words = format!("You said: {}", event["data"]["message"]["text"].as_str()?);
            let conversation = &event["context"]["conversation"];
            Some(json!({ "conversation": conversation, "type": "text", "text": { "body": words } }))
        })));
    }

    async fn form_token(&self) -> anyhow::Result<String> {
        let html = text(&get(&self.page, &[]).await?);
        let token = html.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        Ok(token.context("the form holds a token")?.to_owned())
    }

    async fn says(&self, form: &[(&str, &str)], headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut all = vec![("content-type", FORM)];
        all.extend(headers);
        send(&client(), Method::POST, &self.at("/messages"), &all, Bytes::from(body)).await
    }

    /// Reads the stream until everything has come, and gives what did.
    async fn hears(&self, all: &[&str]) -> anyhow::Result<String> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let answer = client.get(self.at("/stream").parse()?).await?;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut body = answer.into_body();
        let mut heard = String::new();
        let listening = async {
            while !all.iter().all(|part| heard.contains(part)) {
                let frame = body.frame().await.context("the stream goes on")??;
                heard.push_str(&String::from_utf8_lossy(frame.data_ref().context("it is data")?));
            }
            anyhow::Ok(())
        };
        let outcome = tokio::time::timeout(PATIENCE, listening).await;
        outcome.with_context(|| format!("{all:?} did not all come: {heard}"))??;
        Ok(heard)
    }
}

impl Simulation {
    /// Asks it to end and waits; says whether it ended well.
    fn end(&mut self) -> std::io::Result<bool> {
        // What has ended is asked no more: its number may be somebody else's by now.
        if let Some(status) = self.child.try_wait()? {
            return Ok(status.success());
        }
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        Ok(self.child.wait()?.success())
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // It removes its folder only if it is asked to end.
        let _ = self.end();
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_writes_on_the_page_and_sees_whether_the_bots_answers_were_read_or_failed()
-> anyhow::Result<()> {
    let bot = Bot::start(None, Clock::System).await?;
    let mut simulation = Simulation::start("whatsapp", &bot.url())?;
    simulation.befriend(&bot);
    let token = simulation.form_token().await?;
    let form = [("token", token.as_str()), ("name", "Zoë <i>"), ("text", "open \"today\"? <b>")];
    let answer = simulation.says(&form, &[]).await?;
    assert_eq!(
        (answer.status, &answer.headers["location"]),
        (303, &http::HeaderValue::from_static("/#text"))
    );
    let said = "open &quot;today&quot;? &lt;b&gt;";
    let replied = format!("You said: {said}");
    let heard =
        simulation.hears(&[said, &replied, "your bot took it", ">read</span>", "Zoë &lt;i&gt;"]).await?;
    assert!(heard.starts_with("retry: "), "{heard}");
    let html = text(&get(&simulation.page, &[]).await?);
    for shown in [said, replied.as_str(), "your bot took it", ">read</span>", "value=\"Zoë &lt;i&gt;\""] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    let spanish = text(&get(&simulation.page, &[("accept-language", "es-MX,en;q=0.5")]).await?);
    assert!(spanish.contains("tu bot lo aceptó") && spanish.contains(">leído</span>"), "{spanish}");
    assert!(
        bot.attempts().iter().all(|attempt| attempt.genuine),
        "the secret that was printed is the endpoint's"
    );
    assert!(simulation.end()?, "it ends when it is asked to");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_does_not_take_it_is_shown_with_its_status_until_it_does() -> anyhow::Result<()> {
    let bot = Bot::start(None, Clock::System).await?;
    let simulation = Simulation::start("telegram", &bot.url())?;
    simulation.befriend(&bot);
    bot.fails_next(2);
    let token = simulation.form_token().await?;
    let form = [("token", token.as_str()), ("text", "hola")];
    // The script wants words only, and nothing where all is well.
    assert_eq!(simulation.says(&form, &[("accept", "text/plain")]).await?.status, 204);
    let heard =
        simulation.hears(&["did not take it", "500 · attempt", "took it", ">accepted</span>"]).await?;
    assert!(heard.contains("You said: hola"), "{heard}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_was_written_for_the_platform_gets_what_the_platform_would_send() -> anyhow::Result<()> {
    let bot = Bot::start(None, Clock::System).await?;
    let simulation = Simulation::start_in("whatsapp", &bot.url(), "platform")?;
    let token = simulation.form_token().await?;
    assert_eq!(simulation.says(&[("token", token.as_str()), ("text", "hola")], &[]).await?.status, 303);
    let attempts = bot.wait_for(1, PATIENCE).await?;
    let body = attempts[0].body.as_ref().context("it is JSON")?;
    assert_eq!(body["object"], "whatsapp_business_account");
    assert_eq!(body["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"], "hola");
    let key = simulation.secret.expose().as_bytes();
    let signature = format!("sha256={}", hex::encode(mac(Hash::Sha256, key, &[&attempts[0].raw])));
    assert_eq!(attempts[0].headers["x-hub-signature-256"], signature);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_by_another_name_or_from_another_page_is_refused() -> anyhow::Result<()> {
    let bot = Bot::start(None, Clock::System).await?;
    let simulation = Simulation::start("whatsapp", &bot.url())?;
    let page = get(&simulation.page, &[]).await?;
    let policy = page.headers["content-security-policy"].to_str()?;
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    for path in ["/", "/stream", "/simulate.js"] {
        let refused = get(&simulation.at(path), &[("host", "evil.example")]).await?;
        assert_eq!(refused.status, 421, "{path}");
        assert!(!text(&refused).contains("token"), "{path}");
    }
    let token = simulation.form_token().await?;
    let form = [("token", token.as_str()), ("text", "hola")];
    let foreign: [&[(&str, &str)]; 3] =
        [&[("origin", "http://evil.example")], &[("origin", "null")], &[("sec-fetch-site", "cross-site")]];
    for headers in foreign {
        assert_eq!(simulation.says(&form, headers).await?.status, 403, "{headers:?}");
        assert_eq!(get(&simulation.at("/stream"), headers).await?.status, 403, "{headers:?}");
    }
    for form in [vec![("text", "hola")], vec![("token", "guessed"), ("text", "hola")]] {
        assert_eq!(simulation.says(&form, &[]).await?.status, 403, "without the form's token");
    }
    let long = "x".repeat(4097);
    for unfit in ["", " \r\n ", long.as_str()] {
        let refused = simulation.says(&[("token", &token), ("text", unfit)], &[]).await?;
        assert!(refused.status == 422 && text(&refused).contains("1 to 4,096"), "{}", unfit.len());
    }
    assert!(bot.attempts().is_empty(), "nothing of it was said");
    let origin = simulation.page.trim_end_matches('/').to_owned();
    let ours = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(simulation.says(&form, &ours).await?.status, 303, "the page's own form");
    Ok(())
}

#[test]
fn a_bot_that_is_not_on_this_machine_needs_https_and_a_platform_must_be_known() -> anyhow::Result<()> {
    let refused = |arguments: [&str; 2], language: &str| -> anyhow::Result<String> {
        let mut run = Command::new(env!("CARGO_BIN_EXE_gancho"));
        let run = run.args(["simulate", "--listen", "127.0.0.1:0"]).args(arguments);
        let ended = run.env("GANCHO_LANGUAGE", language).output()?;
        anyhow::ensure!(!ended.status.success(), "it did not start");
        Ok(String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    assert!(refused(["--url", "http://bot.example/hook"], "en")?.contains("cannot be the URL of your bot"));
    assert!(refused(["--url", "http://bot.example/hook"], "es")?.contains("no puede ser la URL de tu bot"));
    assert!(refused(["--platform", "pigeon"], "en")?.contains("these can: whatsapp"));
    Ok(())
}
