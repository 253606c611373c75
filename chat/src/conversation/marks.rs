//! Marks: what is delivered and what is read, as one watermark of each kind a member.
//!
//! A mark covers everything by others up to its message; the first mark of a message stands; marks never go back;
//! what is read is delivered.

use super::changes::Decision;
use super::context::{Context, no_such_message};
use super::mail::{Bits, Mail};
use super::state::Member;
use crate::event::{Event, Reply};
use crate::ids::UserId;
use crate::limits::BUCKET_MESSAGES;
use crate::reject::Rejection;
use crate::row::{MarkKind, Row};
use crate::time::Timestamp;

/// A mark of one kind up to a message, told apart from what was marked before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    up_to: u64,
    /// Where something is newly delivered: up to where it was before.
    delivered_from: Option<u64>,
    /// Where something is newly read: up to where it was before.
    read_from: Option<u64>,
}

impl Step {
    /// What a mark would mark.
    pub(super) fn new(member: &Member, kind: MarkKind, up_to: u64) -> Self {
        let delivered_from = (up_to > member.delivered).then_some(member.delivered);
        let read_from = (kind == MarkKind::Read && up_to > member.read).then_some(member.read);
        Self {
            up_to,
            delivered_from,
            read_from,
        }
    }

    /// Whether nothing of that kind is newly marked.
    pub(super) fn is_repeat_of(&self, kind: MarkKind) -> bool {
        match kind {
            MarkKind::Delivered => self.delivered_from.is_none(),
            MarkKind::Read => self.read_from.is_none(),
        }
    }

    /// The member afterwards.
    pub(super) fn apply(&self, member: &mut Member) {
        if self.delivered_from.is_some() {
            member.delivered = self.up_to;
        }
        if self.read_from.is_some() {
            member.read = self.up_to;
        }
    }

    /// The rows: one at the message named, one at the end of each bucket that is crossed. A `Read` row stands for
    /// the delivery too.
    pub(super) fn rows(&self, user: &UserId, at: Timestamp, rows: &mut Vec<Row>) {
        let (kind, from) = match (self.read_from, self.delivered_from) {
            (Some(from), _) => (MarkKind::Read, from),
            (None, Some(from)) => (MarkKind::Delivered, from),
            (None, None) => return,
        };
        let ends = (from / BUCKET_MESSAGES..self.up_to / BUCKET_MESSAGES)
            .map(|bucket| bucket * BUCKET_MESSAGES + (BUCKET_MESSAGES - 1))
            .filter(|end| *end > from);
        rows.extend(ends.chain([self.up_to]).map(|up_to| Row::Mark {
            user: user.clone(),
            kind,
            up_to,
            at,
        }));
    }

    /// Puts the events into `mail`: first the delivery, then the reading.
    pub(super) fn notices(&self, context: &Context<'_>, mail: &mut Mail) -> Notices {
        let (chat, by) = (&context.state.key, context.user());
        let (message_id, at) = (self.up_to, context.stamp.time);
        let delivered = self.delivered_from.map(|_| Event::Delivered {
            chat: chat.clone(),
            by: by.clone(),
            message_id,
            at,
        });
        let read = self.read_from.map(|_| Event::Read {
            chat: chat.clone(),
            by: by.clone(),
            message_id,
            at,
        });
        Notices {
            step: *self,
            delivered: delivered.map_or_else(Bits::default, |event| mail.event(event)),
            read: read.map_or_else(Bits::default, |event| mail.event(event)),
        }
    }
}

/// A mark's events, ready to be sent.
pub(super) struct Notices {
    step: Step,
    delivered: Bits,
    read: Bits,
}

impl Notices {
    /// What the marker gets: both, unless the message is hidden from the marker (a send marks also what is hidden).
    pub(super) fn for_marker(&self, marker: &Member) -> Bits {
        let both = self.delivered.and(self.read);
        both.when(self.step.up_to > marker.hidden_before)
    }

    /// What another member gets: of each kind where that member sent anything after the marker's previous mark of
    /// that kind and sees the message named.
    pub(super) fn for_other(&self, other: &Member) -> Bits {
        let sent_after = |from: Option<u64>| from.is_some_and(|from| other.last_sent > from);
        let delivered = self.delivered.when(sent_after(self.step.delivered_from));
        let read = self.read.when(sent_after(self.step.read_from));
        delivered.and(read).when(self.step.up_to > other.hidden_before)
    }
}

/// Marks up to a message, the last where none is named.
pub(super) fn mark(
    context: &Context<'_>,
    kind: MarkKind,
    message_id: Option<u64>,
) -> Result<Decision, Rejection> {
    let mut me = context.me()?;
    let head = &context.state.head;
    if head.last_id == 0 {
        return Err(no_such_message());
    }
    let row = context.message(&me, message_id.unwrap_or(head.last_id))?;
    let step = Step::new(&me, kind, row.message_id);
    let repeat = step.is_repeat_of(kind);
    let at = if repeat {
        context.marked_at(&me, kind, row)
    } else {
        context.stamp.time
    };
    step.apply(&mut me);
    let (message_id, client_message_id) = (row.message_id, row.client_message_id.clone());
    let mut decision = Decision::only(match kind {
        MarkKind::Delivered => Reply::Message {
            message_id,
            at,
            client_message_id,
        },
        MarkKind::Read => Reply::Read {
            message_id,
            at,
            missed: me.missed(head.last_id),
            client_message_id,
        },
    });
    if !repeat {
        let user = context.user();
        step.rows(user, at, &mut decision.rows);
        let notices = step.notices(context, &mut decision.mail);
        for (other, member) in context.state.current() {
            let bits = if other == user {
                notices.for_marker(&me)
            } else {
                notices.for_other(member)
            };
            decision.mail.post(other, bits);
        }
        decision.changes.members.insert(user.clone(), me);
    }
    Ok(decision)
}
