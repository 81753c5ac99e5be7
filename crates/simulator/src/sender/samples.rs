//! Every sample there is, by platform: the webhooks of a fictional shop, as each platform would send them.

/// The samples of one platform.
pub(super) struct Shelf {
    /// The platform's name in the registry.
    pub(super) platform: &'static str,
    /// The shop's account; empty where the platform does not say which it is.
    pub(super) account: &'static str,
    /// Who has done what the samples tell, unless somebody else is named.
    pub(super) contact: &'static str,
    /// The names of the events, and the files that tell of them.
    pub(super) samples: &'static [(&'static str, &'static str)],
}

/// Every platform, in the order of the registry.
pub(super) const SHELVES: &[Shelf] = &[
    Shelf { platform: "whatsapp", account: "200000000000001", contact: "15551112222", samples: WHATSAPP },
    Shelf {
        platform: "whatsapp_onpremises",
        account: "",
        contact: "15551112222",
        samples: WHATSAPP_ONPREMISES,
    },
    Shelf { platform: "dialog360", account: "200000000000001", contact: "15551112222", samples: DIALOG360 },
    Shelf { platform: "whatzme", account: "tienda", contact: "15551112222", samples: WHATZME },
    Shelf { platform: "generic", account: "", contact: "ana", samples: GENERIC },
    Shelf { platform: "standard_webhooks", account: "", contact: "cus_ana", samples: STANDARD_WEBHOOKS },
    Shelf { platform: "telegram", account: "", contact: "42", samples: TELEGRAM },
    Shelf { platform: "messenger", account: "PAGE1", contact: "5550001", samples: MESSENGER },
    Shelf { platform: "instagram", account: "IG1", contact: "900", samples: INSTAGRAM },
    Shelf { platform: "discord", account: "900", contact: "55", samples: DISCORD },
    Shelf { platform: "wati", account: "", contact: "15551112222", samples: WATI },
    Shelf {
        platform: "line",
        account: "Uffffffffffffffffffffffffffffffff",
        contact: "U1234567890abcdef1234567890abcdef",
        samples: LINE,
    },
    Shelf { platform: "slack", account: "T123ABC", contact: "D0ANA", samples: SLACK },
    Shelf { platform: "viber", account: "", contact: "01234567890A=", samples: VIBER },
    Shelf { platform: "twilio", account: "15550002222", contact: "15551112222", samples: TWILIO },
    Shelf { platform: "stripe", account: "", contact: "cus_ana", samples: STRIPE },
    Shelf { platform: "github", account: "tienda/web", contact: "ana", samples: GITHUB },
    Shelf {
        platform: "shopify",
        account: "tienda.myshopify.com",
        contact: "ana@example.com",
        samples: SHOPIFY,
    },
];

const WHATSAPP: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/whatsapp/message.json")),
    ("image", include_str!("../../samples/whatsapp/image.json")),
    ("audio", include_str!("../../samples/whatsapp/audio.json")),
    ("video", include_str!("../../samples/whatsapp/video.json")),
    ("document", include_str!("../../samples/whatsapp/document.json")),
    ("sticker", include_str!("../../samples/whatsapp/sticker.json")),
    ("location", include_str!("../../samples/whatsapp/location.json")),
    ("contacts", include_str!("../../samples/whatsapp/contacts.json")),
    ("button", include_str!("../../samples/whatsapp/button.json")),
    ("choice", include_str!("../../samples/whatsapp/choice.json")),
    ("list_choice", include_str!("../../samples/whatsapp/list_choice.json")),
    ("reaction", include_str!("../../samples/whatsapp/reaction.json")),
    ("reply", include_str!("../../samples/whatsapp/reply.json")),
    ("edited", include_str!("../../samples/whatsapp/edited.json")),
    ("deleted", include_str!("../../samples/whatsapp/deleted.json")),
    ("order", include_str!("../../samples/whatsapp/order.json")),
    ("group_message", include_str!("../../samples/whatsapp/group_message.json")),
    ("echo", include_str!("../../samples/whatsapp/echo.json")),
    ("sent", include_str!("../../samples/whatsapp/sent.json")),
    ("delivered", include_str!("../../samples/whatsapp/delivered.json")),
    ("read", include_str!("../../samples/whatsapp/read.json")),
    ("failed", include_str!("../../samples/whatsapp/failed.json")),
    ("alert", include_str!("../../samples/whatsapp/alert.json")),
];

