//! An answer that may be large: its head at once, its body piece by piece.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use crate::client::{Egress, broken, failure};
use crate::connector::ON_BEHALF_OF;
use crate::error::{Failure, Phase};
use crate::exchange::Request;

/// An answer whose body has not been read yet. Dropping it closes the connection.
#[derive(Debug)]
pub struct Download {
    /// The status; a redirect is an answer like any other and is not followed.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
}

impl Egress {
    /// Makes one request and reads the head of its answer. All of it, the body too, must have come within the deadline. How
    /// much of the body is taken is the caller's to bound.
    pub async fn download(&self, request: Request, deadline: Duration) -> Result<Download, Failure> {
        let mut deadline = Box::pin(sleep(deadline));
        let app = request.on_behalf_of;
        let request = request.into_http()?;
        let response = tokio::select! {
            biased;
            response = ON_BEHALF_OF.scope(app, self.client.request(request)) => response,
            () = &mut deadline => return Err(Failure::timeout(Phase::Answer)),
        };
        let (head, body) = response.map_err(|error| failure(&error))?.into_parts();
        Ok(Download { status: head.status.as_u16(), headers: head.headers, body, deadline })
    }
}

impl Download {
    /// The next piece of the body; nothing at its end. A body that breaks off, or is late, is a failure.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = &mut self.deadline => return Err(Failure::timeout(Phase::Body)),
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error, true)),
                // Trailers say nothing about the file.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
