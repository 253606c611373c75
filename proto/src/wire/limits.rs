//! How large a message may be to be read at all, and how long its lists. What goes above was not written by Confab.
//!
//! The bounds leave room above the largest thing that is ever made: a log entry that cannot be read stops its
//! partition. A message in memory takes some tens of times its bytes at worst (a list of empty values).

use confab_chat::limits::{DEVICE_ID_BYTES, MEMBERS, TEXT_BYTES, USER_ID_BYTES};

use crate::client::{MAX_INCOMING_BYTES, MAX_OUTGOING_BYTES};

/// A user in a list: the id, its tag and its length.
const LISTED_USER_BYTES: usize = USER_ID_BYTES + 3;

/// An event: what a client put into one frame, a few ids and numbers, and the text of a quoted message.
const EVENT_BYTES: usize = MAX_INCOMING_BYTES + 2048 + TEXT_BYTES;

/// Deliveries of one batch are cut at 512 KiB; the item that crosses it adds an event with a mark of each kind and two
/// lists of all members. A command is a client's frame with a few ids. Twice that.
pub(super) const ENTRY_BYTES: usize = 2 * (512 * 1024 + 2 * EVENT_BYTES + 2 * MEMBERS * LISTED_USER_BYTES);

/// A heartbeat of [`SESSIONS`] of the longest names and numbers is the longest signal.
pub(super) const SIGNAL_BYTES: usize = SESSIONS * (LISTED_USER_BYTES + DEVICE_ID_BYTES + 32);

/// A full page of events, all of the largest kind.
pub(super) const TO_GATEWAY_BYTES: usize = 256 * (EVENT_BYTES + 32) + 1024;

/// A user, a chat of two users, a few numbers.
pub(super) const QUERY_BYTES: usize = 4096;

/// The payload of a response, and a tag.
pub(super) const ANSWER_BYTES: usize = MAX_OUTGOING_BYTES + 1024;

/// All partitions that a `u16` can name, and a worker's name.
pub(super) const ANNOUNCEMENT_BYTES: usize = 3 * PARTITIONS + 1024;

/// The largest row lists all members of a chat, and all again as admins; a message is far below. Twice that.
pub(super) const ROW_BYTES: usize = 2 * (2 * MEMBERS * LISTED_USER_BYTES + EVENT_BYTES);

/// Users in one list that concerns one chat: all its members, with room.
pub(super) const CHAT_USERS: usize = 4 * MEMBERS;

/// Users of one partition in a question after contacts, or in its answer.
pub(super) const CONTACTS: usize = 65_536;

/// Sessions of one gateway whose mailboxes are in one partition.
pub(super) const SESSIONS: usize = 65_536;

/// Attachments of a message: the protocol's bound, with room.
pub(super) const ATTACHMENTS: usize = 64;

/// Events of one version of a chat for one mailbox, and of one batch for one user.
pub(super) const EVENTS: usize = 16_384;

/// Items of one log entry: what fits with the shortest names.
pub(super) const ITEMS: usize = ENTRY_BYTES / 16;

/// Members, numbers or chats in one part of a restored state: what fits with the shortest names.
pub(super) const RESTORED: usize = ENTRY_BYTES / 8;

/// Entry ids that a chat remembers: the bound in force, with room for others.
pub(super) const RECENT: usize = 1024;

/// Partitions of an installation.
pub(super) const PARTITIONS: usize = 65_536;
