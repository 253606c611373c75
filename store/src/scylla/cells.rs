//! Keys as the values of their key columns, and back.

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, UserId};
use scylla::errors::SerializationError;
use scylla::frame::response::result::ColumnType;
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::{CellWriter, WrittenCellProof};

use super::tables::BUCKET_EVENTS;
use crate::{Key, StatePart, StoreError};

use Cell::Text;

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

impl Cell<'_> {
    /// How long it is on its way, with its length before it.
    pub(super) fn bytes(&self) -> usize {
        4 + match self {
            Self::Text(text) => text.len(),
            Self::Owned(text) => text.len(),
            Self::Number(number) => size_of_val(number),
            Self::Small(number) => size_of_val(number),
            Self::Blob(bytes) => bytes.len(),
        }
    }
}

impl SerializeValue for Cell<'_> {
    fn serialize<'b>(
        &self,
        typ: &ColumnType<'_>,
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
            cells.extend([Text(chat.as_str()), number(id / BUCKET_MESSAGES)?, number(*id)?]);
        }
        Key::ClientId(chat, user, id) => {
            cells.extend([Text(chat.as_str()), Text(user.as_str()), Text(id)]);
        }
        Key::Head(chat) | Key::Roster(chat) => cells.push(Text(chat.as_str())),
        Key::Mark(chat, user, kind, up_to) => {
            cells.extend([Text(chat.as_str()), number(up_to / BUCKET_MESSAGES)?]);
            cells.extend([Text(user.as_str()), Text(kind_text(*kind)), number(*up_to)?]);
        }
        Key::Membership(user, chat) => cells.extend([Text(user.as_str()), Text(chat.as_str())]),
        Key::State(actor, part) => {
            let (kind, name) = part_texts(part);
            cells.extend([actor_cell(actor), Text(kind), Text(name)]);
        }
        Key::Inbox(user, id) => {
            cells.extend([Text(user.as_str()), number(id / BUCKET_EVENTS)?, number(*id)?]);
        }
        Key::Cursor(user, device) => cells.extend([Text(user.as_str()), Text(device.as_str())]),
        Key::User(user) => cells.push(Text(user.as_str())),
        Key::Checkpoint(partition) | Key::Reach(partition) => {
            cells.push(Cell::Small(i32::from(partition.0)));
        }
    }
    Ok(cells)
}

pub(super) fn actor_cell(actor: &ActorKey) -> Cell<'_> {
    match actor {
        ActorKey::Chat(chat) => Text(chat.as_str()),
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
