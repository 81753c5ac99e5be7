//! The one list of every platform there is. Adding one: a folder, a line here, fixtures.

use bytes::Bytes;

use crate::platform::Platform;

/// Every platform.
pub static PLATFORMS: &[&dyn Platform] = &[
    &crate::whatsapp::WhatsApp,
    &crate::whatsapp_onpremises::OnPremises,
    &crate::dialog360::Dialog360,
    &crate::whatzme::WhatzMe,
    &crate::generic::Generic,
    &crate::standard_webhooks::StandardWebhooks,
    &crate::telegram::Telegram,
    &crate::messenger::MESSENGER,
    &crate::instagram::INSTAGRAM,
    &crate::discord::Discord,
    &crate::wati::Wati,
    &crate::line::Line,
    &crate::slack::Slack,
    &crate::viber::Viber,
    &crate::twilio::Twilio,
    &crate::stripe::Stripe,
    &crate::github::GitHub,
    &crate::shopify::Shopify,
];

/// A body without the credentials its platform puts into it. Where the platform is not known any more, every
/// platform's rule applies.
pub fn redacted(kind: Option<&str>, body: Bytes) -> Bytes {
    let rules = PLATFORMS.iter().filter(|platform| kind.is_none_or(|kind| platform.kind() == kind));
    rules.fold(body, |body, platform| platform.redact(&body).unwrap_or(body))
}

/// The platform of this name.
pub fn find(kind: &str) -> Option<&'static dyn Platform> {
    PLATFORMS.iter().copied().find(|platform| platform.kind() == kind)
}
