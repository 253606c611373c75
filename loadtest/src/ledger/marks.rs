//! Marks: each one that is told of was asked for, by a request or by sending.

use std::collections::HashMap;
use std::time::Instant;

use super::{Kind, Ledger};
use crate::protocol::EventPayload;

/// How far a member has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    /// Highest marks that were answered.
    pub(super) read: u32,
    delivered: u32,
    /// The last own message that was answered.
    pub(super) sent: u32,
    /// Requests for a `read` that have no answer.
    pub(super) reads_open: u32,
    /// Messages that the member asked to have marked as delivered, and as read, each once and in order.
    delivered_asked: Vec<u32>,
    read_asked: Vec<u32>,
}

impl Reached {
    /// Up to where everything is read, and delivered, for certain: a message marks what is before it.
    fn up_to(&self) -> (u32, u32) {
        let read = self.read.max(self.sent.saturating_sub(1));
        (read, self.delivered.max(read))
    }

    fn asked(&self, message_id: u32, read: bool) -> bool {
        let has = |asked: &Vec<u32>| asked.binary_search(&message_id).is_ok();
        // A message that is read is delivered too.
        has(&self.read_asked) || (!read && has(&self.delivered_asked))
    }
}

/// A mark that a connection has not been told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unmarked {
    pub(super) device: u32,
    pub(super) chat: u32,
    pub(super) by: u32,
    pub(super) read: bool,
    /// The message that the mark has to cover.
    pub(super) message_id: u32,
}

impl Ledger {
    /// Marks go to those whose messages they cover, and to the marker; later ones stand for earlier ones. So in the end the
    /// author of a message that a member has marked has been told of a mark of that member on it or above.
    pub(super) fn unmarked(&self) -> Vec<Unmarked> {
        let chats = 0..self.chats.len() as u32;
        chats.flat_map(|chat| self.unmarked_in(chat)).collect()
    }

    pub(crate) fn marks_complete(&self) -> bool {
        self.unmarked().is_empty()
    }

    fn unmarked_in(&self, chat: u32) -> Vec<Unmarked> {
        let members = self.chats[chat as usize].members.iter();
        let marks = members.flat_map(|(by, reached)| {
            let (read, delivered) = reached.up_to();
            [(read, *by, true), (delivered, *by, false)]
        });
        let mut marks: Vec<(u32, u32, bool)> = marks.collect();
        marks.sort_unstable();
        let (mut last, mut at) = (HashMap::new(), 0);
        let mut all = Vec::new();
        for (up_to, by, read) in marks {
            // The last message of each author, up to the mark.
            for message_id in at + 1..=up_to {
                let n = self.number(chat, message_id);
                last.extend(n.map(|n| (self.sends[n as usize].sender, message_id)));
            }
            at = at.max(up_to);
            let covered = last.iter().filter(|(author, _)| **author != by);
            let own = covered.clone().map(|(_, message_id)| (by, *message_id)).max();
            let told = covered
                .map(|(author, message_id)| (*author, *message_id))
                .chain(own);
            for (user, message_id) in told {
                let devices = self.plan.devices_of(user).filter(|device| {
                    let marks = &self.views[*device as usize].marks;
                    marks.get(&(chat, by, read)).is_none_or(|told| *told < message_id)
                });
                all.extend(devices.map(|device| Unmarked {
                    device,
                    chat,
                    by,
                    read,
                    message_id,
                }));
            }
        }
        all
    }

    /// A member asks for a mark.
    pub(crate) fn mark(&mut self, chat: u32, user: u32, message_id: u32, read: bool) {
        let reached = self.chats[chat as usize].members.entry(user).or_default();
        let asked = if read {
            reached.reads_open += 1;
            &mut reached.read_asked
        } else {
            &mut reached.delivered_asked
        };
        if let Err(place) = asked.binary_search(&message_id) {
            asked.insert(place, message_id);
        }
    }

