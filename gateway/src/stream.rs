//! A client's connection, with or without TLS.

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// Boxed where it is large: a plain connection pays nothing for TLS.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// As hyper wants it.
pub(crate) type HttpStream = TokioIo<Stream>;
