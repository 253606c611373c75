//! Entries of the log: durable, and ordered within their partition.

use std::sync::Arc;

use confab_chat::conversation::restore::Hole;
use confab_chat::{
    ActorKey, ChatKey, Command, DeviceId, EntryId, Events, GatewayId, Receivers, SessionId, Timestamp,
    UserId, conversation, mailbox,
};

/// An entry of a log partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Names the append: a copy of it carries the same id.
    pub id: EntryId,
    /// What it says.
    pub body: EntryBody,
}

/// What a log entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// A client's command to a chat of this partition.
    Command(Command),
    /// Events for mailboxes of this partition.
    Deliver(Vec<DeliverItem>),
    /// A device connects for the first time to a mailbox of this partition.
    Enroll(Enroll),
    /// From here on the given version of the logic is in force.
    SetLogic(u32),
    /// What a chat or mailbox of this partition begins the log's epoch with.
    Restored(Box<Restored>),
}

/// One [`confab_chat::Delivery`] of one version of a chat, narrowed to the mailboxes of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverItem {
    /// The chat it comes from.
    pub chat: ChatKey,
    /// The chat's version that made it: a mailbox drops what is not above the last it saw of that chat.
    pub version: u64,
    /// Whose mailboxes.
    pub to: Receivers,
    /// The events, in order.
    pub events: Events,
    /// Whom the receivers greet, if online (see [`confab_chat::Delivery::greet`]).
    pub greet: Vec<UserId>,
}

/// Sets the cursor of a device that is not known yet, durably, and then attaches its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enroll {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// The `lastEventId` it came with; without one it starts at the user's last event.
    pub after: Option<u64>,
    /// The gateway that waits.
    pub gateway: GatewayId,
    /// The session that waits.
    pub session: SessionId,
}

/// What an actor of an earlier epoch begins this one with: a proposal, or a part of one that is too large for an entry.
///
/// It is made from rows, and rows change once the actor goes on. So the first proposal of an actor that is whole in the
/// log counts, for every owner, and no other; and nobody lets the actor go on before there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Names the proposal: all of its parts have this name, and no other proposal has.
    pub proposal: EntryId,
    /// Which part, from 0.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// The actor and its state, or a part of it.
    pub actor: RestoredActor,
}

/// An actor at the beginning of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoredActor {
    /// A chat.
    Chat {
        /// Which.
        chat: ChatKey,
        /// All but its members. The same in all parts.
        head: conversation::Head,
        /// Members of this part.
        members: Vec<(UserId, conversation::Member)>,
        /// Numbers without messages, of this part.
        holes: Vec<Hole>,
    },
    /// A mailbox.
    Mailbox {
        /// Whose.
        user: UserId,
        /// All but the chats seen. The same in all parts.
        head: mailbox::Head,
        /// Of this part: the last version seen of chats.
        seen: Vec<(ChatKey, u64)>,
    },
}

impl RestoredActor {
    /// Which actor.
    #[must_use]
    pub fn key(&self) -> ActorKey {
        match self {
            Self::Chat { chat, .. } => ActorKey::Chat(chat.clone()),
            Self::Mailbox { user, .. } => ActorKey::Mailbox(user.clone()),
        }
    }
}

/// An entry as it is read back from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its number in the partition: 1, 2, 3, …
    pub seq: u64,
    /// When the log took it.
    pub time: Timestamp,
    /// The entry.
    pub entry: Arc<LogEntry>,
}
