//! The tables of the embedded store, and the bytes of their keys. (`values` has what the values begin with.)
//!
//! Keys are in the order of what they hold: numbers are big-endian, and a text that is followed by something ends in a
//! zero byte, which no id contains. What stands before `|` is the partition key: the rows of every
//! [`Range`] share one, and a shard of the overlay holds all of them.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | messages | chat 0 \| id | timestamp, row |
//! | client_ids | chat 0 \| sender 0 clientMessageId | timestamp, row |
//! | heads | chat 0 | timestamp, row |
//! | rosters | chat 0 | timestamp, row |
//! | marks | chat 0 \| up_to / 2048, user 0 kind up_to | timestamp, row |
//! | memberships | user 0 \| chat | timestamp, row |
//! | state | actor 0 \| `h`, or `m` user, or `s` chat | timestamp, row |
//! | inbox | user 0 \| id | timestamp, expiry, row |
//! | cursors | user 0 \| device | timestamp, row |
//! | users | user 0 | timestamp, row |
//! | checkpoints | partition | timestamp, row |
//! | reach | partition | timestamp, row |
//!
//! Ids, buckets, `up_to`, timestamps and expiries (milliseconds, 0 for never) take 8 bytes, a partition 2, a kind 1 (`d`, `r`).
//! In memory a key has its table beside it, so that the rows of all tables are in one order.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hasher};

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, DeviceId, Partition, UserId};
use fjall::Slice;

use super::values::number_at;

use crate::{Key, StatePart, StoreError};

/// How many shards the overlay has. Rows of one partition key are in one.
pub(super) const SHARDS: u64 = 1024;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// Its name on disk.
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

    /// Whether a key of it is only ever written with the same bytes, so that any copy is as good as another.
    pub(super) fn is_insert_only(self) -> bool {
        matches!(self, Self::ClientIds | Self::Marks | Self::Inbox)
    }

    fn of(key: &Key) -> Self {
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

/// A key as it stands in memory: its table, and its bytes there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    table: Table,
    bytes: Slice,
}

impl RowKey {
    pub(super) fn table(&self) -> Table {
        self.table
    }

    /// The key as it stands on disk.
    pub(super) fn on_disk(&self) -> &Slice {
        &self.bytes
    }

