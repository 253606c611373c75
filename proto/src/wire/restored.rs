//! What actors begin an epoch with.

use confab_chat::conversation::restore::Hole;
use confab_chat::{ChatKey, Timestamp, UserId, conversation};

use super::form::{Fault, Form, from_list, from_needed, need, to_list};
use super::{limits, pb};
use crate::message::{Restored, RestoredActor};

impl Form for Restored {
    type Message = pb::Restored;

    fn to_message(&self) -> pb::Restored {
        pb::Restored {
            proposal: self.proposal.to_message(),
            part: self.part,
            parts: self.parts,
            actor: Some(self.actor.to_message()),
        }
    }

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

impl Form for RestoredActor {
    type Message = pb::restored::Actor;

    fn to_message(&self) -> pb::restored::Actor {
        match self {
            Self::Chat {
                chat,
                head,
                members,
                holes,
            } => pb::restored::Actor::Chat(pb::restored::Chat {
                chat: chat.to_message(),
                head: Some(head.to_message()),
                members: to_list(members),
                holes: to_list(holes),
            }),
            Self::Mailbox { user, head, seen } => pb::restored::Actor::Mailbox(pb::restored::Mailbox {
                user: user.to_message(),
                head: Some(head.to_message()),
                seen: to_list(seen),
            }),
        }
    }

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

impl Form for (UserId, conversation::Member) {
    type Message = pb::restored::Member;

    fn to_message(&self) -> pb::restored::Member {
        pb::restored::Member {
            user: self.0.to_message(),
            state: Some(self.1.to_message()),
        }
    }

    fn from_message(message: pb::restored::Member) -> Result<Self, Fault> {
        Ok((
            Form::from_message(message.user)?,
            from_needed("a member's state", message.state)?,
        ))
    }
}

impl Form for Hole {
    type Message = pb::restored::Hole;

    fn to_message(&self) -> pb::restored::Hole {
        pb::restored::Hole {
            message_id: self.message_id,
            sender: self.sender.to_message(),
            at: self.at.0,
        }
    }

    fn from_message(message: pb::restored::Hole) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            sender: Form::from_message(message.sender)?,
            at: Timestamp(message.at),
        })
    }
}

impl Form for (ChatKey, u64) {
    type Message = pb::restored::Seen;

    fn to_message(&self) -> pb::restored::Seen {
        pb::restored::Seen {
            chat: self.0.to_message(),
            version: self.1,
        }
    }

    fn from_message(message: pb::restored::Seen) -> Result<Self, Fault> {
        Ok((Form::from_message(message.chat)?, message.version))
    }
}