const WHATSAPP_ONPREMISES: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/whatsapp_onpremises/message.json")),
    ("image", include_str!("../../samples/whatsapp_onpremises/image.json")),
    ("voice", include_str!("../../samples/whatsapp_onpremises/voice.json")),
    ("location", include_str!("../../samples/whatsapp_onpremises/location.json")),
    ("button", include_str!("../../samples/whatsapp_onpremises/button.json")),
    ("choice", include_str!("../../samples/whatsapp_onpremises/choice.json")),
    ("list_choice", include_str!("../../samples/whatsapp_onpremises/list_choice.json")),
    ("sent", include_str!("../../samples/whatsapp_onpremises/sent.json")),
    ("delivered", include_str!("../../samples/whatsapp_onpremises/delivered.json")),
    ("read", include_str!("../../samples/whatsapp_onpremises/read.json")),
    ("failed", include_str!("../../samples/whatsapp_onpremises/failed.json")),
];

/// What Meta sends, passed on.
const DIALOG360: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/whatsapp/message.json")),
    ("image", include_str!("../../samples/whatsapp/image.json")),
    ("audio", include_str!("../../samples/whatsapp/audio.json")),
    ("document", include_str!("../../samples/whatsapp/document.json")),
    ("location", include_str!("../../samples/whatsapp/location.json")),
    ("choice", include_str!("../../samples/whatsapp/choice.json")),
    ("list_choice", include_str!("../../samples/whatsapp/list_choice.json")),
    ("reaction", include_str!("../../samples/whatsapp/reaction.json")),
    ("reply", include_str!("../../samples/whatsapp/reply.json")),
    ("sent", include_str!("../../samples/whatsapp/sent.json")),
    ("delivered", include_str!("../../samples/whatsapp/delivered.json")),
    ("read", include_str!("../../samples/whatsapp/read.json")),
    ("failed", include_str!("../../samples/whatsapp/failed.json")),
];

const WHATZME: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/whatzme/message.json")),
    ("image", include_str!("../../samples/whatzme/image.json")),
    ("voice", include_str!("../../samples/whatzme/voice.json")),
    ("document", include_str!("../../samples/whatzme/document.json")),
    ("location", include_str!("../../samples/whatzme/location.json")),
    ("choice", include_str!("../../samples/whatzme/choice.json")),
    ("list_choice", include_str!("../../samples/whatzme/list_choice.json")),
    ("reply", include_str!("../../samples/whatzme/reply.json")),
    ("reaction", include_str!("../../samples/whatzme/reaction.json")),
    ("edited", include_str!("../../samples/whatzme/edited.json")),
    ("deleted", include_str!("../../samples/whatzme/deleted.json")),
    ("echo", include_str!("../../samples/whatzme/echo.json")),
    ("sent", include_str!("../../samples/whatzme/sent.json")),
    ("delivered", include_str!("../../samples/whatzme/delivered.json")),
    ("read", include_str!("../../samples/whatzme/read.json")),
    ("failed", include_str!("../../samples/whatzme/failed.json")),
    ("connection", include_str!("../../samples/whatzme/connection.json")),
    ("evolution_message", include_str!("../../samples/whatzme/evolution_message.json")),
    ("waha_message", include_str!("../../samples/whatzme/waha_message.json")),
    ("waha_read", include_str!("../../samples/whatzme/waha_read.json")),
];

const GENERIC: &[(&str, &str)] = &[
    ("event", include_str!("../../samples/generic/event.json")),
    ("message", include_str!("../../samples/generic/message.json")),
    ("form", include_str!("../../samples/generic/form.json")),
];

const STANDARD_WEBHOOKS: &[(&str, &str)] = &[
    ("event", include_str!("../../samples/standard_webhooks/event.json")),
    ("contact", include_str!("../../samples/standard_webhooks/contact.json")),
];

