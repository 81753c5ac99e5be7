//! TLS for the way out: one set of settings for every connection, and its failures in words.

use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::config::{Config, Roots};
use crate::error::Error;

/// Makes the settings: TLS 1.2 and up, certificates always verified, HTTP/1.1 only.
pub(crate) fn client_config(config: &Config) -> Result<ClientConfig, Error> {
    let mut roots = trusted(config.roots);
    for authority in CertificateDer::pem_slice_iter(config.authorities_pem.as_bytes()) {
        roots.add(authority.map_err(Error::Authorities)?).map_err(Error::Tls)?;
    }
    let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

fn trusted(roots: Roots) -> RootCertStore {
    let mut trusted = RootCertStore::empty();
    if roots == Roots::System {
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if trusted.is_empty() {
        trusted.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    trusted
}

/// The TLS error inside an input or output error, if that is what it is.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>()
}

/// Says what went wrong in words that the owner of `host` understands.
pub(crate) fn words_of(error: &rustls::Error, host: &str) -> String {
    let words = match error {
        rustls::Error::InvalidCertificate(certificate) => return words_of_certificate(certificate, host),
        rustls::Error::PeerIncompatible(_) => NO_COMMON_CIPHER,
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::ProtocolVersion => NO_COMMON_CIPHER,
            AlertDescription::CertificateRequired => "it asks for a client certificate",
            AlertDescription::UnrecognisedName => "it does not know the name it was asked for",
            _ => return format!("TLS failed with {host}: it answered with the alert {alert:?}"),
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS on this port",
        other => return format!("TLS failed with {host}: {other}"),
    };
    format!("TLS failed with {host}: {words}")
}

const NO_COMMON_CIPHER: &str = "no common cipher or version (perhaps it offers only legacy ones)";

fn words_of_certificate(error: &CertificateError, host: &str) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate's name does not match {host}")
        }
        CertificateError::UnknownIssuer => {
            format!("the certificate of {host} comes from an unknown issuer, or its chain is incomplete")
        }
        CertificateError::BadSignature => {
            format!("the certificate of {host} was not signed by the issuer it names")
        }
        CertificateError::Revoked => format!("the certificate of {host} was revoked"),
        other => format!("the certificate of {host} is not acceptable: {other}"),
    }
}
