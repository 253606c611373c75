//! Health, readiness and metrics over HTTP.
//!
//! They answer from a thread and a runtime of their own, so that a service which is busy, or stuck, can still be
//! looked at. Everything it serves may be seen by whoever reaches its address: keep that address private.
//!
//! | path | answer |
//! | --- | --- |
//! | `/startupz` | 200 once the service has begun, for the rest of its life; before that 503 |
//! | `/healthz` | 200 while the service's own runtime turns; 503 when it is stuck, and only a restart helps |
//! | `/readyz` | 200 while the service does its work, else 503 |
//! | `/metrics` | everything that is counted, in the text format of Prometheus |

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Tasks;
use crate::metrics::Metrics;

/// Connections served at a time; a scraper and a prober need two.
const CONNECTIONS: usize = 64;
/// How long a request may take to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the service's runtime says that it turns.
const BEAT: Duration = Duration::from_secs(1);
/// A runtime that has not said so for this long is stuck: nothing in it may block a thread for as long.
const STUCK: Duration = Duration::from_secs(15);
/// How often the histograms are folded up.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long to wait after a failed accept: a process without free descriptors would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the service is. Shared: whoever starts and stops the service says it, the endpoint reads it.
#[derive(Clone, Debug)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    made: Instant,
    started: AtomicBool,
    ready: AtomicBool,
    /// When the runtime last turned, in milliseconds after `made`.
    beat: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(State {
            made: Instant::now(),
            started: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            beat: AtomicU64::new(0),
        }))
    }
}

impl Health {
    /// Alive, and no more yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The service has begun: it has reached what it needs.
    pub fn started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// From now on the service does its work, or no longer does.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    /// Says every second that the runtime it is spawned on turns, for as long as that is so.
    pub async fn beat(self) {
        let mut every = tokio::time::interval(BEAT);
        loop {
            every.tick().await;
            self.0.beat.store(self.0.age(), Ordering::Release);
        }
    }

    fn is_alive(&self) -> bool {
        let since = self.0.age().saturating_sub(self.0.beat.load(Ordering::Acquire));
        Duration::from_millis(since) < STUCK
    }
}

impl State {
    fn age(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The running endpoint. It ends with [`Admin::stop`].
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Serves on a listener, and records from now on what is counted. Nothing else does: what a histogram is given waits in
    /// memory until somebody folds it up, and a process that shows its figures to nobody would only grow.
    ///
    /// # Errors
    /// When the listener is unusable, the system gives no thread, or this process has started one before.
    pub fn start(listener: TcpListener, health: Health) -> io::Result<Self> {
        let metrics = Metrics::install().map_err(io::Error::other)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let tasks = Tasks::new();
        let stop = tasks.stopping().clone();
        let serve = serve(listener, Endpoints { health, metrics }, tasks);
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                runtime.block_on(serve);
            })?;
        Ok(Self {
            address,
            stop,
            thread,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving, and waits for it.
    pub fn stop(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::warn!("the admin thread had panicked");
        }
    }
}

#[derive(Clone)]
struct Endpoints {
    health: Health,
    metrics: Metrics,
}

async fn serve(listener: tokio::net::TcpListener, endpoints: Endpoints, tasks: Tasks) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = tasks.stopping().cancelled() => break,
            _ = upkeep.tick() => endpoints.metrics.upkeep(),
            stream = accept(&listener, &places) => {
                let (stream, place) = stream;
                let connection = connection(stream, endpoints.clone());
                let stopping = tasks.stopping().clone();
                tasks.spawn_bare(async move {
                    let _place = place;
                    let bounded = tokio::time::timeout(CONNECTION_TIMEOUT, connection);
                    let _ended_or_out_of_time = stopping.run_until_cancelled(bounded).await;
                });
            }
        }
    }
    tasks.stop().await;
}

async fn accept(
    listener: &tokio::net::TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            // The semaphore is never closed.
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "admin: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, endpoints: Endpoints) {
    let service = service_fn(move |request| {
        let endpoints = endpoints.clone();
        async move { Ok::<_, Infallible>(endpoints.answer(&request)) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin: connection failed");
    }
}

impl Endpoints {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        }
        match request.uri().path() {
            "/startupz" => either(
                self.health.0.started.load(Ordering::Acquire),
                "started",
                "starting",
            ),
            "/healthz" => either(self.health.is_alive(), "ok", "stuck"),
            "/readyz" => either(self.health.0.ready.load(Ordering::Acquire), "ready", "not ready"),
            "/metrics" => text(StatusCode::OK, self.metrics.render()),
            _ => text(
                StatusCode::NOT_FOUND,
                "try /startupz, /healthz, /readyz or /metrics\n".to_owned(),
            ),
        }
    }
}

fn either(is: bool, yes: &str, no: &str) -> Response<Full<Bytes>> {
    let (status, said) = if is {
        (StatusCode::OK, yes)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, no)
    };
    text(status, format!("{said}\n"))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::{Health, STUCK, State};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    /// One that was made a while ago.
    fn aged(by: Duration) -> Health {
        let Health(state) = Health::new();
        let state = Arc::into_inner(state).unwrap();
        Health(Arc::new(State {
            made: Instant::now().checked_sub(by).unwrap(),
            ..state
        }))
    }

    #[test]
    fn a_runtime_that_no_longer_turns_is_stuck() {
        assert!(aged(STUCK / 2).is_alive());
        let stuck = aged(STUCK);
        assert!(!stuck.is_alive());
        stuck.0.beat.store(stuck.0.age(), Ordering::Release);
        assert!(stuck.is_alive(), "it has turned again");
    }
}
