//! A client: sends frames, keeps everything that arrives in order, and checks the shape of all of it.
//!
//! It reads only while a test waits for something. Durable events are checked on arrival: their ids follow each other
//! without a gap.

use std::collections::{HashMap, VecDeque};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{PATIENCE, schema};

/// A connected device.
pub(crate) struct Client {
    ws: WebSocketStream<TcpStream>,
    next_request: u64,
    asked: HashMap<String, String>,
    responses: HashMap<String, Value>,
    unnamed: VecDeque<Value>,
    durable: VecDeque<Value>,
    ephemeral: VecDeque<Value>,
    /// Durable events are acknowledged as they arrive.
    pub(crate) auto_ack: bool,
    /// How often `pong` came.
    pub(crate) pongs: usize,
    /// Everything that came, in order.
    pub(crate) arrived: Vec<Value>,
    /// The id of the last durable event that came.
    pub(crate) last_event_id: Option<u64>,
    closed: Option<(u16, String)>,
}

/// What an error response says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) retryable: bool,
}

impl Client {
    pub(crate) fn new(ws: WebSocketStream<TcpStream>) -> Self {
        Self {
            ws,
            next_request: 1,
            asked: HashMap::new(),
            responses: HashMap::new(),
            unnamed: VecDeque::new(),
            durable: VecDeque::new(),
            ephemeral: VecDeque::new(),
            auto_ack: false,
            pongs: 0,
            arrived: Vec::new(),
            last_event_id: None,
            closed: None,
        }
    }

    /// Sends a WebSocket message as it is.
    pub(crate) async fn send_message(&mut self, message: Message) {
        timeout(PATIENCE, self.ws.send(message))
            .await
            .expect("the socket takes a frame")
            .unwrap();
    }

    /// Sends a text frame as it is.
    pub(crate) async fn send_text(&mut self, text: impl Into<String>) {
        self.send_message(Message::text(text.into())).await;
    }

    /// Sends a JSON frame.
    pub(crate) async fn send(&mut self, frame: &Value) {
        self.send_text(frame.to_string()).await;
    }

    /// Sends a JSON frame, whether or not the other end still listens.
    pub(crate) async fn try_send(&mut self, frame: &Value) -> bool {
        matches!(
            timeout(PATIENCE, self.ws.send(Message::text(frame.to_string()))).await,
            Ok(Ok(()))
        )
    }

    /// Sends, whether or not the other end still listens.
    pub(crate) async fn try_send_message(&mut self, message: Message) -> bool {
        matches!(timeout(PATIENCE, self.ws.send(message)).await, Ok(Ok(())))
    }

    /// Sends a request and returns its id.
    pub(crate) async fn ask(&mut self, payload_type: &str, payload: Value) -> String {
        let id = format!("r{}", self.next_request);
        self.next_request += 1;
        self.asked.insert(id.clone(), payload_type.to_owned());
        self.send(&json!({"type": "request", "id": id, "payloadType": payload_type, "payload": payload}))
            .await;
        id
    }

    /// Sends a request; `None` when the connection is gone.
    pub(crate) async fn try_ask(&mut self, payload_type: &str, payload: Value) -> Option<String> {
        let id = format!("r{}", self.next_request);
        self.next_request += 1;
        self.asked.insert(id.clone(), payload_type.to_owned());
        let frame = json!({"type": "request", "id": id, "payloadType": payload_type, "payload": payload});
        self.try_send(&frame).await.then_some(id)
    }

