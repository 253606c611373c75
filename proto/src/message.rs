//! What gateways and workers say to each other.
//!
//! Two ways: **log entries** are durable and ordered within their partition; **signals**, **deliveries**, **queries**
//! and **announcements** are soft: any of them may be lost, and whoever sent it repeats it or does without.

use std::sync::Arc;

use bytes::Bytes;
use confab_chat::conversation::restore::Hole;
use confab_chat::{
    ActorKey, ChatKey, Command, DeviceId, EntryId, Event, Events, GatewayId, Partition, Quote, Receivers,
    Rejection, Reply, RequestId, SessionId, Timestamp, UserId, conversation, mailbox,
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

/// Soft messages to the loop that owns a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A session wants a user's events.
    Attach(Attach),
    /// A session is gone.
    Detach {
        /// The user.
        user: UserId,
        /// The gateway it was on.
        gateway: GatewayId,
        /// The session.
        session: SessionId,
        /// The gateway drains: hold `offline` back for a while, the client will be back.
        draining: bool,
    },
    /// A gateway's sessions on this partition, said again every 10 s.
    Heartbeat {
        /// The gateway.
        gateway: GatewayId,
        /// Its live sessions whose mailbox is in this partition.
        sessions: Vec<Beat>,
    },
    /// A device has acknowledged everything up to and including an event.
    Ack {
        /// The user.
        user: UserId,
        /// The device.
        device: DeviceId,
        /// Up to and including.
        up_to: u64,
    },
    /// A session counts as offline (`away`), or again as online, though its socket is open.
    Away {
        /// The user.
        user: UserId,
        /// The gateway it is on.
        gateway: GatewayId,
        /// The session.
        session: SessionId,
        /// Whether it counts as offline.
        away: bool,
    },
    /// A user types in a chat of this partition.
    Typing {
        /// The chat.
        chat: ChatKey,
        /// Who types.
        user: UserId,
        /// Has stopped.
        stop: bool,
    },
    /// Somebody types in a chat whose members' mailboxes `to` are in this partition.
    TypingTo {
        /// The chat.
        chat: ChatKey,
        /// Who types.
        user: UserId,
        /// Has stopped.
        stop: bool,
        /// Whose sessions hear of it.
        to: Vec<UserId>,
    },
    /// `from` is online and asks which of `to`, whose mailboxes are in this partition, are too.
    Probe {
        /// Who asks.
        from: UserId,
        /// Whether those asked are told that `from` is online.
        announce: bool,
        /// The session that wants the answer (one [`DeliveryBody::Contacts`], also when nobody is online); without
        /// one, every contact found online is told to all of `from`'s sessions.
        reply_to: Option<(GatewayId, SessionId)>,
        /// Who is asked.
        to: Vec<UserId>,
    },
    /// Answers a probe without `reply_to`: these users are online, say so to all sessions of `to`.
    AreOnline {
        /// Whom to tell.
        to: UserId,
        /// Who is online.
        users: Vec<UserId>,
    },
    /// `from` went offline; `to`, whose mailboxes are in this partition, are told.
    WentOffline {
        /// Who went.
        from: UserId,
        /// When last seen.
        last_seen: Timestamp,
        /// Whom to tell.
        to: Vec<UserId>,
    },
    /// An owner lets the partition go. It has told the contacts of these users that they are online: who of them has
    /// gone meanwhile, the next owner has to say.
    HandOver {
        /// Users of this partition.
        online: Vec<UserId>,
    },
}

/// Asks a mailbox for its events: the one way in for connect, resume, takeover of a partition and a lost frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// The gateway.
    pub gateway: GatewayId,
    /// The session there.
    pub session: SessionId,
    /// Where to go on.
    pub from: AttachFrom,
    /// Only a repeat (a takeover, a hole, the next page): announces nothing, asks after nobody, ends no other session.
    pub repeat: bool,
    /// The session counts as offline at present.
    pub away: bool,
    /// What the token says of the user; on a repeat left out.
    pub profile: Option<Profile>,
}

/// Where an attaching session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachFrom {
    /// A new connection: after the device's cursor, moved up to `lastEventId` first where that came along.
    Cursor {
        /// What the client says it has processed.
        last_event_id: Option<u64>,
    },
    /// A connection that has had everything up to and including this event.
    After(u64),
}

/// A session in a heartbeat: enough to attach it again where the mailbox has forgotten it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// The session.
    pub session: SessionId,
    /// The last event forwarded to it.
    pub forwarded: u64,
    /// Counts as offline at present.
    pub away: bool,
}

/// A user's profile, from the claims of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `name`.
    pub name: Option<String>,
    /// `picture`.
    pub photo_url: Option<String>,
    /// `preferred_username`.
    pub username: Option<String>,
    /// `phone_number`.
    pub phone_number: Option<String>,
    /// `verified`.
    pub verified: Option<bool>,
}

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

/// A question that any worker answers from the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Who asks.
    pub user: UserId,
    /// What.
    pub what: QueryKind,
}

/// The questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// The user's list of chats, latest first.
    Chats {
        /// At most so many.
        count: u32,
        /// Only those whose lastMessageTime is lower.
        before: Option<Timestamp>,
    },
    /// One chat.
    Chat {
        /// Which.
        chat: ChatKey,
    },
    /// A page of history.
    Messages {
        /// Which chat.
        chat: ChatKey,
        /// Which part of it.
        page: Page,
        /// At most so many.
        count: u32,
    },
}

/// Which part of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The latest.
    Latest,
    /// This one and upwards.
    From(u64),
    /// Backwards from the one before this.
    Before(u64),
}

/// The answer to a query: the response's payload, already as JSON.
pub type Answer = Result<Bytes, Rejection>;

/// Said to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A worker is alive. Said every second, and whenever the list changes.
    Alive {
        /// The worker's name, unique to one run of it.
        worker: Arc<str>,
        /// The partitions that it is at work on: their loops have caught up with the log.
        partitions: Vec<Partition>,
    },
    /// A worker begins a partition: gateways attach its sessions again.
    Began {
        /// Which.
        partition: Partition,
    },
    /// A worker stops in order: the others count it no more. It goes on with each of its partitions until the one who
    /// takes it is at work.
    Leaving {
        /// The worker's name.
        worker: Arc<str>,
    },
}
