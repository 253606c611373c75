//! What the service keeps, held against what it said.

use std::time::Instant;

use super::{Kind, Ledger};
use crate::protocol::Message;

/// What became of the messages that were never answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    /// They are there.
    pub(crate) stored: u64,
    /// They are not.
    pub(crate) absent: u64,
}

impl Ledger {
    /// The last message of a chat that anybody knows of.
    pub(crate) fn last(&self, chat: u32) -> u32 {
        self.chats[chat as usize].order.len() as u32
    }

    /// A page of the history of a chat, which begins at message `from`: the message to go on with, none at the end. When it
    /// was asked for, `known` messages were known.
    pub(crate) fn history(
        &mut self,
        chat: u32,
        from: u32,
        known: u32,
        asked: Instant,
        page: &[Message<'_>],
    ) -> Option<u32> {
        if page.is_empty() {
            if from <= known {
                let detail = format!("the history ends before {from}, and {known} messages are known");
                self.violate(Kind::History, chat, detail);
            }
            return None;
        }
        self.goes_on(chat, from, asked, page)
    }

    /// The latest page of a chat, asked for in the load, when `known` messages were known.
    pub(crate) fn latest(&mut self, chat: u32, known: u32, asked: Instant, page: &[Message<'_>]) {
        let last = page.last().map_or(0, |message| message.message_id);
        if last < known {
            let detail = format!("the latest page ends with {last}, and {known} messages were known");
            self.violate(Kind::History, chat, detail);
        }
        if let Some(first) = page.first() {
            self.goes_on(chat, first.message_id, asked, page);
        }
    }

    /// Holds a page that begins at message `from` against what was sent. None where it cannot be gone on with: it has a
    /// hole, or is beyond all that was sent, which has no end.
    fn goes_on(&mut self, chat: u32, from: u32, asked: Instant, page: &[Message<'_>]) -> Option<u32> {
        let most = self.chats[chat as usize].sent;
        if !(1..=most).contains(&from) {
            let detail = format!("a page begins with {from}, and {most} messages were sent");
            self.violate(Kind::History, chat, detail);
            return None;
        }
        for (expected, message) in (from..).zip(page) {
            if message.message_id != expected {
                let id = message.message_id;
                let detail = format!("the history goes on with {id} where {expected} belongs");
                self.violate(Kind::History, chat, detail);
                return None;
            }
            if let Some(detail) = self.differs(chat, asked, message) {
                self.violate(Kind::History, chat, detail);
            }
        }
        from.checked_add(page.len() as u32)
    }

    fn differs(&mut self, chat: u32, asked: Instant, message: &Message<'_>) -> Option<String> {
        let id = message.message_id;
        let own = message.client_message_id.as_deref();
        let Some(n) = own.and_then(|own| own.parse::<u32>().ok()) else {
            return Some(format!("message {id} carries {own:?}, no number of this run"));
        };
        if !self.placed(n, chat, id, "the history") {
            return None;
        }
        let sender = self.plan.user_id(self.sends.get(n as usize)?.sender);
        if sender != message.sender {
            return Some(format!(
                "message {id} is by {}, and {sender} sent it",
                message.sender
            ));
        }
        self.content(n, asked, message)
    }

    /// What became of those that were never answered, once the history was read.
    pub(crate) fn ambiguous(&self) -> Ambiguous {
        let open = self.sends.iter().filter(|sent| !sent.answered && !sent.refused);
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
