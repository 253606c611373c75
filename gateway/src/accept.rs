//! From a TCP connection to a session: TLS, the HTTP head, the upgrade. All of it within a time, and none of its
//! memory is kept: the session is a task of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use confab_bus::Bus;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::config::READ_BUFFER;
use crate::gateway::Core;
use crate::handshake;
use crate::metrics;
use crate::session::{self, Opening};
use crate::stream::{HttpStream, Stream, Transport};

/// How long to wait after the system refused a connection (too many open files): it will not be better at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest HTTP head.
const HEAD_BYTES: usize = 16 * 1024;
/// Most header fields.
const HEADERS: usize = 64;

/// Takes connections until told to stop, or until there will be no more.
pub(crate) async fn accept<B: Bus, S: Transport>(
    core: Arc<Core<B>>,
    connections: impl futures_util::Stream<Item = io::Result<(S, SocketAddr)>>,
    accepting: CancellationToken,
) {
    let mut connections = pin!(connections);
    loop {
        let accepted = tokio::select! {
            () = accepting.cancelled() => return,
            () = core.tasks.stopping().cancelled() => return,
            accepted = connections.next() => accepted,
        };
        let Some(accepted) = accepted else { return };
        match accepted {
            Ok((socket, peer)) => {
                let taken = connection(Arc::clone(&core), socket, peer);
                core.tasks.spawn_bare(taken);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A place among the connections, given back when dropped.
pub(crate) struct Place<B: Bus>(Arc<Core<B>>, metrics::Connection);

impl<B: Bus> Place<B> {
    fn take(core: &Arc<Core<B>>) -> Option<Self> {
        let taken = core.connections.fetch_add(1, Ordering::AcqRel);
        let place = Self(Arc::clone(core), metrics::Connection::open());
        (taken < core.config.max_connections).then_some(place)
    }
}

impl<B: Bus> Drop for Place<B> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn connection<B: Bus, S: Transport>(core: Arc<Core<B>>, socket: S, peer: SocketAddr) {
    let place = Place::take(&core);
    let within = core.config.handshake_timeout;
    let full = place.is_none();
    match tokio::time::timeout(within, open(&core, socket, peer, full)).await {
        Ok(Ok(Some((socket, opening)))) => {
            if let Some(place) = place {
                core.tasks.spawn_bare(session::run(socket, opening, place));
            }
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection ended before its upgrade"),
        Err(_) => tracing::debug!(%peer, "a handshake took too long"),
    }
}

type Opened<B, S> = Option<(WebSocketStream<Stream<S>>, Box<Opening<B>>)>;

async fn open<B: Bus, S: Transport>(
    core: &Arc<Core<B>>,
    socket: S,
    peer: SocketAddr,
    full: bool,
) -> Result<Opened<B, S>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = secure(core, socket).await?;
    let Some((upgrade, opening)) = head(core, stream, peer, full).await? else {
        return Ok(None);
    };
    let upgraded = upgrade.await?;
    let (stream, early) = taken_back(upgraded)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(confab_proto::client::MAX_INCOMING_BYTES))
        .max_frame_size(Some(confab_proto::client::MAX_INCOMING_BYTES));
    let socket = WebSocketStream::from_partially_read(stream, early, Role::Server, Some(config)).await;
    Ok(Some((socket, opening)))
}

async fn secure<B, S: Transport>(core: &Core<B>, socket: S) -> io::Result<Stream<S>> {
    match &core.config.tls {
        None => Ok(Either::Left(socket)),
        Some(config) => {
            let acceptor = TlsAcceptor::from(Arc::clone(config));
            let accepted = acceptor.accept(socket).await;
            Ok(Either::Right(Box::new(
                accepted.inspect_err(|_| metrics::tls_failed())?,
            )))
        }
    }
}

/// Answers HTTP requests until one is an upgrade that is let in.
async fn head<B: Bus, S: Transport>(
    core: &Arc<Core<B>>,
    stream: Stream<S>,
    peer: SocketAddr,
    full: bool,
) -> hyper::Result<Option<(OnUpgrade, Box<Opening<B>>)>> {
    let let_in = Mutex::new(None);
    let service = service_fn(|mut request: Request<Incoming>| {
        let let_in = &let_in;
        async move {
            let upgrade = hyper::upgrade::on(&mut request);
            let (response, opening) = respond(core, &request, peer, full).await;
            if let Some(opening) = opening {
                *let_in.lock() = Some((upgrade, opening));
            }
            Ok::<_, Infallible>(response)
        }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(core.config.header_timeout)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await?;
    Ok(let_in.into_inner())
}

async fn respond<B: Bus>(
    core: &Arc<Core<B>>,
    request: &Request<Incoming>,
    peer: SocketAddr,
    full: bool,
) -> (Response<Full<Bytes>>, Option<Box<Opening<B>>>) {
    match handshake::admit(core, request, peer, full).await {
        Ok((response, opening)) => {
            let opening = Opening::attach(opening).await;
            (response.map(|()| Full::default()), Some(opening))
        }
        Err(refusal) => {
            metrics::refused(refusal.status.as_u16());
            (refusal.response(), None)
        }
    }
}

/// The connection under hyper, and what it has read beyond the head.
fn taken_back<S: Transport>(upgraded: Upgraded) -> io::Result<(Stream<S>, Vec<u8>)> {
    let parts = upgraded
        .downcast::<HttpStream<S>>()
        .map_err(|_| io::Error::other("the upgraded connection is not the accepted one"))?;
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}
