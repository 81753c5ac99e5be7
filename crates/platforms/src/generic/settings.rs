//! The settings of a generic source, read into a plan; what cannot be meant is refused in words.

use std::time::Duration;

use http::{Method, Uri};
use model::secret::Secret;
use model::source::{SecretRole, Settings, Source};

use super::KIND;
use super::hmac::{Encoding, Hmac, SignedTime, TimePlace};
use super::template::{Part, Template};
use crate::credential::Credential;
use crate::proof::{Hash, TOLERANCE_DEFAULT};
use crate::settings::{choice, event_prefix, flag, header, known, number, pointer, secret_needed, text};

const COMMON_KEYS: [&str; 19] = [
    "scheme",
    "methods",
    "challenge_parameter",
    "challenge_token_parameter",
    "challenge_open",
    "challenge_json_field",
    "event_type_header",
    "event_type_pointer",
    "event_prefix",
    "dedupe_header",
    "dedupe_pointer",
    "order_header",
    "order_pointer",
    "occurred_pointer",
    "form_json_field",
    "items_pointer",
    "response_status",
    "response_body",
    "response_type",
];
const HMAC_KEYS: [&str; 16] = [
    "header",
    "hash",
    "encoding",
    "prefix",
    "separator",
    "style",
    "signature_field",
    "timestamp_field",
    "signed",
    "timestamp_header",
    "timestamp_unit",
    "tolerance_s",
    "id_header",
    "public_url",
    "key_encoding",
    "key_prefix",
];

/// Everything a generic source's settings say.
pub(super) struct Plan<'s> {
    /// How a request is proven.
    pub(super) scheme: Scheme<'s>,
    /// The methods events come with.
    pub(super) methods: Vec<Method>,
    /// How the sender checks our URL.
    pub(super) challenge: Challenge<'s>,
    /// How events are read.
    pub(super) reading: Reading<'s>,
    /// What the sender hears.
    pub(super) response: Response<'s>,
}

/// How a request is proven.
pub(super) enum Scheme<'s> {
    /// By an HMAC.
    Hmac(Box<Hmac<'s>>),
    /// By a header that equals a secret, after a prefix.
    Header {
        /// The header.
        name: &'s str,
        /// What stands before the secret.
        prefix: &'s str,
    },
    /// By a token in the URL.
    UrlToken(UrlToken<'s>),
    /// By the `Authorization` header.
    Authorization(Credential),
    /// By nothing, because the settings say so.
    Unsigned,
}

/// Where a token stands in the URL.
pub(super) enum UrlToken<'s> {
    /// In a query parameter.
    Parameter(&'s str),
    /// At the end of the path.
    LastOfPath,
}

/// How the sender checks that a URL is ours.
pub(super) struct Challenge<'s> {
    /// The query parameter a GET wants said back, and what proves it.
    pub(super) query: Option<(&'s str, QueryProof<'s>)>,
    /// The member of a JSON body that is said back.
    pub(super) json_field: Option<&'s str>,
}

/// What proves a GET challenge.
#[derive(Clone, Copy)]
pub(super) enum QueryProof<'s> {
    /// A query parameter that holds the verify token.
    Token(&'s str),
    /// Nothing, because the settings say so.
    Open,
}

/// How events are read out of a request.
pub(super) struct Reading<'s> {
    /// What stands before every event type.
    pub(super) prefix: &'s str,
    /// Where the event type is; the usual places when nothing is said.
    pub(super) event_type: Option<Place<'s>>,
    /// Where the id of the event is; without it every request is a fact of its own.
    pub(super) dedupe: Option<Place<'s>>,
    /// Where the name of the line the event stays in is.
    pub(super) order: Option<Place<'s>>,
    /// Where the time is.
    pub(super) occurred: Option<&'s str>,
    /// The field of a form that holds the JSON.
    pub(super) form_json_field: Option<&'s str>,
    /// Where the array is whose items are events.
    pub(super) items: Option<&'s str>,
}

