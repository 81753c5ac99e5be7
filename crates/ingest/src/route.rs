//! Which source a request is for, by its path alone.

use std::sync::Arc;

use model::id::SourceId;
use model::source::Source;
use store::routing::Routing;

/// How many path segments below a source's own path still belong to it: some senders append the event's name, some
/// carry their token there.
const SEGMENTS_BELOW_MAX: usize = 2;

/// The source of a path: `/in/<id>`, or a path of the source's own, and what some senders append to either.
pub fn find<'r>(routing: &'r Routing, path: &str) -> Option<&'r Arc<Source>> {
    if let Some(rest) = path.strip_prefix("/in/") {
        let id: SourceId = rest.split('/').next()?.parse().ok()?;
        return routing.source(id);
    }
    let mut path = path;
    for _ in 0..=SEGMENTS_BELOW_MAX {
        if let Some(source) = routing.source_at(path) {
            return Some(source);
        }
        path = path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty())?;
    }
    None
}
