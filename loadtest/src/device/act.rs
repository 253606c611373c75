//! What a device does when the plan says so.

use std::time::Instant;

use rand::Rng;
use tokio::sync::oneshot;

use super::pending::What;
use super::{Device, OWN};
use crate::arrivals::Act;
use crate::protocol;

/// Messages of a page of history.
const PAGE: u32 = 50;

impl Device {
    pub(super) fn act(&mut self, act: Act, chat: u32, at: Instant, pick: u64) {
        let done = match act {
            Act::Send => self.send(chat, at, false),
            Act::Edit => self.change(pick, at, false),
            Act::Delete => self.change(pick, at, true),
            Act::Read => self.mark(chat, at, true),
            Act::Delivered => self.mark(chat, at, false),
            Act::Typing => self.typing(chat),
            Act::History => self.history(chat, at),
            Act::Chats => self.chats(at),
            Act::Churn => None,
        };
        let mut world = self.shared.borrow_mut();
        if done.is_none() {
            world.stats.counts.skipped += 1;
        } else if at >= self.free_since {
            world.stats.begins(at);
        }
    }

    /// The next message of a closed loop.
    pub(super) fn send_on(&mut self, chat: u32) {
        let _ = self.send(chat, Instant::now(), true);
    }

    fn send(&mut self, chat: u32, at: Instant, looping: bool) -> Option<()> {
        let mut world = self.shared.borrow_mut();
        let [shortest, longest] = world.bytes;
        let bytes = world.random.random_range(shortest..=longest);
        let micros = (at >= self.since).then(|| world.stats.micros(at));
        let n = world.ledger.send(chat, self.user, bytes, micros);
        let id = world.ledger.chat_id(chat, self.user);
        world.stats.counts.sent += 1;
        drop(world);
        let text = protocol::text(n, 0, bytes);
        let payload = format!(r#"{{"chatId":"{id}","message":"{text}","clientMessageId":"{n}"}}"#);
        self.request(What::New { n, looping }, "new", payload, at);
        Some(())
    }

    /// One of the last own messages, if there is one that may be changed.
    fn change(&mut self, pick: u64, at: Instant, delete: bool) -> Option<()> {
        let place = pick as usize % self.own.len().max(1);
        let n = *self.own.get(place)?;
        let mut world = self.shared.borrow_mut();
        let (message_id, revision) = world.ledger.change(n, delete)?;
        let chat = world.ledger.sent(n)?.chat;
        let id = world.ledger.chat_id(chat, self.user);
        let bytes = world.bytes[0];
        drop(world);
        if delete {
            self.own.remove(place);
            let payload = format!(r#"{{"chatId":"{id}","messageId":{message_id}}}"#);
            self.request(What::Change { n }, "delete", payload, at);
        } else {
            let text = protocol::text(n, revision, bytes);
            let payload = format!(r#"{{"chatId":"{id}","messageId":{message_id},"message":"{text}"}}"#);
            self.request(What::Change { n }, "edit", payload, at);
        }
        Some(())
    }

    /// Up to the last message that was seen.
    fn mark(&mut self, chat: u32, at: Instant, read: bool) -> Option<()> {
        let mut world = self.shared.borrow_mut();
        let message_id = world.ledger.last_seen(self.number, chat);
        let id = world.ledger.chat_id(chat, self.user);
        if message_id == 0 {
            return None;
        }
        world.ledger.mark(chat, self.user, message_id, read);
        drop(world);
        let payload = format!(r#"{{"chatId":"{id}","messageId":{message_id}}}"#);
        let what = What::Mark {
            chat,
            message_id,
            read,
        };
        self.request(what, if read { "read" } else { "dlvrd" }, payload, at);
        Some(())
    }

    fn typing(&mut self, chat: u32) -> Option<()> {
        let id = self.shared.borrow().ledger.chat_id(chat, self.user);
        self.out.push(protocol::typing(&id));
        Some(())
    }

    fn history(&mut self, chat: u32, at: Instant) -> Option<()> {
        let world = self.shared.borrow();
        let id = world.ledger.chat_id(chat, self.user);
        let what = What::History {
            chat,
            known: world.ledger.last(chat),
            asked: Instant::now(),
        };
        drop(world);
        let payload = format!(r#"{{"chatId":"{id}","count":{PAGE}}}"#);
        self.request(what, "messages", payload, at);
        Some(())
    }

    fn chats(&mut self, at: Instant) -> Option<()> {
        self.request(What::Chats, "chats", "{}".to_owned(), at);
        Some(())
    }

    pub(super) fn ask_for(
        &mut self,
        kind: &'static str,
        payload: String,
        answer: oneshot::Sender<Result<String, String>>,
    ) {
        self.request(What::Ask(answer), kind, payload, Instant::now());
    }

    fn request(&mut self, what: What, kind: &'static str, payload: String, at: Instant) {
        self.shared.borrow_mut().open_requests += 1;
        let frame = self.pending.ask(what, kind, payload, at);
        self.out.push(frame);
    }

    /// A message that may be changed from now on.
    pub(super) fn keep_own(&mut self, n: u32) {
        if self.own.len() == OWN {
            self.own.pop_front();
        }
        self.own.push_back(n);
    }
}
