//! Calls that the simulated parties make to the gateway, and nowhere else than on this machine unless told to.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use egress::{Config, Egress, Exchange, Limits, Request, Roots};
use http::Method;
use model::id::AppId;

/// How long the gateway may take before the caller gives up.
const DEADLINE: Duration = Duration::from_secs(20);
/// Whom the calls are made for: there is nobody else to share with.
const SELF: AppId = AppId::from_raw(1);

/// A way out that may reach this machine.
pub(crate) fn way_out() -> io::Result<Egress> {
    let loopback = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network in its usual form"));
    let config = Config {
        allowed: loopback.to_vec(),
        roots: Roots::Bundled,
        idle_per_host_max: 512,
        ..Config::default()
    };
    Egress::new(&config).map_err(io::Error::other)
}

/// Makes one call with a JSON body, or with none.
pub(crate) async fn exchange(
    egress: &Egress,
    method: Method,
    url: String,
    mut headers: Vec<(String, String)>,
    body: Bytes,
) -> Exchange {
    if !body.is_empty() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    let request = Request { on_behalf_of: SELF, method, url, headers, body, allow_http: true };
    let limits = Limits { deadline: DEADLINE, ..Limits::default() };
    egress.exchange(request, limits).await
}
