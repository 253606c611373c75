//! What actors begin an epoch with.

use confab_chat::conversation::restore::Hole;
use confab_chat::{ChatKey, Timestamp, UserId, conversation};

use super::form::{Fault, Form, from_list, from_needed, need};
use super::out::{Fields, Out};
use super::{limits, pb};
use crate::message::{Restored, RestoredActor};

impl Fields for Restored {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, &self.proposal.0);
        out.number(2, self.part);
        out.number(3, self.parts);
        self.actor.write(out);
    }
}

impl Form for Restored {
    type Message = pb::Restored;

    fn from_message(message: pb::Restored) -> Result<Self, Fault> {
        if message.part >= message.parts {
            return Err(Fault(format!("part {} of {}", message.part, message.parts)));
        }
        Ok(Self {
            proposal: Form::from_message(message.proposal)?,
            part: message.part,
            parts: message.parts,
            actor: Form::from_message(need("an actor", message.actor)?)?,
        })
    }
}

impl Fields for RestoredActor {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::Chat {
                chat,
                head,
                members,
                holes,
            } => out.nested(4, |out| {
                out.text(1, chat.as_str());
                out.message(2, head);
                out.messages(3, members);
                out.messages(4, holes);
            }),
            Self::Mailbox { user, head, seen } => out.nested(5, |out| {
                out.text(1, user.as_str());
                out.message(2, head);
                out.messages(3, seen);
            }),
        }
    }
}

impl Form for RestoredActor {
    type Message = pb::restored::Actor;

    fn from_message(message: pb::restored::Actor) -> Result<Self, Fault> {
        Ok(match message {
            pb::restored::Actor::Chat(restored) => Self::Chat {
                chat: Form::from_message(restored.chat)?,
                head: from_needed("a chat's state", restored.head)?,
                members: from_list("members", limits::RESTORED, restored.members)?,
                holes: from_list("holes", limits::RESTORED, restored.holes)?,
            },
            pb::restored::Actor::Mailbox(restored) => Self::Mailbox {
                user: Form::from_message(restored.user)?,
                head: from_needed("a mailbox's state", restored.head)?,
                seen: from_list("chats seen", limits::RESTORED, restored.seen)?,
            },
        })
    }
}

impl Fields for (UserId, conversation::Member) {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.0.as_str());
        out.message(2, &self.1);
    }
}

impl Form for (UserId, conversation::Member) {
    type Message = pb::restored::Member;

    fn from_message(message: pb::restored::Member) -> Result<Self, Fault> {
        Ok((
            Form::from_message(message.user)?,
            from_needed("a member's state", message.state)?,
        ))
    }
}

impl Fields for Hole {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.message_id);
        out.text(2, self.sender.as_str());
        out.number(3, self.at.0);
    }
}

impl Form for Hole {
    type Message = pb::restored::Hole;

    fn from_message(message: pb::restored::Hole) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            sender: Form::from_message(message.sender)?,
            at: Timestamp(message.at),
        })
    }
}

impl Fields for (ChatKey, u64) {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.0.as_str());
        out.number(2, self.1);
    }
}

impl Form for (ChatKey, u64) {
    type Message = pb::restored::Seen;

    fn from_message(message: pb::restored::Seen) -> Result<Self, Fault> {
        Ok((Form::from_message(message.chat)?, message.version))
    }
}
