//! Edits and deletions: what was asked for, what was answered, and who was told.

use std::time::Instant;

use super::{Kind, Ledger};
use crate::protocol::{self, EventPayload, Message};

/// What is done to a message. An edit is known by the revision that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Edit(u32),
    Delete,
}

/// How a message was changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    under_way: Option<Deed>,
    /// The last one that was answered.
    revision: u32,
    deleted: bool,
    /// When a change was last answered: what was asked for before may show what was before.
    at: Option<Instant>,
}

impl Change {
    /// The highest revision that there can be.
    fn asked(&self) -> u32 {
        match self.under_way {
            Some(Deed::Edit(revision)) => revision,
            _ => self.revision,
        }
    }

    fn may_be_deleted(&self) -> bool {
        self.deleted || self.under_way == Some(Deed::Delete)
    }

    /// Whether an answer to what was asked at that time has to show all that was answered.
    fn binds(&self, asked: Instant) -> bool {
        self.at.is_none_or(|at| at < asked)
    }
}

/// A change that some connections have not been told of.
#[derive(Debug)]
pub(super) struct Untold {
    /// From its answer on.
    pub(super) owed: bool,
    pub(super) devices: Vec<u32>,
}

impl Ledger {
    /// A message may be changed now, and is until [`Ledger::changed`]: its id, and the revision that an edit makes. None
    /// where it is being changed, deleted, or not answered.
    pub(crate) fn change(&mut self, n: u32, delete: bool) -> Option<(u32, u32)> {
        let sent = self.sends.get(n as usize)?;
        let (chat, id) = (sent.chat, sent.message_id);
        if !sent.answered || id == 0 {
            return None;
        }
        let change = self.chats[chat as usize].changes.entry(id).or_default();
        if change.under_way.is_some() || change.deleted {
            return None;
        }
        let revision = change.revision + 1;
        let deed = if delete {
            Deed::Delete
        } else {
            Deed::Edit(revision)
        };
        change.under_way = Some(deed);
        let members = &self.plan.chats[chat as usize].members;
        let devices = members.iter().flat_map(|user| self.plan.devices_of(*user));
        let untold = Untold {
            owed: false,
            devices: devices.collect(),
        };
        self.untold.insert((chat, id, deed), untold);
        Some((id, revision))
    }

    /// A change was answered: from now on it is owed to whoever has not been told of it.
    pub(crate) fn changed(&mut self, n: u32, message_id: u32) {
        let Some(sent) = self.sends.get(n as usize) else {
            return;
        };
        let (chat, id) = (sent.chat, sent.message_id);
        let change = self.chats[chat as usize].changes.entry(id).or_default();
        let Some(deed) = change.under_way.take() else {
            return;
        };
        change.at = Some(Instant::now());
        match deed {
            Deed::Edit(revision) => change.revision = revision,
            Deed::Delete => change.deleted = true,
        }
        if let Some(untold) = self.untold.get_mut(&(chat, id, deed)) {
            untold.owed = true;
            for device in &untold.devices {
                self.views[*device as usize].owed += 1;
                self.owed += 1;
            }
            if untold.devices.is_empty() {
                self.untold.remove(&(chat, id, deed));
            }
        }
        if message_id != id {
            let detail = format!("a change of message {id} was answered with message {message_id}");
            self.violate(Kind::Content, chat, detail);
        }
    }

    /// A change was refused for good: nobody may be told of it.
    pub(crate) fn change_refused(&mut self, n: u32) {
        let Some(sent) = self.sends.get(n as usize) else {
            return;
        };
        let (chat, id) = (sent.chat, sent.message_id);
        let change = self.chats[chat as usize].changes.entry(id).or_default();
        if let Some(deed) = change.under_way.take() {
            self.untold.remove(&(chat, id, deed));
        }
    }

    pub(super) fn may_be_deleted(&self, chat: u32, message_id: u32) -> bool {
        let change = self.chats[chat as usize].changes.get(&message_id);
        change.is_some_and(Change::may_be_deleted)
    }

