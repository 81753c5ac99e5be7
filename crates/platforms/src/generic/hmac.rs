//! Any HMAC: where the signature stands, what it covers, and how key and signature are written.

use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::receipt::Reason;
use model::secret::Secret;
use model::source::{SecretRole, Source};
use model::time::Timestamp;

use super::template::{Part, Parts, Template};
use crate::http::Incoming;
use crate::platform::ToSign;
use crate::proof::{self, Hash, Rejection, Verified};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT.with_encode_padding(false));

/// An HMAC scheme.
pub(super) struct Hmac<'s> {
    /// The header the signature is in.
    pub(super) header: &'s str,
    /// The hash.
    pub(super) hash: Hash,
    /// How the signature is written.
    pub(super) encoding: Encoding,
    /// What stands before the signature.
    pub(super) prefix: &'s str,
    /// What stands between several signatures, or between pairs.
    pub(super) separator: Option<&'s str>,
    /// The name of the signature, where the header holds `name=value` pairs.
    pub(super) signature_field: Option<&'s str>,
    /// What is signed.
    pub(super) signed: Template,
    /// The signed time.
    pub(super) time: Option<SignedTime<'s>>,
    /// The header of the signed id.
    pub(super) id_header: Option<&'s str>,
    /// What stands before the path in the URL the sender was given.
    pub(super) public_url: &'s str,
    /// How the key is written.
    pub(super) key_encoding: Encoding,
    /// What stands before the key and is not part of it.
    pub(super) key_prefix: &'s str,
}

/// Where a signed time stands and how it is written.
#[derive(Clone, Copy)]
pub(super) struct SignedTime<'s> {
    /// Where it stands.
    pub(super) place: TimePlace<'s>,
    /// Whether it is in milliseconds; seconds otherwise.
    pub(super) in_millis: bool,
    /// How far it may be from ours.
    pub(super) tolerance: Duration,
}

/// Where a signed time stands.
#[derive(Clone, Copy)]
pub(super) enum TimePlace<'s> {
    /// In a header of its own.
    Header(&'s str),
    /// Among the pairs of the signature header.
    Field(&'s str),
}

/// How bytes are written as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// As they are; for keys only.
    Utf8,
    /// Hexadecimal, in either case.
    Hex,
    /// Base64, padded or not.
    Base64,
    /// Base64 with `-` and `_`, padded or not.
    Base64Url,
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Utf8 => Some(text.as_bytes().to_vec()),
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64.decode(text).ok(),
            Encoding::Base64Url => BASE64_URL.decode(text).ok(),
        }
    }

    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Utf8 | Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => BASE64.encode(bytes),
            Encoding::Base64Url => BASE64_URL.encode(bytes),
        }
    }
}