const TELEGRAM: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/telegram/message.json")),
    ("image", include_str!("../../samples/telegram/image.json")),
    ("voice", include_str!("../../samples/telegram/voice.json")),
    ("document", include_str!("../../samples/telegram/document.json")),
    ("sticker", include_str!("../../samples/telegram/sticker.json")),
    ("location", include_str!("../../samples/telegram/location.json")),
    ("contact", include_str!("../../samples/telegram/contact.json")),
    ("reply", include_str!("../../samples/telegram/reply.json")),
    ("group_message", include_str!("../../samples/telegram/group_message.json")),
    ("choice", include_str!("../../samples/telegram/choice.json")),
    ("edited", include_str!("../../samples/telegram/edited.json")),
    ("reaction", include_str!("../../samples/telegram/reaction.json")),
    ("deleted", include_str!("../../samples/telegram/deleted.json")),
    ("blocked", include_str!("../../samples/telegram/blocked.json")),
    ("poll", include_str!("../../samples/telegram/poll.json")),
];

const MESSENGER: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/messenger/message.json")),
    ("image", include_str!("../../samples/messenger/image.json")),
    ("location", include_str!("../../samples/messenger/location.json")),
    ("choice", include_str!("../../samples/messenger/choice.json")),
    ("postback", include_str!("../../samples/messenger/postback.json")),
    ("reply", include_str!("../../samples/messenger/reply.json")),
    ("reaction", include_str!("../../samples/messenger/reaction.json")),
    ("edited", include_str!("../../samples/messenger/edited.json")),
    ("echo", include_str!("../../samples/messenger/echo.json")),
    ("delivered", include_str!("../../samples/messenger/delivered.json")),
    ("read", include_str!("../../samples/messenger/read.json")),
    ("optin", include_str!("../../samples/messenger/optin.json")),
    ("referral", include_str!("../../samples/messenger/referral.json")),
];

const INSTAGRAM: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/instagram/message.json")),
    ("image", include_str!("../../samples/instagram/image.json")),
    ("like", include_str!("../../samples/instagram/like.json")),
    ("story_reply", include_str!("../../samples/instagram/story_reply.json")),
    ("postback", include_str!("../../samples/instagram/postback.json")),
    ("reaction", include_str!("../../samples/instagram/reaction.json")),
    ("deleted", include_str!("../../samples/instagram/deleted.json")),
    ("echo", include_str!("../../samples/instagram/echo.json")),
    ("read", include_str!("../../samples/instagram/read.json")),
];

const DISCORD: &[(&str, &str)] = &[
    ("command", include_str!("../../samples/discord/command.json")),
    ("choice", include_str!("../../samples/discord/choice.json")),
    ("list_choice", include_str!("../../samples/discord/list_choice.json")),
    ("modal", include_str!("../../samples/discord/modal.json")),
    ("autocomplete", include_str!("../../samples/discord/autocomplete.json")),
    ("message", include_str!("../../samples/discord/message.json")),
    ("deleted", include_str!("../../samples/discord/deleted.json")),
    ("authorized", include_str!("../../samples/discord/authorized.json")),
    ("entitlement", include_str!("../../samples/discord/entitlement.json")),
];

const WATI: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/wati/message.json")),
    ("image", include_str!("../../samples/wati/image.json")),
    ("voice", include_str!("../../samples/wati/voice.json")),
    ("document", include_str!("../../samples/wati/document.json")),
    ("location", include_str!("../../samples/wati/location.json")),
    ("choice", include_str!("../../samples/wati/choice.json")),
    ("list_choice", include_str!("../../samples/wati/list_choice.json")),
    ("reply", include_str!("../../samples/wati/reply.json")),
    ("echo", include_str!("../../samples/wati/echo.json")),
    ("new_contact", include_str!("../../samples/wati/new_contact.json")),
    ("delivered", include_str!("../../samples/wati/delivered.json")),
    ("read", include_str!("../../samples/wati/read.json")),
    ("failed", include_str!("../../samples/wati/failed.json")),
];

const LINE: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/line/message.json")),
    ("image", include_str!("../../samples/line/image.json")),
    ("video", include_str!("../../samples/line/video.json")),
    ("audio", include_str!("../../samples/line/audio.json")),
    ("document", include_str!("../../samples/line/document.json")),
    ("sticker", include_str!("../../samples/line/sticker.json")),
    ("location", include_str!("../../samples/line/location.json")),
    ("reply", include_str!("../../samples/line/reply.json")),
    ("group_message", include_str!("../../samples/line/group_message.json")),
    ("postback", include_str!("../../samples/line/postback.json")),
    ("follow", include_str!("../../samples/line/follow.json")),
    ("unfollow", include_str!("../../samples/line/unfollow.json")),
    ("deleted", include_str!("../../samples/line/deleted.json")),
];