    pub(super) fn from_disk(table: Table, bytes: Slice) -> Self {
        Self { table, bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Builds keys.
pub(super) struct KeyWriter {
    table: Table,
    bytes: Vec<u8>,
    shard: u64,
}

impl KeyWriter {
    pub(super) fn new(table: Table) -> Self {
        Self {
            table,
            bytes: SCRATCH.take(),
            shard: 0,
        }
    }

    /// Begins a key with its partition key.
    pub(super) fn under(table: Table, text: &str) -> Self {
        let mut writer = Self::new(table).text(text);
        writer.shard = shard_of(text.as_bytes());
        writer
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self
    }

    /// A text that nothing follows.
    fn last(mut self, text: &str) -> Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn number(mut self, number: u64) -> Self {
        self.bytes.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    /// Turns the key into the first one behind all that begin with it.
    pub(super) fn behind(mut self) -> Self {
        while self.bytes.last() == Some(&u8::MAX) {
            self.bytes.pop();
        }
        if let Some(last) = self.bytes.last_mut() {
            *last += 1;
        }
        self
    }

    pub(super) fn shard(&self) -> u64 {
        self.shard
    }

    pub(super) fn finish(mut self) -> RowKey {
        let bytes = Slice::new(&self.bytes);
        self.bytes.clear();
        SCRATCH.set(self.bytes);
        RowKey {
            table: self.table,
            bytes,
        }
    }
}

thread_local! {
    /// Where a key is put together.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn shard_of(partition_key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(partition_key);
    hasher.finish() % SHARDS
}

/// The key's bytes, and its shard.
pub(super) fn encode(key: &Key) -> (RowKey, u64) {
    let table = Table::of(key);
    let writer = match key {
        Key::Message(chat, id) => KeyWriter::under(table, chat.as_str()).number(*id),
        Key::ClientId(chat, user, id) => KeyWriter::under(table, chat.as_str())
            .text(user.as_str())
            .last(id),
        Key::Head(chat) | Key::Roster(chat) => KeyWriter::under(table, chat.as_str()),
        Key::Mark(chat, user, kind, up_to) => {
            let writer = KeyWriter::under(table, chat.as_str()).number(up_to / BUCKET_MESSAGES);
            writer.text(user.as_str()).byte(kind_byte(*kind)).number(*up_to)
        }
        Key::Membership(user, chat) => KeyWriter::under(table, user.as_str()).last(chat.as_str()),
        Key::State(actor, part) => match part {
            StatePart::Head => under_actor(actor).byte(b'h'),
            StatePart::Member(user) => under_actor(actor).byte(b'm').last(user.as_str()),
            StatePart::Seen(chat) => under_actor(actor).byte(b's').last(chat.as_str()),
        },
        Key::Inbox(user, id) => KeyWriter::under(table, user.as_str()).number(*id),
        Key::Cursor(user, device) => KeyWriter::under(table, user.as_str()).last(device.as_str()),
        Key::User(user) => KeyWriter::under(table, user.as_str()),
        Key::Checkpoint(partition) | Key::Reach(partition) => {
            let mut writer = KeyWriter::new(table);
            writer.bytes.extend_from_slice(&partition.0.to_be_bytes());
            writer.shard = u64::from(partition.0) % SHARDS;
            writer
        }
    };
    let shard = writer.shard();
    (writer.finish(), shard)
}

/// Begins a key of an actor's state.
pub(super) fn under_actor(actor: &ActorKey) -> KeyWriter {
    match actor {
        ActorKey::Chat(chat) => KeyWriter::under(Table::State, chat.as_str()),
        ActorKey::Mailbox(user) => KeyWriter::under(Table::State, &format!("u:{user}")),
    }
}

pub(super) fn kind_byte(kind: MarkKind) -> u8 {
    match kind {
        MarkKind::Delivered => b'd',
        MarkKind::Read => b'r',
    }
}

/// Reads a key back.
///
/// # Errors
/// `Corrupt`: it is none.
pub(super) fn decode(key: &RowKey) -> Result<Key, StoreError> {
    let table = key.table();
    let corrupt = || StoreError::Corrupt(format!("a key of {}", table.name()));
    Reader(&key.bytes).key(table).ok_or_else(corrupt)
}

/// As [`decode`], after a key of the same range: what all of a range have in common is not read again.
///
/// # Errors
/// `Corrupt`: it is none.
pub(super) fn decode_after(previous: Option<&Key>, key: &RowKey) -> Result<Key, StoreError> {
    let last = key.bytes.len().checked_sub(8).map(|at| number_at(&key.bytes, at));
    match (previous, last) {
        (Some(Key::Message(chat, _)), Some(id)) => Ok(Key::Message(chat.clone(), id)),
        (Some(Key::Inbox(user, _)), Some(id)) => Ok(Key::Inbox(user.clone(), id)),
        _ => decode(key),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn key(mut self, table: Table) -> Option<Key> {
        let key = match table {
            Table::Messages => Key::Message(self.chat()?, self.number()?),
            Table::ClientIds => Key::ClientId(self.chat()?, self.user()?, self.rest()?.into()),
            Table::Heads => Key::Head(self.chat()?),
            Table::Rosters => Key::Roster(self.chat()?),
            Table::Marks => {
                let chat = self.chat()?;
                self.number()?;
                Key::Mark(chat, self.user()?, self.kind()?, self.number()?)
            }
            Table::Memberships => Key::Membership(self.user()?, ChatKey::parse(self.rest()?).ok()?),
            Table::State => Key::State(self.actor()?, self.part()?),
            Table::Inbox => Key::Inbox(self.user()?, self.number()?),
            Table::Cursors => Key::Cursor(self.user()?, DeviceId::parse(self.rest()?).ok()?),
            Table::Users => Key::User(self.user()?),
            Table::Checkpoints => Key::Checkpoint(self.partition()?),
            Table::Reach => Key::Reach(self.partition()?),
        };
        self.0.is_empty().then_some(key)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }

    fn rest(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.take(self.0.len())?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn chat(&mut self) -> Option<ChatKey> {
        ChatKey::parse(self.text()?).ok()
    }

    fn user(&mut self) -> Option<UserId> {
        UserId::parse(self.text()?).ok()
    }

    fn kind(&mut self) -> Option<MarkKind> {
        match self.take(1)? {
            b"d" => Some(MarkKind::Delivered),
            b"r" => Some(MarkKind::Read),
            _ => None,
        }
    }

    fn actor(&mut self) -> Option<ActorKey> {
        let text = self.text()?;
        match text.strip_prefix("u:") {
            Some(user) => UserId::parse(user).ok().map(ActorKey::Mailbox),
            None => ChatKey::parse(text).ok().map(ActorKey::Chat),
        }
    }

    fn part(&mut self) -> Option<StatePart> {
        match self.take(1)? {
            b"h" => Some(StatePart::Head),
            b"m" => UserId::parse(self.rest()?).ok().map(StatePart::Member),
            b"s" => ChatKey::parse(self.rest()?).ok().map(StatePart::Seen),
            _ => None,
        }
    }

    fn partition(&mut self) -> Option<Partition> {
        Some(Partition(u16::from_be_bytes(self.take(2)?.try_into().ok()?)))
    }
}
