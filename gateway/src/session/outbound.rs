//! What goes to the client, and in which order: contacts that are online, then the events it has missed, then
//! everything as it happens. Responses go whenever they are ready.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use confab_bus::Bus;
use confab_chat::{Event, Rejection, Timestamp, UserId};
use confab_proto::client::encode;
use confab_proto::message::{Attached, DeliveryBody, MailboxEvent};
use tokio::time::Instant;

use super::acks::Acks;
use super::feed::Then;
use super::frames::Frames;
use super::{MAILS, Session};
use crate::config::WRITE_BUFFER;
use crate::inbox::Mail;
use crate::metrics;

/// Presence that waits while the client catches up: more than this is not worth keeping.
const EARLY: usize = 256;

/// What is ready to go, and what is held back.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    frames: Frames,
    /// The last durable event among the frames.
    last: Option<u64>,
    /// The `chats` event whose list is being asked for; what follows it waits.
    listing: Option<Box<Listing>>,
    /// A list, and the last event that it is not too old for.
    list: Option<Box<(Bytes, u64)>>,
    /// Who came and went while the client catches up.
    early: Vec<Arc<DeliveryBody>>,
    caught_up: bool,
}

/// A `chats` event without its list.
#[derive(Debug)]
struct Listing {
    id: u64,
    at: Timestamp,
    /// The last event that had happened when the list was asked for.
    fresh_for: u64,
}

impl Outbound {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a frame that `encode` writes.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.frames.push(encode);
    }

    /// The frames, to be written.
    pub(super) fn frames(&mut self) -> &mut Frames {
        &mut self.frames
    }

    /// The frames, taken out.
    pub(super) fn take(&mut self) -> Frames {
        std::mem::take(&mut self.frames)
    }

    /// All frames are written: the last durable event among them.
    pub(super) fn written(&mut self) -> Option<u64> {
        self.last.take()
    }
}

impl<B: Bus> Session<B> {
    /// The bus's time, which dates what is not durable.
    pub(super) fn now(&self) -> Timestamp {
        self.core().bus.now()
    }

    /// Takes what workers have sent and is there already.
    pub(super) fn on_mails(&mut self) {
        for _ in 0..MAILS {
            let Some(mail) = self.handle().inbox.take() else {
                return;
            };
            self.take_mail(&mail);
        }
    }

    fn take_mail(&mut self, mail: &Mail) {
        let then = match mail {
            Mail::Delivery(body) => match &**body {
                DeliveryBody::Live(events) => self.feed.live(events, Instant::now()),
                DeliveryBody::Attached(attached) => self.on_attached(attached),
                _ => return self.on_soft(body),
            },
            Mail::Reattach => self.feed.renew(Instant::now()),
        };
        self.follow(then);
    }

    /// What is sent once, if at all.
    fn on_soft(&mut self, body: &Arc<DeliveryBody>) {
        match &**body {
            DeliveryBody::Reply { request, result, .. } => self.on_reply(*request, result),
            DeliveryBody::Contacts { online, .. } => {
                self.put_online(online);
                self.feed.contacts_heard();
            }
            DeliveryBody::Online(_) | DeliveryBody::Offline { .. } if !self.out.caught_up => {
                if self.out.early.len() < EARLY {
                    self.out.early.push(Arc::clone(body));
                }
            }
            DeliveryBody::Online(users) => self.put_online(users),
            DeliveryBody::Offline { user, last_seen } => {
                let now = self.now();
                self.out.push(|out| encode::offline(out, now, user, *last_seen));
            }
            DeliveryBody::Typing { chat, user, stop } if self.out.caught_up => {
                let now = self.now();
                let receiver = &self.registered.handle.user;
                self.out
                    .push(|out| encode::typing(out, now, receiver, chat, user, *stop));
            }
            // Nobody types in the past; and of being replaced the registry tells.
            DeliveryBody::Typing { .. }
            | DeliveryBody::Replaced { .. }
            | DeliveryBody::Live(_)
            | DeliveryBody::Attached(_) => {}
        }
    }

