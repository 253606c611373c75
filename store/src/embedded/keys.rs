//! The tables of the embedded store, and the bytes of their keys. (`values` has what the values begin with.)
//!
//! A key begins with its shard (2 bytes) and its table (1), so all tables are in one order, and what a shard of the overlay
//! holds is a run of it. Behind that keys are in the order of what they hold: numbers are big-endian, and a text that is
//! followed by something ends in a zero byte, which no id contains. What stands before `|` is the partition key: the rows of
//! every [`Range`](crate::Range) share one, and it tells the shard, by a hash that must never change.
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

mod reader;

use std::cell::Cell;

use confab_chat::ActorKey;
use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use lsm_tree::Slice;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Key, StatePart};

pub(super) use reader::{decode, decode_after};

/// How many shards the overlay has. Rows of one partition key are in one.
pub(super) const SHARDS: u16 = 1024;
/// What a key begins with: its shard and its table.
const PREFIX: usize = 3;

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

    /// Its name, as errors say it.
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

    /// Whether a row of it is written once, as a rule (a message may be edited).
    pub(super) fn is_written_once(self) -> bool {
        self.is_insert_only() || self == Self::Messages
    }

    /// Whether a key of it is only ever written with the same bytes, so that any copy is as good as another.
    pub(super) fn is_insert_only(self) -> bool {
        matches!(self, Self::ClientIds | Self::Marks | Self::Inbox)
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

/// A key as it stands in memory and on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RowKey(Slice);

impl RowKey {
    pub(super) fn table(&self) -> Table {
        // Every key has a table: those from disk come out of a range that is in one.
        Self::table_of(&self.0).unwrap_or(Table::Messages)
    }

    /// The table of a key's bytes, if they are a key.
    pub(super) fn table_of(bytes: &[u8]) -> Option<Table> {
        let number = bytes.get(PREFIX - 1)?;
        Table::ALL.get(usize::from(*number)).copied()
    }

    pub(super) fn shard(&self) -> usize {
        let shard = self.0.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
        usize::from(shard % SHARDS)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its shard, its table and its partition key. All keys between two of a group are of that group.
    pub(super) fn group(&self) -> &[u8] {
        let end = match self.table() {
            Table::Checkpoints | Table::Reach => None,
            _ => self.0.get(PREFIX..).and_then(|text| memchr::memchr(0, text)),
        };
        let end = end.map_or(PREFIX, |end| PREFIX + end + 1);
        &self.0[..end.min(self.0.len())]
    }

    pub(super) fn on_disk(&self) -> &Slice {
        &self.0
    }

    /// A key as [`encode_onto`] or the disk has it.
    pub(super) fn from_bytes(bytes: Slice) -> Self {
        Self(bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Builds keys, each at the end of some bytes.
pub(super) struct KeyWriter(Vec<u8>);

impl KeyWriter {
    fn new(mut bytes: Vec<u8>, shard: u16, table: Table) -> Self {
        bytes.extend_from_slice(&shard.to_be_bytes());
        bytes.push(table as u8);
        Self(bytes)
    }

    /// Begins a key with its partition key.
    pub(super) fn under(table: Table, text: &str) -> Self {
        Self::onto(SCRATCH.take(), table, text)
    }

    fn onto(bytes: Vec<u8>, table: Table, text: &str) -> Self {
        Self::onto_parts(bytes, table, ["", text])
    }

    /// As [`onto`](Self::onto), of a text in two parts.
    fn onto_parts(bytes: Vec<u8>, table: Table, text: [&str; 2]) -> Self {
        let from = bytes.len();
        let mut writer = Self::new(bytes, 0, table).part(text[0]).text(text[1]);
        if let Some((prefix, text)) = writer.0[from..].split_at_mut_checked(PREFIX)
            && let [text @ .., _] = text
        {
            // Below a small number by construction.
            let shard = u16::try_from(xxh3_64(text) % u64::from(SHARDS)).unwrap_or(0);
            prefix[..2].copy_from_slice(&shard.to_be_bytes());
        }
        writer
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    /// A text that nothing follows, or only the rest of it.
    fn part(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// Turns the key into the first one behind all that begin with it.
    pub(super) fn behind(mut self) -> Self {
        while self.0.last() == Some(&u8::MAX) {
            self.0.pop();
        }
        if let Some(last) = self.0.last_mut() {
            *last += 1;
        }
        self
    }

    pub(super) fn finish(mut self) -> RowKey {
        let key = RowKey(Slice::new(&self.0));
        self.0.clear();
        SCRATCH.set(self.0);
        key
    }
}

thread_local! {
    /// Where a key is put together.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(super) fn encode(key: &Key) -> RowKey {
    write(SCRATCH.take(), key).finish()
}

/// Puts a key's bytes behind others.
pub(super) fn encode_onto(bytes: Vec<u8>, key: &Key) -> Vec<u8> {
    write(bytes, key).0
}

fn write(bytes: Vec<u8>, key: &Key) -> KeyWriter {
    let table = Table::of(key);
    let under = |bytes, text: &str| KeyWriter::onto(bytes, table, text);
    match key {
        Key::Message(chat, id) => under(bytes, chat.as_str()).number(*id),
        Key::ClientId(chat, user, id) => under(bytes, chat.as_str()).text(user.as_str()).part(id),
        Key::Head(chat) | Key::Roster(chat) => under(bytes, chat.as_str()),
        Key::Mark(chat, user, kind, up_to) => {
            let writer = under(bytes, chat.as_str()).number(up_to / BUCKET_MESSAGES);
            writer.text(user.as_str()).byte(kind_byte(*kind)).number(*up_to)
        }
        Key::Membership(user, chat) => under(bytes, user.as_str()).part(chat.as_str()),
        Key::State(actor, part) => {
            let writer = of_actor(bytes, actor);
            match part {
                StatePart::Head => writer.byte(b'h'),
                StatePart::Member(user) => writer.byte(b'm').part(user.as_str()),
                StatePart::Seen(chat) => writer.byte(b's').part(chat.as_str()),
            }
        }
        Key::Inbox(user, id) => under(bytes, user.as_str()).number(*id),
        Key::Cursor(user, device) => under(bytes, user.as_str()).part(device.as_str()),
        Key::User(user) => under(bytes, user.as_str()),
        Key::Checkpoint(partition) | Key::Reach(partition) => {
            let mut writer = KeyWriter::new(bytes, partition.0 % SHARDS, table);
            writer.0.extend_from_slice(&partition.0.to_be_bytes());
            writer
        }
    }
}

/// Begins a key of an actor's state.
pub(super) fn under_actor(actor: &ActorKey) -> KeyWriter {
    of_actor(SCRATCH.take(), actor)
}

fn of_actor(bytes: Vec<u8>, actor: &ActorKey) -> KeyWriter {
    match actor {
        ActorKey::Chat(chat) => KeyWriter::onto(bytes, Table::State, chat.as_str()),
        ActorKey::Mailbox(user) => KeyWriter::onto_parts(bytes, Table::State, ["u:", user.as_str()]),
    }
}

pub(super) fn kind_byte(kind: MarkKind) -> u8 {
    match kind {
        MarkKind::Delivered => b'd',
        MarkKind::Read => b'r',
    }
}
