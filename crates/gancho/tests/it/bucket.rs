//! Files in a bucket: `moto` proves every request of ours as AWS does, and `boto3` finds what we have put there.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use model::access::App;
use serde_json::Value;
use testkit::place::{Engine, Place, tool};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::scene::open;
use testkit::sender::{Answer, client, send};

/// A bucket, in a process of its own.
struct Bucket {
    process: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    told: Value,
}

impl Bucket {
    fn start() -> anyhow::Result<Option<Bucket>> {
        let Some(python) = tool("GANCHO_TEST_PYTHON")? else { return Ok(None) };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/bucket.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let ask = process.stdin.take().context("its input is piped")?;
        let mut answers = BufReader::new(process.stdout.take().context("its output is piped")?).lines();
        let told = serde_json::from_str(&answers.next().context("the bucket did not start")??)?;
        Ok(Some(Bucket { process, ask, answers, told }))
    }

    fn told(&self, name: &str) -> String {
        self.told[name].as_str().unwrap_or_default().to_owned()
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<Value> {
        writeln!(self.ask, "{question}")?;
        Ok(serde_json::from_str(&self.answers.next().context("the bucket has ended")??)?)
    }

    /// A gateway that keeps its files there, with this key.
    async fn before(&self, place: &Place, secret: &str) -> anyhow::Result<Gancho> {
        let url = format!("s3://{}/files", self.told("bucket"));
        let (endpoint, key_id) = (self.told("endpoint"), self.told("key_id"));
        let more = [
            ("GANCHO_FILES", url.as_str()),
            ("GANCHO_FILES_S3_ENDPOINT", endpoint.as_str()),
            ("GANCHO_FILES_S3_KEY_ID", key_id.as_str()),
            ("GANCHO_FILES_S3_SECRET", secret),
        ];
        Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), place, free_address()?, &more).await
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // Its input ends with us anyway.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn ask(
    gancho: &Gancho,
    method: Method,
    path: &str,
    range: &str,
    body: Bytes,
) -> anyhow::Result<Answer> {
    let (url, bearer) = (format!("http://{}{path}", gancho.address), format!("Bearer {ADMIN_TOKEN}"));
    send(&client(), method, &url, &[("authorization", &bearer), ("range", range)], body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_into_a_bucket_had_from_it_and_removed() -> anyhow::Result<()> {
    let Some(mut bucket) = Bucket::start()? else { return Ok(()) };
    let Some(place) = Place::fresh(Engine::Sqlite).await? else { return Ok(()) };
    let store = open(&place).await?;
    store.access().save_app(App { id: store.fresh_id(), name: "story".to_owned() }).await?;
    drop(store);
    // Large enough for three parts.
    let film: Bytes = (0..12_000_000_usize).map(|at| ((at * 7919) >> 5) as u8).collect();
    let wrong = bucket.before(&place, "another-key").await?;
    let refused = ask(&wrong, Method::POST, "/v1/files", "", film.slice(..10)).await?;
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    anyhow::ensure!(wrong.stop().await?, "it ends well");

    let gancho = bucket.before(&place, &bucket.told("secret")).await?;
    for (count, parts) in [(12_000_000, "several parts"), (10, "one"), (0, "none")] {
        let stored = ask(&gancho, Method::POST, "/v1/files", "", film.slice(..count)).await?;
        assert_eq!(stored.status, 201, "{parts}: {:?}", stored.body);
        let file: Value = serde_json::from_slice(&stored.body)?;
        let (id, made) =
            (file["id"].as_str().unwrap_or_default(), file["created_at"].as_str().unwrap_or_default());
        let found = bucket.ask(&format!("files/{}/{id}", &made[..10]))?;
        assert_eq!((&found["bytes"], &found["sha256"]), (&file["bytes"], &file["sha256"]), "{parts}");
        let path = format!("/v1/files/{id}");
        let had = ask(&gancho, Method::GET, &format!("{path}/content"), "", Bytes::new()).await?;
        assert!(had.status == 200 && had.body == film.slice(..count), "{parts}");
        if count > 100 {
            let range = "bytes=11999990-";
            let end = ask(&gancho, Method::GET, &format!("{path}/content"), range, Bytes::new()).await?;
            assert_eq!((end.status, end.body), (206, film.slice(11_999_990..)));
        }
        assert_eq!(ask(&gancho, Method::DELETE, &path, "", Bytes::new()).await?.status, 204);
        assert_eq!(bucket.ask("list")?, serde_json::json!([]), "nothing is left of it");
    }
    anyhow::ensure!(gancho.stop().await?, "it ends well");
    Ok(())
}
