//! Errors as RFC 9457 problems: one code each, in the caller's language, with a page in `docs/reference/errors`.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use control::{Error, Words};
use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use model::receipt::Language;
use serde::Serialize;
use utoipa::ToSchema;

use crate::language;

/// Every kind of problem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Malformed,
    Invalid,
    Conflict,
    Stale,
    AlreadyReplayed,
    ContentRemoved,
    KeyReused,
    KeyUnderWay,
    Unsupported,
    WindowClosed,
    NotGenuine,
    TooLarge,
    TooSlow,
    TooMany,
    Busy,
    Unavailable,
    Internal,
}

impl Code {
    /// Every code.
    #[cfg(test)]
    pub(crate) const ALL: [Code; 21] = [
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::Malformed,
        Code::Invalid,
        Code::Conflict,
        Code::Stale,
        Code::AlreadyReplayed,
        Code::ContentRemoved,
        Code::KeyReused,
        Code::KeyUnderWay,
        Code::Unsupported,
        Code::WindowClosed,
        Code::NotGenuine,
        Code::TooLarge,
        Code::TooSlow,
        Code::TooMany,
        Code::Busy,
        Code::Unavailable,
        Code::Internal,
    ];

    /// The fixed name, the same in every language.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Code::Unauthenticated => "unauthenticated",
            Code::Forbidden => "forbidden",
            Code::NotFound => "not_found",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::Malformed => "malformed",
            Code::Invalid => "invalid",
            Code::Conflict => "conflict",
            Code::Stale => "stale",
            Code::AlreadyReplayed => "already_replayed",
            Code::ContentRemoved => "content_removed",
            Code::KeyReused => "key_reused",
            Code::KeyUnderWay => "key_under_way",
            Code::Unsupported => "unsupported",
            Code::WindowClosed => "window_closed",
            Code::NotGenuine => "not_genuine",
            Code::TooLarge => "too_large",
            Code::TooSlow => "too_slow",
            Code::TooMany => "too_many",
            Code::Busy => "busy",
            Code::Unavailable => "unavailable",
            Code::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::Malformed => StatusCode::BAD_REQUEST,
            Code::Invalid | Code::KeyReused | Code::Unsupported | Code::WindowClosed => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Code::Conflict
            | Code::AlreadyReplayed
            | Code::ContentRemoved
            | Code::KeyUnderWay
            | Code::NotGenuine => StatusCode::CONFLICT,
            Code::Stale => StatusCode::PRECONDITION_FAILED,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Code::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Code::Busy | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self, language: Language) -> &'static str {
        let (english, spanish) = match self {
            Code::Unauthenticated => ("no valid token", "sin token válido"),
            Code::Forbidden => ("not allowed", "no permitido"),
            Code::NotFound => ("not found", "no encontrado"),
            Code::MethodNotAllowed => ("method not allowed", "método no permitido"),
            Code::Malformed => ("cannot be read", "no se puede leer"),
            Code::Invalid => ("not valid", "no válido"),
            Code::Conflict => ("not possible as things stand", "no es posible en el estado actual"),
            Code::Stale => ("changed meanwhile", "cambió mientras tanto"),
            Code::AlreadyReplayed => ("replayed before", "reenviada antes"),
            Code::ContentRemoved => ("its content is no longer kept", "su contenido ya no se guarda"),
            Code::KeyReused => ("idempotency key reused", "clave de idempotencia reutilizada"),
            Code::KeyUnderWay => ("the same request is under way", "la misma petición está en curso"),
            Code::Unsupported => ("the platform cannot do this", "la plataforma no puede hacer esto"),
            Code::WindowClosed => ("the service window is closed", "la ventana de servicio está cerrada"),
            Code::NotGenuine => ("not proven genuine", "no se demostró auténtica"),
            Code::TooLarge => ("too large", "demasiado grande"),
            Code::TooSlow => ("too slow", "demasiado lenta"),
            Code::TooMany => ("too many requests", "demasiadas peticiones"),
            Code::Busy => ("busy", "ocupado"),
            Code::Unavailable => ("not available now", "no disponible ahora"),
            Code::Internal => ("internal error", "error interno"),
        };
        in_language(language, english, spanish)
    }

    /// What to do about it, where nothing more precise is known.
    fn advice(self, language: Language) -> &'static str {
        let (english, spanish) = match self {
            Code::Unauthenticated => {
                ("send a token as `Authorization: Bearer …`", "envía un token como `Authorization: Bearer …`")
            }
            Code::Forbidden => ("this token's role does not allow it", "el rol de este token no lo permite"),
            Code::NotFound => {
                ("there is nothing here that this token can see", "aquí no hay nada que este token pueda ver")
            }
            Code::MethodNotAllowed => {
                ("this path does not take this method", "esta ruta no acepta este método")
            }
            Code::Malformed => ("send JSON as the API describes it", "envía JSON como lo describe la API"),
            Code::Invalid => ("correct what `errors` names", "corrige lo que indica `errors`"),
            Code::Conflict => ("look at how it stands, then decide", "mira en qué estado está y decide"),
            Code::Stale => (
                "get it anew, make the change to what is there now, and send its ETag",
                "vuelve a consultarlo, haz el cambio sobre lo que hay ahora y envía su ETag",
            ),
            Code::AlreadyReplayed => {
                ("send `again` to replay it once more", "envía `again` para reenviarla otra vez")
            }
            Code::ContentRemoved => (
                "retention has removed it: it cannot be delivered again",
                "la retención lo eliminó: no se puede volver a entregar",
            ),
            Code::KeyReused => (
                "this key was used with another request: take a new one",
                "esta clave se usó con otra petición: usa una nueva",
            ),
            Code::KeyUnderWay => ("ask again in a moment", "vuelve a pedirlo en un momento"),
            Code::Unsupported => ("send something the platform takes", "envía algo que la plataforma acepte"),
            Code::WindowClosed => (
                "the contact has not written within 24 hours: send a template, or set override_window",
                "el contacto no ha escrito en las últimas 24 horas: envía una plantilla o activa override_window",
            ),
            Code::NotGenuine => (
                "correct the source's secrets, or release it as trusted",
                "corrige los secretos de la fuente o libérala como de confianza",
            ),
            Code::TooLarge => ("a body has at most 1 MiB", "un cuerpo tiene como máximo 1 MiB"),
            Code::TooSlow => (
                "the body did not come to its end within 15 seconds: send it again",
                "el cuerpo no terminó de llegar en 15 segundos: envíalo de nuevo",
            ),
            Code::TooMany => ("come back after Retry-After", "vuelve después de Retry-After"),
            Code::Busy | Code::Unavailable => (
                "nothing was changed: try again in a moment",
                "no se cambió nada: inténtalo de nuevo en un momento",
            ),
            Code::Internal => (
                "this is our fault and is in the log under the request id",
                "es culpa nuestra y está en el registro con el id de la petición",
            ),
        };
        in_language(language, english, spanish)
    }
}

