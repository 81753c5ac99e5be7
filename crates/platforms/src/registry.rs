//! The one list of every platform there is. Adding one: a folder, a line here, fixtures.

use crate::platform::Platform;

/// Every platform.
pub static PLATFORMS: &[&dyn Platform] = &[
    &crate::whatsapp::WhatsApp,
    &crate::whatzme::WhatzMe,
    &crate::generic::Generic,
    &crate::standard_webhooks::StandardWebhooks,
];

/// The platform of this name.
pub fn find(kind: &str) -> Option<&'static dyn Platform> {
    PLATFORMS.iter().copied().find(|platform| platform.kind() == kind)
}
