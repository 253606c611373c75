//! A client's connection, with or without TLS, over whatever carries bytes both ways.

use std::io;
use std::net::SocketAddr;

use futures_util::stream::{self, Stream as Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// Boxed where it is large: a plain connection pays nothing for TLS.
pub(crate) type Stream<S> = Either<S, Box<TlsStream<S>>>;

/// As hyper wants it.
pub(crate) type HttpStream<S> = TokioIo<Stream<S>>;

/// What carries a client's bytes: a TCP connection, or a pipe in memory.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for S {}

/// The connections of a listener, each with the address of its other end.
pub(crate) fn connections(
    listener: TcpListener,
) -> impl Incoming<Item = io::Result<(TcpStream, SocketAddr)>> + Send + 'static {
    stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(socket, peer)| {
            // Where it cannot be set small frames are late, no more.
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%peer, %error, "frames of a connection may be held back");
            }
            (socket, peer)
        });
        Some((accepted, listener))
    })
}
