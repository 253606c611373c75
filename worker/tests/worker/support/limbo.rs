//! A store that shows a row of the first epoch to some readers, and to others not.

use confab_chat::ActorKey;
use confab_store::{Embedded, Key, Range, Record, Store, StoreError, Take, Writes};

/// A row that stands on too few replicas: some readers see it, and some do not.
#[derive(Clone)]
pub(crate) struct Limbo {
    pub inner: Embedded,
    pub key: Key,
}

impl Store for Limbo {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        self.inner.write(rows).await
    }

    async fn write_state(&self, actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        self.inner.write_state(actor, parts).await
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        let mut records = self.inner.scan(range, take).await?;
        records.retain(|record| record.key != self.key || record.timestamp >= 2 << 40);
        Ok(records)
    }
}
