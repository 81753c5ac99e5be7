//! A bot developed with no account: what is written on the page comes to the bot, and what it answers is on the page, with its
//! ticks.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use testkit::process::free_address;
use testkit::receiver::{Manner, Receiver};
use testkit::sender::{client, get, send};

const PATIENCE: Duration = Duration::from_secs(30);

/// The simulation in a process of its own, and what it said of itself.
struct Simulation {
    child: Child,
    page: String,
    api: String,
    token: String,
}

impl Simulation {
    fn start(bot: &str) -> anyhow::Result<Simulation> {
        let address = free_address()?.to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gancho"));
        command.args(["simulate", "--url", bot, "--listen", &address]).env("GANCHO_LANGUAGE", "en");
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = BufReader::new(child.stdout.take().context("its output is piped")?);
        let said: Vec<String> = out.lines().take(7).collect::<Result<_, _>>()?;
        let fact = |name: &str| {
            let line = said.iter().find_map(|line| line.trim_start().strip_prefix(name));
            line.map(|value| value.trim().to_owned()).with_context(|| format!("{name}: {said:?}"))
        };
        Ok(Simulation { page: fact("page")?, api: fact("API")?, token: fact("token")?, child })
    }

    async fn shown(&self, language: &str) -> anyhow::Result<String> {
        let answer = get(&self.page, &[("accept-language", language)]).await?;
        assert_eq!(answer.status, 200);
        Ok(String::from_utf8(answer.body.to_vec())?)
    }

    async fn say(&self, form: &'static str, origin: Option<&str>) -> anyhow::Result<u16> {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let url = format!("{}say", self.page);
        Ok(send(&client(), Method::POST, &url, &headers, Bytes::from_static(form.as_bytes())).await?.status)
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // Ended already at worst.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_on_the_page_comes_to_the_bot_and_its_answer_to_the_page() -> anyhow::Result<()> {
    let bot = Receiver::start(Manner::Good).await?;
    let simulation = Simulation::start(&bot.url())?;
    assert!(simulation.shown("es-MX,es").await?.contains("Aún no se ha dicho nada"));
    assert_eq!(simulation.say("name=Luc%C3%ADa&text=%3Cb%3Ehola%3C%2Fb%3E", None).await?, 303);
    assert!(bot.wait(PATIENCE, |came| !came.is_empty()).await, "the bot was told");
    let told: serde_json::Value = serde_json::from_slice(&bot.came()[0].body)?;
    assert_eq!(told["data"]["message"]["text"], "<b>hola</b>");
    assert_eq!(told["data"]["contact"]["name"], "Lucía");

    let bearer = format!("Bearer {}", simulation.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = json!({ "conversation": told["context"]["conversation"], "type": "text", "text": { "body": "¡buenas!" } });
    let url = format!("{}/v1/messages", simulation.api);
    let answered = send(&client(), Method::POST, &url, &headers, Bytes::from(answer.to_string())).await?;
    assert_eq!(answered.status, 202, "{:?}", answered.body);
    let steps = |came: &[testkit::receiver::Came]| {
        came.iter().filter(|one| String::from_utf8_lossy(&one.body).contains("\"message.read\"")).count()
    };
    assert!(bot.wait(PATIENCE, |came| steps(came) == 1).await, "its statuses came back");
    let shown = simulation.shown("en").await?;
    assert!(
        shown.contains("Lucía") && shown.contains("&lt;b&gt;hola&lt;/b&gt;") && !shown.contains("<b>hola"),
        "{shown}"
    );
    assert!(shown.contains("the bot has it") && shown.contains("¡buenas!"), "{shown}");
    assert!(shown.contains("class=\"tick read\" role=\"img\" aria-label=\"read\""), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_elsewhere_can_neither_read_nor_write_it() -> anyhow::Result<()> {
    let bot = Receiver::start(Manner::Good).await?;
    let simulation = Simulation::start(&bot.url())?;
    assert_eq!(simulation.say("text=hola", Some("https://evil.example")).await?, 403);
    assert_eq!(get(&simulation.page, &[("host", "evil.example")]).await?.status, 421);
    assert_eq!(simulation.say("text=", None).await?, 422);
    let answer = get(&simulation.page, &[]).await?;
    let policy = answer.headers.get("content-security-policy").context("a policy")?.to_str()?;
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(bot.came().is_empty(), "nothing was written");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_fails_is_seen_to_fail() -> anyhow::Result<()> {
    let bot = Receiver::start(Manner::Answers(500)).await?;
    let simulation = Simulation::start(&bot.url())?;
    assert_eq!(simulation.say("name=Ana&text=hola", None).await?, 303);
    assert!(bot.wait(PATIENCE, |came| !came.is_empty()).await);
    let mut shown = String::new();
    // Until the attempt is recorded: the page is asked as a browser would, again and again.
    for _ in 0..500 {
        shown = simulation.shown("en").await?;
        if shown.contains("answered 500") {
            break;
        }
    }
    assert!(shown.contains("answered 500") && shown.contains("stored; not yet with the bot"), "{shown}");
    Ok(())
}