/// Where something is told.
#[derive(Clone, Copy)]
pub(super) enum Place<'s> {
    /// In a header.
    Header(&'s str),
    /// In the body.
    Pointer(&'s str),
}

/// What the sender hears.
pub(super) struct Response<'s> {
    /// The status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: &'s str,
    /// Its media type.
    pub(super) content_type: &'static str,
}

impl<'s> Plan<'s> {
    /// Reads the settings, or says what to do about them.
    pub(super) fn read(settings: &'s Settings) -> Result<Plan<'s>, String> {
        let scheme = text(settings, "scheme")?.ok_or("set \"scheme\": how does the sender prove itself?")?;
        let own_keys: &[&str] = match scheme {
            "hmac" => &HMAC_KEYS,
            "header" => &["header", "prefix"],
            "url_token" => &["parameter", "in_path"],
            _ => &[],
        };
        known(settings, &[&COMMON_KEYS, own_keys].concat())?;
        Ok(Plan {
            scheme: read_scheme(settings, scheme)?,
            methods: read_methods(settings)?,
            challenge: read_challenge(settings)?,
            reading: read_reading(settings)?,
            response: read_response(settings)?,
        })
    }
}

/// Says what is wrong with a source's settings and secrets.
pub(super) fn check(source: &Source) -> Result<(), String> {
    let plan = Plan::read(&source.settings)?;
    if let Some((_, QueryProof::Token(_))) = plan.challenge.query {
        secret_needed(source, SecretRole::VerifyToken, "the token the sender shows with its challenge")?;
    }
    match &plan.scheme {
        Scheme::Hmac(hmac) => {
            secret_needed(source, SecretRole::Signing, "the key the sender signs with")?;
            every(source, SecretRole::Signing, |key| hmac.key(key).is_some())
                .map_err(|()| "a signing secret cannot be read: compare it with \"key_encoding\"".to_owned())
        }
        Scheme::Header { .. } => {
            secret_needed(source, SecretRole::Credential, "the text the header must show")
        }
        Scheme::UrlToken(place) => {
            secret_needed(source, SecretRole::Credential, "the token in the URL")?;
            let plain = |token: &Secret| {
                token.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
            };
            let fits = |token: &Secret| matches!(place, UrlToken::Parameter(_)) || plain(token);
            every(source, SecretRole::Credential, fits)
                .map_err(|()| "a token in the path may hold letters, digits and -_.~ only".to_owned())
        }
        Scheme::Authorization(credential) => credential.check(source),
        Scheme::Unsigned => Ok(()),
    }
}

fn every(source: &Source, role: SecretRole, good: impl Fn(&Secret) -> bool) -> Result<(), ()> {
    let mut of_role = source.secrets.iter().filter(|held| held.role == role);
    if of_role.all(|held| good(&held.key.secret)) { Ok(()) } else { Err(()) }
}

fn read_scheme<'s>(settings: &'s Settings, scheme: &str) -> Result<Scheme<'s>, String> {
    let authorization = Credential::CHOICES.iter().find(|(name, _)| *name == scheme);
    match (scheme, authorization) {
        (_, Some((_, credential))) => Ok(Scheme::Authorization(*credential)),
        ("hmac", _) => Ok(Scheme::Hmac(Box::new(read_hmac(settings)?))),
        ("header", _) => Ok(Scheme::Header {
            name: header(settings, "header")?.ok_or("set \"header\" to the header that shows the secret")?,
            prefix: text(settings, "prefix")?.unwrap_or_default(),
        }),
        ("url_token", _) => Ok(Scheme::UrlToken(match flag(settings, "in_path")? {
            Some(true) => UrlToken::LastOfPath,
            _ => UrlToken::Parameter(text(settings, "parameter")?.unwrap_or("token")),
        })),
        ("unsigned", _) => Ok(Scheme::Unsigned),
        _ => Err("setting \"scheme\" must be one of hmac, header, url_token, basic, bearer, jwt_hs256, jwt_rs256, \
                  unsigned"
            .to_owned()),
    }
}

