//! One file at a time, from platforms that redirect, break off, and give more than anybody wants.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails, in its helpers too")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use egress::{Config, Egress, Roots};
use fetching::Fetcher;
use fetching::fetcher::Of;
use futures_util::StreamExt;
use model::file::FileContent;
use model::id::{AppId, FileId, SourceId};
use model::message::Media;
use model::retry::Outcome;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret};
use model::time::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vault::Vault;

/// The largest file that is kept, in bytes.
const MAX: u64 = 1_000;
const FILE: FileId = FileId::from_raw(77);

/// A server that answers each path with bytes of its own, and notes what it was shown.
struct Host {
    address: SocketAddr,
    shown: Arc<Mutex<Vec<String>>>,
}

impl Host {
    async fn start(answers: &[(&str, String)]) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers: HashMap<String, String> =
            answers.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
        let (shown, answers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answers));
        let noted = Arc::clone(&shown);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (noted, answers) = (Arc::clone(&noted), Arc::clone(&answers));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.ok()?);
                    }
                    let request = String::from_utf8(request).ok()?;
                    let path = request.split(' ').nth(1)?.to_owned();
                    noted.lock().unwrap().push(request);
                    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
                    let answer = answers.get(&path).cloned().unwrap_or(missing);
                    stream.write_all(answer.as_bytes()).await.ok()
                });
            }
        });
        Host { address, shown }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What each request was shown in `Authorization`.
    fn credentials(&self) -> Vec<Option<String>> {
        let shown = self.shown.lock().unwrap();
        let of = |request: &String| {
            let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
            line.and_then(|line| Some(line.split_once(": ")?.1.to_owned()))
        };
        shown.iter().map(of).collect()
    }
}

fn given(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn elsewhere(url: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")
}

/// Whoever fetches, as a source of Slack's whose API is on a host.
struct Scene {
    fetcher: Fetcher,
    vault: Vault,
    source: Source,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn of(host: &Host, is_allowed: bool) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::in_folder(folder.path(), MAX).unwrap();
        let allowed = if is_allowed { vec!["127.0.0.0/8".parse().unwrap()] } else { Vec::new() };
        let egress = Egress::new(&Config { allowed, roots: Roots::Bundled, ..Config::default() }).unwrap();
        let key = Key::current(Secret::new("T0K"));
        let settings = json!({ "api_base": host.url("/api") });
        let source = Source {
            secrets: vec![SourceSecret { role: SecretRole::AccessToken, key }],
            settings: Settings::new(settings.as_object().unwrap().clone()),
            ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), "slack")
        };
        let fetcher = Fetcher::new(egress, vault.clone(), Clock::System, true);
        Scene { fetcher, vault, source, _folder: folder }
    }

    async fn fetch(&self, url: String) -> Result<FileContent, Outcome> {
        let media = Media { url: Some(url), ..Media::default() };
        self.fetcher.fetch(Of { source: &self.source, account: "T1", id: FILE, media: &media }).await
    }

    /// What is kept of the file, if anything.
    async fn kept(&self) -> Option<Vec<u8>> {
        let given = self.vault.give(FILE, None).await.ok()?;
        let pieces: Vec<_> = given.body.collect().await;
        Some(pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect())
    }
}

#[tokio::test]
async fn a_file_is_kept_as_it_came_and_the_platform_is_shown_the_credential() {
    let host = Host::start(&[("/f", given("bytes"))]).await;
    let scene = Scene::of(&host, true);
    let content = scene.fetch(host.url("/f")).await.unwrap();
    assert_eq!((content.bytes, content.mime_type.as_str()), (5, "image/png"));
    assert_eq!(scene.kept().await.as_deref(), Some(&b"bytes"[..]));
    assert_eq!(host.credentials(), [Some("Bearer T0K".to_owned())]);
}

#[tokio::test]
async fn a_redirect_takes_the_credential_along_to_the_same_origin_only() {
    let cdn = Host::start(&[("/signed?x=1", given("from the cdn"))]).await;
    let away = cdn.url("/signed?x=1");
    let host = Host::start(&[("/f", elsewhere("/g")), ("/g", elsewhere(&away))]).await;
    let scene = Scene::of(&host, true);
    assert_eq!(scene.fetch(host.url("/f")).await.unwrap().bytes, 12);
    assert_eq!(host.credentials(), vec![Some("Bearer T0K".to_owned()); 2]);
    assert_eq!(cdn.credentials(), [None]);
}

#[tokio::test]
async fn redirects_end_somewhere() {
    let host = Host::start(&[
        ("/f", elsewhere("/f")),
        ("/nowhere", elsewhere("http://")),
        ("/file", elsewhere("file:///etc/passwd")),
    ])
    .await;
    let scene = Scene::of(&host, true);
    for path in ["/f", "/nowhere", "/file"] {
        assert!(matches!(scene.fetch(host.url(path)).await, Err(Outcome::Refused(_))), "{path}");
    }
    assert_eq!(host.credentials().len(), 4 + 2, "three redirects are followed, and no more");
    assert_eq!(scene.kept().await, None);
}

#[tokio::test]
async fn what_is_too_large_is_refused_whether_it_is_announced_or_not() {
    let large = "x".repeat(1_001);
    let unannounced = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{large}");
    let host =
        Host::start(&[("/announced", given(&large)), ("/not", unannounced), ("/most", given(&large[1..]))])
            .await;
    let scene = Scene::of(&host, true);
    for path in ["/announced", "/not"] {
        let refused = scene.fetch(host.url(path)).await;
        assert_eq!(refused, Err(Outcome::Refused("the file is larger than 1000 bytes".to_owned())), "{path}");
        assert_eq!(scene.kept().await, None, "{path}");
    }
    assert_eq!(scene.fetch(host.url("/most")).await.unwrap().bytes, MAX);
}

#[tokio::test]
async fn what_breaks_off_is_fetched_again_and_is_not_kept() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nonly this".to_owned();
    let host = Host::start(&[("/f", cut)]).await;
    let scene = Scene::of(&host, true);
    assert!(matches!(scene.fetch(host.url("/f")).await, Err(Outcome::Retry { .. })));
    assert_eq!(scene.kept().await, None);
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_whoever_names_it() {
    let host = Host::start(&[("/f", given("inside"))]).await;
    let scene = Scene::of(&host, false);
    assert!(matches!(scene.fetch(host.url("/f")).await, Err(Outcome::Refused(_))));
    assert!(host.credentials().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_page_in_place_of_the_file_is_not_kept() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 4\r\n\r\npage";
    let host = Host::start(&[("/f", page.to_owned())]).await;
    let scene = Scene::of(&host, true);
    for (said, is_kept) in [(Some("image/png"), false), (Some("text/html"), true), (None, true)] {
        let media =
            Media { url: Some(host.url("/f")), mime_type: said.map(str::to_owned), ..Media::default() };
        let of = Of { source: &scene.source, account: "T1", id: FILE, media: &media };
        let fetched = scene.fetcher.fetch(of).await;
        assert_eq!(fetched.is_ok(), is_kept, "{said:?}: {fetched:?}");
        assert_eq!(scene.kept().await.is_some(), is_kept, "{said:?}");
        scene.vault.remove(FILE).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_platform_does_not_have_is_gone() {
    let host = Host::start(&[]).await;
    let gone = Scene::of(&host, true).fetch(host.url("/f")).await;
    assert!(matches!(gone, Err(Outcome::Refused(words)) if words.contains("any more")));
}
