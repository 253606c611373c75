//! A copy of a store, of which the test knows who and what is in it.

use confab_chat::{ActorKey, ChatKey, EntryId, Partition, UserId};
use confab_store::{Embedded, Key, Range, Record, Store, Take, Write};

/// What is in a store.
pub(crate) struct Content {
    pub users: Vec<UserId>,
    pub chats: Vec<ChatKey>,
    /// Ids by which messages are known when they come again.
    pub client_ids: Vec<String>,
    pub partitions: u16,
}

/// The ids of entries, as they stand for messages without a clientMessageId.
pub(crate) fn entry_key(id: &EntryId) -> String {
    format!("~e{}", id.0)
}

async fn put(to: &Embedded, records: Vec<Record>) {
    let writes = records.into_iter().map(|record| Write {
        key: record.key,
        timestamp: record.timestamp,
        value: record.value,
        expires: None,
    });
    to.write(writes.collect::<Vec<_>>()).await.unwrap();
}

impl Content {
    /// Copies states and checkpoints: what says how far a partition is.
    pub(crate) async fn copy_progress(&self, from: &Embedded, to: &Embedded) {
        let chats = self.chats.iter().cloned().map(ActorKey::Chat);
        let mailboxes = self.users.iter().cloned().map(ActorKey::Mailbox);
        for actor in chats.chain(mailboxes) {
            let range = Range::State(actor);
            put(to, from.scan(range, Take::All).await.unwrap()).await;
        }
        for partition in (0..self.partitions).map(Partition) {
            for key in [Key::Checkpoint(partition), Key::Reach(partition)] {
                put(to, from.get(key).await.unwrap().into_iter().collect()).await;
            }
        }
    }

    /// Copies all other rows.
    pub(crate) async fn copy_rows(&self, from: &Embedded, to: &Embedded) {
        for chat in &self.chats {
            for key in [Key::Head(chat.clone()), Key::Roster(chat.clone())] {
                put(to, from.get(key).await.unwrap().into_iter().collect()).await;
            }
            let messages = Range::Messages {
                chat: chat.clone(),
                from: 1,
                to: 100_000,
            };
            put(to, from.scan(messages, Take::All).await.unwrap()).await;
            let marks = Range::AllMarks {
                chat: chat.clone(),
                from: 1,
                to: 100_000,
            };
            put(to, from.scan(marks, Take::All).await.unwrap()).await;
            for user in &self.users {
                for id in &self.client_ids {
                    let key = Key::ClientId(chat.clone(), user.clone(), id.as_str().into());
                    put(to, from.get(key).await.unwrap().into_iter().collect()).await;
                }
            }
        }
        for user in &self.users {
            let inbox = Range::Inbox {
                user: user.clone(),
                from: 1,
                to: 100_000,
            };
            let ranges = [
                Range::Memberships(user.clone()),
                Range::Cursors(user.clone()),
                inbox,
            ];
            for range in ranges {
                put(to, from.scan(range, Take::All).await.unwrap()).await;
            }
            put(
                to,
                from.get(Key::User(user.clone()))
                    .await
                    .unwrap()
                    .into_iter()
                    .collect(),
            )
            .await;
        }
    }
}
