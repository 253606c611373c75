//! A store of which one replica has some rows alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use confab_chat::ActorKey;
use confab_store::{Embedded, Key, Range, Record, Store, StoreError, Take, Writes};

/// Whoever reads such a row first asks that replica, and nobody after does. Written again a row is on all of them.
#[derive(Clone)]
pub(crate) struct Alone {
    inner: Embedded,
    /// The rows, and whether each was read.
    rows: Arc<Mutex<BTreeMap<Key, bool>>>,
}

impl Alone {
    pub(crate) fn new<const N: usize>(inner: &Embedded, rows: [Key; N]) -> Self {
        Self {
            inner: inner.clone(),
            rows: Arc::new(Mutex::new(rows.map(|key| (key, false)).into())),
        }
    }

    fn shows(&self, key: &Key) -> bool {
        let mut rows = self.rows.lock().unwrap();
        rows.get_mut(key)
            .is_none_or(|was_read| !std::mem::replace(was_read, true))
    }
}

impl Store for Alone {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        for row in rows.as_ref() {
            self.rows.lock().unwrap().remove(&row.key);
        }
        self.inner.write(rows).await
    }

    async fn write_state(&self, actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        self.inner.write_state(actor, parts).await
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        let record = self.inner.get(key).await?;
        Ok(record.filter(|record| self.shows(&record.key)))
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        let mut records = self.inner.scan(range, take).await?;
        records.retain(|record| self.shows(&record.key));
        Ok(records)
    }
}
