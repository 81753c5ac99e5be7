//! The front door of the one port: webhooks to ingest, everything else to the routers.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use ingest::Ingest;
use tower_service::Service;

use crate::listener::Handler;

/// Paths that no source can have.
const RESERVED: [&str; 4] = ["/v1/", "/api/", "/waba/", "/messages/"];

/// Decides by the path who answers.
#[derive(Clone)]
pub struct Front {
    ingest: Ingest,
    router: Router,
}

impl Front {
    /// A front door.
    pub fn new(ingest: Ingest, router: Router) -> Front {
        Front { ingest, router }
    }
}

impl Handler for Front {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let path = request.uri().path();
        if !RESERVED.iter().any(|reserved| path.starts_with(reserved)) && self.ingest.is_ours(path) {
            return self.ingest.receive(request, peer.ip()).await.map(Body::new);
        }
        match self.router.clone().call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
