//! What proves a request of a platform that signs nothing: a text that was entered there with the URL.

use http::Method;
use model::receipt::Reason;
use model::secret::Secret;
use model::source::{SecretRole, Settings, Source};

use crate::credential::Credential;
use crate::http::Incoming;
use crate::outgoing;
use crate::platform::{CredentialPlace, ToSign, Unsupported};
use crate::proof::{self, Rejection, Unsigned, Verified};
use crate::registration::Wanted;
use crate::settings;

/// The parameter of the URL that holds the text.
const PARAMETER: &str = "key";
/// The header that holds it, unless the source says otherwise.
const HEADER: &str = "authorization";

/// Where the text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    /// In a header, whole.
    Header,
    /// As user and password.
    Basic,
    /// As a bearer token.
    Bearer,
    /// In the URL.
    UrlToken,
    /// Nowhere: whoever knows the URL is believed.
    Unsigned,
}

const CHOICES: [(&str, Scheme); 5] = [
    ("header", Scheme::Header),
    ("basic", Scheme::Basic),
    ("bearer", Scheme::Bearer),
    ("url_token", Scheme::UrlToken),
    ("unsigned", Scheme::Unsigned),
];

/// Which it is; a header where the source does not say.
fn scheme(of: &Settings) -> Result<Scheme, String> {
    Ok(settings::choice(of, "scheme", &CHOICES)?.unwrap_or(Scheme::Header))
}

/// Says what is wrong with the settings and secrets.
pub(crate) fn check(source: &Source) -> Result<(), String> {
    settings::header(&source.settings, "header")?;
    match scheme(&source.settings)? {
        Scheme::Unsigned => Ok(()),
        Scheme::Basic => Credential::Basic.check(source),
        _ => {
            let what = "a long random text, entered on the other side with the URL";
            settings::secret_needed(source, SecretRole::Credential, what)
        }
    }
}

/// Proves a POST by the text it shows.
pub(crate) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if request.method != Method::POST {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let scheme = scheme(&source.settings).map_err(|_| Rejection(Reason::SecretNotConfigured))?;
    let secrets = || source.secrets(SecretRole::Credential, request.received_at);
    match scheme {
        Scheme::Header => {
            let name = source.settings.text("header").unwrap_or(HEADER);
            proof::by_token(request, proof::proving_header(request, name)?, secrets())
        }
        Scheme::Basic => Credential::Basic.prove(source, request),
        Scheme::Bearer => Credential::Bearer.prove(source, request),
        Scheme::UrlToken => proof::by_token(request, request.query_value(PARAMETER).as_deref(), secrets()),
        Scheme::Unsigned => Ok(proof::by_nothing(request, Unsigned::SettingSaysSo)),
    }
}

/// The header to show people masked.
pub(crate) fn credential_place(source: &Source) -> Option<CredentialPlace> {
    let name = source.settings.text("header").unwrap_or(HEADER);
    (scheme(&source.settings).ok()? == Scheme::Header).then(|| CredentialPlace::Header(name.to_owned()))
}

/// What is entered on the other side with the URL, so that requests prove themselves.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Entered {
    /// Headers that come along.
    pub(crate) headers: Vec<(String, String)>,
    /// What the URL ends with.
    token: Option<String>,
}

impl Entered {
    /// The URL with what proves a request, where that stands in the URL.
    pub(crate) fn in_url(&self, url: &str) -> String {
        match &self.token {
            Some(token) => format!("{url}?{PARAMETER}={}", outgoing::escaped(token)),
            None => url.to_owned(),
        }
    }
}

/// What is to be entered for a source now.
pub(crate) fn entered(wanted: &Wanted<'_>) -> Result<Entered, Unsupported> {
    let scheme = scheme(&wanted.source.settings).map_err(Unsupported)?;
    if scheme == Scheme::Unsigned {
        return Ok(Entered::default());
    }
    wanted.secret(SecretRole::Credential)?;
    let keys: Vec<&Secret> = wanted.newest(SecretRole::Credential).into_iter().collect();
    let what = ToSign { keys: &keys, id: "", body: &[], now: wanted.now };
    let token = (scheme == Scheme::UrlToken).then(|| keys.first().map(|key| key.expose().to_owned()));
    Ok(Entered { headers: sign(wanted.source, &what), token: token.flatten() })
}

/// The header with an endpoint's key.
pub(crate) fn sign(source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
    let (Ok(scheme), Some(key)) = (scheme(&source.settings), what.key()) else { return Vec::new() };
    let shown = match scheme {
        Scheme::Header => {
            let name = source.settings.text("header").unwrap_or(HEADER);
            Some((name.to_owned(), key.expose().to_owned()))
        }
        Scheme::Basic => Credential::Basic.shown(key),
        Scheme::Bearer => Credential::Bearer.shown(key),
        Scheme::UrlToken | Scheme::Unsigned => None,
    };
    shown.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{post, source};
    use serde_json::{Value, json};

    fn proves(settings: &Value, secret: &str, request: &Incoming) -> bool {
        let source = source("whatsapp_onpremises", settings, &[(SecretRole::Credential, secret)]);
        assert_eq!(check(&source), Ok(()), "{settings}");
        verify(&source, request).is_ok()
    }

    #[test]
    fn each_scheme_takes_its_text_and_no_other() {
        let plain = post(&[("authorization", "Basic dTpw")], "{}");
        assert!(proves(&json!({}), "Basic dTpw", &plain));
        assert!(proves(&json!({ "scheme": "basic" }), "u:p", &plain));
        let own = post(&[("x-hook", "long-random")], "{}");
        assert!(proves(&json!({ "header": "X-Hook" }), "long-random", &own));
        let bearer = post(&[("authorization", "Bearer long-random")], "{}");
        assert!(proves(&json!({ "scheme": "bearer" }), "long-random", &bearer));
        let url = Incoming { query: Some("key=long-random".to_owned()), ..post(&[], "{}") };
        assert!(proves(&json!({ "scheme": "url_token" }), "long-random", &url));
        assert!(proves(&json!({ "scheme": "unsigned" }), "any", &post(&[], "{}")));
        for settings in [
            json!({}),
            json!({ "scheme": "basic" }),
            json!({ "scheme": "bearer" }),
            json!({ "scheme": "url_token" }),
        ] {
            assert!(!proves(&settings, "other:one", &post(&[], "{}")), "{settings}");
            assert!(!proves(&settings, "other:one", &plain), "{settings}");
            let get = Incoming { method: Method::GET, ..url.clone() };
            assert!(!proves(&settings, "long:random", &get), "{settings}");
        }
    }

    #[test]
    fn a_source_without_its_text_is_refused_unless_it_says_so() {
        let nobodys = |settings: Value| source("whatsapp_onpremises", &settings, &[]);
        assert!(check(&nobodys(json!({}))).is_err());
        assert!(verify(&nobodys(json!({})), &post(&[("authorization", "")], "{}")).is_err());
        assert!(check(&nobodys(json!({ "scheme": "none" }))).is_err());
        assert_eq!(check(&nobodys(json!({ "scheme": "unsigned" }))), Ok(()));
    }
}
