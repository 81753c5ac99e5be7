//! What an operator can set about the way out.

use std::time::Duration;

use ipnet::IpNet;

/// How many connections may be open at once, unless somebody decides otherwise.
pub const OPEN_MAX: usize = 2048;

/// The settings of the way out.
#[derive(Clone, Debug)]
pub struct Config {
    /// Ranges that may be reached although they are not public, for endpoints in one's own network.
    pub allowed: Vec<IpNet>,
    /// Ports that are never connected, on any address: those of services that are not webhook endpoints.
    pub denied_ports: Vec<u16>,
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// Further certificate authorities to trust, as PEM text.
    pub authorities_pem: String,
    /// How long a name may take to be found.
    pub resolve_timeout: Duration,
    /// How long each address may take to accept a connection; up to four are tried.
    pub connect_timeout: Duration,
    /// How long a TLS handshake may take.
    pub tls_timeout: Duration,
    /// How long an unused connection is kept open.
    pub idle_timeout: Duration,
    /// How many connections may be open at once, in use or not.
    pub open_max: usize,
    /// How many unused connections are kept open to one host and port.
    pub idle_per_host_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            allowed: Vec::new(),
            denied_ports: vec![
                21, 22, 23, 25, 53, 110, 111, 135, 139, 143, 389, 445, 465, 587, 636, 993, 995, 2049, 3306,
                5432, 6379, 11211, 27017,
            ],
            roots: Roots::System,
            authorities_pem: String::new(),
            resolve_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            tls_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(20),
            open_max: OPEN_MAX,
            idle_per_host_max: 32,
        }
    }
}

/// Which certificate authorities are trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Roots {
    /// Those of the machine, or the bundled ones on a machine that has none.
    System,
    /// Those of Mozilla, as bundled with this version.
    Bundled,
}
