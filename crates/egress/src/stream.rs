//! A connection that was opened by the way out, plain or with TLS, and what is known about its opening.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use model::delivery::Phases;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;

/// How the opening of a connection went, as far as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
    pub(crate) tls: Duration,
}

impl Opening {
    /// The phases of an exchange that had to wait for this opening.
    pub(crate) fn phases(&self) -> Phases {
        Phases { resolve: self.resolve, connect: self.connect, tls: self.tls, ..Phases::default() }
    }
}

/// An open connection's opening, which is told to the first exchange that uses it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    opening: Opening,
    told: Arc<AtomicBool>,
}

impl Opened {
    /// Reads it back from a connection that the client used.
    pub(crate) fn of(connected: &Connected) -> Option<Opened> {
        let mut extras = http::Extensions::new();
        connected.get_extras(&mut extras);
        extras.remove()
    }

    /// The opening for the exchange that uses it first; for later ones only its peer, for they waited for nothing.
    pub(crate) fn tell(&self) -> Opening {
        if self.told.swap(true, Ordering::Relaxed) {
            Opening { peer: self.opening.peer, ..Opening::default() }
        } else {
            self.opening
        }
    }
}

/// A connection's bytes.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection, ready for HTTP.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    opened: Opened,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// A connection that was opened, and its place among all that may be.
    pub(crate) fn new((transport, place): (Transport, OwnedSemaphorePermit), opening: Opening) -> Stream {
        Stream { transport, opened: Opened { opening, told: Arc::default() }, _place: place }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.opened.clone())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