const SLACK: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/slack/message.json")),
    ("document", include_str!("../../samples/slack/document.json")),
    ("reply", include_str!("../../samples/slack/reply.json")),
    ("mention", include_str!("../../samples/slack/mention.json")),
    ("edited", include_str!("../../samples/slack/edited.json")),
    ("deleted", include_str!("../../samples/slack/deleted.json")),
    ("reaction", include_str!("../../samples/slack/reaction.json")),
    ("reaction_removed", include_str!("../../samples/slack/reaction_removed.json")),
    ("joined", include_str!("../../samples/slack/joined.json")),
    ("choice", include_str!("../../samples/slack/choice.json")),
    ("command", include_str!("../../samples/slack/command.json")),
];

const VIBER: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/viber/message.json")),
    ("image", include_str!("../../samples/viber/image.json")),
    ("video", include_str!("../../samples/viber/video.json")),
    ("document", include_str!("../../samples/viber/document.json")),
    ("sticker", include_str!("../../samples/viber/sticker.json")),
    ("location", include_str!("../../samples/viber/location.json")),
    ("contact", include_str!("../../samples/viber/contact.json")),
    ("link", include_str!("../../samples/viber/link.json")),
    ("delivered", include_str!("../../samples/viber/delivered.json")),
    ("read", include_str!("../../samples/viber/read.json")),
    ("failed", include_str!("../../samples/viber/failed.json")),
    ("started", include_str!("../../samples/viber/started.json")),
    ("subscribed", include_str!("../../samples/viber/subscribed.json")),
    ("unsubscribed", include_str!("../../samples/viber/unsubscribed.json")),
];

const TWILIO: &[(&str, &str)] = &[
    ("message", include_str!("../../samples/twilio/message.json")),
    ("sms", include_str!("../../samples/twilio/sms.json")),
    ("mms", include_str!("../../samples/twilio/mms.json")),
    ("voice", include_str!("../../samples/twilio/voice.json")),
    ("location", include_str!("../../samples/twilio/location.json")),
    ("choice", include_str!("../../samples/twilio/choice.json")),
    ("list_choice", include_str!("../../samples/twilio/list_choice.json")),
    ("sent", include_str!("../../samples/twilio/sent.json")),
    ("delivered", include_str!("../../samples/twilio/delivered.json")),
    ("read", include_str!("../../samples/twilio/read.json")),
    ("failed", include_str!("../../samples/twilio/failed.json")),
];

const STRIPE: &[(&str, &str)] = &[
    ("payment_succeeded", include_str!("../../samples/stripe/payment_succeeded.json")),
    ("payment_failed", include_str!("../../samples/stripe/payment_failed.json")),
    ("checkout_completed", include_str!("../../samples/stripe/checkout_completed.json")),
    ("invoice_paid", include_str!("../../samples/stripe/invoice_paid.json")),
    ("subscription_deleted", include_str!("../../samples/stripe/subscription_deleted.json")),
    ("refunded", include_str!("../../samples/stripe/refunded.json")),
    ("dispute", include_str!("../../samples/stripe/dispute.json")),
    ("thin", include_str!("../../samples/stripe/thin.json")),
];

const GITHUB: &[(&str, &str)] = &[
    ("push", include_str!("../../samples/github/push.json")),
    ("ping", include_str!("../../samples/github/ping.json")),
    ("pull_request", include_str!("../../samples/github/pull_request.json")),
    ("issue", include_str!("../../samples/github/issue.json")),
    ("comment", include_str!("../../samples/github/comment.json")),
    ("release", include_str!("../../samples/github/release.json")),
    ("workflow_run", include_str!("../../samples/github/workflow_run.json")),
];

const SHOPIFY: &[(&str, &str)] = &[
    ("order_created", include_str!("../../samples/shopify/order_created.json")),
    ("order_paid", include_str!("../../samples/shopify/order_paid.json")),
    ("order_cancelled", include_str!("../../samples/shopify/order_cancelled.json")),
    ("checkout_created", include_str!("../../samples/shopify/checkout_created.json")),
    ("customer_created", include_str!("../../samples/shopify/customer_created.json")),
    ("product_updated", include_str!("../../samples/shopify/product_updated.json")),
    ("app_uninstalled", include_str!("../../samples/shopify/app_uninstalled.json")),
];
