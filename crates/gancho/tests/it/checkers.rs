//! Other people's checkers say whether the API does what its document says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use testkit::place::{Engine, tool};
use testkit::process::ADMIN_TOKEN;
use testkit::receiver::{Manner, Receiver};
use testkit::sender::{client, send};

use crate::story::Story;

const PATIENCE: Duration = Duration::from_secs(30);
/// How many contacts have written.
const CONTACTS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_valid_and_the_api_keeps_to_it() -> anyhow::Result<()> {
    let Some(python) = tool("GANCHO_TEST_PYTHON")? else {
        testkit::announce("GANCHO_TEST_PYTHON is not set: nobody says whether the API keeps to its document");
        return Ok(());
    };
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    let refusing = Receiver::start(Manner::Answers(500)).await?;
    fill(&story, &refusing).await?;

    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    says_yes(Command::new(beside(&python, "openapi-spec-validator")).arg(document)).await?;

    let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles");
    let folder = tempfile::tempdir()?;
    let mut schemathesis = Command::new(beside(&python, "schemathesis"));
    schemathesis
        .current_dir(&folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", oracles.join("refusals.py"))
        .arg("--config-file")
        .arg(oracles.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/openapi.json", story.gancho.address))
        .args(["-H", &format!("Authorization: Bearer {ADMIN_TOKEN}"), "--checks", "all", "--no-color"])
        .args(["--suppress-health-check", "all", "--warnings", "off"]);
    says_yes(&mut schemathesis).await?;
    assert!(story.gancho.stop().await?, "it ends well");
    Ok(())
}

/// Makes something of each noun, so that there is something to find: also what was refused, what is dead, what was sent.
async fn fill(story: &Story, refusing: &Receiver) -> anyhow::Result<()> {
    let access = json!({ "role": "access_token", "secret": "story-access" });
    let api_base = json!({ "api_base": story.receiver.url() });
    let source = format!("/v1/sources/{}", story.scene.source);
    call(story, Method::POST, &format!("{source}/rotate-secret"), &access).await?;
    call(story, Method::PATCH, &source, &json!({ "settings": api_base })).await?;
    let signing = json!({ "role": "signing", "secret": "story-signing" });
    let whatzme =
        json!({ "platform": "whatzme", "name": "s", "settings": api_base, "secrets": [signing, access] });
    let whatzme = call(story, Method::POST, "/v1/sources", &whatzme).await?;
    let account = json!({ "source": whatzme["id"], "address": "5550000" });
    call(story, Method::POST, "/v1/accounts", &account).await?;
    call(story, Method::POST, "/v1/tokens", &json!({ "name": "of nobody", "role": "viewer" })).await?;
    let endpoint = json!({ "url": refusing.url(), "allow_http": true, "types": ["message.*"], "retry": [] });
    call(story, Method::POST, "/v1/endpoints", &endpoint).await?;

    let forged = send(&client(), Method::POST, &story.url, &[], Bytes::from_static(b"{}")).await?;
    anyhow::ensure!(forged.status == 401, "it proves nothing");
    for n in 0..CONTACTS {
        story.receives(&format!("wamid.C{n}"), n, "hola").await?;
    }
    let conversations = call(story, Method::GET, "/v1/conversations", &Value::Null).await?;
    for conversation in conversations["data"].as_array().into_iter().flatten() {
        let answer = json!({ "conversation": conversation["id"], "override_window": true, "type": "text", "text": { "body": "hi" } });
        call(story, Method::POST, "/v1/messages", &answer).await?;
    }
    for receiver in [&story.receiver, refusing] {
        anyhow::ensure!(
            receiver.wait(PATIENCE, |came| came.len() >= CONTACTS as usize).await,
            "it is delivered"
        );
    }
    Ok(())
}

async fn call(story: &Story, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
    let token = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let url = format!("http://{}{path}", story.gancho.address);
    let answer = send(&client(), method, &url, &headers, Bytes::from(body.to_string())).await?;
    anyhow::ensure!(answer.status < 300, "{path} was answered {}: {:?}", answer.status, answer.body);
    Ok(serde_json::from_slice(&answer.body)?)
}

/// A program that was installed with this Python.
fn beside(python: &Path, name: &str) -> PathBuf {
    python.with_file_name(name)
}

/// Runs a checker; what it found fails the test, in its own words.
async fn says_yes(checker: &mut Command) -> anyhow::Result<()> {
    let child = checker.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
    let words = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
