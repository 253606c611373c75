//! The handshake: every way to say who one is, and what a refusal looks like.

use std::net::SocketAddr;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue};

use super::PATIENCE;
use super::client::Client;

/// How clients say who they are.
#[derive(Clone, Debug)]
pub(crate) enum SignIn {
    /// They just say so.
    ByName,
    /// By a token that this secret signs.
    Hs256(Arc<[u8]>),
}

impl SignIn {
    /// Begins a connection as a user.
    pub(crate) fn connect(&self, address: SocketAddr, user: &str) -> Connecting {
        let connecting = Connecting::new(address);
        match self {
            Self::ByName => connecting.user(user),
            Self::Hs256(secret) => {
                // Far away: no test is about its end.
                let claims = serde_json::json!({"sub": user, "exp": 4_000_000_000_u64});
                let key = EncodingKey::from_secret(secret);
                let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
                connecting.bearer(&token.unwrap())
            }
        }
    }
}

/// A connection to be.
pub(crate) struct Connecting {
    address: SocketAddr,
    query: Vec<(String, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    receive_buffer: Option<u32>,
    auto_ack: bool,
}

/// A refused handshake.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
}

impl Connecting {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            query: Vec::new(),
            headers: Vec::new(),
            receive_buffer: None,
            auto_ack: false,
        }
    }

    /// Adds a parameter, percent-encoded.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), encode(value)));
        self
    }

    /// Adds a parameter as it is.
    pub(crate) fn raw_query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn user(self, user: &str) -> Self {
        self.query("user", user)
    }

    pub(crate) fn name(self, name: &str) -> Self {
        self.query("name", name)
    }

    pub(crate) fn device(self, device: &str) -> Self {
        self.query("device", device)
    }

    pub(crate) fn last_event_id(self, id: u64) -> Self {
        self.query("lastEventId", &id.to_string())
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.parse().unwrap(), value.parse().unwrap()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Acknowledges every durable event as it arrives.
    pub(crate) fn auto_ack(mut self) -> Self {
        self.auto_ack = true;
        self
    }

    /// Gives the kernel little room for what is not read.
    pub(crate) fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Connects, and returns once the service answers requests: from then on no event passes this device by.
    pub(crate) async fn open(self) -> Client {
        let mut client = self.open_unsettled().await;
        client.request("chats", serde_json::json!({"count": 1})).await;
        client
    }

    /// Connects, and returns after the handshake.
    pub(crate) async fn open_unsettled(self) -> Client {
        let auto_ack = self.auto_ack;
        match self.handshake().await {
            Ok((mut client, _)) => {
                client.auto_ack = auto_ack;
                client
            }
            Err(refused) => panic!("refused: {refused:?}"),
        }
    }

    /// Connects, if the service is there.
    pub(crate) async fn attempt(self) -> Option<Client> {
        let stream = timeout(PATIENCE, TcpStream::connect(self.address))
            .await
            .unwrap()
            .ok()?;
        stream.set_nodelay(true).ok()?;
        let (ws, _) = timeout(PATIENCE, client_async(self.request(), stream))
            .await
            .unwrap()
            .ok()?;
        Some(Client::new(ws))
    }

    /// Connects, and must be refused.
    pub(crate) async fn refused(self) -> u16 {
        match self.handshake().await {
            Ok(_) => panic!("the handshake was accepted"),
            Err(refused) => refused.status,
        }
    }

    fn request(&self) -> Request {
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let url = format!("ws://{}/ws?{}", self.address, query.join("&"));
        let mut request = url.into_client_request().unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        request
    }

    /// Connects; with the headers of the answer.
    pub(crate) async fn handshake(self) -> Result<(Client, HeaderMap), Refused> {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let stream: TcpStream = timeout(PATIENCE, socket.connect(self.address))
            .await
            .unwrap()
            .unwrap();
        stream.set_nodelay(true).unwrap();
        let request = self.request();
        match timeout(PATIENCE, client_async(request, stream))
            .await
            .expect("the handshake is answered")
        {
            Ok((ws, response)) => Ok((Client::new(ws), response.headers().clone())),
            Err(Error::Http(response)) => Err(Refused {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
            }),
            Err(error) => panic!("no answer to the handshake: {error}"),
        }
    }
}

/// Percent-encodes everything but the unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
