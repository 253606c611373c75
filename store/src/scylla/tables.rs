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

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, UserId};
use scylla::errors::SerializationError;
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::{CellWriter, WrittenCellProof};

use crate::{Key, StatePart, StoreError};

/// Events that a bucket of an inbox holds.
pub(super) const BUCKET_EVENTS: u64 = 4096;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A value on its way to the database.
#[derive(Clone, Debug)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Owned(String),
    Number(i64),
    /// A partition of the log, a time to live, a limit.
    Small(i32),
    Blob(&'a [u8]),
}

impl SerializeValue for Cell<'_> {
    fn serialize<'b>(
        &self,
        typ: &scylla::frame::response::result::ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        match self {
            Self::Text(text) => text.serialize(typ, writer),
            Self::Owned(text) => text.serialize(typ, writer),
            Self::Number(number) => number.serialize(typ, writer),
            Self::Small(number) => number.serialize(typ, writer),
            Self::Blob(bytes) => bytes.serialize(typ, writer),
        }
    }
}

/// The values of a key's columns, in their order; with room for what a write adds.
///
/// # Errors
/// `Corrupt`: a number is beyond what CQL can hold.
pub(super) fn cells(key: &Key) -> Result<Vec<Cell<'_>>, StoreError> {
    let mut cells = Vec::with_capacity(8);
    match key {
        Key::Message(chat, id) => {
            cells.extend([text_of(chat), number(id / BUCKET_MESSAGES)?, number(*id)?]);
        }
        Key::ClientId(chat, user, id) => {
            cells.extend([text_of(chat), Cell::Text(user.as_str()), Cell::Text(id)])
        }
        Key::Head(chat) | Key::Roster(chat) => cells.push(text_of(chat)),
        Key::Mark(chat, user, kind, up_to) => {
            cells.extend([text_of(chat), number(up_to / BUCKET_MESSAGES)?]);
            cells.extend([
                Cell::Text(user.as_str()),
                Cell::Text(kind_text(*kind)),
                number(*up_to)?,
            ]);
        }
        Key::Membership(user, chat) => cells.extend([Cell::Text(user.as_str()), text_of(chat)]),
        Key::State(actor, part) => {
            let (kind, name) = part_texts(part);
            cells.extend([actor_cell(actor), Cell::Text(kind), Cell::Text(name)]);
        }
        Key::Inbox(user, id) => {
            cells.extend([
                Cell::Text(user.as_str()),
                number(id / BUCKET_EVENTS)?,
                number(*id)?,
            ]);
        }
        Key::Cursor(user, device) => cells.extend([Cell::Text(user.as_str()), Cell::Text(device.as_str())]),
        Key::User(user) => cells.push(Cell::Text(user.as_str())),
        Key::Checkpoint(partition) | Key::Reach(partition) => cells.push(Cell::Small(i32::from(partition.0))),
    }
    Ok(cells)
}

fn text_of(chat: &ChatKey) -> Cell<'_> {
    Cell::Text(chat.as_str())
}

pub(super) fn actor_cell(actor: &ActorKey) -> Cell<'_> {
    match actor {
        ActorKey::Chat(chat) => text_of(chat),
        ActorKey::Mailbox(_) => Cell::Owned(actor.to_string()),
    }
}

/// A number as CQL holds it.
///
/// # Errors
/// `Corrupt`: it is too large.
pub(super) fn number(number: u64) -> Result<Cell<'static>, StoreError> {
    let too_large = |_| StoreError::Corrupt(format!("{number} is beyond what a row can hold"));
    i64::try_from(number).map(Cell::Number).map_err(too_large)
}

pub(super) fn kind_text(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Delivered => "d",
        MarkKind::Read => "r",
    }
}

pub(super) fn kind_of(text: &str) -> Option<MarkKind> {
    match text {
        "d" => Some(MarkKind::Delivered),
        "r" => Some(MarkKind::Read),
        _ => None,
    }
}

fn part_texts(part: &StatePart) -> (&'static str, &str) {
    match part {
        StatePart::Head => ("h", ""),
        StatePart::Member(user) => ("m", user.as_str()),
        StatePart::Seen(chat) => ("s", chat.as_str()),
    }
}

pub(super) fn part_of(kind: &str, name: &str) -> Option<StatePart> {
    match kind {
        "h" if name.is_empty() => Some(StatePart::Head),
        "m" => UserId::parse(name).ok().map(StatePart::Member),
        "s" => ChatKey::parse(name).ok().map(StatePart::Seen),
        _ => None,
    }
}

/// How long a part's name is.
pub(super) fn part_bytes(part: &StatePart) -> usize {
    let (kind, name) = part_texts(part);
    kind.len() + name.len()
}
