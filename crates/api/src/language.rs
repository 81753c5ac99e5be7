//! Which of our languages a caller would rather read.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;
use http::request::Parts;
use model::receipt::Language;

/// The language of the answer.
pub(crate) struct Spoken(pub(crate) Language);

impl<S: Sync> FromRequestParts<S> for Spoken {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Spoken, Self::Rejection> {
        Ok(Spoken(preferred(&parts.headers)))
    }
}

/// The language of ours with the highest weight in `Accept-Language` (RFC 9110 12.5.4); English otherwise.
pub(crate) fn preferred(headers: &HeaderMap) -> Language {
    let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut best = (0.0, Language::English);
    for range in accepted.split(',') {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |text| text.parse::<f32>().ok());
        let language = match tag.trim().split('-').next().map(str::to_ascii_lowercase).as_deref() {
            Some("es") => Language::Spanish,
            Some("en") => Language::English,
            _ => continue,
        };
        if weight.is_some_and(|weight| weight > best.0) {
            best = (weight.unwrap_or_default(), language);
        }
    }
    best.1
}

/// The tag of a language.
pub(crate) fn tag(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Spanish => "es",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(text: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(text));
        preferred(&headers)
    }

    #[test]
    fn the_heavier_language_of_ours_wins_and_english_is_the_rest() {
        assert_eq!(of("es-CO,es;q=0.9,en;q=0.8"), Language::Spanish);
        assert_eq!(of("en;q=0.2, ES;q=0.7"), Language::Spanish);
        assert_eq!(of("fr, en-GB;q=0.9, es;q=0.1"), Language::English);
        for neither in ["fr", "", "es;q=0", "es;q=x", "*"] {
            assert_eq!(of(neither), Language::English, "{neither}");
        }
    }
}
