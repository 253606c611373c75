//! What happens in a chat.

use std::sync::Arc;

use confab_chat::{ChatKey, Event, Timestamp, UserId};

use super::content::attachments;
use super::form::{Fault, Form, from_option, need};
use super::out::{Fields, Out};
use super::pb;

impl Fields for Event {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::New {
                chat,
                message_id,
                sender,
                client_message_id,
                text,
                attachments,
                reply_to,
                at,
            } => out.nested(1, |out| {
                out.text(1, chat.as_str());
                out.number(2, *message_id);
                out.text(3, sender.as_str());
                out.optional_text(4, client_message_id.as_deref());
                out.text(5, text);
                out.messages(6, attachments);
                out.optional_message(7, reply_to.as_ref());
                out.number(8, at.0);
            }),
            Self::Chats => out.nested(2, |_| ()),
            Self::Edit {
                chat,
                message_id,
                by,
                text,
                attachments,
                at,
            } => out.nested(3, |out| {
                out.text(1, chat.as_str());
                out.number(2, *message_id);
                out.text(3, by.as_str());
                out.text(4, text);
                out.messages(5, attachments);
                out.number(6, at.0);
            }),
            Self::Delete {
                chat,
                message_id,
                by,
                at,
            } => out.nested(4, |out| {
                out.text(1, chat.as_str());
                out.number(2, *message_id);
                out.text(3, by.as_str());
                out.number(4, at.0);
            }),
            Self::Delivered {
                chat,
                by,
                message_id,
                at,
            } => out.nested(5, |out| mark(out, (chat, by), *message_id, *at)),
            Self::Read {
                chat,
                by,
                message_id,
                at,
            } => out.nested(6, |out| mark(out, (chat, by), *message_id, *at)),
        }
    }
}

fn mark(out: &mut Out<'_>, (chat, by): (&ChatKey, &UserId), message_id: u64, at: Timestamp) {
    out.text(1, chat.as_str());
    out.text(2, by.as_str());
    out.number(3, message_id);
    out.number(4, at.0);
}

impl Form for Arc<Event> {
    type Message = pb::Event;

    fn from_message(message: pb::Event) -> Result<Self, Fault> {
        let event = match need("an event's kind", message.kind)? {
            pb::event::Kind::New(new) => read_new(new)?,
            pb::event::Kind::Chats(pb::event::Chats {}) => Event::Chats,
            pb::event::Kind::Edit(edit) => Event::Edit {
                chat: Form::from_message(edit.chat)?,
                message_id: edit.message_id,
                by: Form::from_message(edit.by)?,
                text: edit.text,
                attachments: attachments(edit.attachments)?,
                at: Timestamp(edit.at),
            },
            pb::event::Kind::Delete(delete) => Event::Delete {
                chat: Form::from_message(delete.chat)?,
                message_id: delete.message_id,
                by: Form::from_message(delete.by)?,
                at: Timestamp(delete.at),
            },
            pb::event::Kind::Delivered(mark) => Event::Delivered {
                chat: Form::from_message(mark.chat)?,
                by: Form::from_message(mark.by)?,
                message_id: mark.message_id,
                at: Timestamp(mark.at),
            },
            pb::event::Kind::Read(mark) => Event::Read {
                chat: Form::from_message(mark.chat)?,
                by: Form::from_message(mark.by)?,
                message_id: mark.message_id,
                at: Timestamp(mark.at),
            },
        };
        Ok(Self::new(event))
    }
}

fn read_new(new: pb::event::New) -> Result<Event, Fault> {
    Ok(Event::New {
        chat: Form::from_message(new.chat)?,
        message_id: new.message_id,
        sender: Form::from_message(new.sender)?,
        client_message_id: new.client_message_id,
        text: new.text,
        attachments: attachments(new.attachments)?,
        reply_to: from_option(new.reply_to)?,
        at: Timestamp(new.at),
    })
}
