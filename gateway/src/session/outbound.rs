//! What goes to the client: frames, gathered and written together.

use confab_bus::Bus;
use confab_chat::{Event, Rejection, Timestamp};
use confab_proto::client::{CHATS_PAGE, encode};
use confab_proto::message::{DeliveryBody, MailboxEvent, Query, QueryKind};
use confab_service::clock;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::acks::Acks;
use super::{Ended, Session};
use crate::config::REQUEST_TIMEOUT;
use crate::metrics;
use crate::registry::Mail;

/// Room for most frames.
const FRAME: usize = 384;

/// Frames that are ready.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    frames: Vec<Message>,
    /// The last durable event among them.
    last: Option<u64>,
}

impl Outbound {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a frame that `encode` writes.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::with_capacity(FRAME);
        encode(&mut bytes);
        self.push_bytes(bytes);
    }

    fn push_bytes(&mut self, bytes: Vec<u8>) {
        match Utf8Bytes::try_from(bytes) {
            Ok(text) => self.frames.push(Message::Text(text)),
            Err(_) => debug_assert!(false, "frames are JSON, and so UTF-8"),
        }
    }

    /// The frames, taken out.
    pub(super) fn frames(&mut self) -> Vec<Message> {
        metrics::frames_out(self.frames.len() as u64);
        std::mem::take(&mut self.frames)
    }

    /// The last durable event among those taken out.
    pub(super) fn written(&mut self) -> Option<u64> {
        self.last.take()
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp(clock::now_millis())
}

impl<B: Bus> Session<B> {
    /// Takes what workers have sent.
    pub(super) async fn on_mails(&mut self, mails: &mut Vec<Mail>) -> Result<(), Ended> {
        if mails.is_empty() {
            // The registry has forgotten this session: only at its end.
            return Err(Ended::Gone);
        }
        for mail in mails.drain(..) {
            match mail {
                Mail::Delivery(body) => self.on_delivery(&body).await,
                Mail::Reattach => {
                    let then = self.feed.attach_again(Instant::now());
                    self.follow(then).await;
                }
            }
        }
        mails.shrink_to(0);
        Ok(())
    }

    async fn on_delivery(&mut self, body: &DeliveryBody) {
        let receiver = self.registered.handle.user.clone();
        match body {
            DeliveryBody::Reply { request, result, .. } => self.on_reply(*request, result),
            DeliveryBody::Live(events) => {
                let then = self.feed.live(events, Instant::now());
                self.follow(then).await;
            }
            DeliveryBody::Attached(attached) => {
                if !self.feed.has_begun() {
                    self.begin(attached.after);
                }
                let then = self.feed.attached(attached, Instant::now());
                self.follow(then).await;
            }
            DeliveryBody::Online(users) => self.online(users),
            DeliveryBody::Contacts { online, .. } => {
                self.online(online);
                self.feed.contacts_heard();
            }
            DeliveryBody::Offline { user, last_seen } => {
                self.out.push(|out| encode::offline(out, now(), user, *last_seen));
            }
            DeliveryBody::Typing { chat, user, stop } => {
                self.out
                    .push(|out| encode::typing(out, now(), &receiver, chat, user, *stop));
            }
            // The registry ends the session by itself.
            DeliveryBody::Replaced { .. } => {}
        }
    }

    /// The mailbox knows this session, and this session its cursor.
    fn begin(&mut self, cursor: u64) {
        self.acks = Acks::starting_at(cursor);
        self.profile = None;
        let handle = self.handle();
        handle
            .forwarded
            .store(cursor, std::sync::atomic::Ordering::Release);
        handle.attached.store(true, std::sync::atomic::Ordering::Release);
    }

    fn online(&mut self, users: &[confab_chat::UserId]) {
        for user in users {
            self.out.push(|out| encode::online(out, now(), user));
        }
    }

    /// Puts the durable events that may go into frames, in order.
    pub(super) async fn gather_events(&mut self) {
        while let Some(event) = self.feed.next() {
            if !self.put_event(&event).await {
                let last = self.out.last;
                let last = last
                    .unwrap_or_else(|| self.handle().forwarded.load(std::sync::atomic::Ordering::Acquire));
                self.feed.rewind(last, Instant::now());
                return;
            }
            self.out.last = Some(event.id);
        }
        self.feed.rest();
        if !self.caught_up && self.feed.is_live() {
            self.caught_up = true;
            metrics::attach_took(self.opened.elapsed().as_secs_f64());
        }
    }

    async fn put_event(&mut self, event: &MailboxEvent) -> bool {
        let receiver = &self.registered.handle.user;
        if !matches!(*event.event, Event::Chats) {
            self.out.push(|out| {
                let written = encode::event(out, receiver, event);
                debug_assert!(written, "only `chats` is filled in by the gateway");
            });
            return true;
        }
        let query = Query {
            user: receiver.clone(),
            what: QueryKind::Chats {
                count: CHATS_PAGE,
                before: None,
            },
        };
        let bus = self.registered.core.bus.clone();
        let asked = Box::pin(tokio::time::timeout(REQUEST_TIMEOUT, async move {
            bus.query(query).await
        }));
        match asked.await {
            Ok(Ok(Ok(list))) => {
                self.out.push(|out| encode::chats(out, event.id, event.at, &list));
                true
            }
            failed => {
                tracing::warn!(
                    ?failed,
                    "the list of chats for an event cannot be had, trying again"
                );
                false
            }
        }
    }

    /// Answers a request with an error.
    pub(super) fn refuse(&mut self, id: Option<&str>, rejection: &Rejection, retry_after_ms: Option<u64>) {
        self.out
            .push(|out| encode::error_response(out, id, now(), rejection, retry_after_ms));
    }
}
