//! Messages: sending, editing, deleting.

use std::sync::Arc;

use super::changes::{Changes, Decision, Made};
use super::context::{Context, forbidden};
use super::mail::{Bits, Mail};
use super::marks::Step;
use super::state::Member;
use crate::command::EntryId;
use crate::content::{Attachment, Quote};
use crate::event::{Event, Reply};
use crate::ids::{ChatKind, UserId};
use crate::reject::{Code, Rejection};
use crate::row::{ClientIdRow, Deletion, LastMessage, MarkKind, MessageRow, Role, Row};

/// The rows of a message, as a rule: its own, the one it is known by, the sender's mark and membership, the head.
const ROWS: usize = 5;

/// What a message holds.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// What goes with it.
    pub(super) attachments: &'a [Attachment],
}

/// The key under which a message's row of [`Row::ClientId`] stands.
///
/// A message without a clientMessageId is known again by the id of its log entry. So that the two never meet, an
/// entry id is written as `~e` and the id, and a client's own id as it is, except that one which starts with `~` gets
/// `~c` before it.
pub(super) fn dedup_key(client_message_id: Option<&str>, id: &EntryId) -> Arc<str> {
    match client_message_id {
        Some(own) => own_key(own),
        None => ["~e", &*id.0].concat().into(),
    }
}

/// The same of a message that has a clientMessageId.
pub(super) fn own_key(client_message_id: &str) -> Arc<str> {
    if client_message_id.starts_with('~') {
        ["~c", client_message_id].concat().into()
    } else {
        client_message_id.into()
    }
}

/// Sends a message. The same clientMessageId of the same sender is the same message: the first answer again.
pub(super) fn new(
    context: &Context<'_>,
    content: Content<'_>,
    reply_to: Option<u64>,
    client_message_id: Option<&str>,
) -> Result<Decision, Rejection> {
    let me = context.me()?;
    let own_id = client_message_id.map(str::to_owned);
    if let Some(first) = context.sent_before() {
        return Ok(Decision::only(Reply::Message {
            message_id: first.message_id,
            at: first.at,
            client_message_id: own_id,
        }));
    }
    may_write(context, &me)?;
    let reply_to = reply_to
        .map(|answered| context.message(&me, answered).map(quote))
        .transpose()?;

    let (sender, stamp) = (context.user(), context.stamp);
    let row = MessageRow {
        message_id: context.state.head.last_id + 1,
        sender: sender.clone(),
        client_message_id: own_id.clone(),
        text: content.text.to_owned(),
        attachments: content.attachments.to_vec(),
        reply_to,
        created_at: stamp.time,
        version: stamp.version,
        updated_at: None,
        deleted: None,
    };
    let (message_id, event, last) = (row.message_id, sent_event(context, &row), last_message(&row));
    let known_by = Row::ClientId {
        sender: sender.clone(),
        client_message_id: dedup_key(client_message_id, context.input.id),
        row: ClientIdRow {
            message_id,
            at: stamp.time,
            version: stamp.version,
        },
    };
    let mut rows = Vec::with_capacity(ROWS);
    rows.extend([Row::Message(row), known_by]);
    let step = Step::new(&me, MarkKind::Read, message_id - 1);
    step.rows(sender, stamp.time, &mut rows);
    let sides = context.sides();
    let mut changes = sent(context, sides.as_ref(), me, message_id);
    changes.last = Some(last);
    Ok(Decision {
        reply: Reply::Message {
            message_id,
            at: stamp.time,
            client_message_id: own_id,
        },
        mail: new_mail(context, sides.as_ref(), step, event),
        changes,
        rows,
    })
}

/// What those in the chat are told of a new message.
fn sent_event(context: &Context<'_>, row: &MessageRow) -> Event {
    Event::New {
        chat: context.state.key.clone(),
        message_id: row.message_id,
        sender: row.sender.clone(),
        client_message_id: row.client_message_id.clone(),
        text: row.text.clone(),
        attachments: row.attachments.clone(),
        reply_to: row.reply_to.clone(),
        at: row.created_at,
    }
}

/// A message as lists of chats show it.
fn last_message(row: &MessageRow) -> LastMessage {
    LastMessage {
        message_id: row.message_id,
        sender: row.sender.clone(),
        text: row.text.clone(),
        at: row.created_at,
        deleted: row.deleted.is_some(),
    }
}

type Sides = [(UserId, Member); 2];

/// What a send changes in the members: the sender has read all, and a dialog shows in both lists.
fn sent(context: &Context<'_>, sides: Option<&Sides>, mut me: Member, message_id: u64) -> Changes {
    let mut changes = Changes::default();
    (me.delivered, me.read, me.last_sent) = (message_id, message_id, message_id);
    if let Some(sides) = sides {
        for (side, member) in sides.iter().filter(|(_, member)| !member.listed) {
            let listed = Member {
                listed: true,
                ..*member
            };
            changes.members.insert(side.clone(), listed);
        }
        if !context.state.head.open {
            changes.made = Some(Made {
                kind: ChatKind::Dialog,
                name: String::new(),
                photo_url: None,
                history_all: false,
            });
        }
        me.listed = true;
    }
    changes.members.insert(context.user().clone(), me);
    changes
}

