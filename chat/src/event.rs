//! What comes out of a chat: the answer to the one who asked, and durable events for the members' mailboxes.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::content::{Attachment, Quote};
use crate::ids::{ChatKey, UserId};
use crate::time::Timestamp;

/// The answer to a command that was carried out (or had been before: a repeat gets the same one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A message was sent, edited or deleted, or marked delivered.
    Message {
        /// Which.
        message_id: u64,
        /// When.
        at: Timestamp,
        /// Its sender's own id of it.
        client_message_id: Option<String>,
    },
    /// Marked read.
    Read {
        /// Up to and including.
        message_id: u64,
        /// The time that the named message carries.
        at: Timestamp,
        /// How many messages are unread now.
        missed: u64,
        /// The named message's client id.
        client_message_id: Option<String>,
    },
    /// A chat was made or changed; the gateway fills in the chat as it now is.
    Chat,
    /// A chat was deleted or left.
    Left,
    /// Members came or went: those that changed.
    Participants(Vec<UserId>),
}

/// A durable event of one chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was sent.
    New {
        /// The chat.
        chat: ChatKey,
        /// Its number in the chat.
        message_id: u64,
        /// Who sent it.
        sender: UserId,
        /// The sender's own id of it.
        client_message_id: Option<String>,
        /// Its text.
        text: String,
        /// What goes with it.
        attachments: Vec<Attachment>,
        /// The message it answers.
        reply_to: Option<Quote>,
        /// When it was sent.
        at: Timestamp,
    },
    /// The receiver's list of chats changed; the list itself is filled in when a frame is made.
    Chats,
    /// A message was edited.
    Edit {
        /// The chat.
        chat: ChatKey,
        /// Which message.
        message_id: u64,
        /// Who did it.
        by: UserId,
        /// The new text.
        text: String,
        /// The new attachments.
        attachments: Vec<Attachment>,
        /// When.
        at: Timestamp,
    },
    /// A message was deleted.
    Delete {
        /// The chat.
        chat: ChatKey,
        /// Which message.
        message_id: u64,
        /// Who did it.
        by: UserId,
        /// When.
        at: Timestamp,
    },
    /// Messages up to and including one were delivered to a member.
    Delivered {
        /// The chat.
        chat: ChatKey,
        /// To whom.
        by: UserId,
        /// Up to and including.
        message_id: u64,
        /// The time that the named message carries.
        at: Timestamp,
    },
    /// Messages up to and including one were read by a member.
    Read {
        /// The chat.
        chat: ChatKey,
        /// By whom.
        by: UserId,
        /// Up to and including.
        message_id: u64,
        /// The time that the named message carries.
        at: Timestamp,
    },
}

/// Receivers: those of a dialog without memory of their own.
pub type Receivers = SmallVec<[UserId; 2]>;

/// Events of one version: one, as a rule.
pub type Events = SmallVec<[Arc<Event>; 1]>;

/// What one version of a chat sends to some of its members' mailboxes. A user stands in at most one delivery of a
/// version: all events of one version for one mailbox are one item, never split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose mailboxes.
    pub to: Receivers,
    /// What they get, in order. May be empty where only `greet` matters.
    pub events: Events,
    /// Users who become contacts of the receivers by this version and whom the receivers shall greet if both are
    /// online. Of any pair one side only is told to greet.
    pub greet: Vec<UserId>,
}
