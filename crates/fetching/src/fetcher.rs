//! One file, from its platform into the vault.

use std::time::Duration;

use egress::{Download, Egress, Failure, FailureKind, Limits, Request, retry_after};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use model::file::FileContent;
use model::id::FileId;
use model::message::Media;
use model::retry::Outcome;
use model::source::Source;
use model::time::Clock;
use platforms::fetching::{self, Fetch};
use platforms::http::{Answer, Call};
use platforms::platform::Sender;
use platforms::registry;
use url::Url;
use vault::{Error, Vault};

/// How long a file may take to come.
pub const DEADLINE: Duration = Duration::from_secs(300);
/// How long it may take to be told where it is.
const ASK_DEADLINE: Duration = Duration::from_secs(20);
/// How much is read of an answer that says where a file is, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How often a file may be said to be elsewhere.
const REDIRECTS_MAX: usize = 3;
/// What a file is that nobody says anything of.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Whose file is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Of<'f> {
    /// The source it came through.
    pub source: &'f Source,
    /// The platform's own name for the account.
    pub account: &'f str,
    /// The file.
    pub id: FileId,
    /// What the platform says of it.
    pub media: &'f Media,
}

/// Makes the calls.
pub struct Fetcher {
    egress: Egress,
    vault: Vault,
    clock: Clock,
    /// Whether platforms may be called over plain http: for simulators on this machine.
    allow_http: bool,
}

impl Fetcher {
    /// Over a way out, into a vault.
    pub fn new(egress: Egress, vault: Vault, clock: Clock, allow_http: bool) -> Fetcher {
        Fetcher { egress, vault, clock, allow_http }
    }

    /// Fetches a file; or says why it is not here, and whether it may be tried again.
    pub async fn fetch(&self, of: Of<'_>) -> Result<FileContent, Outcome> {
        let refused = |words: String| Outcome::Refused(words);
        let platform = registry::find(&of.source.platform)
            .ok_or_else(|| refused("its platform is not known".to_owned()))?;
        let sender =
            Sender { source: of.source, account: of.account, correlation: "", now: self.clock.now() };
        let call = match platform.fetch(&sender, of.media).map_err(|cannot| refused(cannot.to_string()))? {
            Fetch::File(call) => call,
            Fetch::Place { ask, read } => read(&sender, &self.ask(&of, ask).await?)?,
        };
        let download = self.follow(&of, call).await?;
        self.keep(&of, download).await
    }

    /// Asks where the file is.
    async fn ask(&self, of: &Of<'_>, call: Call) -> Result<Answer, Outcome> {
        let limits = Limits {
            deadline: ASK_DEADLINE,
            body_kept_max: ANSWER_BYTES_MAX,
            body_drained_max: ANSWER_BYTES_MAX,
        };
        let answer = self.egress.exchange(self.request(of, call), limits).await.result.map_err(passing)?;
        let retry_after_secs = retry_after(&answer.headers, self.clock.now()).map(|wait| wait.as_secs());
        Ok(Answer { status: answer.status, retry_after_secs, body: answer.body })
    }

    /// Makes the call for the file, and those it is sent on to. Another host is shown nothing of what the first one was.
    async fn follow(&self, of: &Of<'_>, mut call: Call) -> Result<Download, Outcome> {
        for _ in 0..=REDIRECTS_MAX {
            let (asked, headers) = (call.url.clone(), call.headers.clone());
            let download = self.egress.download(self.request(of, call), DEADLINE).await.map_err(passing)?;
            if !matches!(download.status, 301 | 302 | 303 | 307 | 308) {
                let wait = retry_after(&download.headers, self.clock.now()).map(|wait| wait.as_secs());
                return match fetching::outcome(download.status, wait) {
                    Outcome::Done => Ok(download),
                    other => Err(other),
                };
            }
            let next = elsewhere(&asked, &download)
                .ok_or_else(|| Outcome::Refused("the platform sends us on to nowhere".to_owned()))?;
            let headers = if is_same_origin(&asked, &next) { headers } else { Vec::new() };
            call = Call { headers, ..Call::get(next.into(), &[]) };
        }
        Err(Outcome::Refused(format!("the platform sends us on more than {REDIRECTS_MAX} times")))
    }

    async fn keep(&self, of: &Of<'_>, mut download: Download) -> Result<FileContent, Outcome> {
        if is_page(&download, of.media) {
            let cause = "the platform gave a page in place of the file: may the token read files?".to_owned();
            return Err(Outcome::Retry { after: None, cause });
        }
        let max = self.vault.bytes_max();
        let announced = header(&download, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
        if announced.is_some_and(|announced: u64| announced > max) {
            return Err(unkept(&Error::TooLarge(max)));
        }
        let mut writing = self.vault.write(of.id).await.map_err(|error| unkept(&error))?;
        let written = loop {
            match download.next().await.map_err(passing) {
                Ok(None) => break Ok(()),
                Ok(Some(piece)) => {
                    if let Err(error) = writing.write(piece).await {
                        break Err(unkept(&error));
                    }
                }
                Err(outcome) => break Err(outcome),
            }
        };
        match written {
            Ok(()) => writing.finish(mime_type(&download, of.media)).await.map_err(|error| unkept(&error)),
            Err(outcome) => {
                writing.give_up().await;
                Err(outcome)
            }
        }
    }

    fn request(&self, of: &Of<'_>, call: Call) -> Request {
        Request {
            on_behalf_of: of.source.app,
            method: call.method,
            url: call.url,
            headers: call.headers,
            body: call.body,
            allow_http: self.allow_http,
        }
    }
}

/// Without an answer nothing is lost: a file is fetched again, but from where it may not be fetched.
fn passing(failure: Failure) -> Outcome {
    match failure.kind {
        FailureKind::InvalidUrl | FailureKind::InvalidHeader | FailureKind::NotAllowed => {
            Outcome::Refused(failure.words)
        }
        _ => Outcome::Retry { after: None, cause: failure.words },
    }
}

fn unkept(error: &Error) -> Outcome {
    let cause = error.to_string();
    match error {
        Error::TooLarge(_) => Outcome::Refused(cause),
        Error::Missing | Error::Unavailable(_) | Error::Config(_) => Outcome::Retry { after: None, cause },
    }
}

fn header<'d>(download: &'d Download, name: &str) -> Option<&'d str> {
    download.headers.get(name)?.to_str().ok()
}

fn elsewhere(asked: &str, download: &Download) -> Option<Url> {
    Url::parse(asked).ok()?.join(header(download, LOCATION.as_str())?).ok()
}

fn is_same_origin(asked: &str, next: &Url) -> bool {
    Url::parse(asked).is_ok_and(|asked| asked.origin() == next.origin())
}

/// Whether a page came where the platform has said that it is something else: Slack shows its sign-in to a token without
/// `files:read`, with 200.
fn is_page(download: &Download, media: &Media) -> bool {
    let is_html = |kind: &str| kind.starts_with("text/html");
    header(download, CONTENT_TYPE.as_str()).is_some_and(is_html)
        && media.mime_type.as_deref().is_some_and(|said| !is_html(said))
}

/// The answer knows best what it is, unless it says nothing by it.
fn mime_type(download: &Download, media: &Media) -> String {
    let told =
        header(download, CONTENT_TYPE.as_str()).filter(|told| !told.is_empty() && *told != UNKNOWN_TYPE);
    told.or(media.mime_type.as_deref()).unwrap_or(UNKNOWN_TYPE).to_owned()
}
