//! What comes back from servers that behave, more or less.

use std::time::Duration;

use egress::{Limits, retry_after};
use http::HeaderMap;
use model::time::Timestamp;

use crate::server::Server;
use crate::{answered, egress, limits, post};

#[tokio::test]
async fn an_answer_is_read_with_its_status_headers_and_body() {
    let mut server =
        Server::answering("HTTP/1.1 201 Created\r\nX-Seen: yes\r\nContent-Length: 5\r\n\r\nhello").await;
    let exchange = egress().exchange(post(server.url()), limits()).await;
    let answer = exchange.result.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (201, &b"hello"[..]));
    assert_eq!(answer.headers["x-seen"], "yes");
    assert!(answer.complete() && !answer.truncated);
    assert_eq!(exchange.peer, Some(server.address));
    let request = server.requests.recv().await.unwrap();
    assert!(request.contains("Webhook-Id: evt_1\r\n"), "{request}");
    assert!(request.ends_with(r#"{"type":"message.received"}"#), "{request}");
}

#[tokio::test]
async fn a_connection_is_used_again_and_its_opening_counts_once() {
    let server = Server::start(|mut connection| async move {
        let answer =
            format!("HTTP/1.1 200 OK\r\nX-Connection: {}\r\nContent-Length: 0\r\n\r\n", connection.number);
        while connection.request().await.is_some() {
            connection.send(answer.as_bytes()).await;
        }
    })
    .await;
    let egress = egress();
    let first = egress.exchange(post(server.url()), limits()).await;
    let second = egress.exchange(post(server.url()), limits()).await;
    assert_eq!(second.result.unwrap().headers["x-connection"], "1");
    assert_eq!((first.peer, second.peer), (Some(server.address), Some(server.address)));
    assert!(first.phases.connect > Duration::ZERO && second.phases.connect == Duration::ZERO);
    for phases in [first.phases, second.phases] {
        let parts = phases.resolve + phases.connect + phases.tls + phases.first_byte;
        assert!(phases.first_byte > Duration::ZERO && phases.total >= parts, "{phases:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url());
    let server = Server::answering(redirect).await;
    assert_eq!(answered(&egress(), &server.url()).await.status, 307);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_long_body_is_kept_in_part_and_read_to_its_end() {
    let body = "x".repeat(40_000);
    let server =
        Server::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    let answer = answered(&egress(), &server.url()).await;
    assert_eq!(answer.body.len(), 16 * 1024);
    assert!(answer.truncated && answer.complete());
}

#[tokio::test]
async fn an_endless_body_is_left_at_the_bound_and_counts_as_read() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Server::endless(head, b"8\r\nendless!\r\n").await;
    let answer = answered(&egress(), &server.url()).await;
    assert_eq!(answer.body.len(), 16 * 1024);
    assert!(answer.truncated && answer.complete());
}

#[tokio::test]
async fn the_bounds_of_the_body_are_the_callers() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789").await;
    let limits = Limits { body_kept_max: 4, ..limits() };
    let answer = egress().exchange(post(server.url()), limits).await.result.unwrap();
    assert_eq!((&answer.body[..], answer.truncated, answer.complete()), (&b"0123"[..], true, true));
}

#[tokio::test]
async fn invalid_headers_in_an_answer_are_tolerated() {
    let server =
        Server::answering("HTTP/1.1 200 OK\r\nBad Name: 1\r\nX-Space : 2\r\nContent-Length: 2\r\n\r\nok")
            .await;
    let answer = answered(&egress(), &server.url()).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
}

#[test]
fn retry_after_is_read_as_seconds_or_as_a_date_and_garbage_is_nothing() {
    let now = Timestamp::parse("2026-11-20T10:00:00Z").unwrap();
    let seconds = |count| Some(Duration::from_secs(count));
    for (value, expected) in [
        ("120", seconds(120)),
        (" 7 ", seconds(7)),
        ("0", seconds(0)),
        ("Fri, 20 Nov 2026 10:05:00 GMT", seconds(300)),
        ("Fri, 20 Nov 2026 09:00:00 GMT", seconds(0)),
        ("Thu, 20 Nov 2026 10:05:00 GMT", None),
        ("Fri, 20 Nov 2026 25:05:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("99999999999999999999999", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        assert_eq!(retry_after(&headers, now), expected, "{value:?}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}
