//! The in-process form: the journal behind it makes the log durable, and everything else is a queue in memory.
//!
//! An entry has its place in the order, and is in its reader's hands, as soon as it is appended; what its reader makes of it
//! cannot outlive the process before the entry is durable. So this form holds back what would leave the process: a delivery
//! until the entry it is from is committed (those of one partition in their order), an answer until everything
//! appended before it is. Rows of an embedded store follow the same rule through [`Horizon`].
//!
//! Every queue is bounded. A signal, a delivery or an announcement that does not fit is dropped and counted
//! (`confab_bus_dropped_total`), a query is refused, and an append is refused while the entries that nobody has trimmed
//! take too much memory: a client's commands first, so that what follows from those already taken still finds room.
//!
//! Entries stay in memory until they are trimmed, encoded, and as they are until somebody has read them. So every position from the
//! last trim on can be opened; one before it cannot, also while the journal's files still hold it.

mod append;
mod horizon;
mod partition;
mod reader;
mod soft;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Query, Signal, ToGateway};

use crate::journal::disk::{Disk, RealDisk};
use crate::journal::{Journal, JournalError, MAX_PARTITIONS, Running, Sink};
use crate::{AppendError, Bus, GatewayEnd, Position, QueryError, ReadError, WorkerEnd};

pub use horizon::{Horizon, JournalFailed};
pub use reader::LocalReader;

use append::Core;

/// A clock: milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How the in-process form is made.
#[derive(Clone)]
pub struct LocalOptions {
    /// What dates the entries. It may jump: the log's time never goes back.
    pub clock: Clock,
    /// The number of partitions of a new log. It is part of the data and never changes: a log that is there keeps its own.
    pub partitions: u16,
    /// Size of a segment of the journal.
    pub segment_bytes: u64,
    /// How long a sync waits at most for what readers make of the entries that it is for, so that it is for that, too.
    pub gather: Duration,
    /// How much the entries not yet trimmed may take in memory. Commands are refused at 80% of it, deliveries at all of it.
    pub memory_bytes: u64,
    /// Most signals that wait for a partition's reader.
    pub signals: usize,
    /// Most messages that wait for a gateway, and most that wait in a partition to be committed.
    pub deliveries: usize,
    /// Most queries that wait for a worker.
    pub queries: usize,
    /// Most announcements that wait at one receiver.
    pub announcements: usize,
}

impl LocalOptions {
    /// The defaults, with a clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            partitions: 8,
            segment_bytes: 32 << 20,
            // With little load what follows is there within some tens of microseconds, with much load after about this long:
            // a committer that gives up before that makes two syncs, and the gateway two frames, where one would do.
            gather: Duration::from_millis(2),
            memory_bytes: 256 << 20,
            signals: 16 * 1024,
            deliveries: 64 * 1024,
            queries: 4 * 1024,
            announcements: 1024,
        }
    }
}

impl std::fmt::Debug for LocalOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalOptions")
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// The in-process bus. Clones are the same bus; it is closed with the last one.
#[derive(Clone, Debug)]
pub struct Local(Arc<Open>);

#[derive(Debug)]
struct Open {
    core: Arc<Core>,
    running: Running,
}

impl Open {
    fn close(&self) {
        self.running.close();
        self.core.end("the bus is closed");
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

impl Local {
    /// Opens the journal in a directory, which is made if there is none, and kept to this bus until its last clone, reader
    /// and [`Horizon`] is gone.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(directory: &Path, options: LocalOptions) -> Result<Self, JournalError> {
        let disk = RealDisk::open(directory);
        let place = || directory.display().to_string();
        let disk = disk.map_err(|source| JournalError::Disk {
            place: place(),
            source,
        })?;
        Self::open_on(Arc::new(disk), options)
    }

    /// Opens the journal on a disk.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open_on(disk: Arc<dyn Disk>, options: LocalOptions) -> Result<Self, JournalError> {
        let place = disk.place();
        if options.partitions == 0 || options.partitions > MAX_PARTITIONS {
            let why = format!(
                "{} partitions: there can be 1 to {MAX_PARTITIONS}",
                options.partitions
            );
            return Err(JournalError::Foreign { place, why });
        }
        let mut recovered = Journal::recover(&*disk, options.partitions, options.segment_bytes)?;
        let journal = Journal::new(disk, options.segment_bytes, options.gather, &mut recovered);
        let core = Arc::new(Core::new(journal, options, &mut recovered));
        let running = core.journal.start(recovered, Arc::clone(&core) as Arc<dyn Sink>);
        let running = running.map_err(|source| JournalError::Disk { place, source })?;
        Ok(Self(Arc::new(Open { core, running })))
    }

    /// How far the journal is: for whoever must not run ahead of it.
    #[must_use]
    pub fn horizon(&self) -> Horizon {
        Horizon(Arc::clone(&self.0.core))
    }

    /// Waits until the journal has failed for good, and says why. Nothing is acknowledged any more: the process should end.
    pub async fn failure(&self) -> String {
        self.0.core.failure().await
    }

    /// Deletes the journal's oldest segments that every partition has trimmed, after `sync_store` has made durable the
    /// checkpoints which those trims rest on: all rows written before this call, whose entries are durable by the time it is
    /// called. Returns how many were deleted; without any, `sync_store` is not called. Blocks.
    ///
    /// # Errors
    /// What `sync_store` says, or the disk, or that the journal has failed.
    pub fn release_segments<E: From<io::Error>>(
        &self,
        sync_store: impl FnOnce() -> Result<(), E>,
    ) -> Result<usize, E> {
        let done = self.0.core.trimmed();
        let horizon = self.horizon();
        let upto = horizon.appended();
        self.0.core.journal.release(&done, || {
            horizon
                .wait_blocking(upto)
                .map_err(|failed| E::from(io::Error::other(failed)))?;
            sync_store()
        })
    }

    /// Commits what is pending and takes nothing more: appends are refused, readers end. Blocks for as long as a commit takes.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Bus for Local {
    type Reader = LocalReader;

    fn partitions(&self) -> u16 {
        self.0.core.partitions()
    }

    async fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        self.0.core.append(partition, entry.into())
    }

    async fn open(&self, partition: Partition, after: Position) -> Result<LocalReader, ReadError> {
        LocalReader::open(Arc::clone(&self.0.core), partition, after)
    }

    async fn trim(&self, partition: Partition, upto: Position) {
        self.0.core.trim(partition, upto);
    }

    async fn signal(&self, partition: Partition, signal: Signal) {
        self.0.core.signal(partition, signal);
    }

    async fn deliver(&self, partition: Partition, seq: u64, gateway: &GatewayId, message: ToGateway) {
        self.0.core.deliver(partition, seq, gateway, message);
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        let answer = self.0.core.soft.ask(query)?.await;
        let answer = answer.map_err(|_| QueryError("the worker did not answer".to_owned()))?;
        let horizon = self.horizon();
        let committed = horizon.wait(horizon.appended()).await;
        committed.map_err(|failed| QueryError(failed.to_string()))?;
        Ok(answer)
    }

    async fn announce(&self, announcement: Announcement) {
        self.0.core.soft.announce(&announcement);
    }

    async fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        self.0.core.soft.join_as_gateway(gateway)
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        self.0.core.soft.join_as_worker()
    }

    fn now(&self) -> Timestamp {
        self.0.core.now()
    }
}
