//! The values of rows.

use confab_chat::Timestamp;
use confab_chat::row::{ClientIdRow, Deletion, HeadRow, LastMessage, MembershipRow, MessageRow, RosterRow};

use super::content::attachments;
use super::form::{Fault, Form, from_list, from_needed, from_option};
use super::out::{Fields, Out};
use super::{limits, pb};
use crate::row::{CheckpointRow, CursorRow, InboxRow, ReachRow, UserRow};

impl Fields for MessageRow {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.message_id);
        out.text(2, self.sender.as_str());
        out.optional_text(3, self.client_message_id.as_deref());
        out.text(4, &self.text);
        out.messages(5, &self.attachments);
        out.optional_message(6, self.reply_to.as_ref());
        out.number(7, self.created_at.0);
        out.number(8, self.version);
        out.optional_number(9, self.updated_at.map(|at| at.0));
        out.optional_message(10, self.deleted.as_ref());
    }
}

impl Form for MessageRow {
    type Message = pb::MessageRow;

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

impl Fields for Deletion {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.at.0);
        out.number(2, self.version);
    }
}

impl Form for Deletion {
    type Message = pb::Deletion;

    fn from_message(message: pb::Deletion) -> Result<Self, Fault> {
        Ok(Self {
            at: Timestamp(message.at),
            version: message.version,
        })
    }
}

impl Fields for ClientIdRow {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.message_id);
        out.number(2, self.at.0);
        out.number(3, self.version);
    }
}

impl Form for ClientIdRow {
    type Message = pb::ClientIdRow;

    fn from_message(message: pb::ClientIdRow) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            at: Timestamp(message.at),
            version: message.version,
        })
    }
}

impl Fields for LastMessage {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.message_id);
        out.text(2, self.sender.as_str());
        out.text(3, &self.text);
        out.number(4, self.at.0);
        out.flag(5, self.deleted);
    }
}

impl Form for LastMessage {
    type Message = pb::LastMessage;

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

impl Fields for HeadRow {
    fn write(&self, out: &mut Out<'_>) {
        out.choice(1, pb::ChatKind::from(self.kind));
        out.text(2, &self.name);
        out.optional_text(3, self.photo_url.as_deref());
        out.number(4, self.created_at.0);
        out.optional_message(5, self.last.as_ref());
        out.number(6, self.delivered_up_to);
        out.number(7, self.read_up_to);
        out.flag(8, self.history_all);
    }
}

impl Form for HeadRow {
    type Message = pb::HeadRow;

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

impl Fields for RosterRow {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.owner.as_str());
        out.users(2, &self.admins);
        out.users(3, &self.members);
    }
}

impl Form for RosterRow {
    type Message = pb::RosterRow;

    fn from_message(message: pb::RosterRow) -> Result<Self, Fault> {
        Ok(Self {
            owner: Form::from_message(message.owner)?,
            admins: from_list("admins", limits::CHAT_USERS, message.admins)?,
            members: from_list("members", limits::CHAT_USERS, message.members)?,
        })
    }
}

impl Fields for MembershipRow {
    fn write(&self, out: &mut Out<'_>) {
        out.choice(1, pb::Role::from(self.role));
        out.flag(2, self.listed);
        out.number(3, self.since.0);
        out.number(4, self.hidden_before);
        out.number(5, self.delivered);
        out.number(6, self.read);
        out.number(7, self.joined_at);
        out.number(8, self.last_sent);
    }
}

impl Form for MembershipRow {
    type Message = pb::MembershipRow;

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

impl Fields for InboxRow {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.at.0);
        out.text(2, self.chat.as_str());
        out.number(3, self.version);
        out.message(4, &*self.event);
        out.number(5, self.rest);
    }
}

impl Form for InboxRow {
    type Message = pb::InboxRow;

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

impl Fields for CursorRow {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.up_to);
        out.number(2, self.used_at.0);
        out.flag(3, self.forgotten);
    }
}

impl Form for CursorRow {
    type Message = pb::CursorRow;

    fn from_message(message: pb::CursorRow) -> Result<Self, Fault> {
        Ok(Self {
            up_to: message.up_to,
            used_at: Timestamp(message.used_at),
            forgotten: message.forgotten,
        })
    }
}

impl Fields for UserRow {
    fn write(&self, out: &mut Out<'_>) {
        out.message(1, &self.profile);
        out.number(2, self.last_seen.0);
        out.flag(3, self.online);
        out.text(4, &self.worker);
    }
}

impl Form for UserRow {
    type Message = pb::UserRow;

    fn from_message(message: pb::UserRow) -> Result<Self, Fault> {
        Ok(Self {
            profile: from_needed("a profile", message.profile)?,
            last_seen: Timestamp(message.last_seen),
            online: message.online,
            worker: message.worker.into(),
        })
    }
}

impl Fields for CheckpointRow {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.epoch);
        out.number(2, self.seq);
        out.text(3, &self.entry_id.0);
        out.number(4, self.logic);
    }
}

impl Form for CheckpointRow {
    type Message = pb::CheckpointRow;

    fn from_message(message: pb::CheckpointRow) -> Result<Self, Fault> {
        Ok(Self {
            epoch: message.epoch,
            seq: message.seq,
            entry_id: Form::from_message(message.entry_id)?,
            logic: message.logic,
        })
    }
}

impl Fields for ReachRow {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.epoch);
        out.number(2, self.seq);
        out.text(3, &self.entry_id.0);
    }
}

impl Form for ReachRow {
    type Message = pb::ReachRow;

    fn from_message(message: pb::ReachRow) -> Result<Self, Fault> {
        Ok(Self {
            epoch: message.epoch,
            seq: message.seq,
            entry_id: Form::from_message(message.entry_id)?,
        })
    }
}
