//! The client's connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Uri, header};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Options;
use crate::exit::{Code, Failure, OrFail};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A service silent for so long is gone: it answers every ping.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a frame may take to be sent.
const SEND: Duration = Duration::from_secs(10);
/// The largest frame the service sends is 1 MiB.
const FRAME: usize = 2 << 20;

/// What a connection runs over: TCP, or TLS on it.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why there is no connection.
pub(crate) enum Refused {
    /// It may work later.
    ForNow(String),
    /// It will not.
    Final(String),
}

/// What came over the connection.
pub(crate) enum Heard {
    /// A frame.
    Frame(String),
    /// Something that needs no attention.
    Nothing,
    /// The end, with its code and reason.
    Closed(Option<u16>, String),
}

/// A connection to the service.
pub(crate) struct Link {
    socket: WebSocketStream<Box<dyn Stream>>,
    last_heard: Instant,
}

impl Link {
    /// Connects, and resumes after the event `last`.
    pub(crate) async fn open(options: &Options, last: Option<u64>) -> Result<Self, Refused> {
        let request = request(options, last).map_err(|failure| Refused::Final(failure.to_string()))?;
        let uri = request.uri();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tls = match uri.scheme_str() {
            Some("wss") => Some(tls(options).map_err(|failure| Refused::Final(failure.to_string()))?),
            _ => None,
        };
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        let connect = async {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Stream> = match tls {
                None => Box::new(stream),
                Some(tls) => {
                    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                    Box::new(tls.connect(name, stream).await?)
                }
            };
            let config = WebSocketConfig::default()
                .max_message_size(Some(FRAME))
                .max_frame_size(Some(FRAME));
            client_async_with_config(request, stream, Some(config)).await
        };
        match timeout(CONNECT, connect).await {
            Ok(Ok((socket, _))) => Ok(Self {
                socket,
                last_heard: Instant::now(),
            }),
            Ok(Err(tungstenite::Error::Http(response))) => Err(refusal(&response)),
            Ok(Err(error)) if is_distrust(&error) => Err(Refused::Final(error.to_string())),
            Ok(Err(error)) => Err(Refused::ForNow(error.to_string())),
            Err(_) => Err(Refused::ForNow("no answer".to_owned())),
        }
    }

    /// Sends a text frame.
    pub(crate) async fn send(&mut self, frame: &str) -> Result<(), tungstenite::Error> {
        self.put(Message::text(frame)).await
    }

    /// Shows that the client lives, and whether the service does.
    pub(crate) async fn beat(&mut self) -> Result<(), tungstenite::Error> {
        if self.last_heard.elapsed() > SILENCE {
            return Err(tungstenite::Error::ConnectionClosed);
        }
        self.put(Message::Ping(tungstenite::Bytes::new())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), tungstenite::Error> {
        match timeout(SEND, self.socket.send(message)).await {
            Ok(sent) => sent,
            Err(_) => Err(tungstenite::Error::ConnectionClosed),
        }
    }

    /// The next thing that comes. Cancel-safe.
    pub(crate) async fn hear(&mut self) -> Heard {
        let next = self.socket.next().await;
        self.last_heard = Instant::now();
        match next {
            Some(Ok(Message::Text(text))) => Heard::Frame(text.as_str().to_owned()),
            Some(Ok(Message::Close(Some(close)))) => {
                Heard::Closed(Some(close.code.into()), close.reason.to_string())
            }
            Some(Ok(Message::Close(None)) | Err(_)) | None => Heard::Closed(None, String::new()),
            Some(Ok(_)) => Heard::Nothing,
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(&mut self) {
        let _gone_either_way = timeout(SEND, self.socket.close(None)).await;
    }
}

/// TLS that trusts the public authorities, or the ones that the options name instead.
fn tls(options: &Options) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    match &options.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let what = || format!("--ca {}", file.display());
            let certificates = CertificateDer::pem_file_iter(file).or_fail(Code::File, what())?;
            for certificate in certificates {
                roots
                    .add(certificate.or_fail(Code::File, what())?)
                    .or_fail(Code::File, what())?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config
        .or_fail(Code::Fault, "TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Who the options say one is: the user named, or the one the token is for.
pub(crate) fn user(options: &Options) -> Result<String, Failure> {
    let Some(token) = &options.token else {
        let missing = "say who you are with --user, or with --token";
        return options
            .user
            .clone()
            .ok_or_else(|| Failure::new(Code::Setting, missing));
    };
    let subject = || {
        let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
        let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
        claims["sub"].as_str().map(str::to_owned)
    };
    let subject = subject()
        .ok_or("it is no token with a sub")
        .or_fail(Code::Setting, "--token")?;
    match &options.user {
        Some(user) if *user != subject => Err(Failure::new(
            Code::Setting,
            format_args!("the token is for {subject}, not for {user}"),
        )),
        _ => Ok(subject),
    }
}

fn request(options: &Options, last: Option<u64>) -> Result<http::Request<()>, Failure> {
    let mut url = options.url.clone();
    let uri: Uri = url.parse().or_fail(Code::Setting, format_args!("--url {url}"))?;
    if !matches!(uri.scheme_str(), Some("ws" | "wss")) || uri.host().is_none() {
        return Err(Failure::new(
            Code::Setting,
            format_args!("--url {url}: it is no ws:// or wss:// address"),
        ));
    }
    url.push(if uri.query().is_some() { '&' } else { '?' });
    url.push_str(&format!("device={}", escaped(&options.device)));
    if let Some(last) = last {
        url.push_str(&format!("&lastEventId={last}"));
    }
    if let (None, Some(user)) = (&options.token, &options.user) {
        url.push_str(&format!("&user={}", escaped(user)));
    }
    let mut request = url.into_client_request().or_fail(Code::Setting, "--url")?;
    if let Some(token) = &options.token {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, value.or_fail(Code::Setting, "--token")?);
    }
    Ok(request)
}

/// As it stands in a query: everything but letters, digits and a few marks as `%XX`.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// Whether the service's certificate is not trusted, which no further attempt changes.
fn is_distrust(error: &tungstenite::Error) -> bool {
    let tungstenite::Error::Io(error) = error else {
        return false;
    };
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

fn refusal(response: &http::Response<Option<Vec<u8>>>) -> Refused {
    let body = response.body().as_deref().unwrap_or_default();
    let reason = String::from_utf8_lossy(&body[..body.len().min(200)])
        .trim()
        .to_owned();
    let reason = format!("the service refused: {} {reason}", response.status());
    if response.status().is_server_error() || response.status() == http::StatusCode::TOO_MANY_REQUESTS {
        Refused::ForNow(reason)
    } else {
        Refused::Final(reason)
    }
}