fn in_language(language: Language, english: &'static str, spanish: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::Spanish => spanish,
    }
}

/// A problem on its way out; it is written in the caller's language at the door.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: Option<Words>,
    errors: Vec<(String, Words)>,
    wait: Option<Duration>,
}

impl Problem {
    /// A problem that its code says everything about.
    pub(crate) fn of(code: Code) -> Problem {
        Problem { code, detail: None, errors: Vec::new(), wait: None }
    }

    /// One thing in the body that cannot be, by its JSON pointer without the first slash.
    pub(crate) fn invalid(field: &str, words: Words) -> Problem {
        Problem { errors: vec![(field.to_owned(), words)], ..Problem::of(Code::Invalid) }
    }

    /// The same with words of its own.
    pub(crate) fn saying(self, detail: Words) -> Problem {
        Problem { detail: Some(detail), ..self }
    }

    /// What kind of problem it is.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The HTTP status it is told with.
    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// What to do about it, in words: of each thing that is wrong where they are named.
    pub(crate) fn words(&self, language: Language) -> String {
        let named: Vec<String> = self
            .errors
            .iter()
            .map(|(field, words)| format!("{field}: {}", words.in_language(language)))
            .collect();
        match &self.detail {
            _ if !named.is_empty() => named.join("; "),
            Some(words) => words.in_language(language).to_owned(),
            None => self.code.advice(language).to_owned(),
        }
    }

