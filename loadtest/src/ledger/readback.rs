//! After the load: what the service keeps, held against what it said.

use super::{Change, Kind, Ledger};
use crate::protocol::{self, ChatListItem, Message};

/// What became of the messages that were never answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    /// They are there.
    pub(crate) stored: u64,
    /// They are not.
    pub(crate) absent: u64,
}

impl Ledger {
    /// Whoever is still owed something does not get it any more.
    pub(crate) fn close(&mut self) {
        for device in 0..self.views.len() as u32 {
            if self.views[device as usize].owed == 0 {
                continue;
            }
            let user = device / self.plan.devices;
            for chat in self.plan.of_user[user as usize].clone() {
                let (seen, last) = (self.last_seen(device, chat), self.last(chat));
                if seen < last {
                    let name = self.plan.user_id(user);
                    let detail = format!("{name} was told of messages up to {seen}, and {last} are known");
                    self.violate(Kind::Missing, chat, detail);
                }
            }
        }
    }

    /// The last message of a chat that anybody knows of.
    pub(crate) fn last(&self, chat: u32) -> u32 {
        self.chats[chat as usize].order.len() as u32
    }

    /// A page of the history of a chat, which begins at message `from`: the message to go on with, none at the end.
    pub(crate) fn history(&mut self, chat: u32, from: u32, page: &[Message<'_>]) -> Option<u32> {
        let last = self.last(chat);
        if page.is_empty() {
            if from <= last {
                let detail = format!("the history ends before {from}, and {last} messages are known");
                self.violate(Kind::History, chat, detail);
            }
            return None;
        }
        for (expected, message) in (from..).zip(page) {
            if message.message_id != expected {
                let detail = format!(
                    "the history goes on with {} where {expected} belongs",
                    message.message_id
                );
                self.violate(Kind::History, chat, detail);
                return None;
            }
            if let Some(detail) = self.differs(chat, message) {
                self.violate(Kind::History, chat, detail);
            }
        }
        Some(from + page.len() as u32)
    }

    fn differs(&mut self, chat: u32, message: &Message<'_>) -> Option<String> {
        let id = message.message_id;
        let own = message.client_message_id.as_deref();
        let Some(n) = own.and_then(|own| own.parse::<u32>().ok()) else {
            return Some(format!("message {id} carries {own:?}, no number of this run"));
        };
        self.placed(n, id, "the history");
        let sent = self.sends.get(n as usize)?;
        let sender = self.plan.user_id(sent.sender);
        if sender != message.sender {
            return Some(format!(
                "message {id} is by {}, and {sender} sent it",
                message.sender
            ));
        }
        let changes = &self.chats[chat as usize].changes;
        let change = changes.get(&id).copied().unwrap_or_default();
        content(n, change, message)
    }

    /// The list of a user's chats, whole.
    pub(crate) fn unread(&mut self, user: u32, items: &[ChatListItem<'_>]) {
        for chat in self.plan.of_user[user as usize].clone() {
            let id = self.chat_id(chat, user);
            let last = self.last(chat);
            if last == 0 && !self.group_ids.contains_key(&chat) {
                continue;
            }
            let name = self.plan.user_id(user);
            let Some(item) = items.iter().find(|item| item.id == id) else {
                self.violate(Kind::Unread, chat, format!("it is not in the list of {name}"));
                continue;
            };
            let reached = self.chats[chat as usize]
                .members
                .get(&user)
                .copied()
                .unwrap_or_default();
            let missed = last.saturating_sub(reached.read.max(reached.sent));
            if (item.last_message_id, item.missed) != (last, missed) {
                let detail = format!(
                    "the list of {name} says last {} and {} unread; it is {last} and {missed} (read up to {}, sent up to {})",
                    item.last_message_id, item.missed, reached.read, reached.sent
                );
                self.violate(Kind::Unread, chat, detail);
            }
        }
    }

    /// What became of those that were never answered, once the history was read.
    pub(crate) fn ambiguous(&self) -> Ambiguous {
        let open = self.sends.iter().filter(|sent| !sent.answered);
        open.fold(Ambiguous::default(), |mut all, sent| {
            if sent.message_id == 0 {
                all.absent += 1;
            } else {
                all.stored += 1;
            }
            all
        })
    }
}

/// A message holds its last answered revision; one whose change is under way may hold the next.
fn content(n: u32, change: Change, message: &Message<'_>) -> Option<String> {
    let id = message.message_id;
    if message.deleted_at.is_some() {
        let right = change.deleted || change.under_way;
        return (!right).then(|| format!("message {id} is deleted, and nobody deleted it"));
    }
    if change.deleted {
        return Some(format!("message {id} was deleted, and stands"));
    }
    let text = message.message.as_deref().unwrap_or_default();
    let right = |revision| protocol::numbered(text) == Some((n, revision));
    let holds = right(change.revision) || (change.under_way && right(change.revision + 1));
    (!holds).then(|| {
        let start: String = text.chars().take(24).collect();
        format!(
            "message {id} is {n} in revision {}, and reads {start:?}",
            change.revision
        )
    })
}
