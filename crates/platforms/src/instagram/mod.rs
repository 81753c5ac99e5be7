//! Instagram messaging, through a page or by Instagram Login (platforms.md section 8). The shape is Messenger's.

#[cfg(test)]
mod tests;

use crate::messenger::Product;

/// The adapter of Instagram.
pub static INSTAGRAM: Product = Product {
    kind: "instagram",
    people: &["igsid"],
    api_base: "https://graph.instagram.com",
    object: "instagram",
    fields: "messages,messaging_postbacks,messaging_seen,messaging_referral,messaging_handover,message_reactions,\
        message_edit,standby",
    text_bytes_max: 1_000,
    reacts: true,
};
