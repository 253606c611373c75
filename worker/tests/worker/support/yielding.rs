//! A store whose calls give way to other tasks a few times before and after, so that a worker can be cut off at any of
//! them.

use std::slice;
use std::sync::{Arc, Mutex};

use confab_chat::ActorKey;
use confab_store::{Key, Range, Record, Store, StoreError, Take, Writes};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[derive(Clone)]
pub(crate) struct Yielding<S> {
    inner: S,
    rng: Arc<Mutex<StdRng>>,
}

impl<S: Store> Yielding<S> {
    pub(crate) fn new(inner: S, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self {
            inner,
            rng: Arc::new(Mutex::new(rng)),
        }
    }

    async fn give_way(&self) {
        let times = self.rng.lock().unwrap().random_range(0..3);
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }
}

impl<S: Store> Store for Yielding<S> {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        // Rows stand each by itself: another task may see, or be cut off after, only some of them.
        for row in rows.as_ref() {
            self.give_way().await;
            self.inner.write(slice::from_ref(row)).await?;
        }
        self.give_way().await;
        Ok(())
    }

    async fn write_state(&self, actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        self.give_way().await;
        self.inner.write_state(actor, parts).await?;
        self.give_way().await;
        Ok(())
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        self.give_way().await;
        self.inner.get(key).await
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        self.give_way().await;
        self.inner.scan(range, take).await
    }
}
