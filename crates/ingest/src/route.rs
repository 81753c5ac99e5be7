//! Which source a request is for, by its path alone.

use std::sync::Arc;

use model::id::SourceId;
use model::source::Source;
use store::routing::Routing;

/// How many path segments below a source's own path still belong to it: some senders append the event's name, some
/// carry their token there.
const SEGMENTS_BELOW_MAX: usize = 2;

/// Where a webhook's path leads.
#[derive(Clone, Debug)]
pub enum Route {
    /// To a source.
    To(Arc<Source>),
    /// To nobody: only a source could have this path, and none has it.
    Nowhere,
}

/// Where a path leads: `/in/<id>`, or a path of a source's own, and what some senders append to either. `None` where the
/// path is no webhook's.
pub fn find(routing: &Routing, path: &str) -> Option<Route> {
    if let Some(rest) = path.strip_prefix("/in/") {
        let id: Option<SourceId> = rest.split('/').next().and_then(|id| id.parse().ok());
        let source = id.and_then(|id| routing.source(id));
        return Some(source.map_or(Route::Nowhere, |source| Route::To(Arc::clone(source))));
    }
    let mut path = path;
    for _ in 0..=SEGMENTS_BELOW_MAX {
        if let Some(source) = routing.source_at(path) {
            return Some(Route::To(Arc::clone(source)));
        }
        path = path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty())?;
    }
    None
}