/// The events of a send: `chats` to whom the chat is new, the sender's marks, the message.
fn new_mail(context: &Context<'_>, sides: Option<&Sides>, step: Step, event: Event) -> Mail {
    let mut mail = Mail::default();
    let appears = sides.is_some_and(|sides| sides.iter().any(|(_, side)| !side.listed));
    let chats = if appears {
        mail.event(Event::Chats)
    } else {
        Bits::default()
    };
    let notices = step.notices(context, &mut mail);
    let message = mail.event(event);
    let mut post = |user: &UserId, member: &Member| {
        let marks = if user == context.user() {
            notices.for_marker(member)
        } else {
            notices.for_other(member)
        };
        mail.post(user, chats.when(!member.listed).and(marks).and(message));
    };
    let Some([(low, one), (high, other)]) = sides else {
        for (user, member) in context.state.current() {
            post(user, member);
        }
        return mail;
    };
    post(low, one);
    if low != high {
        post(high, other);
        if appears {
            mail.acquaint(&[low, high]);
        }
    }
    mail
}

/// Replaces a message's text and attachments.
pub(super) fn edit(
    context: &Context<'_>,
    message_id: u64,
    content: Content<'_>,
) -> Result<Decision, Rejection> {
    let me = context.me()?;
    let row = context.message(&me, message_id)?;
    if row.sender != *context.user() {
        return Err(forbidden("only its author edits a message"));
    }
    may_write(context, &me)?;
    if context.deletion(row).is_some() {
        return Err(Rejection::new(Code::Conflict, "the message was deleted"));
    }
    let at = context.stamp.time;
    let edited = MessageRow {
        text: content.text.to_owned(),
        attachments: content.attachments.to_vec(),
        updated_at: Some(at),
        deleted: None,
        ..immutable(row)
    };
    let event = Event::Edit {
        chat: context.state.key.clone(),
        message_id,
        by: context.user().clone(),
        text: content.text.to_owned(),
        attachments: content.attachments.to_vec(),
        at,
    };
    Ok(changed(context, edited, event))
}

/// Deletes a message; of one deleted before, tells when.
pub(super) fn delete(context: &Context<'_>, message_id: u64) -> Result<Decision, Rejection> {
    let me = context.me()?;
    let row = context.message(&me, message_id)?;
    let manages = !context.state.key.is_dialog() && me.role >= Some(Role::Admin);
    if row.sender != *context.user() && !manages {
        return Err(forbidden("only its author or an admin deletes a message"));
    }
    if let Some(first) = context.deletion(row) {
        return Ok(Decision::only(Reply::Message {
            message_id,
            at: first.at,
            client_message_id: row.client_message_id.clone(),
        }));
    }
    let (at, version) = (context.stamp.time, context.stamp.version);
    // Nothing edits a message once it is deleted, so a row ahead of the state has the same time of edit.
    let deleted = MessageRow {
        updated_at: row.updated_at,
        deleted: Some(Deletion { at, version }),
        ..immutable(row)
    };
    let event = Event::Delete {
        chat: context.state.key.clone(),
        message_id,
        by: context.user().clone(),
        at,
    };
    Ok(changed(context, deleted, event))
}

/// The outcome of an edit or a deletion: the row, the list of chats where it is the last message, the event to all
/// who see the message.
fn changed(context: &Context<'_>, row: MessageRow, event: Event) -> Decision {
    let message_id = row.message_id;
    let mut decision = Decision::only(Reply::Message {
        message_id,
        at: context.stamp.time,
        client_message_id: row.client_message_id.clone(),
    });
    if message_id == context.state.head.last_id {
        decision.changes.last = Some(last_message(&row));
    }
    let event = decision.mail.event(event);
    for (user, member) in context.state.current() {
        decision
            .mail
            .post(user, event.when(message_id > member.hidden_before));
    }
    decision.rows.push(Row::Message(row));
    decision
}

/// The parts of a message that never change; the only ones that may be taken from a row which may be ahead.
fn immutable(row: &MessageRow) -> MessageRow {
    MessageRow {
        message_id: row.message_id,
        sender: row.sender.clone(),
        client_message_id: row.client_message_id.clone(),
        text: String::new(),
        attachments: Vec::new(),
        reply_to: row.reply_to.clone(),
        created_at: row.created_at,
        version: row.version,
        updated_at: None,
        deleted: None,
    }
}

fn quote(row: &MessageRow) -> Quote {
    Quote {
        message_id: row.message_id,
        client_message_id: row.client_message_id.clone(),
        sender: row.sender.clone(),
        created_at: row.created_at,
    }
}

/// In a channel only the owner and the admins write.
fn may_write(context: &Context<'_>, me: &Member) -> Result<(), Rejection> {
    if context.state.head.kind == ChatKind::Channel && me.role < Some(Role::Admin) {
        return Err(forbidden("in a channel only the owner and the admins write"));
    }
    Ok(())
}
