//! Calls that the simulated parties make to the gateway: on this machine, unless somebody names another.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use egress::{Config, Egress, Exchange, Limits, Request, Roots};
use http::Method;
use http::header::CONTENT_TYPE;
use model::id::AppId;

/// How long the gateway may take before the caller gives up.
const DEADLINE: Duration = Duration::from_secs(20);
/// Whom the calls are made for: there is nobody else to share with.
const SELF: AppId = AppId::from_raw(1);

/// A way out that may reach this machine.
pub(crate) fn way_out() -> io::Result<Egress> {
    way_to(["127.0.0.0/8", "::1/128"])
}

/// A way out that may reach every network: whoever has named the URL knows where it leads.
pub(crate) fn way_anywhere() -> io::Result<Egress> {
    way_to(["0.0.0.0/0", "::/0"])
}

fn way_to(networks: [&str; 2]) -> io::Result<Egress> {
    let allowed = networks.map(|net| net.parse().expect("a network in its usual form"));
    let config = Config {
        allowed: allowed.to_vec(),
        roots: Roots::Bundled,
        idle_per_host_max: 512,
        ..Config::default()
    };
    Egress::new(&config).map_err(io::Error::other)
}

/// Makes one call: with a body of JSON unless a header says otherwise, or with none.
pub(crate) async fn exchange(
    egress: &Egress,
    method: Method,
    url: String,
    mut headers: Vec<(String, String)>,
    body: Bytes,
) -> Exchange {
    let names_its_type = headers.iter().any(|(name, _)| name == CONTENT_TYPE.as_str());
    if !body.is_empty() && !names_its_type {
        headers.push((CONTENT_TYPE.as_str().to_owned(), "application/json".to_owned()));
    }
    let request = Request { on_behalf_of: SELF, method, url, headers, body, allow_http: true };
    let limits = Limits { deadline: DEADLINE, ..Limits::default() };
    egress.exchange(request, limits).await
}
