//! Soft messages to the loop that owns a partition.

use confab_chat::{ChatKey, DeviceId, GatewayId, SessionId, Timestamp, UserId};

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
        /// The session that wants the answer (one [`DeliveryBody::Contacts`](super::DeliveryBody::Contacts), also when nobody is online); without
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
