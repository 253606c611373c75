//! A store through which a worker dies before it has written a state or a checkpoint; some rows may not reach it either.

use std::sync::Arc;

use confab_bus::Bus;
use confab_chat::ActorKey;
use confab_store::{Key, Range, Record, Store, StoreError, Take, Write, Writes};
use confab_worker::{Config, Worker};

use super::{World, config, in_time};

type Lost = dyn Fn(&Key) -> bool + Send + Sync;

#[derive(Clone)]
struct Torn<S> {
    inner: S,
    lost: Arc<Lost>,
}

impl<S: Store> Store for Torn<S> {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        let (lost, kept): (Vec<_>, Vec<_>) = rows
            .as_ref()
            .iter()
            .cloned()
            .partition(|row: &Write| (self.lost)(&row.key));
        let kept = kept
            .into_iter()
            .filter(|row| !matches!(row.key, Key::Checkpoint(_)));
        self.inner.write(kept.collect::<Vec<_>>()).await?;
        if lost.is_empty() {
            return Ok(());
        }
        Err(StoreError::Unavailable("not all of it was written".to_owned()))
    }

    /// It will have died before it comes to this.
    async fn write_state(&self, _actor: ActorKey, _parts: impl Writes) -> Result<(), StoreError> {
        Ok(())
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        self.inner.scan(range, take).await
    }
}

/// Starts a worker that will die: it writes neither states nor checkpoints, and cannot write the rows that `lost` holds
/// for. Waits until it is ready.
pub(crate) async fn doomed<B: Bus>(
    world: &World<B>,
    name: &str,
    lost: impl Fn(&Key) -> bool + Send + Sync + 'static,
) -> Worker {
    let worker = dying(world, config(name), lost).await;
    in_time("the worker", worker.ready()).await.unwrap();
    worker
}

/// As [`doomed`], of a worker that may die before it is ready.
pub(crate) async fn dying<B: Bus>(
    world: &World<B>,
    config: Config,
    lost: impl Fn(&Key) -> bool + Send + Sync + 'static,
) -> Worker {
    let store = Torn {
        inner: world.store.clone(),
        lost: Arc::new(lost),
    };
    Worker::start(config, world.bus.clone(), store).await
}
