//! The tables of the CQL form, and how a key becomes the values of their key columns.
//!
//! What stands before `|` is the partition key: a partition lies on one set of replicas, and a write to one is atomic.
//! Partitions are kept small by buckets, so that none grows with the age of a chat.
//!
//! | table | key |
//! | --- | --- |
//! | messages | chat, id / 2048 \| id |
//! | client_ids | chat, sender, client_message_id \| |
//! | heads | chat \| |
//! | rosters | chat \| |
//! | marks | chat, up_to / 2048 \| user_id, kind (`d`, `r`), up_to |
//! | memberships | user_id \| chat |
//! | state | actor \| kind, name: `h` and nothing, or `m` and a user, or `s` and a chat |
//! | inbox | user_id, id / 4096 \| id |
//! | cursors | user_id \| device |
//! | users | user_id \| |
//! | checkpoints | log_partition \| |
//! | reach | log_partition \| |
//!
//! Beside its key a row has one cell, `v`, and the cell's write time is the row's timestamp: a row is never seen in part.

use crate::Key;

/// Events that a bucket of an inbox holds.
pub(super) const BUCKET_EVENTS: u64 = 4096;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Messages,
    ClientIds,
    Heads,
    Rosters,
    Marks,
    Memberships,
    State,
    Inbox,
    Cursors,
    Users,
    Checkpoints,
    Reach,
}

impl Table {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 12] = [
        Self::Messages,
        Self::ClientIds,
        Self::Heads,
        Self::Rosters,
        Self::Marks,
        Self::Memberships,
        Self::State,
        Self::Inbox,
        Self::Cursors,
        Self::Users,
        Self::Checkpoints,
        Self::Reach,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::ClientIds => "client_ids",
            Self::Heads => "heads",
            Self::Rosters => "rosters",
            Self::Marks => "marks",
            Self::Memberships => "memberships",
            Self::State => "state",
            Self::Inbox => "inbox",
            Self::Cursors => "cursors",
            Self::Users => "users",
            Self::Checkpoints => "checkpoints",
            Self::Reach => "reach",
        }
    }

    /// The columns of its partition key.
    pub(super) fn partition_columns(self) -> &'static [&'static str] {
        match self {
            Self::Messages | Self::Marks => &["chat", "bucket"],
            Self::ClientIds => &["chat", "sender", "client_message_id"],
            Self::Heads | Self::Rosters => &["chat"],
            Self::Memberships | Self::Cursors | Self::Users => &["user_id"],
            Self::State => &["actor"],
            Self::Inbox => &["user_id", "bucket"],
            Self::Checkpoints | Self::Reach => &["log_partition"],
        }
    }

    /// The rest of its key.
    pub(super) fn clustering_columns(self) -> &'static [&'static str] {
        match self {
            Self::Messages | Self::Inbox => &["id"],
            Self::Marks => &["user_id", "kind", "up_to"],
            Self::Memberships => &["chat"],
            Self::State => &["kind", "name"],
            Self::Cursors => &["device"],
            Self::ClientIds | Self::Heads | Self::Rosters | Self::Users | Self::Checkpoints | Self::Reach => {
                &[]
            }
        }
    }

    /// The type of a column, which is the same in all tables that have it.
    pub(super) fn column_type(column: &str) -> &'static str {
        match column {
            "bucket" | "id" | "up_to" => "bigint",
            "log_partition" => "int",
            "v" => "blob",
            _ => "text",
        }
    }

    pub(super) fn of(key: &Key) -> Self {
        match key {
            Key::Message(..) => Self::Messages,
            Key::ClientId(..) => Self::ClientIds,
            Key::Head(_) => Self::Heads,
            Key::Roster(_) => Self::Rosters,
            Key::Mark(..) => Self::Marks,
            Key::Membership(..) => Self::Memberships,
            Key::State(..) => Self::State,
            Key::Inbox(..) => Self::Inbox,
            Key::Cursor(..) => Self::Cursors,
            Key::User(_) => Self::Users,
            Key::Checkpoint(_) => Self::Checkpoints,
            Key::Reach(_) => Self::Reach,
        }
    }
}
