//! Signs and verifies as Standard Webhooks does, offline.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use model::id::{AppId, SourceId};
use model::secret::{Key, Secret};
use model::source::{SecretRole, Source, SourceSecret};
use model::time::{Clock, Timestamp};
use platforms::http::Incoming;
use platforms::registry;

use crate::cli::{SignArgs, VerifyArgs};
use crate::config::process_environment;

/// Where the secret is when no file is named.
const SECRET_VARIABLE: &str = "GANCHO_SIGNING_SECRET";

/// Prints the three headers.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub fn sign(args: &SignArgs) -> anyhow::Result<()> {
    let body = read(args.body.as_deref())?;
    let keys = [Key::current(secret(args.secret_file.as_deref(), SECRET_VARIABLE)?)];
    for (name, value) in delivery::signature::headers(&keys, &args.id, at(args), &body) {
        println!("{name}: {value}");
    }
    Ok(())
}

/// Verifies through the same adapter that webhooks come in by.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    let signed = &args.signed;
    let timestamp = at(signed);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("webhook-id", signed.id.clone()),
        ("webhook-timestamp", timestamp.as_secs().to_string()),
        ("webhook-signature", args.signature.clone()),
    ] {
        headers.insert(
            name,
            HeaderValue::from_str(&value).with_context(|| format!("{name} cannot be a header"))?,
        );
    }
    let incoming = Incoming {
        method: Method::POST,
        path: "/".to_owned(),
        query: None,
        headers,
        body: Bytes::from(read(signed.body.as_deref())?),
        received_at: timestamp,
    };
    let platform = registry::find("standard_webhooks").context("the adapter is always there")?;
    match platform.verify(&source(secret(signed.secret_file.as_deref(), SECRET_VARIABLE)?), &incoming) {
        Ok(_) => {
            println!("genuine");
            Ok(())
        }
        Err(rejection) => bail!("{}", rejection.0.words(model::receipt::Language::English)),
    }
}

/// The secret in a file, or in a variable of the environment where no file is named.
pub(super) fn secret(file: Option<&Path>, variable: &str) -> anyhow::Result<Secret> {
    let text = match file {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        None => process_environment(variable)
            .with_context(|| format!("no secret: set {variable} or give --secret-file"))?,
    };
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

fn source(secret: Secret) -> Source {
    let key = Key::current(secret);
    Source {
        name: String::new(),
        secrets: vec![SourceSecret { role: SecretRole::Signing, key }],
        ..Source::new(SourceId::from_raw(0), AppId::from_raw(0), "standard_webhooks")
    }
}

fn at(args: &SignArgs) -> Timestamp {
    args.timestamp.map_or_else(|| Clock::System.now(), Timestamp::from_secs)
}

fn read(path: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    match path {
        Some(path) => std::fs::read(path).with_context(|| format!("cannot read {}", path.display())),
        None => {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body).context("cannot read standard input")?;
            Ok(body)
        }
    }
}
