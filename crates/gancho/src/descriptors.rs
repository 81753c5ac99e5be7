//! Open files: as many as the system lets us have, and no more connections than there are files for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::app::outgoing_max;
use crate::settings::Config;

/// Files that the store, the logs and lookups of names may have open.
const OTHERS: usize = 128;
/// The fewest connections that a gateway makes sense with.
const CONNECTIONS_MIN: usize = 64;

/// Asks the system for as many open files as it allows this process, and says how many that is.
pub fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            limit.current
        }
    };
    current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// How many connections may come in, so that there are files left for what goes out: as many as were asked for, where
/// there are enough.
pub fn connections_max(config: &Config, files: usize) -> usize {
    let others = OTHERS + outgoing_max(config);
    let room = files.saturating_sub(others).max(CONNECTIONS_MIN);
    if room < config.connections_max {
        tracing::warn!(
            files,
            connections = room,
            wanted = config.connections_max,
            "fewer connections than configured: raise the limit of open files (LimitNOFILE, ulimit -n)"
        );
    }
    room.min(config.connections_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_what_goes_out() {
        let config = Config { connections_max: 4096, ..Config::defaults() };
        assert_eq!(connections_max(&config, 1 << 20), 4096);
        assert_eq!(connections_max(&config, OTHERS + outgoing_max(&config) + 500), 500);
        assert_eq!(connections_max(&config, 256), CONNECTIONS_MIN);
    }
}
