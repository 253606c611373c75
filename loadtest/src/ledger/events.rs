//! What connections are told while the run goes on.

use serde::Deserialize;

use super::view::Next;
use super::{Kind, Ledger};
use crate::protocol::{self, ChatListItem, EventPayload, Passing};

/// Whether events of a kind are kept, numbered and sent again. None where there is no such kind.
fn durable(kind: &str) -> Option<bool> {
    match kind {
        "new" | "edit" | "delete" | "dlvrd" | "read" | "chats" => Some(true),
        "online" | "offline" | "typing" => Some(false),
        _ => None,
    }
}

impl Ledger {
    /// An event came to a connection: the message of a `new`, where it is the first time that it is told there.
    pub(crate) fn told(&mut self, device: u32, id: Option<u64>, kind: &str, payload: &str) -> Option<u32> {
        let user = device / self.plan.devices;
        let fresh = id.is_none_or(|id| self.numbered(device, id));
        self.heard += u64::from(fresh && id.is_some());
        match (durable(kind), id) {
            // Again what was judged when it came first.
            _ if !fresh => {}
            (Some(true), Some(id)) => return self.told_durable(device, id, kind, payload),
            (Some(false), None) => self.told_passing(user, kind, payload),
            (Some(true), None) => self.unreadable(user, kind, "an event of this kind has an id", payload),
            (Some(false), Some(_)) => self.unreadable(user, kind, "an event of this kind has no id", payload),
            (None, _) => self.unreadable(user, kind, "no kind of event", payload),
        }
        None
    }

    /// Whether an event is the next one of its user's, or at least a new one.
    fn numbered(&mut self, device: u32, id: u64) -> bool {
        let user = device / self.plan.devices;
        match self.views[device as usize].next(id) {
            Next::Right => true,
            Next::Again => false,
            Next::Twice(last) => {
                let detail = format!("event {id} came again on one connection, after {last}");
                self.violate_user(Kind::Duplicate, user, detail);
                false
            }
            Next::Hole(last) => {
                let detail = format!("event {id} came after {last}");
                self.violate_user(Kind::EventHole, user, detail);
                true
            }
        }
    }

    fn told_durable(&mut self, device: u32, id: u64, kind: &str, payload: &str) -> Option<u32> {
        let user = device / self.plan.devices;
        let shown = id.to_string();
        if kind == "chats" {
            let items: Vec<ChatListItem<'_>> = self.read_event(user, &shown, kind, payload)?;
            self.list(user, &items, &format!("event {id}"));
            return None;
        }
        let payload: EventPayload<'_> = self.read_event(user, &shown, kind, payload)?;
        let Some(chat) = self.chat(&payload.chat_id, user) else {
            let detail = format!(
                "event {id} is of chat {}, which is none of this user's",
                payload.chat_id
            );
            self.violate_user(Kind::Stranger, user, detail);
            return None;
        };
        match kind {
            "new" => return self.told_new(device, chat, &payload),
            "edit" | "delete" => self.told_change(device, chat, kind, &payload),
            _ => self.told_mark(device, chat, kind, &payload),
        }
        None
    }

    /// What comes once and is not owed: at least it is about those whom the user knows.
    fn told_passing(&mut self, user: u32, kind: &str, payload: &str) {
        let Some(passing) = self.read_event::<Passing<'_>>(user, "none", kind, payload) else {
            return;
        };
        let chat = passing.chat_id.as_deref();
        let chat_known = kind != "typing" || chat.is_some_and(|chat| self.chat(chat, user).is_some());
        if self.plan.user(&passing.user_id).is_none() || !chat_known {
            let detail = format!(
                "{kind} is of {} in {chat:?}, whom this user does not know",
                passing.user_id
            );
            self.violate_user(Kind::Stranger, user, detail);
        }
    }

    fn read_event<'a, T: Deserialize<'a>>(
        &mut self,
        user: u32,
        id: &str,
        kind: &str,
        payload: &'a str,
    ) -> Option<T> {
        let read = serde_json::from_str(payload);
        read.map_err(|error| {
            let what = format!("event {kind} (id {id}) cannot be read");
            self.unreadable(user, &what, &error.to_string(), payload);
        })
        .ok()
    }

    fn told_new(&mut self, device: u32, chat: u32, payload: &EventPayload<'_>) -> Option<u32> {
        let id = payload.message_id;
        // One that cannot be there is not held against what comes next.
        if (1..=self.chats[chat as usize].sent).contains(&id) {
            self.follows(device, chat, id);
        }
        let own = payload.client_message_id.as_deref();
        let Some(n) = own.and_then(|own| own.parse().ok()) else {
            let detail = format!("message {id} carries no number of this run");
            self.violate(Kind::Stranger, chat, detail);
            return None;
        };
        if self.placed(n, chat, id, "an event") {
            self.says_what_was_sent(device, n, payload);
        }
        self.pay(device);
        Some(n)
    }

    /// Holds the id of a new message against the one before.
    fn follows(&mut self, device: u32, chat: u32, id: u32) {
        let view = &mut self.views[device as usize];
        let last = view.chats.insert(chat, id).unwrap_or(0);
        if id != last + 1 {
            let user = self.plan.user_id(device / self.plan.devices);
            let kind = if id > last { Kind::MessageHole } else { Kind::Order };
            let detail = format!("{user} was told of message {id} after {last}");
            self.violate(kind, chat, detail);
        }
    }

    /// Text and sender of a `new` are those that were sent; or no text, where somebody has asked for the deletion.
    fn says_what_was_sent(&mut self, device: u32, n: u32, payload: &EventPayload<'_>) {
        let Some(sent) = self.sends.get(n as usize).copied() else {
            return;
        };
        let id = payload.message_id;
        let to = || self.plan.user_id(device / self.plan.devices);
        let mut wrong = Vec::new();
        if self.plan.user(&payload.user_id) != Some(sent.sender) {
            let (by, sender) = (&payload.user_id, self.plan.user_id(sent.sender));
            wrong.push(format!("came to {} as by {by}, and {sender} sent it", to()));
        }
        let text = payload.message.as_deref().unwrap_or_default();
        let gone = || text.is_empty() && self.may_be_deleted(sent.chat, id);
        if text != protocol::text(n, 0, sent.bytes.into()) && !gone() {
            let (bytes, start) = (text.len(), text.chars().take(24).collect::<String>());
            wrong.push(format!(
                "came to {} with {bytes} bytes that read {start:?}, and were not sent",
                to()
            ));
        }
        for detail in wrong {
            self.violate(
                Kind::Content,
                sent.chat,
                format!("message {id} (number {n}) {detail}"),
            );
        }
    }
}
