//! The entries of the log.

use std::sync::Arc;

use confab_chat::{Command, EntryId, Op, Origin, RequestId, SessionId, UserId};

use super::content::attachments;
use super::form::{Fault, Form, from_list, from_needed, from_option, need};
use super::out::{Fields, Out};
use super::{limits, pb};
use crate::message::{DeliverItem, Enroll, EntryBody, LogEntry};

impl Fields for LogEntry {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, &self.id.0);
        match &self.body {
            EntryBody::Command(command) => out.message(2, command),
            EntryBody::Deliver(items) => out.nested(3, |out| out.messages(1, items)),
            EntryBody::Enroll(enroll) => out.message(4, enroll),
            EntryBody::SetLogic(version) => out.nested(5, |out| out.number(1, *version)),
            EntryBody::Restored(restored) => out.message(6, &**restored),
        }
    }
}

impl Form for LogEntry {
    type Message = pb::LogEntry;

    fn from_message(message: pb::LogEntry) -> Result<Self, Fault> {
        let body = match need("an entry's body", message.body)? {
            pb::log_entry::Body::Command(command) => EntryBody::Command(Form::from_message(command)?),
            pb::log_entry::Body::Deliver(deliver) => {
                EntryBody::Deliver(from_list("items", limits::ITEMS, deliver.items)?)
            }
            pb::log_entry::Body::Enroll(enroll) => EntryBody::Enroll(Form::from_message(enroll)?),
            pb::log_entry::Body::SetLogic(logic) => EntryBody::SetLogic(logic.version),
            pb::log_entry::Body::Restored(restored) => {
                EntryBody::Restored(Box::new(Form::from_message(restored)?))
            }
        };
        Ok(Self {
            id: EntryId(message.id.into()),
            body,
        })
    }
}

impl Fields for Command {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.chat.as_str());
        out.text(2, self.user.as_str());
        out.message(3, &self.origin);
        self.op.write(out);
    }
}

impl Form for Command {
    type Message = pb::Command;

    fn from_message(message: pb::Command) -> Result<Self, Fault> {
        Ok(Self {
            chat: Form::from_message(message.chat)?,
            user: Form::from_message(message.user)?,
            origin: from_needed("a command's origin", message.origin)?,
            op: from_needed("a command's operation", message.op)?,
        })
    }
}

impl Fields for Origin {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, &self.gateway.0);
        out.number(2, self.session.0);
        out.number(3, self.request.0);
    }
}

impl Form for Origin {
    type Message = pb::Origin;

    fn from_message(message: pb::Origin) -> Result<Self, Fault> {
        Ok(Self {
            gateway: Form::from_message(message.gateway)?,
            session: SessionId(message.session),
            request: RequestId(message.request),
        })
    }
}

impl Fields for Op {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::New {
                text,
                attachments,
                reply_to,
                client_message_id,
            } => out.nested(4, |out| {
                out.text(1, text);
                out.messages(2, attachments);
                out.optional_number(3, *reply_to);
                out.optional_text(4, client_message_id.as_deref());
            }),
            Self::Edit {
                message_id,
                text,
                attachments,
            } => out.nested(5, |out| {
                out.number(1, *message_id);
                out.text(2, text);
                out.messages(3, attachments);
            }),
            Self::Delete { message_id } => out.nested(6, |out| out.number(1, *message_id)),
            Self::MarkDelivered { message_id } => out.nested(7, |out| out.optional_number(1, *message_id)),
            Self::MarkRead { message_id } => out.nested(8, |out| out.optional_number(1, *message_id)),
            Self::CreateChat {
                kind,
                name,
                participants,
                photo_url,
                history_all,
            } => out.nested(9, |out| {
                out.choice(1, pb::ChatKind::from(*kind));
                out.text(2, name);
                out.users(3, participants);
                out.optional_text(4, photo_url.as_deref());
                out.flag(5, *history_all);
            }),
            Self::DeleteChat { message_id } => out.nested(10, |out| out.optional_number(1, *message_id)),
            Self::UpdateChat {
                name,
                photo_url,
                admins,
                owner,
            } => out.nested(11, |out| {
                out.optional_text(1, name.as_deref());
                out.optional_text(2, photo_url.as_deref());
                if let Some(admins) = admins {
                    out.nested(3, |out| out.users(1, admins));
                }
                out.optional_text(4, owner.as_ref().map(UserId::as_str));
            }),
            Self::AddParticipants { participants } => out.nested(12, |out| out.users(1, participants)),
            Self::RemoveParticipants { participants } => out.nested(13, |out| out.users(1, participants)),
            Self::Leave => out.nested(14, |_| ()),
        }
    }
}

