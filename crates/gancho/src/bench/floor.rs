//! The floor: the same listener, the body read, the HMAC checked, 200. No store.

use std::net::SocketAddr;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use platforms::proof::{Hash, mac};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::Signals;
use crate::cli::FloorArgs;
use crate::listener::{self, Bounds, Handler};

struct Floor {
    secret: String,
    forward: Option<(http::Uri, Client<HttpConnector, Full<Bytes>>)>,
}

impl Handler for Floor {
    async fn handle(&self, request: Request<Incoming>, _peer: SocketAddr) -> Response<Body> {
        let signature = request.headers().get("x-hub-signature-256").cloned();
        let Ok(body) = request.into_body().collect().await.map(|body| body.to_bytes()) else {
            return status(StatusCode::BAD_REQUEST);
        };
        let expected = format!("sha256={}", hex::encode(mac(Hash::Sha256, self.secret.as_bytes(), &[&body])));
        if signature.is_none_or(|shown| shown.as_bytes() != expected.as_bytes()) {
            return status(StatusCode::UNAUTHORIZED);
        }
        if let Some((uri, client)) = &self.forward {
            let mut onward = Request::new(Full::new(body));
            *onward.method_mut() = Method::POST;
            *onward.uri_mut() = uri.clone();
            let Ok(answer) = client.request(onward).await else { return status(StatusCode::BAD_GATEWAY) };
            if answer.into_body().collect().await.is_err() {
                return status(StatusCode::BAD_GATEWAY);
            }
        }
        status(StatusCode::OK)
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Serves the floor on a free port of loopback, which it prints.
#[allow(clippy::print_stdout, reason = "the bench reads the address")]
pub async fn serve(args: &FloorArgs) -> anyhow::Result<()> {
    let forward = match &args.forward {
        Some(url) => Some((url.parse()?, Client::builder(TokioExecutor::new()).build_http())),
        None => None,
    };
    let signals = Signals::listen()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("address={}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let bounds = Bounds::of_a_bench();
    let floor = Floor { secret: args.secret.clone(), forward };
    let serving = tokio::spawn(listener::serve(listener, floor, bounds, shutdown.clone()));
    signals.asked().await;
    shutdown.cancel();
    serving.await?;
    Ok(())
}
