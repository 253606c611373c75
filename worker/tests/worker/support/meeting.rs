//! A store in which a list of chats is read only together with another one, as where both wait for the disk: a read that
//! blocks its thread until the other has begun.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use confab_chat::ActorKey;
use confab_store::{Key, Range, Record, Store, StoreError, Take, Writes};

/// Longer than any two that are under way need to meet.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Meeting<S> {
    inner: S,
    begun: Arc<(Mutex<u32>, Condvar)>,
}

impl<S> Meeting<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            begun: Arc::default(),
        }
    }

    fn meet(&self) -> Result<(), StoreError> {
        let (begun, more) = &*self.begun;
        let mut begun = begun.lock().unwrap();
        *begun += 1;
        more.notify_all();
        let (begun, _) = more
            .wait_timeout_while(begun, PATIENCE, |begun| *begun < 2)
            .unwrap();
        match *begun {
            2.. => Ok(()),
            _ => Err(StoreError::Corrupt("nobody came".to_owned())),
        }
    }
}

impl<S: Store> Store for Meeting<S> {
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
        if matches!(range, Range::Memberships(_)) {
            self.meet()?;
        }
        self.inner.scan(range, take).await
    }
}
