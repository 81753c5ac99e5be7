//! A bucket that speaks S3, reached through the only door out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use egress::{Download, Egress, Failure, FailureKind, Request};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use model::id::AppId;
use model::secret::Secret;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use tokio::sync::Mutex;
use url::Url;

use crate::vault::Error;

/// How long one request to the bucket may take.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often, and for how long, a request that failed is repeated before the file is.
const RETRIES: usize = 3;
const RETRIES_LAST: Duration = Duration::from_secs(30);
/// Headers that belong to the connection, which sets them itself.
const OF_THE_CONNECTION: [&str; 2] = ["host", "content-length"];

/// A bucket and how it is reached.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `s3://bucket`, or `s3://bucket/folder`.
    pub url: String,
    /// Where it is, when that is not AWS: `https://minio.example.com`.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The id of the key.
    pub key_id: String,
    /// The key.
    pub secret: Secret,
}

impl Bucket {
    pub(crate) fn open(&self, egress: Egress) -> Result<Arc<dyn ObjectStore>, Error> {
        let wrong = || Error::Config("files are kept in a folder, or in s3://bucket/folder".to_owned());
        let url = Url::parse(&self.url).map_err(|_| wrong())?;
        let name = url.host_str().filter(|_| url.scheme() == "s3").ok_or_else(wrong)?;
        let is_plain = self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let retry =
            RetryConfig { max_retries: RETRIES, retry_timeout: RETRIES_LAST, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(&self.region)
            .with_access_key_id(&self.key_id)
            .with_secret_access_key(self.secret.expose())
            .with_allow_http(is_plain)
            .with_retry(retry)
            .with_http_connector(Door { egress, is_plain });
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store =
            builder.build().map_err(|error| Error::Config(format!("the bucket of the files: {error}")))?;
        let folder = url.path().trim_matches('/');
        Ok(match folder.is_empty() {
            true => Arc::new(store),
            false => Arc::new(PrefixStore::new(store, folder)),
        })
    }
}

/// The way out, as the client of the bucket wants it.
#[derive(Clone)]
struct Door {
    egress: Egress,
    is_plain: bool,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl HttpConnector for Door {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Door {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str()));
        let headers =
            headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        let request = Request {
            // Files are everybody's.
            on_behalf_of: AppId::from_raw(0),
            method: head.method,
            url: head.uri.to_string(),
            headers: headers.collect(),
            body: body.collect().await?.to_bytes(),
            allow_http: self.is_plain,
        };
        let download = self.egress.download(request, DEADLINE).await.map_err(failed)?;
        let mut answer = HttpResponse::new(HttpResponseBody::from(Bytes::new()));
        *answer.status_mut() =
            download.status.try_into().map_err(|error| HttpError::new(HttpErrorKind::Decode, error))?;
        *answer.headers_mut() = download.headers.clone();
        *answer.body_mut() = body_of(download);
        Ok(answer)
    }
}

/// The rest of an answer. One reader has it at a time, which the lock tells the compiler.
fn body_of(download: Download) -> HttpResponseBody {
    let pieces = stream::unfold(Arc::new(Mutex::new(download)), |download| async move {
        let piece = download.lock().await.next().await.map_err(failed).transpose()?;
        Some((piece.map(Frame::data), download))
    });
    HttpResponseBody::new(StreamBody::new(pieces))
}

fn failed(failure: Failure) -> HttpError {
    let kind = match failure.kind {
        FailureKind::Timeout { .. } => HttpErrorKind::Timeout,
        _ if failure.may_have_arrived => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Connect,
    };
    HttpError::new(kind, std::io::Error::other(failure.words))
}
