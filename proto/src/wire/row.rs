//! The values of rows.

use confab_chat::Timestamp;
use confab_chat::row::{ClientIdRow, Deletion, HeadRow, LastMessage, MembershipRow, MessageRow, RosterRow};

use super::content::attachments;
use super::form::{Fault, Form, from_list, from_needed, from_option, to_list, to_option};
use super::{limits, pb};
use crate::row::{CheckpointRow, CursorRow, InboxRow, ReachRow, UserRow};

impl Form for MessageRow {
    type Message = pb::MessageRow;

    fn to_message(&self) -> pb::MessageRow {
        pb::MessageRow {
            message_id: self.message_id,
            sender: self.sender.to_message(),
            client_message_id: self.client_message_id.clone(),
            text: self.text.clone(),
            attachments: to_list(&self.attachments),
            reply_to: to_option(self.reply_to.as_ref()),
            created_at: self.created_at.0,
            version: self.version,
            updated_at: self.updated_at.map(|at| at.0),
            deleted: to_option(self.deleted.as_ref()),
        }
    }

    fn from_message(message: pb::MessageRow) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            sender: Form::from_message(message.sender)?,
            client_message_id: message.client_message_id,
            text: message.text,
            attachments: attachments(message.attachments)?,
            reply_to: from_option(message.reply_to)?,
            created_at: Timestamp(message.created_at),
            version: message.version,
            updated_at: message.updated_at.map(Timestamp),
            deleted: from_option(message.deleted)?,
        })
    }
}

impl Form for Deletion {
    type Message = pb::Deletion;

    fn to_message(&self) -> pb::Deletion {
        pb::Deletion {
            at: self.at.0,
            version: self.version,
        }
    }

    fn from_message(message: pb::Deletion) -> Result<Self, Fault> {
        Ok(Self {
            at: Timestamp(message.at),
            version: message.version,
        })
    }
}

impl Form for ClientIdRow {
    type Message = pb::ClientIdRow;

    fn to_message(&self) -> pb::ClientIdRow {
        pb::ClientIdRow {
            message_id: self.message_id,
            at: self.at.0,
            version: self.version,
        }
    }

    fn from_message(message: pb::ClientIdRow) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            at: Timestamp(message.at),
            version: message.version,
        })
    }
}

impl Form for LastMessage {
    type Message = pb::LastMessage;

    fn to_message(&self) -> pb::LastMessage {
        pb::LastMessage {
            message_id: self.message_id,
            sender: self.sender.to_message(),
            text: self.text.clone(),
            at: self.at.0,
            deleted: self.deleted,
        }
    }

    fn from_message(message: pb::LastMessage) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            sender: Form::from_message(message.sender)?,
            text: message.text,
            at: Timestamp(message.at),
            deleted: message.deleted,
        })
    }
}

impl Form for HeadRow {
    type Message = pb::HeadRow;

    fn to_message(&self) -> pb::HeadRow {
        pb::HeadRow {
            kind: self.kind.to_message(),
            name: self.name.clone(),
            photo_url: self.photo_url.clone(),
            created_at: self.created_at.0,
            last: to_option(self.last.as_ref()),
            delivered_up_to: self.delivered_up_to,
            read_up_to: self.read_up_to,
            history_all: self.history_all,
        }
    }

    fn from_message(message: pb::HeadRow) -> Result<Self, Fault> {
        Ok(Self {
            kind: Form::from_message(message.kind)?,
            name: message.name,
            photo_url: message.photo_url,
            created_at: Timestamp(message.created_at),
            last: from_option(message.last)?,
            delivered_up_to: message.delivered_up_to,
            read_up_to: message.read_up_to,
            history_all: message.history_all,
        })
    }
}

impl Form for RosterRow {
    type Message = pb::RosterRow;

    fn to_message(&self) -> pb::RosterRow {
        pb::RosterRow {
            owner: self.owner.to_message(),
            admins: to_list(&self.admins),
            members: to_list(&self.members),
        }
    }

