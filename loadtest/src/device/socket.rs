//! How a device reaches the service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::Uri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const CONNECT: Duration = Duration::from_secs(10);
/// Connections from one loopback address: fewer than there are ports.
pub(crate) const PER_SOURCE: u32 = 20_000;
/// So many loopback addresses there are to connect from.
const SOURCES: u32 = 250;
/// What the system keeps for a slow reader, so that it is soon full.
const SLOW_BUFFER: u32 = 4_096;

/// Where the service is.
#[derive(Debug)]
pub(crate) struct Target {
    uri: Uri,
    address: SocketAddr,
    /// Whose certificates it may show, if not those of the public authorities.
    trust: Option<Arc<ClientConfig>>,
}

/// Trust in the certificates of a PEM file alone.
///
/// # Errors
///
/// Where it cannot be read, or has none.
pub(crate) fn trust(file: &Path) -> Result<Arc<ClientConfig>> {
    let shown = file.display();
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).with_context(|| format!("--ca {shown}"))?;
    for certificate in certificates {
        let certificate = certificate.with_context(|| format!("--ca {shown}"))?;
        roots.add(certificate).with_context(|| format!("--ca {shown}"))?;
    }
    ensure!(!roots.is_empty(), "--ca {shown} has no certificate, PEM, in it");
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

impl Target {
    /// # Errors
    ///
    /// Where it is no `ws://` or `wss://` address, cannot be resolved, or is not on this machine and need be.
    pub(crate) async fn new(text: &str, allow_remote: bool) -> Result<Self> {
        let uri: Uri = text
            .parse()
            .with_context(|| format!("--target {text} is no address"))?;
        let port = match uri.scheme_str() {
            Some("ws") => uri.port_u16().unwrap_or(80),
            Some("wss") => uri.port_u16().unwrap_or(443),
            _ => bail!("--target {text}: it begins with ws:// or wss://"),
        };
        // The colons of an IPv6 address stand in brackets.
        let behind_host = uri
            .authority()
            .and_then(|all| all.as_str().rsplit(['@', ']']).next());
        ensure!(
            uri.port_u16().is_some() || !behind_host.is_some_and(|text| text.contains(':')),
            "--target {text}: a port is a number from 1 to 65535"
        );
        let host = uri
            .host()
            .with_context(|| format!("--target {text} names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut addresses = lookup_host((host.as_str(), port))
            .await
            .with_context(|| format!("--target {text}: {host} is unknown"))?;
        let address = addresses
            .next()
            .with_context(|| format!("{host} has no address"))?;
        ensure!(
            allow_remote || address.ip().is_loopback(),
            "--target {text} is not on this machine ({}). Load on a service that others use harms them: if it is yours to load, add --allow-remote",
            address.ip()
        );
        let uri = if uri.path() == "/" {
            format!("{}/ws", text.trim_end_matches('/')).parse()?
        } else {
            uri
        };
        Ok(Self {
            uri,
            address,
            trust: None,
        })
    }

    /// Whether it shows a certificate.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.uri.scheme_str() == Some("wss")
    }

    /// The same, with other trust than in the public authorities, if there is any.
    pub(crate) fn trusting(self, trust: Option<Arc<ClientConfig>>) -> Self {
        Self { trust, ..self }
    }
}

/// The way of one device.
pub(crate) struct Way {
    pub(crate) target: Rc<Target>,
    /// As the query has it.
    pub(crate) user: String,
    pub(crate) device: u32,
    /// Which of the loopback addresses it connects from, where the service is on this machine: the ports of one are too few.
    pub(crate) source: u32,
    pub(crate) token: Option<String>,
    pub(crate) slow: bool,
}

impl Way {
    pub(crate) async fn connect(&self, last_event: u64) -> Result<Socket> {
        timeout(CONNECT, self.dial(last_event))
            .await
            .context("no answer in 10 s")?
    }

    async fn dial(&self, last_event: u64) -> Result<Socket> {
        let address = self.target.address;
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        if self.slow {
            socket.set_recv_buffer_size(SLOW_BUFFER)?;
        }
        if address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) && self.source > 0 {
            let last = 1 + u8::try_from(self.source % SOURCES)?;
            socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
        }
        let stream = socket.connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let mut request = self.uri(last_event).into_client_request()?;
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            request.headers_mut().insert("Authorization", value);
        }
        // Thousands of connections: small buffers.
        let small = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(4 * 1024);
        let trust = self.target.trust.clone().map(Connector::Rustls);
        let opened = tokio_tungstenite::client_async_tls_with_config(request, stream, Some(small), trust);
        let (socket, _) = Box::pin(opened).await.context("the handshake")?;
        Ok(socket)
    }

    fn uri(&self, last_event: u64) -> String {
        let uri = &self.target.uri;
        let separator = if uri.query().is_some() { '&' } else { '?' };
        let mut text = format!("{uri}{separator}device=d{}", self.device);
        if self.token.is_none() {
            text.push_str(&format!("&user={}", self.user));
        }
        if last_event > 0 {
            text.push_str(&format!("&lastEventId={last_event}"));
        }
        text
    }
}
