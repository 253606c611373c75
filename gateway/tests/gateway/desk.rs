//! A gateway between a test's clients and a test's workers.

use std::net::SocketAddr;
use std::sync::Arc;

use confab_chat::{ChatKey, Event, GatewayId, RequestId, SessionId, Timestamp, UserId};
use confab_gateway::{Auth, Config, Gateway};
use confab_proto::message::{Attach, AttachFrom, Attached, DeliveryBody, MailboxEvent, Signal, ToGateway};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::script::{Script, Workers, script};
use crate::soon;

pub struct Desk {
    pub gateway: Gateway<Script>,
    pub workers: Workers,
}

/// A client that is connected, and the session that it is to the workers.
pub struct Client {
    pub ws: WebSocketStream<TcpStream>,
    pub user: UserId,
    pub session: SessionId,
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn config() -> Config {
    Config::new(GatewayId("gw".into()), Auth::Insecure)
}

/// A message of Bob's as the given event.
pub fn event(id: u64) -> MailboxEvent {
    event_of(id, format!("m{id}"))
}

pub fn event_of(id: u64, text: String) -> MailboxEvent {
    let event = Event::New {
        chat: ChatKey::dialog(&user("alice"), &user("bob")),
        message_id: id,
        sender: user("bob"),
        client_message_id: None,
        text,
        attachments: Vec::new(),
        reply_to: None,
        at: Timestamp(1_000 + id),
    };
    mailbox(id, event)
}

pub fn chats(id: u64) -> MailboxEvent {
    mailbox(id, Event::Chats)
}

fn mailbox(id: u64, event: Event) -> MailboxEvent {
    MailboxEvent {
        id,
        at: Timestamp(1_000 + id),
        event: Arc::new(event),
        quoted: None,
    }
}

/// An answer to an attach: what follows `after`, up to and including `up_to`.
pub fn attached(after: u64, up_to: u64) -> Attached {
    Attached {
        session: SessionId(0),
        after,
        events: (after + 1..=up_to).map(event).collect(),
        more: false,
        reset: None,
        probes: 0,
    }
}

impl Desk {
    pub async fn open() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        let (bus, workers) = script();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Gateway::start(config, listener, bus).await.unwrap();
        Self { gateway, workers }
    }

    pub fn request(&self, target: &str) -> Request {
        let url = format!("ws://{}{target}", self.gateway.local_addr());
        url.into_client_request().unwrap()
    }

    pub fn handshake(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<(WebSocketStream<TcpStream>, Response), Error>> + use<> {
        let address = self.gateway.local_addr();
        async move {
            let stream = connect(address).await;
            soon(tokio_tungstenite::client_async(request, stream)).await
        }
    }

    /// The status of a handshake that is refused.
    pub async fn refused(&self, request: Request) -> u16 {
        match self.handshake(request).await {
            Err(Error::Http(response)) => response.status().as_u16(),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Connects Alice, whose mailbox is empty.
    pub async fn alice(&mut self) -> Client {
        self.connect("/ws?user=alice", attached(0, 0)).await
    }

    /// Connects, and answers the first attach.
    pub async fn connect(&mut self, target: &str, answer: Attached) -> Client {
        let request = self.request(target);
        self.connect_by(request, answer).await
    }

    pub async fn connect_by(&mut self, request: Request, answer: Attached) -> Client {
        let stream = connect(self.gateway.local_addr()).await;
        let client = tokio_tungstenite::client_async(request, stream);
        let workers = &mut self.workers;
        let answering = async {
            let attach = attach_of(workers.signal().await);
            assert!(matches!(attach.from, AttachFrom::Cursor { .. }) && !attach.repeat);
            send_attached(workers, &attach.user, attach.session, answer).await;
            attach
        };
        let (opened, attach) = soon(async { tokio::join!(client, answering) }).await;
        Client {
            ws: opened.unwrap().0,
            user: attach.user,
            session: attach.session,
        }
    }

    /// The next signal, which attaches.
    pub async fn attach(&mut self) -> Attach {
        attach_of(self.workers.signal().await)
    }

    pub async fn answer_attach(&self, client: &Client, answer: Attached) {
        send_attached(&self.workers, &client.user, client.session, answer).await;
    }

    pub async fn deliver(&self, client: &Client, body: DeliveryBody) {
        let user = client.user.clone();
        self.workers
            .deliveries
            .send(ToGateway { user, body })
            .await
            .unwrap();
    }

    pub async fn live(&self, client: &Client, ids: std::ops::RangeInclusive<u64>) {
        self.deliver(client, DeliveryBody::Live(ids.map(event).collect()))
            .await;
    }

    pub async fn reply(
        &self,
        client: &Client,
        request: RequestId,
        result: Result<confab_chat::Reply, confab_chat::Rejection>,
    ) {
        let session = client.session;
        self.deliver(
            client,
            DeliveryBody::Reply {
                session,
                request,
                result,
            },
        )
        .await;
    }
}

fn attach_of(signal: Signal) -> Attach {
    match signal {
        Signal::Attach(attach) => attach,
        other => panic!("not an attach: {other:?}"),
    }
}

async fn send_attached(workers: &Workers, user: &UserId, session: SessionId, mut answer: Attached) {
    answer.session = session;
    let message = ToGateway {
        user: user.clone(),
        body: DeliveryBody::Attached(answer),
    };
    workers.deliveries.send(message).await.unwrap();
}

impl Client {
    pub async fn send(&mut self, text: impl Into<String>) {
        soon(self.ws.send(Message::text(text.into()))).await.unwrap();
    }

    /// Sends a request.
    pub async fn ask(&mut self, id: &str, kind: &str, payload: Value) {
        let request = serde_json::json!({
            "type": "request", "id": id, "payloadType": kind, "payload": payload,
        });
        self.send(request.to_string()).await;
    }

    pub async fn ack(&mut self, id: u64) {
        self.send(format!(r#"{{"type":"ack","id":{id}}}"#)).await;
    }

    /// The next JSON frame.
    pub async fn next(&mut self) -> Value {
        match soon(self.ws.next()).await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a frame: {other:?}"),
        }
    }

    /// The ids of the next durable events.
    pub async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.next().await["id"].as_u64().unwrap());
        }
        ids
    }

    /// Nothing has been sent so far: the next frame is the answer to a ping sent now.
    pub async fn nothing_yet(&mut self) {
        self.send("ping").await;
        assert_eq!(self.next().await, serde_json::json!({"event": "pong"}));
    }

    /// The close code and reason, whatever comes before.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match soon(self.ws.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A socket to nobody, where only a session's name is needed.
pub async fn nowhere() -> WebSocketStream<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    WebSocketStream::from_raw_socket(
        stream,
        tokio_tungstenite::tungstenite::protocol::Role::Client,
        None,
    )
    .await
}
