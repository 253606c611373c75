//! The entries of the log.

use confab_chat::{Command, EntryId, Op, Origin, RequestId, SessionId, UserId};

use super::content::attachments;
use super::form::{Fault, Form, from_list, from_needed, from_option, need, to_list, to_option};
use super::{limits, pb};
use crate::message::{DeliverItem, Enroll, EntryBody, LogEntry};

impl Form for LogEntry {
    type Message = pb::LogEntry;

    fn to_message(&self) -> pb::LogEntry {
        let body = match &self.body {
            EntryBody::Command(command) => pb::log_entry::Body::Command(command.to_message()),
            EntryBody::Deliver(items) => pb::log_entry::Body::Deliver(pb::Deliver {
                items: to_list(items),
            }),
            EntryBody::Enroll(enroll) => pb::log_entry::Body::Enroll(enroll.to_message()),
            EntryBody::SetLogic(version) => pb::log_entry::Body::SetLogic(pb::SetLogic { version: *version }),
            EntryBody::Restored(restored) => pb::log_entry::Body::Restored(restored.to_message()),
        };
        pb::LogEntry {
            id: self.id.to_message(),
            body: Some(body),
        }
    }

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

impl Form for Command {
    type Message = pb::Command;

    fn to_message(&self) -> pb::Command {
        pb::Command {
            chat: self.chat.to_message(),
            user: self.user.to_message(),
            origin: Some(self.origin.to_message()),
            op: Some(self.op.to_message()),
        }
    }

    fn from_message(message: pb::Command) -> Result<Self, Fault> {
        Ok(Self {
            chat: Form::from_message(message.chat)?,
            user: Form::from_message(message.user)?,
            origin: from_needed("a command's origin", message.origin)?,
            op: from_needed("a command's operation", message.op)?,
        })
    }
}

impl Form for Origin {
    type Message = pb::Origin;

    fn to_message(&self) -> pb::Origin {
        pb::Origin {
            gateway: self.gateway.to_message(),
            session: self.session.0,
            request: self.request.0,
        }
    }

    fn from_message(message: pb::Origin) -> Result<Self, Fault> {
        Ok(Self {
            gateway: Form::from_message(message.gateway)?,
            session: SessionId(message.session),
            request: RequestId(message.request),
        })
    }
}

impl Form for Op {
    type Message = pb::command::Op;

    fn to_message(&self) -> pb::command::Op {
        match self {
            Self::New {
                text,
                attachments,
                reply_to,
                client_message_id,
            } => pb::command::Op::New(pb::command::New {
                text: text.clone(),
                attachments: to_list(attachments),
                reply_to: *reply_to,
                client_message_id: client_message_id.clone(),
            }),
            Self::Edit {
                message_id,
                text,
                attachments,
            } => pb::command::Op::Edit(pb::command::Edit {
                message_id: *message_id,
                text: text.clone(),
                attachments: to_list(attachments),
            }),
            Self::Delete { message_id } => pb::command::Op::Delete(pb::command::Delete {
                message_id: *message_id,
            }),
            Self::MarkDelivered { message_id } => pb::command::Op::MarkDelivered(up_to(*message_id)),
            Self::MarkRead { message_id } => pb::command::Op::MarkRead(up_to(*message_id)),
            Self::DeleteChat { message_id } => pb::command::Op::DeleteChat(up_to(*message_id)),
            Self::AddParticipants { participants } => pb::command::Op::AddParticipants(users(participants)),
            Self::RemoveParticipants { participants } => {
                pb::command::Op::RemoveParticipants(users(participants))
            }
            Self::Leave => pb::command::Op::Leave(pb::command::Leave {}),
            Self::CreateChat {
                kind,
                name,
                participants,
                photo_url,
                history_all,
            } => pb::command::Op::CreateChat(pb::command::CreateChat {
                kind: kind.to_message(),
                name: name.clone(),
                participants: to_list(participants),
                photo_url: photo_url.clone(),
                history_all: *history_all,
            }),
            Self::UpdateChat {
                name,
                photo_url,
                admins,
                owner,
            } => pb::command::Op::UpdateChat(pb::command::UpdateChat {
                name: name.clone(),
                photo_url: photo_url.clone(),
                admins: admins.as_deref().map(users),
                owner: to_option(owner.as_ref()),
            }),
        }
    }

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

fn up_to(message_id: Option<u64>) -> pb::command::UpTo {
    pb::command::UpTo { message_id }
}

fn users(users: &[UserId]) -> pb::Users {
    pb::Users {
        users: to_list(users),
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

impl Form for DeliverItem {
    type Message = pb::DeliverItem;

    fn to_message(&self) -> pb::DeliverItem {
        pb::DeliverItem {
            chat: self.chat.to_message(),
            version: self.version,
            to: to_list(&self.to),
            events: to_list(&self.events),
            greet: to_list(&self.greet),
        }
    }

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

impl Form for Enroll {
    type Message = pb::Enroll;

    fn to_message(&self) -> pb::Enroll {
        pb::Enroll {
            user: self.user.to_message(),
            device: self.device.to_message(),
            after: self.after,
            gateway: self.gateway.to_message(),
            session: self.session.0,
        }
    }

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