    fn on_attached(&mut self, attached: &Attached) -> Then {
        if self.feed.is_stale(attached) {
            return Then::Nothing;
        }
        let first = !self.feed.has_begun();
        if first {
            self.profile = None;
            let handle = self.handle();
            handle.forwarded.store(attached.after, Ordering::Release);
            handle.attached.store(true, Ordering::Release);
        }
        if attached.reset.is_some() || first {
            // After a reset the device goes on from the one event that stands for all that is gone.
            let cursor = attached.reset.map_or(attached.after, |id| id.saturating_sub(1));
            self.acks = Acks::starting_at(cursor);
        }
        let now = Instant::now();
        if attached.reset.is_some() {
            // The event that waits for its list is replaced too, but it has not gone out.
            if let Some(listing) = self.out.listing.take() {
                self.feed.rewind(listing.id, now);
            }
        }
        self.feed.attached(attached, now)
    }

    fn put_online(&mut self, users: &[UserId]) {
        let now = self.now();
        for user in users {
            self.out.push(|out| encode::online(out, now, user));
        }
    }

    /// Puts the durable events that may go into frames, in order. True if there are more than go into one write.
    pub(super) fn gather_events(&mut self) -> bool {
        while self.out.listing.is_none() {
            if self.out.frames.len() >= WRITE_BUFFER {
                return true;
            }
            let Some(event) = self.feed.next() else {
                self.rest();
                return false;
            };
            self.put_event(&event);
        }
        false
    }

    fn put_event(&mut self, event: &MailboxEvent) {
        // What a device missed while it was away was not late.
        if self.out.caught_up {
            let age = self.now().0.saturating_sub(event.at.0);
            let took = Duration::from_millis(age);
            self.core().meters.event_seconds.record(took);
        }
        let receiver = &self.registered.handle.user;
        let mut whole = true;
        if !matches!(*event.event, Event::Chats) {
            self.out.push(|out| whole = encode::event(out, receiver, event));
            debug_assert!(whole, "only `chats` is filled in by the gateway");
            self.out.last = Some(event.id);
            return;
        }
        let listing = Listing {
            id: event.id,
            at: event.at,
            fresh_for: self.feed.taken(),
        };
        match self.out.list.take() {
            Some(known) if listing.id <= known.1 => {
                self.put_chats(&listing, &known.0);
                self.out.list = Some(known);
            }
            _ => {
                self.requests.want_list(listing.id);
                self.out.listing = Some(Box::new(listing));
            }
        }
    }

    fn put_chats(&mut self, listing: &Listing, list: &Bytes) {
        self.out
            .push(|out| encode::chats(out, listing.id, listing.at, list));
        self.out.last = Some(listing.id);
    }

    /// The list of chats for an event is there, or cannot be had: then that event and all after it are asked for again. A list
    /// for an event that a reset has replaced meanwhile says too little.
    pub(super) fn on_list(&mut self, event: u64, list: Result<Bytes, Rejection>) {
        let Some(listing) = self.out.listing.take_if(|listing| listing.id == event) else {
            return;
        };
        match list {
            Ok(list) => {
                self.put_chats(&listing, &list);
                self.out.list = Some(Box::new((list, listing.fresh_for)));
            }
            Err(error) => {
                tracing::warn!(%error, "the list of chats for an event cannot be had, trying again");
                self.feed.rewind(listing.id, Instant::now());
            }
        }
    }

    /// All events that were there are in frames.
    fn rest(&mut self) {
        self.out.list = None;
        self.feed.rest();
        if self.out.caught_up || !self.feed.is_live() {
            return;
        }
        self.out.caught_up = true;
        metrics::attach_took(self.opened.elapsed().as_secs_f64());
        for body in std::mem::take(&mut self.out.early) {
            self.on_soft(&body);
        }
    }

    /// Answers a request with an error.
    pub(super) fn refuse(&mut self, id: Option<&str>, rejection: &Rejection, retry_after_ms: Option<u64>) {
        let now = self.now();
        self.out
            .push(|out| encode::error_response(out, id, now, rejection, retry_after_ms));
    }
}
