//! The entries of one stream from a sequence on, as an ephemeral pull consumer hands them out.
//!
//! What waits in this process is bounded: entries come only as asked for, by number and by bytes, and at most two requests
//! are open. A request stays open until it has its entries or its time is over, so a new entry comes at once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use confab_chat::Partition;
use futures_util::Stream;
use tokio::time::Instant;

use super::api::{ApiError, nanos};
use super::core::Core;
use super::subjects::api;

/// Entries asked for at once; half of them before there are new ones.
const BATCH: usize = 256;
/// How long a request stays open.
const OPEN: Duration = Duration::from_secs(30);
/// How often the server says that there is nothing new.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A consumer not heard of for so long is gone.
pub(super) const SILENCE: Duration = Duration::from_millis(2500);
/// When the server forgets a consumer that asks for nothing.
pub(super) const FORGET: Duration = Duration::from_secs(15);
/// What a message takes beside payload and headers: subjects.
const AROUND: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Feed {
    subscriber: Subscriber,
    inbox: String,
    /// Where entries are asked for, and with what words.
    next: String,
    request: Bytes,
    /// The number of the last request.
    asked: u64,
    /// The requests that are open, and how many entries each still gives.
    open: VecDeque<(u64, usize)>,
    /// Which of the connections it was made on: a consumer is not trusted beyond it.
    pub(super) connection: u64,
    /// When it was last heard of.
    pub(super) heard: Instant,
}

impl Feed {
    /// Begins at a sequence.
    pub(super) async fn open(core: &Core, partition: Partition, start: u64) -> Result<Self, ApiError> {
        let lost = || ApiError::OutOfReach("there is no connection to NATS".to_owned());
        let connection = core.connection().ok_or_else(lost)?;
        let stream = core.subjects.stream(partition);
        let inbox = core.client.new_inbox();
        let subscriber = core.client.subscribe(format!("{inbox}.*")).await;
        let subscriber = subscriber.map_err(|error| ApiError::OutOfReach(error.to_string()))?;
        let consumer = core.api.consumer(&stream, start, FORGET).await?;
        let request = serde_json::json!({
            "batch": BATCH,
            "max_bytes": core.client.max_payload() + AROUND,
            "expires": nanos(OPEN),
            "idle_heartbeat": nanos(HEARTBEAT),
        });
        Ok(Self {
            subscriber,
            inbox,
            next: api::next(&stream, &consumer.name),
            request: request.to_string().into(),
            asked: 0,
            open: VecDeque::new(),
            connection,
            heard: Instant::now(),
        })
    }

    /// Asks for more, if it is time to.
    pub(super) async fn ask(&mut self, core: &Core) -> Result<(), &'static str> {
        if !self.is_short() {
            return Ok(());
        }
        let number = self.asked + 1;
        let reply = format!("{}.{number}", self.inbox);
        let sent = core
            .client
            .publish_with_reply(self.next.clone(), reply, self.request.clone())
            .await;
        sent.map_err(|_| "nothing can be asked for")?;
        self.asked = number;
        self.open.push_back((number, BATCH));
        Ok(())
    }

    fn is_short(&self) -> bool {
        self.open.len() < 2 && self.open.iter().map(|(_, entries)| entries).sum::<usize>() <= BATCH / 2
    }

    /// The next message from the stream; `None` where more must be [asked](Self::ask) for first; an error where the
    /// consumer gives no more, and the reason for it.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, &'static str>> {
        loop {
            if self.open.is_empty() {
                return Poll::Ready(Ok(None));
            }
            let polled = Pin::new(&mut self.subscriber).poll_next(cx);
            if polled.is_pending() && self.is_short() {
                return Poll::Ready(Ok(None));
            }
            let Some(message) = ready!(polled) else {
                return Poll::Ready(Err("the subscription ended"));
            };
            let Some(status) = message.status.filter(|status| *status != StatusCode::OK) else {
                self.count();
                return Poll::Ready(Ok(Some(message)));
            };
            self.heard = Instant::now();
            match status {
                StatusCode::IDLE_HEARTBEAT => {}
                StatusCode::TIMEOUT | StatusCode::NOT_FOUND => self.ended(&message),
                StatusCode::REQUEST_TERMINATED if is_end_of_request(&message) => self.ended(&message),
                StatusCode::REQUEST_TERMINATED => return Poll::Ready(Err("the consumer ended")),
                _ => return Poll::Ready(Err("the consumer is gone")),
            }
        }
    }

    fn count(&mut self) {
        if let Some((_, entries)) = self.open.front_mut() {
            *entries -= 1;
            if *entries == 0 {
                self.open.pop_front();
            }
        }
    }

    /// A request has ended before it had all its entries; the subject of the message says which.
    fn ended(&mut self, message: &Message) {
        let number = message
            .subject
            .rsplit_once('.')
            .and_then(|(_, number)| number.parse().ok());
        self.open.retain(|(open, _)| Some(*open) != number);
    }
}

/// Whether only a request has ended, and not the consumer.
fn is_end_of_request(message: &Message) -> bool {
    let why = message.description.as_deref().unwrap_or_default();
    let why = why.to_ascii_lowercase();
    why.contains("maxbytes") || why.contains("batch completed")
}
