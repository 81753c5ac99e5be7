//! What the tests of adapters share: a source, a request, and events told as JSON for snapshots.

pub(crate) mod token;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::catalogue::OURS;
use model::event::{Content, NewEvent};
use model::id::{AppId, SourceId};
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret};
use model::time::Timestamp;
use serde_json::{Value, json};

use crate::http::Incoming;
use crate::platform::{Platform, ToSign};
use crate::settings::OUR_WORDS;

/// When every request of a test comes, unless it says otherwise.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A source with these settings and current secrets.
pub(crate) fn source(platform: &str, settings: &Value, secrets: &[(SecretRole, &str)]) -> Source {
    let secret = |(role, text): &(SecretRole, &str)| SourceSecret {
        role: *role,
        key: Key::current(Secret::new(*text)),
    };
    Source {
        name: "under test".to_owned(),
        secrets: secrets.iter().map(secret).collect(),
        settings: Settings::new(settings.as_object().expect("settings are an object").clone()),
        ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), platform)
    }
}

/// A POST that comes at [`NOW`].
pub(crate) fn post(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Incoming {
    let header = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    };
    Incoming {
        method: Method::POST,
        path: "/in/src_1".to_owned(),
        query: None,
        headers: headers.iter().map(header).collect::<HeaderMap>(),
        body: body.into(),
        received_at: NOW,
    }
}

/// The headers a platform signs a body with under these keys of an endpoint, for an event `evt_1`.
pub(crate) fn signed(
    platform: &dyn Platform,
    source: &Source,
    keys: &[&str],
    body: &[u8],
    now: Timestamp,
) -> Vec<(String, String)> {
    let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
    let keys: Vec<&Secret> = keys.iter().collect();
    platform.sign(source, &ToSign { keys: &keys, id: "evt_1", body, now })
}

/// A request with the headers a platform would sign it with.
pub(crate) fn sealed(platform: &dyn Platform, source: &Source, key: &str, mut request: Incoming) -> Incoming {
    for (name, value) in signed(platform, source, &[key], &request.body, NOW) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        request.headers.insert(name, value.parse().expect("a header's value"));
    }
    request
}

/// A GET with a query, at [`NOW`].
pub(crate) fn get(query: &str) -> Incoming {
    Incoming { method: Method::GET, query: Some(query.to_owned()), ..post(&[], "") }
}

/// Events as JSON, everything the store would see of them.
pub(crate) fn told(events: &[NewEvent]) -> Value {
    events.iter().map(told_one).collect()
}

fn told_one(event: &NewEvent) -> Value {
    let name = event.event_type.as_str();
    let is_ours = OUR_WORDS.iter().any(|word| name.split('.').next() == Some(word));
    assert!(!is_ours || OURS.iter().any(|(known, _)| *known == name), "{name} is in no catalogue");
    let party = event.party.as_ref().map(|party| {
        let known: Vec<String> =
            party.identifiers.iter().map(|one| format!("{}={}", one.kind, one.value)).collect();
        json!({ "known_by": known, "name": party.name, "touch": format!("{:?}", party.touch) })
    });
    let content = match &event.content {
        Content::Body => json!("the body"),
        // As text, because its very digits and order are kept.
        Content::Raw(raw) => json!(raw.get()),
        other => serde_json::from_str(&other.to_json(None).expect("content")).expect("JSON"),
    };
    json!({
        "type": name,
        "dedupe": event.dedupe_key.as_ref().map(|key| key.as_bytes().escape_ascii().to_string()),
        "account": event.account,
        "party": party,
        "order": event.order_key,
        "occurred_at": event.occurred_at.to_string(),
        "content": content,
    })
}

/// Compares what is read from every fixture of a platform with the accepted file beside it.
pub(crate) fn every_fixture(platform: &str, read: impl Fn(Vec<u8>) -> Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(platform);
    let listed = std::fs::read_dir(&folder).expect("the platform has fixtures");
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.expect("a folder entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
    files.sort();
    assert!(!files.is_empty(), "no fixtures in {}", folder.display());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder.join("expected"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).expect("a name in ASCII").to_owned();
        let told = read(std::fs::read(&file).expect("a readable fixture"));
        settings.bind(|| insta::assert_json_snapshot!(name, told));
    }
}
