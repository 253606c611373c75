//! The rows that a chat writes, and that queries (and `apply`, for its look-ups) read back.
//!
//! Every row is written by one actor, dated by that actor's version. Facts that `apply` reads back carry the version
//! that made them, and are ignored where they are not older than the entry at hand: during a replay rows may be
//! ahead of the state.
//!
//! Together the rows of a chat say all that its state says but the ids of its last entries: when the log is lost, the
//! state is brought up to them (see [`crate::conversation::restore`]).

use std::sync::Arc;

use crate::content::{Attachment, Quote};
use crate::ids::{ChatKind, UserId};
use crate::time::Timestamp;

/// A message as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its number in the chat.
    pub message_id: u64,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of it.
    pub client_message_id: Option<String>,
    /// Its text; empty once deleted.
    pub text: String,
    /// Its attachments; none once deleted.
    pub attachments: Vec<Attachment>,
    /// The message it answers.
    pub reply_to: Option<Quote>,
    /// When it was sent.
    pub created_at: Timestamp,
    /// The chat's version that made it.
    pub version: u64,
    /// The last edit: when.
    pub updated_at: Option<Timestamp>,
    /// The deletion, if any.
    pub deleted: Option<Deletion>,
}

/// The deletion of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// When.
    pub at: Timestamp,
    /// The chat's version that did it.
    pub version: u64,
}

/// Which message a sender's clientMessageId stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIdRow {
    /// The message.
    pub message_id: u64,
    /// When it was sent.
    pub at: Timestamp,
    /// The chat's version that made it.
    pub version: u64,
}

/// The last message of a chat, as a list of chats shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastMessage {
    /// Its number in the chat.
    pub message_id: u64,
    /// Who sent it.
    pub sender: UserId,
    /// Its text; empty once deleted.
    pub text: String,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// What a list of chats needs of a chat beside the user's own membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// What kind of chat.
    pub kind: ChatKind,
    /// The name of a group or channel; empty for a dialog.
    pub name: String,
    /// Its picture.
    pub photo_url: Option<String>,
    /// When the chat was made.
    pub created_at: Timestamp,
    /// The last message, if there is one.
    pub last: Option<LastMessage>,
    /// Up to which message everyone has it.
    pub delivered_up_to: u64,
    /// Up to which message everyone has read.
    pub read_up_to: u64,
    /// Whether those who come later see everything.
    pub history_all: bool,
}

/// Who is in a group or channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterRow {
    /// The owner.
    pub owner: UserId,
    /// The admins, in order of id, without the owner.
    pub admins: Vec<UserId>,
    /// All members, in order of id, owner and admins included. Empty once the chat is deleted.
    pub members: Vec<UserId>,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Writes (in a group), reads.
    Member,
    /// Also changes members and name, deletes others' messages, writes in a channel.
    Admin,
    /// Also hands over and deletes the chat.
    Owner,
}

/// A chat in a user's list, with all that concerns that user alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipRow {
    /// The user's role; `None` once gone (the row stays, it is never deleted).
    pub role: Option<Role>,
    /// Whether the chat shows in the list: false for a dialog that was deleted and has no message since.
    pub listed: bool,
    /// Since when the chat exists for the user.
    pub since: Timestamp,
    /// Messages up to and including this one are not seen by the user.
    pub hidden_before: u64,
    /// The user's own mark: delivered up to and including.
    pub delivered: u64,
    /// The user's own mark: read up to and including.
    pub read: u64,
    /// The last message when the user came.
    pub joined_at: u64,
    /// The user's last own message; 0 for none.
    pub last_sent: u64,
}

/// The two kinds of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// Delivered.
    Delivered,
    /// Read, which implies delivered.
    Read,
}

/// A row that a chat writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A message, whole.
    Message(MessageRow),
    /// A sender's own id of a message; written once.
    ClientId {
        /// The sender.
        sender: UserId,
        /// The sender's own id of it.
        client_message_id: Arc<str>,
        /// What it stands for.
        row: ClientIdRow,
    },
    /// A mark, insert-only: covers what lies above the user's previous row of that kind, up to and including `up_to`.
    Mark {
        /// Who marked.
        user: UserId,
        /// Which kind.
        kind: MarkKind,
        /// Up to and including.
        up_to: u64,
        /// When.
        at: Timestamp,
    },
    /// The chat's head.
    Head(HeadRow),
    /// The chat's members.
    Roster(RosterRow),
    /// A member's row in that user's list.
    Membership {
        /// The member.
        user: UserId,
        /// The row.
        row: MembershipRow,
    },
}
