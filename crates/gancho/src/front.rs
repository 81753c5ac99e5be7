//! The doors: webhooks to ingest, everything else to the routers, each behind a port of its own where one is named.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use ingest::Ingest;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::listener::{self, Bounds, Handler};
use crate::operations::{self, Readiness};
use crate::proxies::Proxies;
use crate::settings::Config;

/// Paths that no source can have.
const RESERVED: [&str; 6] = ["/v1/", "/api/", "/waba/", "/graph/", "/messages/", store::links::PATH];

/// Decides by the path who answers.
struct Front {
    /// Where webhooks go, on a port that takes them.
    ingest: Option<Ingest>,
    router: Router,
    proxies: Proxies,
}

impl Handler for Front {
    async fn handle(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let asker = self.proxies.asker(peer.ip(), request.headers());
        request.extensions_mut().insert(api::Asker(ingest::limit::network_of(asker)));
        let path = request.uri().path();
        let is_reserved = RESERVED.iter().any(|reserved| path.starts_with(reserved));
        if let Some(ingest) = self.ingest.as_ref().filter(|_| !is_reserved)
            && let Some(route) = ingest.route(path)
        {
            return ingest.receive(route, request, asker).await.map(Body::new);
        }
        match self.router.clone().call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The ports, taken before anything is behind them.
#[derive(Debug)]
pub struct Doors {
    public: TcpListener,
    api: Option<TcpListener>,
    operations: Option<TcpListener>,
}

impl Doors {
    /// Takes the ports that are named.
    pub async fn bind(config: &Config) -> anyhow::Result<Doors> {
        Ok(Doors {
            public: bind(config.listen).await?,
            api: bind_named(config.api_listen.beside(config.listen)).await?,
            operations: bind_named(config.operations_listen.beside(config.listen)).await?,
        })
    }

    /// Where webhooks come in.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.public.local_addr()?)
    }

    /// Where the API is.
    pub fn api_address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.api.as_ref().unwrap_or(&self.public).local_addr()?)
    }

    /// Where health and metrics are.
    pub fn operations_address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.operations.as_ref().unwrap_or(&self.public).local_addr()?)
    }

    /// Opens them. What has no port of its own is behind the public one, with the webhooks; whether we are well is said
    /// there always, and files are given there to whoever has a link.
    pub fn open(
        self,
        (ingest, files, api, readiness): (Ingest, Router, Router, &Arc<Readiness>),
        bounds: &Bounds,
        tasks: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) {
        let (health, metrics) = (operations::health(readiness), operations::metrics(readiness));
        let mut public = health.clone().merge(files);
        let mut doors = Vec::new();
        match self.api {
            Some(listener) => doors.push((listener, None, api)),
            None => public = public.merge(api),
        }
        match self.operations {
            Some(listener) => doors.push((listener, None, health.merge(metrics))),
            None => public = public.merge(metrics),
        }
        let public = public.fallback(async || (StatusCode::NOT_FOUND, "no source has this URL\n"));
        doors.push((self.public, Some(ingest), public));
        for (listener, ingest, router) in doors {
            let front = Front { ingest, router, proxies: bounds.proxies.clone() };
            tasks.spawn(listener::serve(listener, front, bounds.clone(), shutdown.clone()));
        }
    }
}

async fn bind_named(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}: is another Gancho running?"))
}
