//! Logs: readable or JSON, to standard error, without bodies or anybody's name.

use tracing_subscriber::EnvFilter;

use crate::settings::Config;

/// Libraries that at finer levels log what they carry: statements with their parameters, headers with their tokens.
const CARRIERS: [&str; 3] = ["tokio_postgres=info", "hyper=info", "rustls=info"];

/// Starts logging. A filter that cannot be read logs at `info`. A second call changes nothing.
pub fn start(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let calm = CARRIERS.iter().filter_map(|directive| directive.parse().ok());
    let filter = calm.fold(filter, EnvFilter::add_directive);
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Somebody (a test) may have set one up already: theirs stays.
    let _ = if config.log_json { base.json().try_init() } else { base.compact().try_init() };
}
