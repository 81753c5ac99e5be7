//! Reading settings strictly: every key known, every value of its kind, and words that say what to do otherwise.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use model::event::EventType;
use model::source::{SecretRole, Settings, Source};

use crate::proof::TOLERANCE_DEFAULT;

/// First words of event types that mean something to us; what a foreign system says never gets one of them.
pub(crate) const OUR_WORDS: [&str; 9] = [
    "message",
    "conversation",
    "contact",
    "account",
    "endpoint",
    "delivery",
    "source",
    "file",
    "certificate",
];

/// Refuses keys the adapter does not know, by name.
pub(crate) fn known(settings: &Settings, keys: &[&str]) -> Result<(), String> {
    match settings.object().keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!("unknown setting \"{key}\": remove it, or use one of {}", keys.join(", "))),
    }
}

/// The text under a key; an empty one is refused.
pub(crate) fn text<'s>(settings: &'s Settings, key: &str) -> Result<Option<&'s str>, String> {
    match (settings.object().get(key), settings.text(key)) {
        (None, _) => Ok(None),
        (_, Some(text)) if !text.is_empty() => Ok(Some(text)),
        _ => Err(format!("setting \"{key}\" must be a text that is not empty")),
    }
}

/// The switch under a key.
pub(crate) fn flag(settings: &Settings, key: &str) -> Result<Option<bool>, String> {
    match settings.object().get(key) {
        None => Ok(None),
        Some(value) => value.as_bool().map(Some).ok_or(format!("setting \"{key}\" must be true or false")),
    }
}

/// The whole number under a key, within bounds.
pub(crate) fn number(
    settings: &Settings,
    key: &str,
    bounds: RangeInclusive<i64>,
) -> Result<Option<i64>, String> {
    match (settings.object().get(key), settings.number(key)) {
        (None, _) => Ok(None),
        (_, Some(number)) if bounds.contains(&number) => Ok(Some(number)),
        _ => Err(format!(
            "setting \"{key}\" must be a whole number from {} to {}",
            bounds.start(),
            bounds.end()
        )),
    }
}

/// One of several named values.
pub(crate) fn choice<T: Copy>(
    settings: &Settings,
    key: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, String> {
    let Some(name) = text(settings, key)? else {
        return Ok(None);
    };
    let chosen = choices.iter().find(|(choice, _)| *choice == name).map(|(_, value)| *value);
    let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
    chosen.map(Some).ok_or(format!("setting \"{key}\" must be one of {}", names.join(", ")))
}

/// The name of a header.
pub(crate) fn header<'s>(settings: &'s Settings, key: &str) -> Result<Option<&'s str>, String> {
    let Some(name) = text(settings, key)? else {
        return Ok(None);
    };
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(Some(name)),
        Err(_) => Err(format!("setting \"{key}\" must be the name of a header, such as X-Signature")),
    }
}

/// A JSON pointer (RFC 6901) of at most 16 parts.
pub(crate) fn pointer<'s>(settings: &'s Settings, key: &str) -> Result<Option<&'s str>, String> {
    let Some(pointer) = text(settings, key)? else {
        return Ok(None);
    };
    match pointer.starts_with('/') && pointer.split('/').count() <= 17 {
        true => Ok(Some(pointer)),
        false => {
            Err(format!("setting \"{key}\" must be a JSON pointer of at most 16 parts, such as /data/id"))
        }
    }
}

/// How many messages a second may be sent, by `messages_per_second` where it is set.
pub(crate) fn messages_per_second(settings: &Settings, default: i64) -> u32 {
    let rate = settings.number("messages_per_second").unwrap_or(default);
    u32::try_from(rate.clamp(1, 1000)).unwrap_or(1)
}

/// How far a signed time may be from ours, by `tolerance_s` where it is set.
pub(crate) fn tolerance(settings: &Settings) -> Duration {
    let seconds = settings.number("tolerance_s").and_then(|secs| u64::try_from(secs).ok());
    seconds.map_or(TOLERANCE_DEFAULT, Duration::from_secs)
}

/// The words that stand before every event type of a foreign system; `default` where none are set.
pub(crate) fn event_prefix<'s>(settings: &'s Settings, default: &'s str) -> Result<&'s str, String> {
    let prefix = text(settings, "event_prefix")?.unwrap_or(default);
    let first = prefix.split('.').next().unwrap_or(prefix);
    if EventType::new(prefix).is_none() || prefix.len() > 64 {
        return Err("setting \"event_prefix\" must be dotted words of letters, digits and _".to_owned());
    }
    if OUR_WORDS.contains(&first) {
        return Err(format!("setting \"event_prefix\" cannot begin with \"{first}\": choose another word"));
    }
    Ok(prefix)
}

/// Refuses a source that has no secret of a role; `what` says what the secret is.
pub(crate) fn secret_needed(source: &Source, role: SecretRole, what: &str) -> Result<(), String> {
    let mut held = source.secrets.iter().filter(|held| held.role == role);
    let role = role.as_str();
    match held.clone().next() {
        None => Err(format!("add a secret with role \"{role}\": {what}")),
        Some(_) if held.any(|held| held.key.secret.expose().is_empty()) => {
            Err(format!("the secret with role \"{role}\" is empty: enter {what}"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(value: &serde_json::Value) -> Settings {
        Settings::new(value.as_object().expect("an object").clone())
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let refusal = known(&settings(&json!({"hedder": 1})), &["header"]).expect_err("an unknown key");
        assert_eq!(refusal, "unknown setting \"hedder\": remove it, or use one of header");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_and_an_absent_one_is_not() {
        let held = settings(&json!({"a": 1, "b": "", "c": "x y", "d": "id"}));
        assert!(text(&held, "a").is_err());
        assert!(text(&held, "b").is_err());
        assert!(flag(&held, "a").is_err());
        assert!(number(&held, "a", 2..=3).is_err());
        assert!(number(&held, "d", 2..=3).is_err());
        assert!(header(&held, "c").is_err());
        assert!(pointer(&held, "d").is_err());
        assert!(choice(&held, "d", &[("other", 1)]).is_err());
        assert_eq!(text(&held, "absent"), Ok(None));
        assert_eq!(number(&held, "a", 1..=1), Ok(Some(1)));
    }

    #[test]
    fn a_prefix_never_makes_an_event_type_of_ours() {
        for refused in ["message", "message.x", "account", "a b", "."] {
            assert!(
                event_prefix(&settings(&json!({"event_prefix": refused})), "generic").is_err(),
                "{refused}"
            );
        }
        assert_eq!(
            event_prefix(&settings(&json!({"event_prefix": "shop.orders"})), "generic"),
            Ok("shop.orders")
        );
        assert_eq!(event_prefix(&settings(&json!({})), "generic"), Ok("generic"));
    }
}