impl Hmac<'_> {
    /// The bytes of a key; `None` when it is not written as the settings say, or is empty.
    pub(super) fn key(&self, secret: &Secret) -> Option<Vec<u8>> {
        let text = secret.expose();
        let bare = text.strip_prefix(self.key_prefix).unwrap_or(text);
        self.key_encoding.decode(bare).filter(|key| !key.is_empty())
    }

    /// Proves a request.
    pub(super) fn verify<'r>(
        &self,
        source: &Source,
        request: &'r Incoming,
    ) -> Result<Verified<'r>, Rejection> {
        let header = signed_header(request, self.header)?;
        let presented: Vec<Vec<u8>> = self.signatures(header).collect();
        if presented.is_empty() {
            return Err(Rejection(Reason::SignatureMalformed));
        }
        let stamp = self.time.map(|time| time.stamp(self.pairs(header), request)).transpose()?;
        let id = self.id_header.map(|name| signed_header(request, name)).transpose()?;
        let url = self.url(request);
        let parts = Parts {
            body: &request.body,
            timestamp: stamp.unwrap_or_default(),
            id: id.unwrap_or_default(),
            url: &url,
            method: request.method.as_str(),
            path: &request.path,
        };
        let keys =
            source.secrets(SecretRole::Signing, request.received_at).filter_map(|secret| self.key(secret));
        let verified = proof::by_mac(request, self.hash, &presented, keys, &self.signed.pieces(&parts))?;
        if let (Some(time), Some(stamp)) = (self.time, stamp) {
            proof::near(time.read(stamp)?, request.received_at, time.tolerance)?;
        }
        Ok(verified)
    }

    fn pairs<'h>(&self, header: &'h str) -> impl Iterator<Item = (&'h str, &'h str)> {
        header.split(self.separator.unwrap_or(",")).filter_map(|pair| pair.trim().split_once('='))
    }

    fn signatures<'h>(&self, header: &'h str) -> impl Iterator<Item = Vec<u8>> {
        let parts: Vec<&'h str> = match (self.signature_field, self.separator) {
            (Some(field), _) => {
                self.pairs(header).filter(|(name, _)| *name == field).map(|(_, text)| text).collect()
            }
            (None, Some(separator)) => header.split(separator).collect(),
            (None, None) => vec![header],
        };
        parts
            .into_iter()
            .filter_map(|part| part.trim().strip_prefix(self.prefix))
            .filter_map(|text| self.encoding.decode(text))
    }

    fn url(&self, request: &Incoming) -> String {
        let query = request.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{}{query}", self.public_url.trim_end_matches('/'), request.path)
    }

    /// The headers that sign a body with an endpoint's own keys; `None` where the current key is not written as the
    /// settings say, or the URL is signed, which is not known here.
    pub(super) fn sign(&self, what: &ToSign<'_>) -> Option<Vec<(String, String)>> {
        if self.signed.has(Part::Url) || self.signed.has(Part::Path) {
            return None;
        }
        self.key(what.key()?)?;
        let stamp = self.time.map(|time| time.write(what.now));
        let parts = Parts {
            body: what.body,
            timestamp: stamp.as_deref().unwrap_or_default(),
            id: what.id,
            method: "POST",
            ..Parts::default()
        };
        let pieces = self.signed.pieces(&parts);
        let mac = |key: &&Secret| Some(proof::mac(self.hash, &self.key(key)?, &pieces));
        let macs: Vec<Vec<u8>> = what.keys.iter().filter_map(mac).take(self.signatures_max()).collect();
        let mut headers = vec![(self.header.to_owned(), self.signature_header(&macs, stamp.as_deref()))];
        if let (Some(TimePlace::Header(name)), Some(stamp)) = (self.time.map(|time| time.place), stamp) {
            headers.push((name.to_owned(), stamp));
        }
        headers.extend(self.id_header.map(|name| (name.to_owned(), what.id.to_owned())));
        Some(headers)
    }

    /// Only a header that holds a list can hold the signatures of several keys.
    fn signatures_max(&self) -> usize {
        if self.separator.is_some() || self.signature_field.is_some() { usize::MAX } else { 1 }
    }

    fn signature_header(&self, macs: &[Vec<u8>], stamp: Option<&str>) -> String {
        let time = match (self.time.map(|time| time.place), stamp) {
            (Some(TimePlace::Field(name)), Some(stamp)) => Some(format!("{name}={stamp}")),
            _ => None,
        };
        let field = self.signature_field.map(|field| format!("{field}=")).unwrap_or_default();
        let signature = |mac: &Vec<u8>| format!("{field}{}{}", self.prefix, self.encoding.encode(mac));
        let parts: Vec<String> = time.into_iter().chain(macs.iter().map(signature)).collect();
        parts.join(self.separator.unwrap_or(","))
    }
}

/// A header that is signed, or holds the signature.
fn signed_header<'r>(request: &'r Incoming, name: &str) -> Result<&'r str, Rejection> {
    proof::proving_header(request, name)?.ok_or(Rejection(Reason::SignatureMissing))
}

impl SignedTime<'_> {
    fn stamp<'r>(
        &self,
        mut pairs: impl Iterator<Item = (&'r str, &'r str)>,
        request: &'r Incoming,
    ) -> Result<&'r str, Rejection> {
        let found = match self.place {
            TimePlace::Header(name) => return signed_header(request, name),
            TimePlace::Field(field) => pairs.find(|(name, _)| *name == field).map(|(_, text)| text),
        };
        found.ok_or(Rejection(Reason::SignatureMissing))
    }

    fn read(&self, stamp: &str) -> Result<Timestamp, Rejection> {
        let number = stamp.parse::<i64>().map_err(|_| Rejection(Reason::SignatureMalformed))?;
        Ok(if self.in_millis { Timestamp::from_millis(number) } else { Timestamp::from_secs(number) })
    }

    fn write(&self, now: Timestamp) -> String {
        if self.in_millis { now.as_millis().to_string() } else { now.as_secs().to_string() }
    }
}
