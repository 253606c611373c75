//! What a client asks of a chat, as it stands in the log.

use std::sync::Arc;

use crate::content::Attachment;
use crate::ids::{ChatKey, ChatKind, UserId};

/// The id of a log entry: names an append, so that one repeated after a lost acknowledgement is known as a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub Arc<str>);

/// The name of a gateway process, unique to one run of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(pub Arc<str>);

/// One live connection of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One request of a session, numbered by the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Where the answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The gateway that holds the socket.
    pub gateway: GatewayId,
    /// The session there.
    pub session: SessionId,
    /// The request of that session.
    pub request: RequestId,
}

/// A client's command to a chat. Its form is checked (lengths, ranges, well-formed ids) before it enters the log;
/// whether it is allowed is for [`crate::conversation`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The chat.
    pub chat: ChatKey,
    /// Who asks.
    pub user: UserId,
    /// Where the answer goes.
    pub origin: Origin,
    /// What is asked.
    pub op: Op,
}

/// The operations on a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Send a message.
    New {
        /// The text, may be empty beside attachments.
        text: String,
        /// What goes with it.
        attachments: Vec<Attachment>,
        /// The message it answers.
        reply_to: Option<u64>,
        /// The client's own id of it: the same one of the same sender is the same message.
        client_message_id: Option<String>,
    },
    /// Replace text and attachments.
    Edit {
        /// Which message.
        message_id: u64,
        /// The new text.
        text: String,
        /// The new attachments.
        attachments: Vec<Attachment>,
    },
    /// Delete a message.
    Delete {
        /// Which message.
        message_id: u64,
    },
    /// Mark delivered up to a message; `None` is the last.
    MarkDelivered {
        /// Up to and including.
        message_id: Option<u64>,
    },
    /// Mark read up to a message; `None` is the last.
    MarkRead {
        /// Up to and including.
        message_id: Option<u64>,
    },
    /// Make a group or channel. The chat's key follows from the caller and the clientChatId.
    CreateChat {
        /// `Group` or `Channel`.
        kind: ChatKind,
        /// Its name.
        name: String,
        /// The first members; the caller is one anyway.
        participants: Vec<UserId>,
        /// Its picture.
        photo_url: Option<String>,
        /// Whether those who come later see everything.
        history_all: bool,
    },
    /// A dialog: hide up to a message (`None`: the last) for the caller. A group: end it for all.
    DeleteChat {
        /// Up to and including.
        message_id: Option<u64>,
    },
    /// Change a group; what is `None` stays.
    UpdateChat {
        /// The new name.
        name: Option<String>,
        /// The new picture.
        photo_url: Option<String>,
        /// The new list of admins.
        admins: Option<Vec<UserId>>,
        /// The new owner.
        owner: Option<UserId>,
    },
    /// Add members.
    AddParticipants {
        /// Whom.
        participants: Vec<UserId>,
    },
    /// Remove members.
    RemoveParticipants {
        /// Whom.
        participants: Vec<UserId>,
    },
    /// Leave a group.
    Leave,
}
