//! The parts of actors' states. Their bytes are compared: equal versions must be equal bytes.

use confab_chat::{Timestamp, conversation, mailbox};

use super::form::{Fault, Form, from_list, from_option};
use super::out::{Fields, Out};
use super::{limits, pb};

impl Fields for conversation::Head {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.version);
        out.number(2, self.epoch);
        out.number(3, self.seq);
        out.number(4, self.time.0);
        out.choice(5, pb::ChatKind::from(self.kind));
        out.flag(6, self.open);
        out.flag(7, self.deleted);
        out.number(8, self.last_id);
        out.optional_message(9, self.last.as_ref());
        out.number(10, self.created_at.0);
        out.text(11, &self.name);
        out.optional_text(12, self.photo_url.as_deref());
        out.flag(13, self.history_all);
        out.texts(14, self.recent.iter().map(|id| &*id.0));
    }
}

impl Form for conversation::Head {
    type Message = pb::ConversationHead;

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
            recent: from_list::<_, Vec<_>>("entry ids", limits::RECENT, message.recent)?
                .into_iter()
                .collect(),
        })
    }
}

impl Fields for conversation::Member {
    fn write(&self, out: &mut Out<'_>) {
        out.choice(1, pb::Role::from(self.role));
        out.flag(2, self.listed);
        out.number(3, self.since.0);
        out.number(4, self.joined_at);
        out.number(5, self.hidden_before);
        out.number(6, self.delivered);
        out.number(7, self.read);
        out.number(8, self.last_sent);
    }
}

impl Form for conversation::Member {
    type Message = pb::ConversationMember;

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

impl Fields for mailbox::Head {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.version);
        out.number(2, self.epoch);
        out.number(3, self.seq);
        out.number(4, self.time.0);
        out.number(5, self.last);
    }
}

impl Form for mailbox::Head {
    type Message = pb::MailboxHead;

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
