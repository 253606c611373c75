//! What a decision may look at: the state before the entry, who asks, when, and the facts looked up, each only as
//! far as it is older than the entry.

use super::state::{Head, Member, State};
use super::{Facts, Input};
use crate::epoch::first_version;
use crate::ids::UserId;
use crate::reject::{Code, Rejection};
use crate::row::{ClientIdRow, Deletion, MarkKind, MessageRow, Role};
use crate::time::Timestamp;

/// The number and the time that an entry has in its chat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// The chat's version after the entry.
    pub(super) version: u64,
    /// When the entry happened: never before the one that it follows.
    pub(super) time: Timestamp,
}

impl Stamp {
    /// What comes after `head`.
    pub(super) fn after(head: &Head, input: &Input<'_>) -> Self {
        Self {
            version: head.version + 1,
            time: head.time.max(input.time),
        }
    }
}

/// All that a decision is made from.
pub(super) struct Context<'a> {
    /// The chat before the entry.
    pub(super) state: &'a State,
    /// The entry and its command.
    pub(super) input: Input<'a>,
    /// The entry's number and time.
    pub(super) stamp: Stamp,
    /// What was looked up; read it through the methods here, which hide what is not older than the entry.
    pub(super) facts: &'a Facts,
}

impl<'a> Context<'a> {
    /// Who asks.
    pub(super) fn user(&self) -> &'a UserId {
        &self.input.command.user
    }

    /// The one who asks as a member. A side of a dialog always is one, even if the dialog was never opened.
    pub(super) fn me(&self) -> Result<Member, Rejection> {
        let known = self.state.members.get(self.user());
        if self.state.key.is_dialog() {
            if !self.state.key.has_side(self.user()) {
                return Err(no_such_chat());
            }
            return Ok(known.copied().unwrap_or_else(|| self.new_side()));
        }
        match known {
            Some(member) if self.state.head.open && member.role.is_some() => Ok(*member),
            _ => Err(no_such_chat()),
        }
    }

    /// The one who asks as a member of a group or channel.
    pub(super) fn me_in_group(&self) -> Result<(Member, Role), Rejection> {
        if self.state.key.is_dialog() {
            return Err(Rejection::new(
                Code::BadRequest,
                "a dialog has no members to manage",
            ));
        }
        let me = self.me()?;
        me.role.map(|role| (me, role)).ok_or_else(no_such_chat)
    }

    /// The sides of a dialog as they are now, the same one twice for own notes; `None` for a group.
    pub(super) fn sides(&self) -> Option<[(UserId, Member); 2]> {
        let (low, high) = self.state.key.side_names()?;
        let known = |name| self.state.members.get_key_value(name);
        if let (Some((low, one)), Some((high, other))) = (known(low), known(high)) {
            return Some([(low.clone(), *one), (high.clone(), *other)]);
        }
        let (low, high) = self.state.key.sides()?;
        Some([low, high].map(|side| {
            let member = self.state.members.get(&side).copied();
            (side, member.unwrap_or_else(|| self.new_side()))
        }))
    }

    /// A side of a dialog that was never opened.
    pub(super) fn new_side(&self) -> Member {
        Member {
            listed: false,
            ..Member::new(Role::Member, self.stamp.time)
        }
    }

    /// A message that `me` can see.
    pub(super) fn message(&self, me: &Member, message_id: u64) -> Result<&'a MessageRow, Rejection> {
        if message_id <= me.hidden_before || message_id > self.state.head.last_id {
            return Err(no_such_message());
        }
        let mut rows = self.facts.messages.iter();
        match rows.find(|row| row.message_id == message_id) {
            Some(row) if row.version < self.stamp.version => Ok(row),
            Some(_) => Err(no_such_message()),
            // Ids have no holes and rows stand before their entry counts as applied: the store lost one.
            None => Err(Rejection::new(Code::Internal, "the message cannot be read")),
        }
    }

    /// The deletion of a message, where it is older than the entry.
    pub(super) fn deletion(&self, row: &MessageRow) -> Option<Deletion> {
        row.deleted
            .filter(|deletion| deletion.version < self.stamp.version)
    }

    /// What the sender's own id of a message stands for already.
    ///
    /// A log that was lost may have left the row without its message. Then the message was never answered, its number
    /// may have gone to another since, and the id stands for nothing.
    pub(super) fn sent_before(&self) -> Option<ClientIdRow> {
        let row = self.facts.client_id?;
        let head = &self.state.head;
        let stands = || {
            let mut messages = self.facts.messages.iter();
            row.message_id <= head.last_id
                && messages
                    .any(|message| (message.message_id, message.version) == (row.message_id, row.version))
        };
        let counts =
            row.version < self.stamp.version && (row.version >= first_version(head.epoch) || stands());
        counts.then_some(row)
    }

    /// The time of `me`'s mark on a message marked before: that of the message where it is by another, else that of
    /// the nearest visible one by another below it, else its own.
    pub(super) fn marked_at(&self, me: &Member, kind: MarkKind, row: &MessageRow) -> Timestamp {
        let facts = &self.facts.marks;
        if row.sender != *self.user() {
            let read = facts.read_from.filter(|(up_to, _)| *up_to <= me.read);
            let delivered = facts
                .delivered_from
                .filter(|(up_to, _)| *up_to <= me.delivered && kind == MarkKind::Delivered);
            let first = read.into_iter().chain(delivered).map(|(_, at)| at).min();
            return first.unwrap_or(row.created_at);
        }
        // A mark row always ends at a message by another, and a send leaves one at the last such message before it.
        let Some((nearest, read_at)) = facts.read_below.filter(|(up_to, _)| *up_to > me.hidden_before) else {
            return row.created_at;
        };
        let delivered = facts
            .delivered_below
            .filter(|(up_to, _)| *up_to == nearest && kind == MarkKind::Delivered);
        delivered.map_or(read_at, |(_, at)| at.min(read_at))
    }
}

/// The chat is not there, or not for the one who asks: the answer is the same.
pub(super) fn no_such_chat() -> Rejection {
    Rejection::new(Code::NotFound, "there is no such chat")
}

/// The message is not there, or not for the one who asks: the answer is the same.
pub(super) fn no_such_message() -> Rejection {
    Rejection::new(Code::NotFound, "the chat has no such message")
}

/// A member who lacks the right.
pub(super) fn forbidden(message: &str) -> Rejection {
    Rejection::new(Code::Forbidden, message)
}
