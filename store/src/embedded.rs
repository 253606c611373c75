//! The embedded form: an LSM tree behind an overlay of what is not saved yet.
//!
//! **A write** puts its rows into the overlay, where every reader sees them at once, and into a queue. **The saver**, a
//! thread, takes them from the queue in order, every second or sooner, and saves them in large atomic batches, repeated writes of a
//! key as one. It never syncs on its own, and it takes only rows whose log entries are durable ([`Horizon`]):
//! so what stands on disk is at any time exactly what had been written at some earlier moment, and never ahead of the
//! log. After a crash the log brings the rest again. [`Embedded::sync`] makes all that was saved durable; the log may then
//! be cut.
//!
//! **A read** takes the rows of the overlay first and those on disk after that (a row leaves the overlay only when it is on
//! disk), and of each key the one that stands. A read that goes to the disk blocks its thread for as long as that takes.
//!
//! **The engine** is fjall. With 16 writers that each wait for their sync it takes 35,000 rows a second where redb takes
//! 15,000, at 9 µs of CPU a row (128 writers) against 22; here nothing waits for a sync, and rows come in batches. Reading is
//! where redb is better (2 µs a cached row against 5), but a chat server writes several rows for every one that it reads
//! back, as its states are in the loops' caches. Measured with the example `embedded_cost` on two cores, six rows a message:
//! 7–8 µs of the writer and 24 µs of CPU in all (saving, writing tables out and merging them included); 5 µs to read a message,
//! 57 µs the last 50 of a chat, 1.8 µs to find that a row is not there. (Saving in order of keys made a third of that go away.)
//!
//! fjall syncs its own journal before it writes out a table, so its tables never get ahead of each other at a power cut. What
//! its journal had not synced may then be torn; `repair` cuts that off where fjall itself would refuse to open.

mod keys;
mod open;
mod overlay;
mod ranges;
mod read;
mod repair;
mod saver;
mod sweep;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use confab_chat::ActorKey;
use tokio::sync::oneshot;

use crate::horizon::Horizon;
use crate::{Key, Range, Record, Store, StoreError, Take, Write, Writes};

use open::Shared;
use overlay::Pending;
use saver::Saver;
use values::Stored;

pub use open::OpenError;

/// A clock: milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How the embedded form is made.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// What says whether a row has expired.
    pub clock: Clock,
    /// How long a row waits to be saved, so that repeated writes of a key become one.
    pub save_every: Duration,
    /// How many bytes of rows are saved before that time.
    pub save_bytes: u64,
    /// How many bytes of rows may wait to be saved: a write beyond that waits.
    pub pending_bytes: u64,
    /// How much of what was read is kept in memory.
    pub cache_bytes: u64,
    /// How often some of the expired rows are removed.
    pub sweep_every: Duration,
}

impl EmbeddedOptions {
    /// The defaults, with a clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            save_every: Duration::from_secs(1),
            save_bytes: 8 << 20,
            pending_bytes: 64 << 20,
            cache_bytes: 64 << 20,
            sweep_every: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for EmbeddedOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedOptions")
            .field("save_every", &self.save_every)
            .finish_non_exhaustive()
    }
}

/// The embedded store. Clones are the same store; it is closed with the last one.
#[derive(Clone, Debug)]
pub struct Embedded(Arc<Open>);

#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    saver: Saver,
}

impl Embedded {
    /// Opens the store in a directory, and makes it if there is none. It saves no row before the log that `horizon` speaks
    /// of has what the row comes from.
    ///
    /// # Errors
    /// The directory cannot be used, is in use, or holds something else.
    pub fn open(
        directory: &Path,
        options: EmbeddedOptions,
        horizon: Arc<dyn Horizon>,
    ) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::open(directory, options, horizon)?);
        let saver = Saver::start(Arc::clone(&shared));
        let saver = saver.map_err(|error| OpenError::new(directory, &error.to_string()))?;
        Ok(Self(Arc::new(Open { shared, saver })))
    }

    /// Saves all rows written so far whose entries are durable, and makes all that is saved durable.
    ///
    /// # Errors
    /// The store has failed or is closed.
    pub async fn sync(&self) -> Result<(), StoreError> {
        let (done, synced) = oneshot::channel();
        self.0.shared.queue.ask_sync(done)?;
        synced.await.unwrap_or_else(|_| Err(self.0.shared.gone()))
    }

    /// As [`sync`](Self::sync), blocking the thread.
    ///
    /// # Errors
    /// The store has failed or is closed.
    pub fn sync_blocking(&self) -> Result<(), StoreError> {
        let (done, synced) = oneshot::channel();
        self.0.shared.queue.ask_sync(done)?;
        synced
            .blocking_recv()
            .unwrap_or_else(|_| Err(self.0.shared.gone()))
    }

    /// Waits until the store has failed for good, and says why. It takes no writes any more: the process should end.
    pub async fn failure(&self) -> String {
        self.0.shared.queue.failure().await
    }

    /// Saves what may be saved, makes it durable, and takes no writes any more. Blocks.
    pub fn close(&self) {
        self.0.saver.close();
    }

    /// Waits until there is room for more rows.
    async fn room(&self) -> Result<(), StoreError> {
        self.0
            .shared
            .queue
            .room(self.0.shared.options.pending_bytes)
            .await
    }
}

fn pend(shared: &Shared, writes: &[Write]) -> Vec<Pending> {
    let numbers = shared.queue.numbers(writes.len() as u64)..;
    let pend = |(write, number): (&Write, u64)| {
        let (key, shard) = keys::encode(&write.key);
        let stored = Stored::encode(key.table(), write);
        Pending {
            key,
            shard,
            stored,
            number,
        }
    };
    writes.iter().zip(numbers).map(pend).collect()
}

impl Store for Embedded {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        self.room().await?;
        let shared = &self.0.shared;
        // What these rows come from was appended before now.
        let after = shared.horizon.appended();
        let mut pending = pend(shared, rows.as_ref());
        shared.overlay.put(&mut pending);
        shared.queue.push(after, pending, shared.options.save_bytes)
    }

    async fn write_state(&self, actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        let parts = parts.as_ref();
        if let Some(other) = parts
            .iter()
            .find(|part| !matches!(&part.key, Key::State(of, _) if *of == actor))
        {
            return Err(StoreError::Corrupt(format!(
                "{:?} is no part of the state of {actor}",
                other.key
            )));
        }
        self.room().await?;
        let shared = &self.0.shared;
        let after = shared.horizon.appended();
        let mut pending = pend(shared, parts);
        shared.overlay.put_together(&mut pending);
        shared.queue.push(after, pending, shared.options.save_bytes)
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        self.0.shared.get(key)
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        self.0.shared.scan(&range, take)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.saver.close();
    }
}