    /// Waits for the whole response to a request; `None` when the connection is gone first.
    pub(crate) async fn try_response(&mut self, id: &str) -> Option<Value> {
        loop {
            if let Some(response) = self.responses.remove(id) {
                return Some(response);
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Waits for the whole response to a request.
    pub(crate) async fn response(&mut self, id: &str) -> Value {
        loop {
            if let Some(response) = self.responses.remove(id) {
                return response;
            }
            self.read_or_panic(&format!("a response to {id}")).await;
        }
    }

    /// Waits for a response without an id.
    pub(crate) async fn unnamed_response(&mut self) -> Value {
        loop {
            if let Some(response) = self.unnamed.pop_front() {
                return response;
            }
            self.read_or_panic("a response without an id").await;
        }
    }

    /// Waits for the payload of a response.
    pub(crate) async fn answer(&mut self, id: &str) -> Value {
        let response = self.response(id).await;
        match response.get("payload") {
            Some(payload) => payload.clone(),
            None => panic!("request {id} failed: {response}"),
        }
    }

    /// Sends a request that must succeed; its payload.
    pub(crate) async fn request(&mut self, payload_type: &str, payload: Value) -> Value {
        let id = self.ask(payload_type, payload).await;
        self.answer(&id).await
    }

    /// Sends a request that must fail.
    pub(crate) async fn failure(&mut self, payload_type: &str, payload: Value) -> Failure {
        let id = self.ask(payload_type, payload.clone()).await;
        let response = self.response(&id).await;
        let Some(error) = response.get("error") else {
            panic!("{payload_type} {payload} succeeded: {response}")
        };
        failure_of(error)
    }

    /// Sends a request that must fail; the error's code.
    pub(crate) async fn error(&mut self, payload_type: &str, payload: Value) -> String {
        self.failure(payload_type, payload).await.code
    }

    /// Sends a text; the id it got.
    pub(crate) async fn say(&mut self, chat: &str, text: &str) -> u64 {
        let sent = self
            .request("new", json!({"chatId": chat, "message": text}))
            .await;
        sent["messageId"].as_u64().unwrap()
    }

    /// Sends a client event.
    pub(crate) async fn emit(&mut self, event_type: &str, payload: Value) {
        self.send(&json!({"type": "event", "eventType": event_type, "payload": payload}))
            .await;
    }

    /// Acknowledges an event.
    pub(crate) async fn ack(&mut self, id: u64) {
        self.send(&json!({"type": "ack", "id": id})).await;
    }

    /// Waits until the service has seen everything sent so far.
    pub(crate) async fn settle(&mut self) {
        self.request("chats", json!({"count": 1})).await;
    }

    /// The next durable event.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            if let Some(event) = self.durable.pop_front() {
                return event;
            }
            self.read_or_panic("a durable event").await;
        }
    }

    /// The payload of the next durable event, which must be of a type.
    pub(crate) async fn next_of(&mut self, event_type: &str) -> Value {
        let event = self.next().await;
        assert_eq!(event["eventType"], event_type, "another event came: {event}");
        event["payload"].clone()
    }

