//! A service that breaks its promises: the real one behind a proxy that changes what it says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Client,
    Service,
    /// A client that connects: the text is what it asks for. It is refused where nothing is passed on.
    Door,
}

/// What is done with a frame: what the other side gets, and what the one that sent it gets back.
#[derive(Default)]
pub(crate) struct Fate {
    pub(crate) on: Vec<String>,
    pub(crate) back: Vec<String>,
    /// How long the connection stands still before that.
    pub(crate) after: Duration,
    /// Whether the connection is lost after that.
    pub(crate) cut: bool,
}

impl Fate {
    pub(crate) fn pass(text: &str) -> Self {
        Self::say(text)
    }

    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self {
            on: vec![text.into()],
            ..Self::default()
        }
    }
}

type Tamper = Arc<Mutex<dyn FnMut(By, &str) -> Fate + Send>>;

/// Runs until it is dropped.
pub(crate) struct Proxy {
    _runtime: Runtime,
    pub(crate) url: String,
}

impl Proxy {
    /// Everything that any connection says goes through `tamper`.
    pub(crate) fn before(service: &str, tamper: impl FnMut(By, &str) -> Fate + Send + 'static) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("an address");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let tamper: Tamper = Arc::new(Mutex::new(tamper));
        runtime
            .handle()
            .spawn(accept(listener, service.to_owned(), tamper));
        Self {
            _runtime: runtime,
            url,
        }
    }
}

async fn accept(listener: TcpListener, service: String, tamper: Tamper) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, service.clone(), tamper.clone()));
    }
}

async fn connection(stream: TcpStream, service: String, tamper: Tamper) -> Option<()> {
    let mut query = String::new();
    #[allow(clippy::result_large_err, reason = "the type is the library's")]
    let asked = |request: &Request, response: Response| {
        query = request.uri().to_string();
        Ok(response)
    };
    let mut client = tokio_tungstenite::accept_hdr_async(stream, asked).await.ok()?;
    if tamper.lock().expect("no panic before")(By::Door, &query)
        .on
        .is_empty()
    {
        return None;
    }
    let upstream = TcpStream::connect(&service).await.ok()?;
    let url = format!("ws://{service}{query}");
    let (mut upstream, _) = tokio_tungstenite::client_async(url, upstream).await.ok()?;
    loop {
        let (by, frame) = tokio::select! {
            frame = client.next() => (By::Client, frame?.ok()?),
            frame = upstream.next() => (By::Service, frame?.ok()?),
        };
        let Message::Text(text) = frame else { continue };
        let fate = tamper.lock().expect("no panic before")(by, &text);
        let (to_client, to_service) = match by {
            By::Client => (fate.back, fate.on),
            By::Service | By::Door => (fate.on, fate.back),
        };
        tokio::time::sleep(fate.after).await;
        for frame in to_client {
            client.send(Message::text(frame)).await.ok()?;
        }
        for frame in to_service {
            upstream.send(Message::text(frame)).await.ok()?;
        }
        if fate.cut {
            return None;
        }
    }
}
