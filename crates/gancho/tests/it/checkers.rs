//! Other people's checkers say whether the API does what its document says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::place::{Engine, tool};
use testkit::process::ADMIN_TOKEN;

use crate::story::Story;

const PATIENCE: Duration = Duration::from_secs(30);
/// How many requests of each kind are made up for each operation: its edges are tried whatever this says.
const EXAMPLES: &str = "5";

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_valid_and_the_api_keeps_to_it() -> anyhow::Result<()> {
    let Some(python) = tool("GANCHO_TEST_PYTHON")? else { return Ok(()) };
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    for n in 0..5 {
        story.receives(&format!("wamid.C{n}"), n, "hola").await?;
    }
    assert!(story.receiver.wait(PATIENCE, |came| came.len() >= 5).await, "there is something to find");

    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    says_yes(Command::new(beside(&python, "openapi-spec-validator")).arg(document)).await?;

    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/schemathesis.toml");
    let mut schemathesis = Command::new(beside(&python, "schemathesis"));
    schemathesis
        .arg("--config-file")
        .arg(settings)
        .arg("run")
        .arg(format!("http://{}/openapi.json", story.gancho.address))
        .args(["-H", &format!("Authorization: Bearer {ADMIN_TOKEN}"), "--checks", "all", "--no-color"])
        .args(["-n", EXAMPLES, "--suppress-health-check", "all", "--generation-database", "none"])
        .args(["--warnings", "off"]);
    says_yes(&mut schemathesis).await?;
    assert!(story.gancho.stop().await?, "it ends well");
    Ok(())
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