fn read_hmac(settings: &Settings) -> Result<Hmac<'_>, String> {
    let pairs = choice(settings, "style", &[("plain", false), ("pairs", true)])?.unwrap_or(false);
    let signature_field = text(settings, "signature_field")?;
    let hashes = [("sha1", Hash::Sha1), ("sha256", Hash::Sha256), ("sha512", Hash::Sha512)];
    let encodings =
        [("hex", Encoding::Hex), ("base64", Encoding::Base64), ("base64url", Encoding::Base64Url)];
    let key_encodings = [("utf8", Encoding::Utf8), ("hex", Encoding::Hex), ("base64", Encoding::Base64)];
    if signature_field.is_some() && !pairs {
        return Err("\"signature_field\" is for \"style\": \"pairs\" only: set that, or remove it".to_owned());
    }
    let hmac = Hmac {
        header: header(settings, "header")?.ok_or("set \"header\" to the header the signature is in")?,
        hash: choice(settings, "hash", &hashes)?.unwrap_or(Hash::Sha256),
        encoding: choice(settings, "encoding", &encodings)?.unwrap_or(Encoding::Hex),
        prefix: text(settings, "prefix")?.unwrap_or_default(),
        separator: text(settings, "separator")?,
        signature_field: pairs.then(|| signature_field.unwrap_or("v1")),
        signed: Template::parse(text(settings, "signed")?.unwrap_or("{body}"))?,
        time: read_time(settings, pairs)?,
        id_header: header(settings, "id_header")?,
        public_url: read_public_url(settings)?,
        key_encoding: choice(settings, "key_encoding", &key_encodings)?.unwrap_or(Encoding::Utf8),
        key_prefix: text(settings, "key_prefix")?.unwrap_or_default(),
    };
    check_signed(&hmac).map(|()| hmac)
}

fn read_public_url(settings: &Settings) -> Result<&str, String> {
    let Some(url) = text(settings, "public_url")? else {
        return Ok("");
    };
    let web = url.starts_with("https://") || url.starts_with("http://");
    match web && url.parse::<Uri>().is_ok_and(|uri| uri.query().is_none()) {
        true => Ok(url),
        false => {
            Err("setting \"public_url\" must be what stands before the path, such as https://hooks.example"
                .to_owned())
        }
    }
}

fn read_time(settings: &Settings, pairs: bool) -> Result<Option<SignedTime<'_>>, String> {
    let place = match (header(settings, "timestamp_header")?, text(settings, "timestamp_field")?) {
        (Some(_), Some(_)) => {
            return Err("set \"timestamp_header\" or \"timestamp_field\", not both".to_owned());
        }
        (None, Some(_)) if !pairs => {
            return Err(
                "\"timestamp_field\" is for \"style\": \"pairs\" only: use \"timestamp_header\"".to_owned()
            );
        }
        (Some(name), None) => TimePlace::Header(name),
        (None, Some(field)) => TimePlace::Field(field),
        (None, None) => {
            let needless = ["timestamp_unit", "tolerance_s"]
                .into_iter()
                .find(|key| settings.object().contains_key(*key));
            return needless.map_or(Ok(None), |key| {
                Err(format!("\"{key}\" needs a signed time: set \"timestamp_header\", or remove it"))
            });
        }
    };
    let tolerance = number(settings, "tolerance_s", 1..=86_400)?.and_then(|secs| u64::try_from(secs).ok());
    Ok(Some(SignedTime {
        place,
        in_millis: choice(settings, "timestamp_unit", &[("s", false), ("ms", true)])?.unwrap_or(false),
        tolerance: tolerance.map_or(TOLERANCE_DEFAULT, Duration::from_secs),
    }))
}