    /// A mark on message `asked` was answered.
    pub(crate) fn marked(&mut self, chat: u32, user: u32, asked: u32, read: bool, message_id: u32) {
        let ledger = &mut self.chats[chat as usize];
        let reached = ledger.members.entry(user).or_default();
        if read {
            reached.reads_open -= 1;
            reached.read = reached.read.max(asked);
            ledger.answered_at = Some(Instant::now());
        } else {
            reached.delivered = reached.delivered.max(asked);
        }
        if message_id != asked {
            let user = self.plan.user_id(user);
            let detail = format!("{user} marked {asked}, and was answered with {message_id}");
            self.violate(Kind::Mark, chat, detail);
        }
    }

    /// A mark was refused for good.
    pub(crate) fn mark_refused(&mut self, chat: u32, user: u32, read: bool) {
        let reached = self.chats[chat as usize].members.entry(user).or_default();
        reached.reads_open -= u32::from(read);
    }

    pub(super) fn told_mark(&mut self, device: u32, chat: u32, kind: &str, payload: &EventPayload<'_>) {
        let (id, read) = (payload.message_id, kind == "read");
        let by = self.plan.user(&payload.user_id);
        let seen = self.last_seen(device, chat);
        // Events of a chat come in order, and nobody marks what is not there.
        let wrong = if !(1..=seen).contains(&id) {
            Some(format!("and of messages up to {seen} only"))
        } else if by.is_none_or(|by| !self.asked(chat, by, id, read)) {
            Some("who did not mark it".to_owned())
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let user = self.plan.user_id(device / self.plan.devices);
            let by = &payload.user_id;
            let detail = format!("{user} was told of {kind} up to {id} by {by}, {wrong}");
            self.violate(Kind::Mark, chat, detail);
        }
        if let Some(by) = by {
            self.rises(device, chat, by, read, payload);
        }
    }

    /// Whether a member has asked for that mark; or has sent the next message, which marks what is before it. As long as
    /// nobody knows whose that is, it is believed.
    fn asked(&mut self, chat: u32, by: u32, message_id: u32, read: bool) -> bool {
        let reached = self.chats[chat as usize].members.get(&by);
        if reached.is_some_and(|reached| reached.asked(message_id, read)) {
            return true;
        }
        let next = message_id + 1;
        if let Some(n) = self.number(chat, next) {
            return self.sends[n as usize].sender == by;
        }
        let claims = self.chats[chat as usize].claims.entry(next).or_default();
        if !claims.contains(&by) {
            claims.push(by);
        }
        true
    }

    /// Now it is known who has sent a message, and whether the marks were right that came before it.
    pub(super) fn claimed(&mut self, chat: u32, message_id: u32) {
        let Some(claims) = self.chats[chat as usize].claims.remove(&message_id) else {
            return;
        };
        let n = self.number(chat, message_id);
        let sender = n.map(|n| self.sends[n as usize].sender);
        for by in claims.into_iter().filter(|by| Some(*by) != sender) {
            self.not_marked(chat, by, message_id - 1);
        }
    }

    /// Nothing comes any more: who was believed to have sent a message, and has none that it could be, has not.
    pub(crate) fn close_claims(&mut self) {
        for chat in 0..self.chats.len() as u32 {
            // One that has no answer may have been stored.
            if self.chats[chat as usize].open > 0 {
                continue;
            }
            let claims = std::mem::take(&mut self.chats[chat as usize].claims);
            for (message_id, by) in claims {
                by.into_iter()
                    .for_each(|by| self.not_marked(chat, by, message_id - 1));
            }
        }
    }

    fn not_marked(&mut self, chat: u32, by: u32, message_id: u32) {
        let by = self.plan.user_id(by);
        let detail = format!("a mark up to {message_id} by {by} was told of, who did not make it");
        self.violate(Kind::Mark, chat, detail);
    }

    fn rises(&mut self, device: u32, chat: u32, by: u32, read: bool, payload: &EventPayload<'_>) {
        let view = &mut self.views[device as usize];
        let last = view.marks.entry((chat, by, read)).or_default();
        let before = std::mem::replace(last, payload.message_id.max(*last));
        if payload.message_id < before {
            let kind = if read { "read" } else { "dlvrd" };
            let detail = format!(
                "{kind} of {} went from {before} to {}",
                payload.user_id, payload.message_id
            );
            self.violate(Kind::MarkWentBack, chat, detail);
        }
    }
}