    pub(super) fn told_change(&mut self, device: u32, chat: u32, kind: &str, payload: &EventPayload<'_>) {
        let id = payload.message_id;
        let seen = self.last_seen(device, chat);
        if !(1..=seen).contains(&id) {
            let detail = format!("and of messages up to {seen} only");
            return self.wrong_change(Kind::Order, device, chat, kind, payload, &detail);
        }
        // Where a hole is, which is a violation of its own, nothing can be said.
        let Some(n) = self.number(chat, id) else { return };
        let sender = self.sends[n as usize].sender;
        if self.plan.user(&payload.user_id) != Some(sender) {
            let detail = format!("and {} sent it", self.plan.user_id(sender));
            self.wrong_change(Kind::Content, device, chat, kind, payload, &detail);
        }
        match self.deed(device, n, kind, payload) {
            Some(deed) => self.tell(device, chat, id, deed),
            None => {
                let text = payload.message.as_deref().unwrap_or_default();
                let start: String = text.chars().take(24).collect();
                let detail = format!("and nobody asked for that (number {n}, {start:?})");
                self.wrong_change(Kind::Content, device, chat, kind, payload, &detail);
            }
        }
    }

    fn wrong_change(
        &mut self,
        wrong: Kind,
        device: u32,
        chat: u32,
        kind: &str,
        payload: &EventPayload<'_>,
        detail: &str,
    ) {
        let to = self.plan.user_id(device / self.plan.devices);
        let (id, by) = (payload.message_id, &payload.user_id);
        let detail = format!("{to} was told of the {kind} of message {id} by {by}, {detail}");
        self.violate(wrong, chat, detail);
    }

    /// Which of the changes that were asked for it is.
    fn deed(&self, device: u32, n: u32, kind: &str, payload: &EventPayload<'_>) -> Option<Deed> {
        let (chat, id) = (self.sends[n as usize].chat, payload.message_id);
        let change = self.chats[chat as usize].changes.get(&id)?;
        if kind == "delete" {
            return change.may_be_deleted().then_some(Deed::Delete);
        }
        let text = payload.message.as_deref().unwrap_or_default();
        let edits = 1..=change.asked();
        if text.is_empty() && change.may_be_deleted() {
            // An event sent again after the deletion says no text: edits come in order, so it is the first one that is owed.
            let owed = |revision: &u32| {
                let untold = self.untold.get(&(chat, id, Deed::Edit(*revision)));
                untold.is_some_and(|untold| untold.devices.contains(&device))
            };
            let first = edits.clone().find(owed).or(edits.last());
            return first.map(Deed::Edit);
        }
        let (_, revision) = protocol::numbered(text)?;
        let right = edits.contains(&revision) && text == protocol::text(n, revision, self.edited_bytes);
        right.then_some(Deed::Edit(revision))
    }

    /// Takes a connection from those that are not told, and forgets a change that everybody was told of.
    fn tell(&mut self, device: u32, chat: u32, message_id: u32, deed: Deed) {
        let key = (chat, message_id, deed);
        let Some(untold) = self.untold.get_mut(&key) else {
            return;
        };
        let Some(place) = untold.devices.iter().position(|one| *one == device) else {
            return;
        };
        untold.devices.swap_remove(place);
        if untold.owed {
            if untold.devices.is_empty() {
                self.untold.remove(&key);
            }
            self.pay(device);
        }
    }

    /// How a message of the history, asked for at that time, differs from what it must be.
    pub(super) fn content(&self, n: u32, asked: Instant, message: &Message<'_>) -> Option<String> {
        let id = message.message_id;
        let sent = self.sends.get(n as usize)?;
        let change = self.chats[sent.chat as usize].changes.get(&id);
        let change = change.copied().unwrap_or_default();
        let text = message.message.as_deref().unwrap_or_default();
        if message.deleted_at.is_some() {
            if !change.may_be_deleted() {
                return Some(format!("message {id} is deleted, and nobody deleted it"));
            }
            return (!text.is_empty()).then(|| format!("message {id} is deleted, and has a text"));
        }
        if change.deleted && change.binds(asked) {
            return Some(format!("message {id} was deleted, and stands"));
        }
        let least = if change.binds(asked) { change.revision } else { 0 };
        let revision = protocol::numbered(text).map(|(_, revision)| revision);
        let right = revision.is_some_and(|revision| {
            let bytes = if revision == 0 {
                sent.bytes.into()
            } else {
                self.edited_bytes
            };
            (least..=change.asked()).contains(&revision) && text == protocol::text(n, revision, bytes)
        });
        (!right).then(|| {
            let start: String = text.chars().take(24).collect();
            format!(
                "message {id} is {n} in revision {}, and reads {start:?}",
                change.revision
            )
        })
    }
}
