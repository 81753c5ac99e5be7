//! TLS against servers whose certificates the test makes.

use std::sync::Arc;
use std::time::Duration;

use egress::{Config, Egress, Failure, FailureKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::server::{Server, read_request};
use crate::{egress, failed, limits, loopback, post};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn naming(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn trusting(authority: &Authority) -> Egress {
    Egress::new(&Config { authorities_pem: authority.pem(), ..loopback() }).unwrap()
}

/// A server with a certificate from `authority`, and its URL by name.
async fn serving(authority: &Authority, certificate: CertificateParams) -> (Server, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = certificate.signed_by(&key, authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start(move |connection| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(connection.tcp).await else {
                return;
            };
            let name = tls.get_ref().1.server_name().unwrap_or("nothing").to_owned();
            while read_request(&mut tls).await.is_some() {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                tls.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let url = format!("https://localhost:{}/", server.address.port());
    (server, url)
}

fn assert_tls(failure: &Failure, words: &str) {
    assert_eq!(failure.kind, FailureKind::Tls, "{failure}");
    assert!(failure.words.contains(words), "{failure}");
    assert!(!failure.may_have_arrived);
}

#[tokio::test]
async fn a_certificate_that_is_right_is_accepted_and_the_name_is_asked_for() {
    let authority = authority();
    let (_server, url) = serving(&authority, naming("localhost")).await;
    let exchange = trusting(&authority).exchange(post(url), limits()).await;
    assert!(exchange.phases.tls > Duration::ZERO);
    assert_eq!(&exchange.result.unwrap().body[..], b"localhost");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused_in_words() {
    let authority = authority();
    let mut old = naming("localhost");
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let (_server, url) = serving(&authority, old).await;
    assert_tls(&failed(&trusting(&authority), &url).await, "the certificate of localhost has expired");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_in_words() {
    let authority = authority();
    let (_server, url) = serving(&authority, naming("other.example")).await;
    assert_tls(&failed(&trusting(&authority), &url).await, "name does not match localhost");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_refused_in_words() {
    let (_server, url) = serving(&authority(), naming("localhost")).await;
    assert_tls(&failed(&egress(), &url).await, "unknown issuer");
}

#[tokio::test]
async fn a_certificate_that_only_claims_a_trusted_issuer_is_refused_in_words() {
    // Both authorities have the same name and different keys.
    let (_server, url) = serving(&authority(), naming("localhost")).await;
    assert_tls(&failed(&trusting(&authority()), &url).await, "was not signed by the issuer it names");
}

#[tokio::test]
async fn a_server_without_a_common_cipher_is_refused_in_words() {
    // A fatal alert of TLS 1.2: handshake_failure.
    let server = Server::start(|mut connection| async move {
        connection.tcp.readable().await.unwrap();
        connection.send(&[0x15, 3, 3, 0, 2, 2, 40]).await;
        std::future::pending::<()>().await;
    })
    .await;
    let failure = failed(&trusting(&authority()), &format!("https://{}/", server.address)).await;
    assert_tls(&failure, "no common cipher");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_refused_in_words() {
    let server = Server::start(|mut connection| async move {
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let failure = failed(&trusting(&authority()), &format!("https://{}/", server.address)).await;
    assert_tls(&failure, "does not speak TLS");
}

#[test]
fn authorities_that_are_not_pem_are_refused() {
    let pem = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let config = Config { authorities_pem: pem.to_owned(), ..loopback() };
    assert!(matches!(Egress::new(&config), Err(egress::Error::Authorities(_))));
}
