//! What is said about servers that misbehave, and whether the request may have arrived.

use std::time::Duration;

use egress::{Config, Egress, FailureKind, Phase};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::server::Server;
use crate::{answered, egress, failed, failure_of, loopback, post, short};

#[tokio::test]
async fn a_refused_connection_cannot_have_brought_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = failed(&egress(), &format!("http://{address}/")).await;
    assert_eq!(failure.kind, FailureKind::Connect);
    assert!(!failure.may_have_arrived);
    assert_eq!(failure.words, format!("{address} refused the connection"));
}

#[tokio::test]
async fn a_connection_that_is_closed_before_the_answer_may_have_brought_the_request() {
    for part in ["", "HTTP/1.1 200 OK\r\nContent-Len"] {
        let server = Server::closing_after(part.as_bytes()).await;
        let exchange = egress().exchange(post(server.url()), crate::limits()).await;
        assert_eq!(exchange.peer, Some(server.address));
        let failure = failure_of(exchange);
        assert_eq!(failure.kind, FailureKind::Closed, "{failure}");
        assert!(failure.may_have_arrived);
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_before_the_answer_may_have_brought_the_request() {
    let server = Server::start(|mut connection| async move {
        // Closing with bytes unread makes the system send a reset.
        connection.tcp.read_u8().await.unwrap();
    })
    .await;
    let failure = failed(&egress(), &server.url()).await;
    assert_eq!(failure.kind, FailureKind::Closed, "{failure}");
    assert!(failure.may_have_arrived);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_cut_by_the_deadline() {
    let server = Server::hanging_after(b"").await;
    let exchange = egress().exchange(post(server.url()), short()).await;
    assert_eq!(exchange.peer, Some(server.address));
    assert!(exchange.phases.total >= short().deadline);
    let failure = failure_of(exchange);
    assert_eq!(failure.kind, FailureKind::Timeout { phase: Phase::Answer });
    assert!(failure.may_have_arrived);
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_by_the_deadline_and_does_not_count() {
    let server = Server::hanging_after(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").await;
    let exchange = egress().exchange(post(server.url()), short()).await;
    assert!(exchange.phases.total >= short().deadline);
    let answer = exchange.result.unwrap();
    assert_eq!((answer.status, &answer.body[..], answer.complete()), (200, &b"12345"[..], false));
    assert_eq!(answer.cut.unwrap().kind, FailureKind::Timeout { phase: Phase::Body });
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_count() {
    let server = Server::closing_after(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").await;
    let answer = answered(&egress(), &server.url()).await;
    assert!(!answer.complete() && answer.truncated);
    let cut = answer.cut.unwrap();
    assert_eq!((cut.kind, cut.may_have_arrived), (FailureKind::Closed, true), "{cut}");
}

#[tokio::test]
async fn a_body_whose_chunks_are_garbage_does_not_count() {
    let server = Server::closing_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    let answer = answered(&egress(), &server.url()).await;
    assert_eq!(answer.cut.unwrap().kind, FailureKind::Protocol);
}

#[tokio::test]
async fn endless_headers_are_bounded() {
    for line in [&b"X-More: and more\r\n"[..], b"and more and more and more"] {
        let server = Server::endless(b"HTTP/1.1 200 OK\r\nX-First: 1", line).await;
        let failure = failed(&egress(), &server.url()).await;
        assert_eq!(failure.kind, FailureKind::Protocol, "{failure}");
        assert!(failure.words.contains("too large"), "{failure}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_said_so() {
    let server = Server::closing_after(b"220 mail.example ready\r\n").await;
    let failure = failed(&egress(), &server.url()).await;
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure}");
    assert!(failure.may_have_arrived);
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_come_has_a_time_of_its_own() {
    let server = Server::hanging_after(b"").await;
    let config = Config { tls_timeout: Duration::from_millis(100), ..loopback() };
    let url = format!("https://{}/", server.address);
    let failure = failed(&Egress::new(&config).unwrap(), &url).await;
    assert_eq!(failure.kind, FailureKind::Timeout { phase: Phase::Tls });
    assert!(!failure.may_have_arrived);
}

#[tokio::test]
async fn a_deadline_that_comes_before_the_connection_says_that_nothing_arrived() {
    let server = Server::hanging_after(b"").await;
    let exchange = egress().exchange(post(format!("https://{}/", server.address)), short()).await;
    let failure = failure_of(exchange);
    assert_eq!(failure.kind, FailureKind::Timeout { phase: Phase::Connect });
    assert!(!failure.may_have_arrived);
}

#[tokio::test]
async fn more_connections_than_may_be_open_are_our_own_fault_and_told_as_such() {
    let (mut hanging, other) = (Server::hanging_after(b"").await, Server::hanging_after(b"").await);
    let config = Config { open_max: 1, connect_timeout: Duration::from_millis(50), ..loopback() };
    let egress = Egress::new(&config).unwrap();
    let (holding, url) = (egress.clone(), hanging.url());
    let held = tokio::spawn(async move { holding.exchange(post(url), crate::limits()).await });
    hanging.requests.recv().await.unwrap();
    let failure = failed(&egress, &other.url()).await;
    assert_eq!(failure.kind, FailureKind::Exhausted, "{failure}");
    assert!(!failure.may_have_arrived);
    held.abort();
}
