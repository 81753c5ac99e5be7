//! The request an event came in, as an endpoint of format `platform` may have it: its own bytes without credentials,
//! cut down to the accounts that are the endpoint's, and signed in the platform's own scheme with the endpoint's keys.

use bytes::Bytes;
use model::id::AccountId;
use model::secret::{Key, Secret};
use model::time::Timestamp;
use platforms::platform::{Narrowed, ToSign};
use platforms::registry;
use store::claims::Claimed;
use store::routing::Routing;

/// A request that is passed on.
#[derive(Debug)]
pub(crate) struct PassedOn {
    /// The body.
    pub(crate) body: Bytes,
    /// Its media type, as it was sent with.
    pub(crate) content_type: String,
    /// The headers of the platform's own scheme, and those that say what the request is about.
    pub(crate) headers: Vec<(String, String)>,
}

/// Makes the request, or says why it can never be made.
pub(crate) fn pass_on(claimed: &Claimed, routing: &Routing, now: Timestamp) -> Result<PassedOn, String> {
    let gone = "the original request is no longer kept: it cannot be delivered in the platform's format";
    let original = claimed.original.as_ref().ok_or(gone)?;
    let source = claimed.event.source.and_then(|id| routing.source(id)).ok_or("its source was removed")?;
    let platform = registry::find(&source.platform).ok_or("its platform is not known")?;
    let active = claimed.endpoint.keys.iter().filter(|key| key.is_active(now));
    let keys: Vec<&Secret> = active.map(|Key { secret, .. }| secret).collect();
    if keys.is_empty() {
        return Err("the endpoint has no key".to_owned());
    }
    let whole = registry::redacted(Some(&source.platform), original.body.clone());
    let is_own = |address: &str| {
        original.places.iter().any(|place| place.address == address && is_wanted(claimed, place.account))
    };
    let body = match platform.narrow(&whole, &is_own) {
        Narrowed::Whole => whole,
        Narrowed::Part(part) => part,
        Narrowed::Nothing => {
            return Err(
                "nothing of the original request is on an account of this endpoint's any more".to_owned()
            );
        }
    };
    let id = claimed.event.id.to_string();
    let told = platform
        .told_in()
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), original.header(name)?.to_owned())));
    let signed = platform.sign(source, &ToSign { keys: &keys, id: &id, body: &body, now });
    let headers = with_signed(told.collect(), signed);
    let content_type = original.header("content-type").unwrap_or("application/json").to_owned();
    Ok(PassedOn { body, content_type, headers })
}

/// Whether the endpoint wants what came on an account of its app. Its own event's account it gets whatever became of its
/// subscription since.
fn is_wanted(claimed: &Claimed, account: Option<AccountId>) -> bool {
    account == claimed.event.account || claimed.endpoint.subscription.wants_account(account)
}

/// Headers with those of the platform's scheme in place of any of the same name: whoever finds one twice may read the
/// wrong one, or refuse both.
pub(crate) fn with_signed(
    mut headers: Vec<(String, String)>,
    signed: Vec<(String, String)>,
) -> Vec<(String, String)> {
    headers.retain(|(name, _)| !signed.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
    headers.extend(signed);
    headers
}

#[cfg(test)]
mod tests;
