//! Stores within a store: a keyspace takes seconds to make, so that parts of the suite share one, each with ids of its own.

use confab_chat::{ActorKey, ChatKey, Partition, UserId};
use confab_store::{Key, Range, Record, StatePart, Store, StoreError, Take, Write, Writes};

/// A store in which every id begins with a number. What follows stays in its order.
#[derive(Clone, Debug)]
pub(crate) struct Apart<S> {
    store: S,
    number: u16,
}

/// Partitions of the log that each has.
const PARTITIONS: u16 = 1024;

/// From an id within to the id without, or back.
#[derive(Clone, Copy)]
enum Way {
    In(u16),
    Out(u16),
}

impl<S> Apart<S> {
    pub(crate) fn new(store: S, number: u16) -> Self {
        Self { store, number }
    }
}

impl Way {
    fn name(self, name: &str) -> String {
        match self {
            Self::In(number) => format!("{number}x{name}"),
            Self::Out(number) => name.strip_prefix(&format!("{number}x")).unwrap().to_owned(),
        }
    }

    fn user(self, user: &UserId) -> UserId {
        UserId::parse(&self.name(user.as_str())).unwrap()
    }

    fn chat(self, chat: &ChatKey) -> ChatKey {
        match chat.sides() {
            Some((a, b)) => ChatKey::dialog(&self.user(&a), &self.user(&b)),
            None => {
                let group = chat.as_str().strip_prefix("g:").unwrap();
                ChatKey::parse(&format!("g:{}", self.name(group))).unwrap()
            }
        }
    }

    fn actor(self, actor: &ActorKey) -> ActorKey {
        match actor {
            ActorKey::Chat(chat) => ActorKey::Chat(self.chat(chat)),
            ActorKey::Mailbox(user) => ActorKey::Mailbox(self.user(user)),
        }
    }

    fn part(self, part: &StatePart) -> StatePart {
        match part {
            StatePart::Head => StatePart::Head,
            StatePart::Member(user) => StatePart::Member(self.user(user)),
            StatePart::Seen(chat) => StatePart::Seen(self.chat(chat)),
        }
    }

    fn partition(self, partition: Partition) -> Partition {
        match self {
            Self::In(number) => Partition(partition.0 + number * PARTITIONS),
            Self::Out(number) => Partition(partition.0 - number * PARTITIONS),
        }
    }

    fn key(self, key: &Key) -> Key {
        match key {
            Key::Message(chat, id) => Key::Message(self.chat(chat), *id),
            Key::ClientId(chat, user, id) => Key::ClientId(self.chat(chat), self.user(user), id.clone()),
            Key::Head(chat) => Key::Head(self.chat(chat)),
            Key::Roster(chat) => Key::Roster(self.chat(chat)),
            Key::Mark(chat, user, kind, up_to) => Key::Mark(self.chat(chat), self.user(user), *kind, *up_to),
            Key::Membership(user, chat) => Key::Membership(self.user(user), self.chat(chat)),
            Key::State(actor, part) => Key::State(self.actor(actor), self.part(part)),
            Key::Inbox(user, id) => Key::Inbox(self.user(user), *id),
            Key::Cursor(user, device) => Key::Cursor(self.user(user), device.clone()),
            Key::User(user) => Key::User(self.user(user)),
            Key::Checkpoint(partition) => Key::Checkpoint(self.partition(*partition)),
            Key::Reach(partition) => Key::Reach(self.partition(*partition)),
        }
    }

    fn range(self, mut range: Range) -> Range {
        match &mut range {
            Range::Messages { chat, .. } | Range::AllMarks { chat, .. } => *chat = self.chat(chat),
            Range::Marks { chat, user, .. } => (*chat, *user) = (self.chat(chat), self.user(user)),
            Range::Inbox { user, .. } | Range::Memberships(user) | Range::Cursors(user) => {
                *user = self.user(user);
            }
            Range::State(actor) => *actor = self.actor(actor),
        }
        range
    }

    fn write(self, mut write: Write) -> Write {
        write.key = self.key(&write.key);
        write
    }

    fn record(self, mut record: Record) -> Record {
        record.key = self.key(&record.key);
        record
    }
}

impl<S: Store> Store for Apart<S> {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        let way = Way::In(self.number);
        let rows = rows.as_ref().iter().cloned().map(|row| way.write(row));
        self.store.write(rows.collect::<Vec<_>>()).await
    }

    async fn write_state(&self, actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        let way = Way::In(self.number);
        let parts = parts.as_ref().iter().cloned().map(|part| way.write(part));
        self.store
            .write_state(way.actor(&actor), parts.collect::<Vec<_>>())
            .await
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        let found = self.store.get(Way::In(self.number).key(&key)).await?;
        Ok(found.map(|record| Way::Out(self.number).record(record)))
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        let found = self.store.scan(Way::In(self.number).range(range), take).await?;
        Ok(found
            .into_iter()
            .map(|record| Way::Out(self.number).record(record))
            .collect())
    }
}
