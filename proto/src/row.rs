//! The rows that are not a chat's: a mailbox's and a loop's.

use std::sync::Arc;

use confab_chat::{ChatKey, EntryId, Event, Timestamp};

use crate::message::Profile;

/// An event in an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// When it entered the mailbox.
    pub at: Timestamp,
    /// The chat that made it; of an event that no chat made, the user's own notes.
    pub chat: ChatKey,
    /// That chat's version; 0 for an event that no chat made.
    pub version: u64,
    /// The event.
    pub event: Arc<Event>,
    /// How many more events of that version follow.
    pub rest: u32,
}

/// A device's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorRow {
    /// Everything up to and including this event is acknowledged.
    pub up_to: u64,
    /// When the device was last connected.
    pub used_at: Timestamp,
    /// Forgotten: as if there were no row.
    pub forgotten: bool,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRow {
    /// From the last token.
    pub profile: Profile,
    /// When last seen online. While `online`, written again every few minutes: a row not written for long
    /// belongs to one whose worker died, and counts as offline.
    pub last_seen: Timestamp,
    /// Online when the row was written.
    pub online: bool,
    /// The name of the worker that wrote it. When that one is gone for good, whoever took its partition over has
    /// written the row again, or the user is offline.
    pub worker: Arc<str>,
}

/// A partition's checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The log's epoch.
    pub epoch: u32,
    /// Everything up to and including this entry is done.
    pub seq: u64,
    /// The id of that entry: the log must still have it there.
    pub entry_id: EntryId,
    /// The version of the logic in force.
    pub logic: u32,
}

/// How far a partition's rows may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachRow {
    /// The log's epoch.
    pub epoch: u32,
    /// The last entry that rows may come of: the last of a batch, or, behind it, one that an actor of the batch is restored by.
    pub seq: u64,
    /// Its id.
    pub entry_id: EntryId,
}