impl Form for Op {
    type Message = pb::command::Op;

    fn from_message(message: pb::command::Op) -> Result<Self, Fault> {
        Ok(match message {
            pb::command::Op::New(new) => Self::New {
                text: new.text,
                attachments: attachments(new.attachments)?,
                reply_to: new.reply_to,
                client_message_id: new.client_message_id,
            },
            pb::command::Op::Edit(edit) => Self::Edit {
                message_id: edit.message_id,
                text: edit.text,
                attachments: attachments(edit.attachments)?,
            },
            pb::command::Op::Delete(delete) => Self::Delete {
                message_id: delete.message_id,
            },
            pb::command::Op::MarkDelivered(up_to) => Self::MarkDelivered {
                message_id: up_to.message_id,
            },
            pb::command::Op::MarkRead(up_to) => Self::MarkRead {
                message_id: up_to.message_id,
            },
            pb::command::Op::CreateChat(create) => read_create(create)?,
            pb::command::Op::DeleteChat(up_to) => Self::DeleteChat {
                message_id: up_to.message_id,
            },
            pb::command::Op::UpdateChat(update) => read_update(update)?,
            pb::command::Op::AddParticipants(users) => Self::AddParticipants {
                participants: from_list("participants", limits::CHAT_USERS, users.users)?,
            },
            pb::command::Op::RemoveParticipants(users) => Self::RemoveParticipants {
                participants: from_list("participants", limits::CHAT_USERS, users.users)?,
            },
            pb::command::Op::Leave(pb::command::Leave {}) => Self::Leave,
        })
    }
}

fn read_create(create: pb::command::CreateChat) -> Result<Op, Fault> {
    Ok(Op::CreateChat {
        kind: Form::from_message(create.kind)?,
        name: create.name,
        participants: from_list("participants", limits::CHAT_USERS, create.participants)?,
        photo_url: create.photo_url,
        history_all: create.history_all,
    })
}

fn read_update(update: pb::command::UpdateChat) -> Result<Op, Fault> {
    Ok(Op::UpdateChat {
        name: update.name,
        photo_url: update.photo_url,
        admins: update
            .admins
            .map(|admins| from_list("admins", limits::CHAT_USERS, admins.users))
            .transpose()?,
        owner: from_option(update.owner)?,
    })
}

impl Fields for DeliverItem {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.chat.as_str());
        out.number(2, self.version);
        out.users(3, &self.to);
        out.messages(4, self.events.iter().map(Arc::as_ref));
        out.users(5, &self.greet);
    }
}

impl Form for DeliverItem {
    type Message = pb::DeliverItem;

    fn from_message(message: pb::DeliverItem) -> Result<Self, Fault> {
        Ok(Self {
            chat: Form::from_message(message.chat)?,
            version: message.version,
            to: from_list("receivers", limits::CHAT_USERS, message.to)?,
            events: from_list("events", limits::EVENTS, message.events)?,
            greet: from_list("users to greet", limits::CHAT_USERS, message.greet)?,
        })
    }
}

impl Fields for Enroll {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.user.as_str());
        out.text(2, self.device.as_str());
        out.optional_number(3, self.after);
        out.text(4, &self.gateway.0);
        out.number(5, self.session.0);
    }
}

impl Form for Enroll {
    type Message = pb::Enroll;

    fn from_message(message: pb::Enroll) -> Result<Self, Fault> {
        Ok(Self {
            user: Form::from_message(message.user)?,
            device: Form::from_message(message.device)?,
            after: message.after,
            gateway: Form::from_message(message.gateway)?,
            session: SessionId(message.session),
        })
    }
}
