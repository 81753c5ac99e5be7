//! `X-Twilio-Signature`: over the URL as Twilio sees it, and over what a form holds.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use http::{Method, Uri};
use model::receipt::Reason;
use model::source::{SecretRole, Settings, Source};

use crate::header_mac::Encoding;
use crate::http::Incoming;
use crate::proof::{self, Hash, Rejection, Verified};
use crate::settings;

const SIGNATURE: &str = "x-twilio-signature";
/// Where Twilio says what the hash of a body is that is no form.
const BODY_HASH: &str = "bodySHA256";
/// The most parameters that are sorted: ten times what Twilio sends.
const PARAMETERS_MAX: usize = 1_000;

/// Says what is wrong with the address that Twilio calls.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    let Some(url) = settings::text(of, "public_url")? else { return Ok(()) };
    let is_origin = url.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme().is_some()
            && uri.host().is_some()
            && uri.query().is_none()
            && matches!(uri.path(), "" | "/")
    });
    if is_origin {
        Ok(())
    } else {
        Err("setting \"public_url\" must be scheme and host as Twilio calls them, such as https://gw.example"
            .to_owned())
    }
}

/// Proves a request by its signature, over the URL with or without the port of its scheme.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if request.method != Method::POST && request.method != Method::GET {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let text = proof::proving_header(request, SIGNATURE)?.ok_or(Rejection(Reason::SignatureMissing))?;
    let shown = Encoding::Base64.read(text).filter(|bytes| bytes.len() == Hash::Sha1.bytes());
    let shown = [shown.ok_or(Rejection(Reason::SignatureMalformed))?];
    let parameters = match is_form(request) {
        true => sorted(&request.body).ok_or(Rejection(Reason::SignatureMalformed))?,
        false => String::new(),
    };
    let mut refusal = Rejection(Reason::SignatureWrong);
    for url in urls(source, request) {
        let keys = source.secrets(SecretRole::Signing, request.received_at).map(|key| key.expose());
        let signed: [&[u8]; 2] = [url.as_bytes(), parameters.as_bytes()];
        match proof::by_mac(request, Hash::Sha1, &shown, keys, &signed) {
            Ok(verified) if is_whole(request) => return Ok(verified),
            Ok(_) => {}
            Err(other) => refusal = other,
        }
    }
    Err(refusal)
}

fn is_form(request: &Incoming) -> bool {
    let kind = request.header("content-type").unwrap_or_default();
    request.method == Method::POST && kind.starts_with("application/x-www-form-urlencoded")
}

/// A body that is no form is signed by its hash, which stands in the URL; without one nothing vouches for it.
fn is_whole(request: &Incoming) -> bool {
    if is_form(request) || request.body.is_empty() {
        return true;
    }
    let hash = digest::digest(&digest::SHA256, &request.body);
    request.query_value(BODY_HASH).is_some_and(|told| told.eq_ignore_ascii_case(&hex::encode(hash)))
}

/// Each name in order, followed by its different values in order, with nothing between them.
fn sorted(body: &[u8]) -> Option<String> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (at, (name, value)) in form_urlencoded::parse(body).into_owned().enumerate() {
        if at >= PARAMETERS_MAX {
            return None;
        }
        named.entry(name).or_default().insert(value);
    }
    let each = |(name, values): (String, BTreeSet<String>)| {
        values.into_iter().fold(String::new(), |text, value| text + &name + &value)
    };
    Some(named.into_iter().map(each).collect())
}

/// The URL as Twilio may have signed it: as the source says, or as the proxy before us does.
fn urls(source: &Source, request: &Incoming) -> Vec<String> {
    let told = |name: &str| request.header(name).and_then(|text| text.split(',').next()).map(str::trim);
    let origin = match source.settings.text("public_url") {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let scheme = told("x-forwarded-proto").unwrap_or("https");
            let host = told("x-forwarded-host").or_else(|| told("host")).unwrap_or_default();
            format!("{scheme}://{host}")
        }
    };
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let rest = format!("{}{query}", request.path);
    let port = if origin.starts_with("http://") { ":80" } else { ":443" };
    let other = match origin.strip_suffix(port) {
        Some(bare) => bare.to_owned(),
        None => format!("{origin}{port}"),
    };
    vec![format!("{origin}{rest}"), format!("{other}{rest}")]
}
