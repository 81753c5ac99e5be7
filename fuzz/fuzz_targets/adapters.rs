//! Every adapter reads the same bytes: none may panic, hang, or grow without bound.

#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use model::id::{AppId, SourceId};
use model::secret::{Key, Secret};
use model::source::{SecretRole, Source, SourceSecret};
use model::time::Timestamp;
use platforms::http::{Answer, Incoming};
use platforms::proof::{Unsigned, by_nothing};
use platforms::registry::PLATFORMS;
use platforms::whatsapp_onpremises::tell::tell;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const TYPES: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "text/plain"];

fuzz_target!(|data: &[u8]| {
    for platform in PLATFORMS {
        let source = source(platform.kind());
        for content_type in TYPES {
            let request = request(data, content_type);
            // What is not proven is refused, and may be anything.
            let _ = platform.verify(&source, &request);
            let proven = by_nothing(&request, Unsigned::SettingSaysSo);
            let _ = platform.handshake(&source, &proven);
            let _ = platform.acknowledge(&source, &proven);
            for event in platform.parse(&source, &proven).unwrap_or_default() {
                let content = event.content.to_json(event.party.as_ref()).unwrap_or_default();
                let _ = tell(&event.event_type, event.occurred_at, &content);
            }
        }
        let _ = platform.redact(data);
        let _ = platform.narrow(data, &|address| address.len() % 2 == 0);
        let status = 200 + 100 * u16::from(data.first().copied().unwrap_or(0) % 4);
        let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(data) };
        let _ = platform.interpret(&source, &answer);
    }
});

fn source(platform: &str) -> Source {
    let held = |role| SourceSecret { role, key: Key::current(Secret::new("123456:secret")) };
    Source {
        name: "fuzzed".to_owned(),
        secrets: SecretRole::ALL.map(held).to_vec(),
        ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), platform)
    }
}

fn request(data: &[u8], content_type: &'static str) -> Incoming {
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    Incoming {
        method: Method::POST,
        path: "/in/src_1".to_owned(),
        query: None,
        headers,
        body: Bytes::copy_from_slice(data),
        received_at: NOW,
    }
}