    /// Passes over durable events up to one that `found` accepts; that one.
    pub(crate) async fn until(&mut self, found: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().await;
            if found(&event) {
                return event;
            }
        }
    }

    /// Passes over durable events up to the `new` with a text; its payload.
    pub(crate) async fn until_text(&mut self, text: &str) -> Value {
        let event = self
            .until(|event| event["eventType"] == "new" && event["payload"]["message"] == text)
            .await;
        event["payload"].clone()
    }

    /// Passes over a number of durable events.
    pub(crate) async fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next().await;
        }
    }

    /// The next ephemeral event.
    pub(crate) async fn next_ephemeral(&mut self) -> Value {
        loop {
            if let Some(event) = self.ephemeral.pop_front() {
                return event;
            }
            self.read_or_panic("an ephemeral event").await;
        }
    }

    /// The next ephemeral event of a type about a user; others are passed over.
    pub(crate) async fn presence(&mut self, event_type: &str, user: &str) -> Value {
        loop {
            let event = self.next_ephemeral().await;
            if event["eventType"] == event_type && event["payload"]["userId"] == user {
                return event["payload"].clone();
            }
        }
    }

    /// The ephemeral events that have come and were not asked for yet.
    pub(crate) fn ephemeral_so_far(&mut self) -> Vec<Value> {
        self.ephemeral.drain(..).collect()
    }

    /// The durable events that have come and were not asked for yet.
    pub(crate) fn durable_so_far(&mut self) -> Vec<Value> {
        self.durable.drain(..).collect()
    }

    /// Waits for a pong beyond those that have come.
    pub(crate) async fn pong(&mut self) {
        let before = self.pongs;
        while self.pongs == before {
            self.read_or_panic("a pong").await;
        }
    }

    /// Waits for the close frame.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        while self.read().await {}
        self.closed.clone().unwrap()
    }

    /// Closes the connection in order and waits for the end.
    pub(crate) async fn close(mut self) {
        let _ = timeout(PATIENCE, self.ws.close(None)).await;
        while self.read().await {}
    }

    /// Whether the connection is known to be gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Reads what is left of a connection that is gone, up to the code and the reason that it was closed with.
    pub(crate) async fn last_words(&mut self) -> (u16, String) {
        while self.read().await {}
        self.closed.clone().unwrap()
    }

    /// Reads the next frame into its place; false once the connection is closed.
    pub(crate) async fn read(&mut self) -> bool {
        if self.closed.is_some() {
            return false;
        }
        let message = timeout(PATIENCE, self.ws.next()).await;
        match message.unwrap_or_else(|_| panic!("nothing came; so far: {}", self.recent())) {
            Some(Ok(Message::Text(text))) => self.take(text.as_str()).await,
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) = frame.map_or((1005, String::new()), |f| {
                    (u16::from(f.code), f.reason.to_string())
                });
                self.closed = Some((code, reason));
                let _ = timeout(PATIENCE, self.ws.next()).await;
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(other)) => panic!("the service sends text frames only: {other:?}"),
            Some(Err(error)) => self.closed = Some((1006, error.to_string())),
            None => self.closed = Some((1006, String::new())),
        }
        self.closed.is_none()
    }

    async fn read_or_panic(&mut self, waiting_for: &str) {
        if !self.read().await {
            let (code, reason) = self.closed.clone().unwrap();
            panic!(
                "closed with {code} {reason:?} while waiting for {waiting_for}; so far: {}",
                self.recent()
            );
        }
    }

    async fn take(&mut self, text: &str) {
        assert!(text.len() <= 1 << 20, "a frame of {} bytes", text.len());
        let frame: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"));
        self.arrived.push(frame.clone());
        if frame.get("event").is_some() {
            assert_eq!(frame, json!({"event": "pong"}));
            self.pongs += 1;
        } else if frame["type"] == "response" {
            schema::response(
                &frame,
                frame["id"]
                    .as_str()
                    .and_then(|id| self.asked.get(id))
                    .map(String::as_str),
            );
            match frame["id"].as_str() {
                Some(id) => assert!(
                    self.responses.insert(id.to_owned(), frame.clone()).is_none(),
                    "answered twice"
                ),
                None => self.unnamed.push_back(frame),
            }
        } else {
            schema::event(&frame);
            self.take_event(frame).await;
        }
    }

    async fn take_event(&mut self, frame: Value) {
        let Some(id) = frame["id"].as_u64() else {
            self.ephemeral.push_back(frame);
            return;
        };
        if let Some(last) = self.last_event_id {
            assert_eq!(
                id,
                last + 1,
                "event ids follow each other; so far: {}",
                self.recent()
            );
        }
        self.last_event_id = Some(id);
        self.durable.push_back(frame);
        if self.auto_ack {
            self.ack(id).await;
        }
    }

    /// The last frames that came, for a failure's text.
    fn recent(&self) -> String {
        let from = self.arrived.len().saturating_sub(12);
        let short = |frame: &Value| frame.to_string().chars().take(300).collect::<String>();
        self.arrived[from..]
            .iter()
            .map(|frame| format!("\n  {}", short(frame)))
            .collect()
    }
}

/// Reads an error object.
pub(crate) fn failure_of(error: &Value) -> Failure {
    Failure {
        code: error["code"].as_str().unwrap().to_owned(),
        retryable: error["retryable"].as_bool().unwrap(),
    }
}
