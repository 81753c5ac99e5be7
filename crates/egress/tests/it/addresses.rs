//! Which URLs are refused before anything is connected.

use egress::{Config, Egress, FailureKind};

use crate::server::Server;
use crate::{answered, egress, failed, loopback, post};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn every_spelling_of_an_address_that_is_not_public_is_refused() {
    let egress = Egress::new(&Config::default()).unwrap();
    let mut server = Server::answering(OK).await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "１２７.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
    ] {
        let failure = failed(&egress, &format!("http://{host}:{port}/")).await;
        assert_eq!(failure.kind, FailureKind::NotAllowed, "{host}: {failure}");
        assert!(!failure.may_have_arrived);
    }
    assert!(server.requests.try_recv().is_err());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_an_address_which_is_not_public_is_refused() {
    let egress = Egress::new(&Config::default()).unwrap();
    let server = Server::answering(OK).await;
    let failure = failed(&egress, &format!("http://localhost:{}/", server.address.port())).await;
    assert_eq!(failure.kind, FailureKind::NotAllowed);
    assert!(failure.words.contains("loopback"), "{failure}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_port_that_is_denied_is_refused_on_an_allowed_address() {
    let server = Server::answering(OK).await;
    let config = Config { denied_ports: vec![server.address.port()], ..loopback() };
    let failure = failed(&Egress::new(&config).unwrap(), &server.url()).await;
    assert_eq!(failure.kind, FailureKind::NotAllowed);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said_so() {
    let failure = failed(&egress(), "http://no-such-host.invalid/").await;
    assert_eq!(failure.kind, FailureKind::Resolve);
    assert!(failure.words.contains("no-such-host.invalid"), "{failure}");
}

#[tokio::test]
async fn urls_that_cannot_be_used_are_refused() {
    for url in ["", "hook", "/hook", "http://", "ftp://hook.example/", "file:///etc/passwd", "http://a b/"] {
        assert_eq!(failed(&egress(), url).await.kind, FailureKind::InvalidUrl, "{url}");
    }
    for url in
        ["https://user@hook.example/", "https://user:word@hook.example/", "https://:word@hook.example/"]
    {
        let failure = failed(&egress(), url).await;
        assert_eq!(failure.kind, FailureKind::InvalidUrl, "{url}");
        assert!(failure.words.contains("credentials") && !failure.words.contains("word@"), "{failure}");
    }
}

#[tokio::test]
async fn http_needs_to_be_allowed() {
    let server = Server::answering(OK).await;
    let mut request = post(server.url());
    request.allow_http = false;
    let failure = egress().exchange(request, crate::limits()).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotAllowed);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn headers_that_belong_to_the_connection_cannot_be_set() {
    let server = Server::answering(OK).await;
    for name in ["Host", "content-length", "Transfer-Encoding", "connection", "not a name"] {
        let mut request = post(server.url());
        request.headers.push((name.to_owned(), "0".to_owned()));
        let failure = egress().exchange(request, crate::limits()).await.result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidHeader, "{name}");
    }
    let mut request = post(server.url());
    request.headers.push(("authorization".to_owned(), "hidden\r\nX-Smuggled: 1".to_owned()));
    let failure = egress().exchange(request, crate::limits()).await.result.unwrap_err();
    assert!(!failure.words.contains("hidden"), "{failure}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_name_stays_in_the_host_header_and_each_of_its_addresses_is_tried() {
    let mut server = Server::answering(OK).await;
    let port = server.address.port();
    let answer = answered(&egress(), &format!("http://localhost:{port}/hook?a=1")).await;
    assert_eq!(answer.status, 200);
    let request = server.requests.recv().await.unwrap();
    assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("Host: localhost:{port}\r\n")), "{request}");
}
