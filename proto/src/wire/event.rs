//! What happens in a chat.

use std::sync::Arc;

use confab_chat::{Event, Timestamp};

use super::content::attachments;
use super::form::{Fault, Form, from_option, need, to_list, to_option};
use super::pb;

impl Form for Arc<Event> {
    type Message = pb::Event;

    fn to_message(&self) -> pb::Event {
        pb::Event {
            kind: Some(event_kind(self)),
        }
    }

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

fn event_kind(event: &Event) -> pb::event::Kind {
    match event {
        Event::New {
            chat,
            message_id,
            sender,
            client_message_id,
            text,
            attachments,
            reply_to,
            at,
        } => pb::event::Kind::New(pb::event::New {
            chat: chat.to_message(),
            message_id: *message_id,
            sender: sender.to_message(),
            client_message_id: client_message_id.clone(),
            text: text.clone(),
            attachments: to_list(attachments),
            reply_to: to_option(reply_to.as_ref()),
            at: at.0,
        }),
        Event::Chats => pb::event::Kind::Chats(pb::event::Chats {}),
        Event::Edit {
            chat,
            message_id,
            by,
            text,
            attachments,
            at,
        } => pb::event::Kind::Edit(pb::event::Edit {
            chat: chat.to_message(),
            message_id: *message_id,
            by: by.to_message(),
            text: text.clone(),
            attachments: to_list(attachments),
            at: at.0,
        }),
        Event::Delete {
            chat,
            message_id,
            by,
            at,
        } => pb::event::Kind::Delete(pb::event::Delete {
            chat: chat.to_message(),
            message_id: *message_id,
            by: by.to_message(),
            at: at.0,
        }),
        Event::Delivered {
            chat,
            by,
            message_id,
            at,
        } => pb::event::Kind::Delivered(mark((chat.to_message(), by.to_message()), *message_id, *at)),
        Event::Read {
            chat,
            by,
            message_id,
            at,
        } => pb::event::Kind::Read(mark((chat.to_message(), by.to_message()), *message_id, *at)),
    }
}

fn mark((chat, by): (String, String), message_id: u64, at: Timestamp) -> pb::event::Mark {
    pb::event::Mark {
        chat,
        by,
        message_id,
        at: at.0,
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
