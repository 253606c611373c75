//! Health, readiness and metrics over HTTP.
//!
//! They answer from a thread and a runtime of their own, so that a service which is busy, or stuck, can still be
//! looked at. Everything it serves may be seen by whoever reaches its address: keep that address private.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200 as long as the process lives |
//! | `/readyz` | 200 while the service takes clients, else 503 |
//! | `/metrics` | everything that is counted, in the text format of Prometheus |

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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
/// How often the histograms are folded up.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long to wait after a failed accept: a process without free descriptors would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether the service takes clients. Shared: whoever starts and stops the service sets it, the endpoint reads it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Not ready yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the service takes clients, or no longer does.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether it takes clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
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
    /// Serves on a listener.
    ///
    /// # Errors
    /// When the listener is unusable or the system gives no thread.
    pub fn start(listener: TcpListener, readiness: Readiness, metrics: Metrics) -> io::Result<Self> {
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
        let serve = serve(listener, Endpoints { readiness, metrics }, tasks);
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
    readiness: Readiness,
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
            "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" if self.readiness.is_ready() => text(StatusCode::OK, "ready\n".to_owned()),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
            "/metrics" => text(StatusCode::OK, self.metrics.render()),
            _ => text(
                StatusCode::NOT_FOUND,
                "try /healthz, /readyz or /metrics\n".to_owned(),
            ),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
