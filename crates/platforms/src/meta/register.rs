//! Meta's registrations: the URL of the app, the app on an account, and URLs that override the app's (platforms.md 1.1, 1.9, 7).

use http::Method;
use model::retry::Outcome;
use model::source::SecretRole;
use serde_json::{Value, json};

use crate::http::{Answer, Call};
use crate::json::Object;
use crate::outgoing::escaped;
use crate::platform::Unsupported;
use crate::registration::{self, Found, Look, Step, Wanted, told_by};

/// What the app of a source is registered for.
pub(crate) struct Subject<'s> {
    /// Where the Graph API is, with its version.
    pub(crate) graph: String,
    /// Meta's name for what it tells of.
    pub(crate) object: &'static str,
    /// What of it.
    pub(crate) fields: &'s str,
}

impl Subject<'_> {
    /// The URL of the app: all that Meta tells of such objects goes there.
    pub(crate) fn app(&self, wanted: &Wanted<'_>, app_id: &str) -> Result<Step, Unsupported> {
        let app_secret = wanted.secret(SecretRole::Signing)?;
        let shown = [("authorization", format!("Bearer {app_id}|{app_secret}"))];
        let address = format!("{}/{}/subscriptions", self.graph, escaped(app_id));
        let body = json!({
            "object": self.object,
            "callback_url": wanted.url,
            "verify_token": wanted.secret(SecretRole::VerifyToken)?,
            "fields": self.fields,
        });
        let look = Look {
            call: Call::get(address.clone(), &shown),
            // Both are needed to find it in the list.
            ours: format!("{} {}", self.object, wanted.url),
            read: found_app,
        };
        Ok(Step {
            what: format!("the webhook of the app {app_id}"),
            look: Some(look),
            set: registration::send(Method::POST, address, &shown, &body),
            read,
        })
    }

    /// The app on an account: without it Meta tells nothing of it. With a URL of its own where `overrides`.
    pub(crate) fn account(
        &self,
        wanted: &Wanted<'_>,
        account: &str,
        body: &Value,
        overrides: bool,
    ) -> Result<Step, Unsupported> {
        let shown = bearer(wanted)?;
        let address = format!("{}/{}/subscribed_apps", self.graph, escaped(account));
        let app_id = wanted.source.settings.text("app_id").unwrap_or_default();
        let (ours, read_look): (&str, fn(&Answer, &str) -> Found) =
            if overrides { (wanted.url, found_override) } else { (app_id, found_subscribed) };
        Ok(Step {
            what: format!("the account {account}"),
            look: Some(Look {
                call: Call::get(address.clone(), &shown),
                ours: ours.to_owned(),
                read: read_look,
            }),
            set: registration::send(Method::POST, address, &shown, body),
            read,
        })
    }

    /// The URL of one phone number, before that of its business account and of the app.
    pub(crate) fn number(&self, wanted: &Wanted<'_>, number: &str) -> Result<Step, Unsupported> {
        let shown = bearer(wanted)?;
        let address = format!("{}/{}", self.graph, escaped(number));
        let look = Look {
            call: Call::get(format!("{address}?fields=webhook_configuration"), &shown),
            ours: wanted.url.to_owned(),
            read: found_number,
        };
        Ok(Step {
            what: format!("the number {number}"),
            look: Some(look),
            set: registration::send(
                Method::POST,
                address,
                &shown,
                &json!({ "webhook_configuration": overriding(wanted)? }),
            ),
            read,
        })
    }
}

/// The URL that goes before the app's, and what Meta shows when it checks that.
pub(crate) fn overriding(wanted: &Wanted<'_>) -> Result<Value, Unsupported> {
    let verify_token = wanted.secret(SecretRole::VerifyToken)?;
    Ok(json!({ "override_callback_uri": wanted.url, "verify_token": verify_token }))
}

fn bearer(wanted: &Wanted<'_>) -> Result<[(&'static str, String); 1], Unsupported> {
    Ok([("authorization", format!("Bearer {}", wanted.secret(SecretRole::AccessToken)?))])
}

fn listed<'a>(body: Option<&Object<'a>>) -> Option<Vec<Object<'a>>> {
    Some(body?.items("data")?.into_iter().filter_map(Object::of).collect())
}

fn found_app(answer: &Answer, ours: &str) -> Found {
    let Some((object, url)) = ours.split_once(' ') else { return Found::Ours };
    let body = told_by(answer);
    let Some(all) = listed(body.as_ref()) else { return Found::unclear(answer, words(answer).as_deref()) };
    let same = all.iter().find(|one| one.text("object").as_deref() == Some(object));
    Found::url(same.and_then(|one| one.text("callback_url")).as_deref(), url)
}

fn found_subscribed(answer: &Answer, app_id: &str) -> Found {
    let body = told_by(answer);
    let Some(all) = listed(body.as_ref()) else { return Found::unclear(answer, words(answer).as_deref()) };
    // WhatsApp names the app in an object of its own.
    let id_of = |one: &Object<'_>| {
        one.string("id").or_else(|| one.object("whatsapp_business_api_data")?.string("id"))
    };
    let is_there = if app_id.is_empty() {
        !all.is_empty()
    } else {
        all.iter().any(|one| id_of(one).as_deref() == Some(app_id))
    };
    match is_there {
        true => Found::Ours,
        false => Found::Other("the app is not subscribed to the account".to_owned()),
    }
}

fn found_override(answer: &Answer, ours: &str) -> Found {
    let body = told_by(answer);
    let Some(all) = listed(body.as_ref()) else { return Found::unclear(answer, words(answer).as_deref()) };
    let urls: Vec<_> = all.iter().filter_map(|one| one.text("override_callback_uri")).collect();
    let ours_or_first = urls.iter().find(|url| *url == ours).or(urls.first());
    Found::url(ours_or_first.map(AsRef::as_ref), ours)
}

fn found_number(answer: &Answer, ours: &str) -> Found {
    let body = told_by(answer);
    match body.as_ref().and_then(|body| body.object("webhook_configuration")) {
        Some(urls) => Found::url(urls.text("phone_number").as_deref(), ours),
        None if answer.status == 200 => Found::url(None, ours),
        None => Found::unclear(answer, words(answer).as_deref()),
    }
}

fn read(answer: &Answer) -> Outcome {
    // Meta's own sample has the text "true".
    let is_done = told_by(answer)
        .is_some_and(|body| body.flag("success") || body.text("success").as_deref() == Some("true"));
    registration::outcome(answer, is_done, words(answer).as_deref())
}

fn words(answer: &Answer) -> Option<String> {
    told_by(answer)?.object("error")?.string("message")
}
