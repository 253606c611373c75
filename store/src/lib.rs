//! The second of Confab's two seams: the tables.
//!
//! | table | key | value | writer |
//! | --- | --- | --- | --- |
//! | messages | chat, id | [`MessageRow`](confab_chat::row::MessageRow) | its chat |
//! | client_ids | chat, sender, clientMessageId | [`ClientIdRow`](confab_chat::row::ClientIdRow) | its chat |
//! | heads | chat | [`HeadRow`](confab_chat::row::HeadRow) | its chat |
//! | rosters | chat | [`RosterRow`](confab_chat::row::RosterRow) | its chat |
//! | marks | chat, user, kind, up_to | a time; insert-only | its chat |
//! | memberships | user, chat | [`MembershipRow`](confab_chat::row::MembershipRow) | that chat |
//! | state | actor, part | a part of the actor's state; one actor's rows are written in one batch and loaded whole | that actor |
//! | inbox | user, id | an event; expires | that mailbox |
//! | cursors | user, device | up to which event everything is acknowledged | that mailbox |
//! | users | user | profile and last seen | that mailbox |
//! | checkpoints | partition | everything up to here is done | its loop |
//! | reach | partition | rows may stand for entries up to here | its loop |
//!
//! Values are blobs to this crate (`confab_proto::wire` makes and reads them). Every row has one writing actor, and
//! every write carries a timestamp, a counter of that actor: of two writes of one key the one with the higher timestamp
//! stands, at equal timestamps the one with the larger bytes, in whatever order they arrive.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
pub mod faulty;
mod horizon;
pub mod scylla;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, DeviceId, Partition, Timestamp, UserId};

pub use embedded::{Embedded, EmbeddedOptions};
pub use faulty::Faulty;
pub use horizon::{Horizon, NoLog};
pub use scylla::{Scylla, ScyllaOptions};

/// The key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A message.
    Message(ChatKey, u64),
    /// A sender's own id of a message. Insert-only: within an epoch of the log written again only with the same bytes.
    ClientId(ChatKey, UserId, Arc<str>),
    /// A chat's head.
    Head(ChatKey),
    /// A chat's members.
    Roster(ChatKey),
    /// A mark up to and including a message. Insert-only.
    Mark(ChatKey, UserId, MarkKind, u64),
    /// A chat in a user's list.
    Membership(UserId, ChatKey),
    /// A part of an actor's state.
    State(ActorKey, StatePart),
    /// An event of a mailbox. Insert-only.
    Inbox(UserId, u64),
    /// A device's cursor.
    Cursor(UserId, DeviceId),
    /// A user's profile and last seen.
    User(UserId),
    /// A partition's checkpoint.
    Checkpoint(Partition),
    /// Up to which entry a partition's rows may stand.
    Reach(Partition),
}

/// A part of an actor's state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatePart {
    /// All that is neither of the others.
    Head,
    /// A chat's member.
    Member(UserId),
    /// A mailbox's last version seen of a chat.
    Seen(ChatKey),
}

/// A row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which row.
    pub key: Key,
    /// The writing actor's counter, below 2^50: a database refuses times that are more than three days ahead of its
    /// clock, and takes the counter for microseconds since 1970.
    pub timestamp: u64,
    /// The row's bytes.
    pub value: Bytes,
    /// When the row may vanish (inbox only).
    pub expires: Option<Timestamp>,
}

/// A row as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which row.
    pub key: Key,
    /// The counter it was written with.
    pub timestamp: u64,
    /// The row's bytes.
    pub value: Bytes,
}

/// A run of rows under one partition key, in ascending order of the rest of the key.
///
/// Ids begin low and leave no gaps, but for writes that are under way and for what has expired. A form may rely on that to
/// find the end of a range of numbers whose `to` lies more than 64 buckets (131,072 ids) above its `from`: below its last
/// row no bucket of [`confab_chat::limits::BUCKET_MESSAGES`] is empty, and of an inbox not more than 64 of them, all
/// expired, follow `from`. A narrower range is looked at in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// Messages of a chat with `from <= id <= to`.
    Messages {
        /// The chat.
        chat: ChatKey,
        /// First id.
        from: u64,
        /// Last id, included.
        to: u64,
    },
    /// One user's marks of one kind with `from <= up_to <= to`.
    Marks {
        /// The chat.
        chat: ChatKey,
        /// Who marked.
        user: UserId,
        /// Which kind.
        kind: MarkKind,
        /// Lowest `up_to`.
        from: u64,
        /// Highest `up_to`, included.
        to: u64,
    },
    /// Everybody's marks of both kinds with `from <= up_to <= to`, in the order of (user, kind, up_to) within each
    /// bucket of [`confab_chat::limits::BUCKET_MESSAGES`].
    AllMarks {
        /// The chat.
        chat: ChatKey,
        /// Lowest `up_to`.
        from: u64,
        /// Highest `up_to`, included.
        to: u64,
    },
    /// A user's chats.
    Memberships(UserId),
    /// All parts of an actor's state, loaded whole.
    State(ActorKey),
    /// Events of a mailbox with `from <= id <= to`, without those expired.
    Inbox {
        /// Whose.
        user: UserId,
        /// First id.
        from: u64,
        /// Last id, included.
        to: u64,
    },
    /// A user's devices.
    Cursors(UserId),
}

/// Which rows of a range, when there are more than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// All of them.
    All,
    /// The lowest so many, ascending.
    First(usize),
    /// The highest so many, descending.
    Last(usize),
}

/// Why the store did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Out of reach or too slow: whether a write stands is unknown. Do it again, with the same bytes and timestamp.
    #[error("the store is out of reach: {0}")]
    Unavailable(String),
    /// What it holds cannot be read: no use in trying again.
    #[error("the store holds what cannot be read: {0}")]
    Corrupt(String),
}

/// Rows to write, owned or borrowed: whoever repeats a write that failed keeps them.
pub trait Writes: AsRef<[Write]> + Send + Sync {}

impl<T: AsRef<[Write]> + Send + Sync> Writes for T {}

/// The store. All forms pass the suite in `conformance`.
pub trait Store: Clone + Send + Sync + 'static {
    /// Writes rows, each by itself; when it returns, all stand and every reader sees them. After an error any of them
    /// may stand, now or later. Whoever sees a mark sees those of the same user, kind and bucket that stand before it in
    /// `rows`: a mark without the lower one that was written with it would date the messages below that one wrongly.
    fn write(&self, rows: impl Writes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes parts of one actor's state as one batch: a reader of that state sees all of it or nothing.
    fn write_state(
        &self,
        actor: ActorKey,
        parts: impl Writes,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads a row.
    fn get(&self, key: Key) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Reads a run of rows.
    fn scan(&self, range: Range, take: Take) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;
}
