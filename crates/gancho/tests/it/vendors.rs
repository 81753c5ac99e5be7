//! The platforms' own libraries agree with our adapters: what they sign is taken, what we sign is accepted.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use model::id::{AppId, SourceId};
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret};
use model::time::Timestamp;
use platforms::http::Incoming;
use platforms::platform::ToSign;
use platforms::registry;
use serde_json::{Value, json};
use testkit::place::tool;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const ORIGIN: &str = "https://gw.example";
const SECRET: &str = "a secret of ours";
/// What Standard Webhooks wants: a key in base64.
const WHSEC: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
/// Bodies that have tripped people up: escapes, spaces, letters beyond ASCII, names that are there twice.
const JSON_BODY: &str = "{\"type\": \"event\", \"id\":\"Ev1\", \"text\":\"\\u00f1 \u{f1} \u{1f426}\"}\n";
const FORM_BODY: &str =
    "To=whatsapp%3A%2B1555&Body=%C2%BFa+b%26c%3F&Body=%C2%BFa+b%26c%3F&Empty=&A=2&A=1&MessageSid=SM1";

/// The libraries, in a process of their own.
struct Vendors {
    process: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Vendors {
    fn start() -> anyhow::Result<Option<Vendors>> {
        let Some(python) = tool("GANCHO_TEST_PYTHON")? else { return Ok(None) };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/platforms.py");
        let mut command = Command::new(python);
        let mut process = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let ask = process.stdin.take().context("its input is piped")?;
        let answers = BufReader::new(process.stdout.take().context("its output is piped")?).lines();
        Ok(Some(Vendors { process, ask, answers }))
    }

    fn asked(&mut self, question: &Value) -> anyhow::Result<String> {
        writeln!(self.ask, "{question}")?;
        self.answers.next().context("the libraries have ended")?.context("no answer")
    }

    fn sign(&mut self, platform: &str, body: &str, path: &str) -> anyhow::Result<Vec<(String, String)>> {
        let question = json!({ "do": "sign", "platform": platform, "secret": secret_of(platform), "body": body,
            "url": format!("{ORIGIN}{path}"), "time": NOW.as_secs().to_string() });
        let headers: serde_json::Map<String, Value> = serde_json::from_str(&self.asked(&question)?)?;
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        Ok(headers.into_iter().map(|(name, value)| (name, text(value))).collect())
    }

    fn accept(
        &mut self,
        platform: &str,
        secret: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> anyhow::Result<bool> {
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let question = json!({ "do": "verify", "platform": platform, "secret": secret, "body": body,
            "headers": headers, "time": NOW.as_secs().to_string() });
        Ok(self.asked(&question)? == "ok")
    }
}

impl Drop for Vendors {
    fn drop(&mut self) {
        // Its input ends with us anyway.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn secret_of(platform: &str) -> &'static str {
    if platform == "standard_webhooks" { WHSEC } else { SECRET }
}

fn source(platform: &str, secret: &str) -> Source {
    let settings = if platform == "twilio" { json!({ "public_url": ORIGIN }) } else { json!({}) };
    let held = |role| SourceSecret { role, key: Key::current(Secret::new(secret)) };
    Source {
        secrets: vec![held(SecretRole::Signing), held(SecretRole::AccessToken)],
        settings: Settings::new(settings.as_object().cloned().unwrap_or_default()),
        ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), platform)
    }
}

fn takes(source: &Source, headers: &[(String, String)], (body, path): (&str, &str)) -> bool {
    let kind = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
    let mut shown = HeaderMap::new();
    shown.insert(http::header::CONTENT_TYPE, kind.parse().expect("a value"));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        shown.insert(name, value.parse().expect("a header's value"));
    }
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let request = Incoming {
        method: Method::POST,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: shown,
        body: Bytes::copy_from_slice(body.as_bytes()),
        received_at: NOW,
    };
    registry::find(&source.platform).expect("a platform").verify(source, &request).is_ok()
}

#[test]
fn what_the_platforms_libraries_sign_is_taken_and_nothing_that_was_altered() -> anyhow::Result<()> {
    let Some(mut vendors) = Vendors::start()? else { return Ok(()) };
    let path = "/in/src_1?a=1&b=%2F";
    for (platform, body) in [
        ("twilio", FORM_BODY),
        ("slack", JSON_BODY),
        ("slack", FORM_BODY),
        ("stripe", JSON_BODY),
        ("standard_webhooks", JSON_BODY),
    ] {
        let headers = vendors.sign(platform, body, path)?;
        let source = source(platform, secret_of(platform));
        assert!(takes(&source, &headers, (body, path)), "{platform} {headers:?}");
        let altered = body.replacen('E', "e", 1);
        assert!(!takes(&source, &headers, (&altered, path)), "{platform} altered");
    }
    Ok(())
}

#[test]
fn what_we_sign_is_accepted_by_the_platforms_libraries_and_nothing_that_was_altered() -> anyhow::Result<()> {
    let Some(mut vendors) = Vendors::start()? else { return Ok(()) };
    for platform in ["slack", "line", "viber", "stripe"] {
        let key = Secret::new(SECRET);
        let what = ToSign { keys: &[&key], id: "evt_1", body: JSON_BODY.as_bytes(), now: NOW };
        let adapter = registry::find(platform).context("a platform")?;
        let headers = adapter.sign(&source(platform, SECRET), &what);
        assert!(vendors.accept(platform, SECRET, &headers, JSON_BODY)?, "{platform} {headers:?}");
        let altered = JSON_BODY.replacen('E', "e", 1);
        assert!(!vendors.accept(platform, SECRET, &headers, &altered)?, "{platform} altered");
    }
    Ok(())
}

#[test]
fn discords_library_and_we_take_the_same_requests() -> anyhow::Result<()> {
    let Some(mut vendors) = Vendors::start()? else { return Ok(()) };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32])?;
    let key = hex::encode(pair.public_key().as_ref());
    let time = NOW.as_secs().to_string();
    let signature = hex::encode(pair.sign(format!("{time}{JSON_BODY}").as_bytes()).as_ref());
    let headers = [("x-signature-ed25519".to_owned(), signature), ("x-signature-timestamp".to_owned(), time)];
    let source = source("discord", &key);
    for (body, is_genuine) in [(JSON_BODY, true), (&JSON_BODY.replacen('E', "e", 1), false)] {
        assert_eq!(vendors.accept("discord", &key, &headers, body)?, is_genuine, "{body}");
        assert_eq!(takes(&source, &headers, (body, "/in/src_1")), is_genuine, "{body}");
    }
    Ok(())
}
