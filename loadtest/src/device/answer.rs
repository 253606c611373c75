//! What a device makes of the frames that come.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Device;
use super::pending::{Request, What};
use crate::protocol::{self, Answer, ChatListItem, ErrorBody, Frame, Message};
use crate::stats::Timed;

/// After an answer that says nothing of the outcome.
const AGAIN: Duration = Duration::from_millis(500);

impl Device {
    pub(super) fn told(&mut self, text: &str) {
        let frame: Frame<'_> = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => return self.unreadable("a frame", &error.to_string(), text),
        };
        if frame.event == Some("pong") {
            self.check_resumed();
        } else if frame.kind == "response" {
            self.answered(&frame);
        } else if frame.kind == "event" {
            self.event(&frame);
        } else {
            self.unreadable("a frame", "of no type that the protocol has", text);
        }
    }

    /// Something came that the protocol does not have.
    pub(super) fn unreadable(&mut self, what: &str, error: &str, text: &str) {
        let mut world = self.shared.borrow_mut();
        world.ledger.unreadable(self.user, what, error, text);
    }

    fn event(&mut self, frame: &Frame<'_>) {
        let (id, kind) = (frame.event_id(), frame.event_type.unwrap_or_default());
        let payload = frame.payload.map_or("", |payload| payload.get());
        let mut world = self.shared.borrow_mut();
        if let Some(n) = world.ledger.told(self.number, id, kind, payload) {
            world.stats.counts.delivered += 1;
            let at = world
                .ledger
                .sent(n)
                .and_then(|sent| Some(world.stats.at(sent.at?)));
            // Of what was sent before it was there, or while it slept, the time says nothing of the service.
            if let Some(at) = at.filter(|at| *at >= self.since && self.pause.is_none()) {
                world.stats.took(Timed::Event, at);
            }
        }
        if let Some(id) = id.filter(|_| world.acks) {
            self.out.push(protocol::ack(id));
        }
        drop(world);
        if self.coming.is_some() && self.was_live {
            self.check_resumed();
        }
    }

    fn answered(&mut self, frame: &Frame<'_>) {
        let payload = frame.payload.map_or("", |payload| payload.get());
        let Some(id) = frame.request_id() else {
            return self.unreadable("a response", "it answers no request", payload);
        };
        // An answer to a request that went out twice may come twice.
        let Some(request) = self.pending.answered(id) else {
            return;
        };
        match &frame.error {
            Some(error) if error.retryable => {
                let mut world = self.shared.borrow_mut();
                world.stats.counts.repeated += 1;
                let refusal = world.stats.refusals.entry(error.code.to_string());
                refusal.or_insert_with(|| (0, error.message.to_string())).0 += 1;
                drop(world);
                self.pending.put_back(id, request, AGAIN);
            }
            Some(error) => self.refused(request, error),
            None => self.done(request, payload),
        }
    }

    fn refused(&mut self, request: Request, error: &ErrorBody<'_>) {
        let mut world = self.shared.borrow_mut();
        world.open_requests -= 1;
        world.stats.refused(&error.code, &error.message);
        match request.what {
            What::New { n, .. } => world.ledger.refused(n),
            What::Change { n } => world.ledger.change_refused(n),
            What::Mark { chat, read, .. } => world.ledger.mark_refused(chat, self.user, read),
            What::Ask(answer) => {
                let _ = answer.send(Err(format!("{}: {}", error.code, error.message)));
            }
            What::History { .. } | What::Chats => {}
        }
    }

    fn done(&mut self, request: Request, payload: &str) {
        let lasted = request.planned.elapsed();
        self.shared.borrow_mut().open_requests -= 1;
        let timed = match request.what {
            What::Ask(answer) => {
                let _ = answer.send(Ok(payload.to_owned()));
                return;
            }
            What::New { n, looping } => self.stored(n, looping, payload),
            what => self.judge(&what, payload),
        };
        // What cannot be read is no answer that took a time.
        let Some(timed) = timed else { return };
        let mut world = self.shared.borrow_mut();
        if timed != Timed::Response {
            world.stats.counts.others += 1;
        }
        if request.planned >= self.since.min(Instant::now()) && self.pause.is_none() {
            world.stats.lasted(timed, request.planned, lasted);
        }
    }

    /// A message was answered. A closed loop goes on with the next one.
    fn stored(&mut self, n: u32, looping: bool, payload: &str) -> Option<Timed> {
        let answer = self.read::<Answer>("new", payload);
        let mut world = self.shared.borrow_mut();
        if let Some(answer) = &answer {
            world.stats.counts.answered += 1;
            world.ledger.answered(n, answer.message_id);
        }
        let goes_on = looping && world.looping;
        let next = world.ledger.sent(n).filter(|_| goes_on).map(|sent| sent.chat);
        drop(world);
        self.keep_own(n);
        if let Some(chat) = next {
            self.send_on(chat);
        }
        answer.map(|_| Timed::Response)
    }

    /// Holds any other answer against what was asked for.
    fn judge(&mut self, what: &What, payload: &str) -> Option<Timed> {
        let user = self.user;
        match *what {
            What::Change { n } => {
                let answer: Answer = self.read("edit or delete", payload)?;
                self.shared.borrow_mut().ledger.changed(n, answer.message_id);
            }
            What::Mark {
                chat,
                message_id,
                read,
            } => {
                let answer: Answer = self.read("dlvrd or read", payload)?;
                let ledger = &mut self.shared.borrow_mut().ledger;
                ledger.marked(chat, user, message_id, read, answer.message_id);
            }
            What::History { chat, known, asked } => {
                let page: Vec<Message<'_>> = self.read("messages", payload)?;
                self.shared.borrow_mut().ledger.latest(chat, known, asked, &page);
                return Some(Timed::History);
            }
            What::Chats => {
                let items: Vec<ChatListItem<'_>> = self.read("chats", payload)?;
                self.shared.borrow_mut().ledger.list(user, &items, "an answer");
                return Some(Timed::Chats);
            }
            What::New { .. } | What::Ask(_) => return None,
        }
        Some(Timed::Change)
    }

    fn read<'a, T: Deserialize<'a>>(&mut self, what: &str, payload: &'a str) -> Option<T> {
        let read = serde_json::from_str(payload);
        read.map_err(|error| self.unreadable(&format!("the answer to {what}"), &error.to_string(), payload))
            .ok()
    }
}
