//! Where Meta calls for WhatsApp: at the app's URL, or at one of a business account's or a number's own (platforms.md 1.1, 1.9).

use model::source::Settings;
use serde_json::json;

use super::send::graph;
use crate::meta::register::{Subject, overriding};
use crate::outgoing::unsupported;
use crate::platform::Unsupported;
use crate::registration::{Step, Wanted};
use crate::settings;

/// What Meta is asked to tell the app of, unless the source says otherwise.
const FIELDS: &str = "messages,message_template_status_update,message_template_quality_update,\
    message_template_components_update,template_category_update,account_update,account_alerts,account_review_update,\
    phone_number_quality_update,phone_number_name_update,business_capability_update,security,user_preferences,calls,\
    smb_message_echoes,smb_app_state_sync,history";

/// Where our URL is entered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    App,
    BusinessAccount,
    Number,
}

const CHOICES: [(&str, At); 3] =
    [("app", At::App), ("business_account", At::BusinessAccount), ("number", At::Number)];

/// Says what is wrong with the settings of the registration.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    for key in ["app_id", "business_account_id", "fields"] {
        settings::text(of, key)?;
    }
    match settings::choice(of, "register_at", &CHOICES)? {
        Some(At::App) if of.text("app_id").is_none() => {
            Err("setting \"register_at\" is \"app\": name the app in \"app_id\"".to_owned())
        }
        Some(At::BusinessAccount) if of.text("business_account_id").is_none() => {
            Err("setting \"register_at\" is \"business_account\": name it in \"business_account_id\""
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// At the app where the source names one, else at the business account, else at each number.
pub(super) fn steps(wanted: &Wanted<'_>) -> Result<Vec<Step>, Unsupported> {
    let of = &wanted.source.settings;
    let (app_id, business) = (of.text("app_id"), of.text("business_account_id"));
    let subject = Subject {
        graph: graph(of),
        object: "whatsapp_business_account",
        fields: of.text("fields").unwrap_or(FIELDS),
    };
    let at = settings::choice(of, "register_at", &CHOICES).ok().flatten();
    match at.unwrap_or(if app_id.is_some() {
        At::App
    } else if business.is_some() {
        At::BusinessAccount
    } else {
        At::Number
    }) {
        At::App => {
            let app_id = app_id.ok_or_else(|| unsupported("name the app in \"app_id\" first"))?;
            let app = subject.app(wanted, app_id)?;
            // Without it Meta tells the app nothing of the account's numbers.
            let business = business.map(|id| subject.account(wanted, id, &json!({}), false)).transpose()?;
            Ok([app].into_iter().chain(business).collect())
        }
        At::BusinessAccount => {
            let id = business.ok_or_else(|| unsupported("name it in \"business_account_id\" first"))?;
            Ok(vec![subject.account(wanted, id, &overriding(wanted)?, true)?])
        }
        At::Number => wanted.some_accounts()?.iter().map(|number| subject.number(wanted, number)).collect(),
    }
}
