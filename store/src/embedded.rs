//! The embedded form: an LSM tree whose table in memory is ours, and whose log is the one that rows come from.
//!
//! **A write** puts its rows into the overlay, where every reader sees them at once; repeated writes of a key become one.
//! **The saver**, a thread, draws a line from time to time, when the rows are many: all that was written before it is saved as
//! one table of the tree, durably and at one stroke, once the log that the rows come from is durable ([`Horizon`]). So what
//! stands on disk is at any time exactly what had been written at some earlier moment, and never ahead of the log. After a
//! crash the log brings the rest again. After [`Embedded::sync`] the log may be cut. **The merger**, another thread, merges tables,
//! and leaves behind what has expired.
//!
//! **A read** takes the rows of the overlay first and those on disk after that (a row leaves the overlay only when it is on
//! disk), and of each key the one that stands. A read that goes to the disk blocks its thread for as long as that takes. That a row is
//! not there, as most that are looked for before they are made, is known for the latest tables without looking (`recent`).
//!
//! **The engine** is lsm-tree: tables, their filters, caches and merges, and the manifest that says which tables there are. A
//! database around it (fjall, before) has a journal and sorted tables in memory of its own, a second time what the log and the
//! overlay are: a tenth of all CPU of a message.

mod encode;
mod expiry;
mod keys;
mod merger;
mod open;
mod overlay;
mod pace;
mod place;
mod ranges;
mod read;
mod recent;
mod rows;
mod saver;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use confab_chat::ActorKey;
use tokio::sync::oneshot;

use crate::horizon::Horizon;
use crate::{Key, Range, Record, Store, StoreError, Take, Writes};

use encode::encode;
use open::Shared;
use saver::Saver;

pub use open::OpenError;

/// A clock: milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How the embedded form is made.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// What says whether a row has expired.
    pub clock: Clock,
    /// How long a row waits until it is saved. Each time makes a table, and tables must be merged.
    pub save_every: Duration,
    /// How many bytes of rows are saved before that time.
    pub save_bytes: u64,
    /// How many bytes of rows may wait to be saved: a write beyond that waits. As many the log may have to bring again.
    pub pending_bytes: u64,
    /// How much of what was read is kept in memory.
    pub cache_bytes: u64,
}

impl EmbeddedOptions {
    /// The defaults, with a clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            save_every: Duration::from_secs(600),
            save_bytes: 32 << 20,
            pending_bytes: 128 << 20,
            cache_bytes: 64 << 20,
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

    /// Saves all rows written so far, durably, once the entries that they come from are durable, and once there is room for
    /// another table, where merging is far behind.
    ///
    /// # Errors
    /// The store has failed or is closed, or has waited for the entries to be durable for 10 s.
    pub async fn sync(&self) -> Result<(), StoreError> {
        let (done, synced) = oneshot::channel();
        self.0.shared.queue.ask_sync(done)?;
        synced.await.unwrap_or_else(|_| Err(self.0.shared.gone()))
    }

    /// As [`sync`](Self::sync), blocking the thread.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
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

impl Store for Embedded {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        self.room().await?;
        let shared = &self.0.shared;
        let bytes = shared.overlay.put(encode(rows.as_ref()));
        shared.queue.grown(bytes, shared.options.save_bytes)
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
        let bytes = shared.overlay.put_together(encode(parts));
        shared.queue.grown(bytes, shared.options.save_bytes)
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
