//! The parts of actors' states. Their bytes are compared: equal versions must be equal bytes.

use confab_chat::{Timestamp, conversation, mailbox};

use super::form::{Fault, Form, from_list, from_option, to_option};
use super::{limits, pb};

impl Form for conversation::Head {
    type Message = pb::ConversationHead;

    fn to_message(&self) -> pb::ConversationHead {
        pb::ConversationHead {
            version: self.version,
            epoch: self.epoch,
            seq: self.seq,
            time: self.time.0,
            kind: self.kind.to_message(),
            open: self.open,
            deleted: self.deleted,
            last_id: self.last_id,
            last: to_option(self.last.as_ref()),
            created_at: self.created_at.0,
            name: self.name.clone(),
            photo_url: self.photo_url.clone(),
            history_all: self.history_all,
            recent: self.recent.iter().map(Form::to_message).collect(),
        }
    }

    fn from_message(message: pb::ConversationHead) -> Result<Self, Fault> {
        Ok(Self {
            version: message.version,
            epoch: message.epoch,
            seq: message.seq,
            time: Timestamp(message.time),
            kind: Form::from_message(message.kind)?,
            open: message.open,
            deleted: message.deleted,
            last_id: message.last_id,
            last: from_option(message.last)?,
            created_at: Timestamp(message.created_at),
            name: message.name,
            photo_url: message.photo_url,
            history_all: message.history_all,
            recent: from_list("entry ids", limits::RECENT, message.recent)?
                .into_iter()
                .collect(),
        })
    }
}

impl Form for conversation::Member {
    type Message = pb::ConversationMember;

    fn to_message(&self) -> pb::ConversationMember {
        pb::ConversationMember {
            role: self.role.to_message(),
            listed: self.listed,
            since: self.since.0,
            joined_at: self.joined_at,
            hidden_before: self.hidden_before,
            delivered: self.delivered,
            read: self.read,
            last_sent: self.last_sent,
        }
    }

    fn from_message(message: pb::ConversationMember) -> Result<Self, Fault> {
        Ok(Self {
            role: Form::from_message(message.role)?,
            listed: message.listed,
            since: Timestamp(message.since),
            joined_at: message.joined_at,
            hidden_before: message.hidden_before,
            delivered: message.delivered,
            read: message.read,
            last_sent: message.last_sent,
        })
    }
}

impl Form for mailbox::Head {
    type Message = pb::MailboxHead;

    fn to_message(&self) -> pb::MailboxHead {
        pb::MailboxHead {
            version: self.version,
            epoch: self.epoch,
            seq: self.seq,
            time: self.time.0,
            last: self.last,
        }
    }

    fn from_message(message: pb::MailboxHead) -> Result<Self, Fault> {
        Ok(Self {
            version: message.version,
            epoch: message.epoch,
            seq: message.seq,
            time: Timestamp(message.time),
            last: message.last,
        })
    }
}