/// What is signed must be told, and what is told for the signature's sake must be signed: a time or an id that
/// anybody may change proves nothing.
fn check_signed(hmac: &Hmac<'_>) -> Result<(), String> {
    let pairs = [
        ("timestamp", Part::Timestamp, hmac.time.is_some(), "timestamp_header"),
        ("id", Part::Id, hmac.id_header.is_some(), "id_header"),
        ("url", Part::Url, !hmac.public_url.is_empty(), "public_url"),
    ];
    for (name, part, told, key) in pairs {
        match (hmac.signed.has(part), told) {
            (true, false) => return Err(format!("\"signed\" has {{{name}}}: set \"{key}\" too")),
            (false, true) => {
                return Err(format!("\"{key}\" is not signed: put {{{name}}} into \"signed\", or remove it"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_methods(settings: &Settings) -> Result<Vec<Method>, String> {
    let allowed = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::GET];
    let names = text(settings, "methods")?.unwrap_or("POST").split(',');
    names
        .map(|name| allowed.iter().find(|method| method.as_str() == name.trim()).cloned())
        .collect::<Option<Vec<Method>>>()
        .ok_or(
            "setting \"methods\" must list some of POST, PUT, PATCH, DELETE, GET, with commas between"
                .to_owned(),
        )
}

fn read_challenge(settings: &Settings) -> Result<Challenge<'_>, String> {
    let parameter = text(settings, "challenge_parameter")?;
    let token = text(settings, "challenge_token_parameter")?;
    let open = flag(settings, "challenge_open")?.unwrap_or(false);
    let query = match (parameter, token, open) {
        (None, None, false) => None,
        (Some(parameter), Some(token), false) => Some((parameter, QueryProof::Token(token))),
        (Some(parameter), None, true) => Some((parameter, QueryProof::Open)),
        (None, ..) => return Err("set \"challenge_parameter\": the query parameter to say back".to_owned()),
        (Some(_), Some(_), true) => {
            return Err("set \"challenge_token_parameter\" or \"challenge_open\", not both".to_owned());
        }
        (Some(_), None, false) => {
            return Err("set \"challenge_token_parameter\", which proves the challenge, or \"challenge_open\": true to \
                        answer anybody's"
                .to_owned());
        }
    };
    Ok(Challenge { query, json_field: text(settings, "challenge_json_field")? })
}

fn read_reading(settings: &Settings) -> Result<Reading<'_>, String> {
    Ok(Reading {
        prefix: event_prefix(settings, KIND)?,
        event_type: read_place(settings, "event_type_header", "event_type_pointer")?,
        dedupe: read_place(settings, "dedupe_header", "dedupe_pointer")?,
        order: read_place(settings, "order_header", "order_pointer")?,
        occurred: pointer(settings, "occurred_pointer")?,
        form_json_field: text(settings, "form_json_field")?,
        items: pointer(settings, "items_pointer")?,
    })
}

fn read_place<'s>(
    settings: &'s Settings,
    header_key: &str,
    pointer_key: &str,
) -> Result<Option<Place<'s>>, String> {
    match (header(settings, header_key)?, pointer(settings, pointer_key)?) {
        (Some(_), Some(_)) => Err(format!("set \"{header_key}\" or \"{pointer_key}\", not both")),
        (name, path) => Ok(name.map(Place::Header).or(path.map(Place::Pointer))),
    }
}

fn read_response(settings: &Settings) -> Result<Response<'_>, String> {
    let types = [
        ("application/json", "application/json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("application/xml", "application/xml"),
        ("text/xml", "text/xml"),
    ];
    let status =
        number(settings, "response_status", 200..=299)?.and_then(|status| u16::try_from(status).ok());
    let body = text(settings, "response_body")?.unwrap_or_default();
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
    let by_body = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    Ok(Response {
        status: status.unwrap_or(200),
        body,
        content_type: choice(settings, "response_type", &types)?.unwrap_or(by_body),
    })
}