    fn from_message(message: pb::RosterRow) -> Result<Self, Fault> {
        Ok(Self {
            owner: Form::from_message(message.owner)?,
            admins: from_list("admins", limits::CHAT_USERS, message.admins)?,
            members: from_list("members", limits::CHAT_USERS, message.members)?,
        })
    }
}

impl Form for MembershipRow {
    type Message = pb::MembershipRow;

    fn to_message(&self) -> pb::MembershipRow {
        pb::MembershipRow {
            role: self.role.to_message(),
            listed: self.listed,
            since: self.since.0,
            hidden_before: self.hidden_before,
            delivered: self.delivered,
            read: self.read,
            joined_at: self.joined_at,
            last_sent: self.last_sent,
        }
    }

    fn from_message(message: pb::MembershipRow) -> Result<Self, Fault> {
        Ok(Self {
            role: Form::from_message(message.role)?,
            listed: message.listed,
            since: Timestamp(message.since),
            hidden_before: message.hidden_before,
            delivered: message.delivered,
            read: message.read,
            joined_at: message.joined_at,
            last_sent: message.last_sent,
        })
    }
}

impl Form for InboxRow {
    type Message = pb::InboxRow;

    fn to_message(&self) -> pb::InboxRow {
        pb::InboxRow {
            at: self.at.0,
            chat: self.chat.to_message(),
            version: self.version,
            event: Some(self.event.to_message()),
            rest: self.rest,
        }
    }

    fn from_message(message: pb::InboxRow) -> Result<Self, Fault> {
        Ok(Self {
            at: Timestamp(message.at),
            chat: Form::from_message(message.chat)?,
            version: message.version,
            event: from_needed("an event", message.event)?,
            rest: message.rest,
        })
    }
}

impl Form for CursorRow {
    type Message = pb::CursorRow;

    fn to_message(&self) -> pb::CursorRow {
        pb::CursorRow {
            up_to: self.up_to,
            used_at: self.used_at.0,
            forgotten: self.forgotten,
        }
    }

    fn from_message(message: pb::CursorRow) -> Result<Self, Fault> {
        Ok(Self {
            up_to: message.up_to,
            used_at: Timestamp(message.used_at),
            forgotten: message.forgotten,
        })
    }
}

impl Form for UserRow {
    type Message = pb::UserRow;

    fn to_message(&self) -> pb::UserRow {
        pb::UserRow {
            profile: Some(self.profile.to_message()),
            last_seen: self.last_seen.0,
            online: self.online,
            worker: self.worker.to_string(),
        }
    }

    fn from_message(message: pb::UserRow) -> Result<Self, Fault> {
        Ok(Self {
            profile: from_needed("a profile", message.profile)?,
            last_seen: Timestamp(message.last_seen),
            online: message.online,
            worker: message.worker.into(),
        })
    }
}

impl Form for CheckpointRow {
    type Message = pb::CheckpointRow;

    fn to_message(&self) -> pb::CheckpointRow {
        pb::CheckpointRow {
            epoch: self.epoch,
            seq: self.seq,
            entry_id: self.entry_id.to_message(),
            logic: self.logic,
        }
    }

    fn from_message(message: pb::CheckpointRow) -> Result<Self, Fault> {
        Ok(Self {
            epoch: message.epoch,
            seq: message.seq,
            entry_id: Form::from_message(message.entry_id)?,
            logic: message.logic,
        })
    }
}

impl Form for ReachRow {
    type Message = pb::ReachRow;

    fn to_message(&self) -> pb::ReachRow {
        pb::ReachRow {
            epoch: self.epoch,
            seq: self.seq,
            entry_id: self.entry_id.to_message(),
        }
    }

    fn from_message(message: pb::ReachRow) -> Result<Self, Fault> {
        Ok(Self {
            epoch: message.epoch,
            seq: message.seq,
            entry_id: Form::from_message(message.entry_id)?,
        })
    }
}