    /// The same with the time to wait.
    pub(crate) fn after(self, wait: Duration) -> Problem {
        Problem { wait: Some(wait), ..self }
    }

    /// The whole answer.
    pub(crate) fn written(&self, language: Language, request_id: &str) -> Response {
        let detail = self.detail.as_ref().map(|words| words.in_language(language));
        let view = ProblemView {
            r#type: format!("urn:gancho:error:{}", self.code.as_str()),
            title: self.code.title(language).to_owned(),
            status: self.code.status().as_u16(),
            detail: detail.unwrap_or(self.code.advice(language)).to_owned(),
            code: self.code.as_str().to_owned(),
            request_id: request_id.to_owned(),
            errors: self
                .errors
                .iter()
                .map(|(field, words)| FieldErrorView::of(field, words, language))
                .collect(),
        };
        let mut response = (self.code.status(), Json(view)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language::tag(language)));
        if self.code == Code::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let wait = self
            .wait
            .or((self.code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1)));
        if let Some(wait) = wait {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Carries the problem to the door, where language and request id are known.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::NotFound(_) => Problem::of(Code::NotFound),
            Error::Forbidden => Problem::of(Code::Forbidden),
            Error::Invalid { field, words } => Problem::invalid(&field, words),
            Error::Conflict(words) => Problem::of(Code::Conflict).saying(words),
            Error::Stale => Problem::of(Code::Stale),
            Error::Replayed(by) => Problem::of(Code::AlreadyReplayed).saying(Words::new(
                format!("it was replayed as {by}; send `again` to replay it once more"),
                format!("se reenvió como {by}; envía `again` para reenviarla otra vez"),
            )),
            Error::ContentRemoved => Problem::of(Code::ContentRemoved),
            Error::TooLarge(max) => Problem::of(Code::TooLarge).saying(Words::new(
                format!("a file has at most {max} bytes"),
                format!("un archivo tiene como máximo {max} bytes"),
            )),
            Error::BrokenOff => Problem::of(Code::TooSlow),
            Error::KeyReused => Problem::of(Code::KeyReused),
            Error::Unsupported(words) => Problem::of(Code::Unsupported).saying(words),
            Error::WindowClosed => Problem::of(Code::WindowClosed),
            Error::NotGenuine(reason) => {
                let words = Words::new(reason.words(Language::English), reason.words(Language::Spanish));
                Problem::of(Code::NotGenuine).saying(words)
            }
            Error::Busy => Problem::of(Code::Busy),
            Error::Unavailable(cause) => {
                tracing::warn!(error = %cause, "the store is not available");
                Problem::of(Code::Unavailable)
            }
            Error::Internal(cause) => {
                tracing::error!(error = %cause, "a request failed by our own fault");
                Problem::of(Code::Internal)
            }
        }
    }
}

/// An error, as RFC 9457 writes it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// A fixed name of the kind of problem.
    r#type: String,
    /// The kind of problem, in the caller's language.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What to do about it, in the caller's language.
    detail: String,
    /// The kind of problem, the same in every language; each has a page in the reference.
    code: String,
    /// The id of the request, as in `X-Request-Id` and in the log.
    request_id: String,
    /// What exactly is wrong, where it can be named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldErrorView>,
}

/// One thing that is wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldError)]
struct FieldErrorView {
    /// Where: a JSON pointer into the body, or the name of a query parameter after a slash.
    pointer: String,
    /// What to give instead.
    detail: String,
}

impl FieldErrorView {
    fn of(field: &str, words: &Words, language: Language) -> FieldErrorView {
        FieldErrorView { pointer: format!("/{field}"), detail: words.in_language(language).to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_titles_advice_and_a_page() {
        for code in Code::ALL {
            assert_ne!(code.title(Language::English), code.title(Language::Spanish), "{code:?}");
            assert_ne!(code.advice(Language::English), code.advice(Language::Spanish), "{code:?}");
            let page =
                format!("{}/../../docs/reference/errors/{}.md", env!("CARGO_MANIFEST_DIR"), code.as_str());
            assert!(
                std::path::Path::new(&page).is_file(),
                "{page} is missing: write what the code means and what to do"
            );
        }
    }
}
