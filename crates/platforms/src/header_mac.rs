//! The most usual proof: one header that holds the HMAC of the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};

use crate::http::Incoming;
use crate::platform::ToSign;
use crate::proof::{self, Hash, Rejection, Verified};

/// How a platform writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderMac {
    /// The header, in lower case.
    pub(crate) name: &'static str,
    /// What stands before the HMAC.
    pub(crate) prefix: &'static str,
    /// The hash.
    pub(crate) hash: Hash,
    /// The encoding.
    pub(crate) encoding: Encoding,
}

/// How the bytes of an HMAC are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Encoding {
    /// In lower case.
    Hex,
    /// With padding.
    Base64,
}

impl Encoding {
    pub(crate) fn write(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => BASE64.encode(bytes),
        }
    }

    /// Exactly as it is written, or not at all.
    pub(crate) fn read(self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64.decode(text).ok(),
        };
        bytes.filter(|bytes| self.write(bytes) == text)
    }
}

impl HeaderMac {
    /// Proves a POST by its header under any active signing secret.
    pub(crate) fn prove<'r>(
        &self,
        source: &Source,
        request: &'r Incoming,
    ) -> Result<Verified<'r>, Rejection> {
        self.prove_with(source, SecretRole::Signing, request)
    }

    /// The same under any active secret of a role, for platforms with one secret for everything.
    pub(crate) fn prove_with<'r>(
        &self,
        source: &Source,
        role: SecretRole,
        request: &'r Incoming,
    ) -> Result<Verified<'r>, Rejection> {
        if request.method != Method::POST {
            return Err(Rejection(Reason::MethodNotAllowed));
        }
        let text = proof::proving_header(request, self.name)?.ok_or(Rejection(Reason::SignatureMissing))?;
        let written = text.strip_prefix(self.prefix).and_then(|text| self.encoding.read(text));
        let shown = written.filter(|bytes| bytes.len() == self.hash.bytes());
        let shown = shown.ok_or(Rejection(Reason::SignatureMalformed))?;
        let keys = source.secrets(role, request.received_at).map(|key| key.expose());
        proof::by_mac(request, self.hash, &[shown], keys, &[&request.body])
    }

    /// The header with the current key, as the platform would send it.
    pub(crate) fn sign(&self, what: &ToSign<'_>) -> Vec<(String, String)> {
        let mac = what.key().map(|key| proof::mac(self.hash, key.expose().as_bytes(), &[what.body]));
        let header =
            mac.map(|mac| (self.name.to_owned(), self.prefix.to_owned() + &self.encoding.write(&mac)));
        header.into_iter().collect()
    }
}
