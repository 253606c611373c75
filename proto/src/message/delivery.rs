//! Soft messages to a gateway.

use std::sync::Arc;

use confab_chat::{ChatKey, Event, Quote, Rejection, Reply, RequestId, SessionId, Timestamp, UserId};

/// A message to one gateway process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToGateway {
    /// The user it concerns.
    pub user: UserId,
    /// What it says.
    pub body: DeliveryBody,
}

/// What a worker tells a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryBody {
    /// The answer to a command.
    Reply {
        /// The session that asked.
        session: SessionId,
        /// Its request.
        request: RequestId,
        /// The answer.
        result: Result<Reply, Rejection>,
    },
    /// Durable events as they happen, for all of the user's sessions on this gateway.
    Live(Vec<MailboxEvent>),
    /// The answer to an attach.
    Attached(Attached),
    /// Somebody came online: for all of the user's sessions here.
    Online(Vec<UserId>),
    /// Somebody went offline: for all of the user's sessions here.
    Offline {
        /// Who.
        user: UserId,
        /// When last seen.
        last_seen: Timestamp,
    },
    /// Somebody types: for all of the user's sessions here.
    Typing {
        /// Where.
        chat: ChatKey,
        /// Who.
        user: UserId,
        /// Has stopped.
        stop: bool,
    },
    /// One partition's answer to a session's question which of its contacts are online.
    Contacts {
        /// The session that asked.
        session: SessionId,
        /// Those who are.
        online: Vec<UserId>,
    },
    /// The same device has connected again: this session ends with 4010.
    Replaced {
        /// The session that ends.
        session: SessionId,
    },
}

/// The events after a point, at most 256 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The session.
    pub session: SessionId,
    /// The point that `events` follow: the first has the id `after + 1`, unless `reset`.
    pub after: u64,
    /// Events after it, consecutive.
    pub events: Vec<MailboxEvent>,
    /// There are more: attach again after the last of these.
    pub more: bool,
    /// What lies after `after` is not kept any more (or the client was ahead of its mailbox): send one `chats` with
    /// this id, the user's last, and go on from there. `events` is empty.
    pub reset: Option<u64>,
    /// How many partitions were asked after the user's contacts: so many [`DeliveryBody::Contacts`] will come.
    pub probes: u32,
}

/// A durable event with its number in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxEvent {
    /// 1, 2, 3, … per user.
    pub id: u64,
    /// When it entered the mailbox.
    pub at: Timestamp,
    /// The event. One sent again after its message was deleted has no text and no attachments.
    pub event: Arc<Event>,
    /// Of a `new` that answers a message: that message as it stands.
    pub quoted: Option<Quoted>,
}

/// A quoted message with the text it has when a frame is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The parts that never change.
    pub quote: Quote,
    /// The text; `None` once deleted.
    pub text: Option<String>,
}
